"""A server that starts while something else goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from consdb_actions.adapters import postgres_server
from consdb_actions.adapters.postgres import ScratchServer, scratch_server
from consdb_actions.adapters.postgres_server import ServerProcess, prestarted_server, server_process
from consdb_actions.errors import InputError


def sockets(server: ScratchServer) -> Path:
    """Return the directory of a server's socket."""
    return Path(str(server.url("postgres").query["host"]))


def test_a_scratch_server_uses_the_one_that_was_started_ahead() -> None:
    with prestarted_server() as prestarted:
        with scratch_server(prestarted=prestarted, roles=["reader"]) as server:
            server.create_database("one")
            with server.open_database("one") as engine, engine.connect() as connection:
                found = connection.exec_driver_sql("SELECT rolname FROM pg_roles WHERE rolname = 'reader'")
                assert found.scalar() == "reader"
            place = sockets(server)
        # It ends with the block that started it, not with the one that used it.
        assert place.exists()
    assert not place.exists()


def test_f2_one_that_nobody_asks_for_is_gone_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    @contextmanager
    def noted() -> Iterator[ServerProcess]:
        with server_process() as process:
            started.append(process)
            yield process

    monkeypatch.setattr(postgres_server, "server_process", noted)
    with prestarted_server():
        pass
    (process,) = started
    assert not process.sockets.exists()
    assert process.ending() is not None


def test_that_it_cannot_start_is_said_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSDB_POSTGRES_BIN", "/nonexistent")
    with prestarted_server():
        pass
    with (
        prestarted_server() as prestarted,
        pytest.raises(InputError) as caught,
        scratch_server(prestarted=prestarted),
    ):
        pass
    assert "/nonexistent" in f"{caught.value.cause} {caught.value.place}"
