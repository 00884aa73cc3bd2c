"""A Postgres by Postgres's own tools, for the peer and the floor: initdb, postgres and psql."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROLES = ("usdf", "oods")
SPOLY = """
CREATE TYPE public.spoly;
CREATE FUNCTION public.spoly_in(cstring) RETURNS public.spoly
    LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION public.spoly_out(public.spoly) RETURNS cstring
    LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE public.spoly (INPUT = public.spoly_in, OUTPUT = public.spoly_out, LIKE = text);
"""
"""Stands in for pg_sphere, which most machines lack; making the extension takes longer."""


@dataclass(frozen=True)
class PlainServer:
    """A running server; ``user`` is what subprocess needs to run its tools."""

    tools: Path
    socket: Path
    user: dict[str, Any]

    def psql(self, database: str, sql: str) -> None:
        """Run SQL by psql."""
        options = ["-qX", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-h"]
        command: list[str | Path] = [self.tools / "psql", *options]
        output = subprocess.DEVNULL
        subprocess.run(
            [*command, self.socket, database], input=sql.encode(), stdout=output, check=True, **self.user
        )

    def url(self, database: str) -> str:
        """Return the address for SQLAlchemy."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.socket}"


@contextmanager
def plain_server(tools: Path, base: str | None = None) -> Iterator[PlainServer]:
    """Make a cluster, start it, stop it and remove it."""
    user: dict[str, Any] = {}
    if os.geteuid() == 0:  # Postgres refuses root
        user = {"user": "nobody", "group": "nogroup", "extra_groups": []}
    directory = Path(tempfile.mkdtemp(prefix="bench", dir=base))
    if user:
        shutil.chown(directory, "nobody", "nogroup")
    data = directory / "data"
    options = ["-U", "postgres", "--auth=trust", "--no-sync", "--no-locale", "-E", "UTF8"]
    subprocess.run([tools / "initdb", "-D", data, *options], stdout=subprocess.DEVNULL, check=True, **user)
    server = subprocess.Popen(
        [tools / "postgres", "-D", data, "-k", directory, "-h", "", "-F"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **user,
    )
    ready: list[str | Path] = [tools / "pg_isready", "-q", "-h", directory]
    try:
        while subprocess.run(ready, check=False, **user).returncode:
            if server.poll() is not None:
                raise SystemExit("The server did not start.")
            time.sleep(0.01)
        yield PlainServer(tools, directory, user)
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(directory, ignore_errors=True)
