"""What is measured against: a server by Postgres's own tools, and what is done on it without this project.

    python tests/bench/server.py floor --tools DIR [SQL...]
    python tests/bench/server.py peer --tools DIR --tree DIR --schemas DIR SECTION...

Nobody can be faster than the floor: one server, and the SQL of every section through psql, each file in a
database of its own. The peer does what consdb's own generator does, in the tree and without verifying: for
each section a server in the temporary directory, `alembic upgrade head`, `alembic revision --autogenerate`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
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


def floor(tools: Path, files: list[Path]) -> None:
    """Start the server and run the SQL."""
    base = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with plain_server(tools, base) as server:
        server.psql("postgres", "".join(f"CREATE ROLE {role};" for role in ROLES))
        for number, path in enumerate(files):
            server.psql("postgres", f"CREATE DATABASE d{number}")
            server.psql(f"d{number}", SPOLY + path.read_text(encoding="utf-8"))


def peer(tools: Path, tree: Path, schemas: Path, sections: list[str]) -> None:
    """Generate each section in turn."""
    for section in sections:
        schema = section if section.startswith("efd_") else f"cdb_{section}"
        with plain_server(tools) as server:
            roles = "".join(f"CREATE ROLE {role};" for role in ROLES)
            made = f"CREATE SCHEMA {schema.partition('_')[0]}; CREATE SCHEMA {schema};"
            server.psql("postgres", f"{SPOLY}{roles} {made}")
            variables = {"CONSDB_URL": server.url("postgres"), "SDM_SCHEMAS_DIR": str(schemas)}
            for words in (["upgrade", "head"], ["revision", "--autogenerate", "-m", "bench"]):
                command = [sys.executable, "-m", "alembic", "-n", section, *words]
                environment = {**os.environ, **variables}
                subprocess.run(command, cwd=tree, env=environment, capture_output=True, check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("floor", "peer"))
    for option in ("--tools", "--tree", "--schemas"):
        parser.add_argument(option, type=Path)
    parser.add_argument("names", nargs="*")
    given = parser.parse_intermixed_args()
    if given.what == "floor":
        floor(given.tools, [Path(name) for name in given.names])
    else:
        peer(given.tools, given.tree, given.schemas, given.names)
