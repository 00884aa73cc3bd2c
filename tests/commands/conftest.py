"""One server for the commands that tests run in their own process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest

from consdb_actions.adapters import postgres, postgres_server
from consdb_actions.adapters.autogenerate import run
from consdb_actions.adapters.postgres import ScratchServer, scratch_server
from consdb_actions.adapters.postgres_server import SUPERUSER

__all__: list[str] = []

ROLES = ("usdf", "oods")


@pytest.fixture(scope="session")
def lent_server() -> Iterator[ScratchServer]:
    with scratch_server(roles=()) as scratch:
        yield scratch


@pytest.fixture
def own_server() -> None:
    """Let the commands of a test start servers of their own."""


@pytest.fixture(autouse=True)
def lend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lend commands a server without anybody's roles and databases; one of their own takes half a second."""
    if "own_server" in request.fixturenames:
        return

    @contextmanager
    def lent(
        *, roles: Sequence[str] = ROLES, prestarted: object = None, **given: Any
    ) -> Iterator[ScratchServer]:
        if any(given.values()):
            with scratch_server(roles=roles, **given) as own:
                yield own
            return
        server: ScratchServer = request.getfixturevalue("lent_server")
        made = [role for role in roles if role != SUPERUSER and not role.startswith("pg_")]
        for role in made:
            server.execute("postgres", f'CREATE ROLE "{role}"')
        try:
            yield server
        finally:
            for role in made:
                server.execute("postgres", f'DROP ROLE "{role}"')

    for module in (postgres, run):
        monkeypatch.setattr(module, "scratch_server", lent)
    monkeypatch.setattr(postgres_server, "prestarted_server", nullcontext)
