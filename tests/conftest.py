"""Scratch servers for the tests, and guards that make accidents impossible."""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from consdb_actions.adapters.postgres import ScratchServer, scratch_server
from consdb_actions.errors import InputError

pytest_plugins = ["tests.support.github.plugin", "tests.support.goldens", "tests.support.registry"]

# A test must neither find a live token nor take the CI runner that it may run on for its own, nor follow
# somebody's connection settings. Removed at import, before anything can read them.
_KEPT = "CONSDB_POSTGRES_BIN"
for _name in [
    name for name in os.environ if re.match(r"(GITHUB|GH|ACTIONS|RUNNER|INPUT|CONSDB)_|PG[A-Z]", name)
]:
    if _name != _KEPT:
        del os.environ[_name]

# Nearly every test copies and removes a small tree or repository; in memory that takes a third of the time.
_MEMORY = Path("/dev/shm")
if (
    "TMPDIR" not in os.environ
    and os.access(_MEMORY, os.W_OK | os.X_OK)
    and not os.statvfs(_MEMORY).f_flag & getattr(os, "ST_NOEXEC", 0)
    and shutil.disk_usage(_MEMORY).free > 2 * 2**30
):
    os.environ["TMPDIR"] = tempfile.tempdir = str(_MEMORY)

# The same examples in every run, so that a failure is one for everybody; more in the session ``thorough``.
settings.register_profile("quick", max_examples=20, derandomize=True, deadline=None)
settings.register_profile("thorough", max_examples=200, derandomize=True, deadline=None)
settings.load_profile("quick")


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Refuse connections to anything but this machine."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def checked(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
            pytest.fail(f"a test tried to reach {address[0]}: the network is out of bounds")
        return connect(self, address)

    def checked_ex(self: socket.socket, address: Any) -> int:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
            pytest.fail(f"a test tried to reach {address[0]}: the network is out of bounds")
        return connect_ex(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", checked)
        patch.setattr(socket.socket, "connect_ex", checked_ex)
        yield


@pytest.fixture
def default_signals() -> Iterator[None]:
    """Have Python's own handlers, in the test and in what it starts, also where the session ignores signals.

    ``nohup nox ... &`` starts with SIGHUP and SIGINT ignored, and a server that another test left running has
    handlers of its own.
    """
    defaults: dict[signal.Signals, Any] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, handler) for number, handler in defaults.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture(scope="session")
def server() -> Iterator[ScratchServer]:
    """Give the server that a user of this machine would get."""
    with scratch_server() as scratch:
        yield scratch


@pytest.fixture(scope="session")
def embedded_server() -> Iterator[ScratchServer]:
    """Give the server of the Python package, which has no pg_sphere."""
    with scratch_server(prefer="embedded") as scratch:
        yield scratch


@pytest.fixture(scope="session")
def pgsphere_server() -> Iterator[ScratchServer]:
    """Give a server with the real pg_sphere; skip where there is none that works."""
    try:
        with scratch_server(prefer="system") as scratch:
            if scratch.info.pgsphere != "pg_sphere":
                pytest.skip("no working pg_sphere here")
            yield scratch
    except InputError as error:
        pytest.skip(error.cause)
