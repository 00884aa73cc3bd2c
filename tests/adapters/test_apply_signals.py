"""Rule F2: who interrupts ``migrations apply`` or ``process rehearse`` leaves nothing, and is told so."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from consdb_actions.adapters.postgres import ScratchServer, connect
from tests.support.trees import BEFORE, SiteTree, database
from tests.support.waiting import PATIENCE, until

PROGRAM = Path(__file__).parents[1] / "support" / "in_sight.py"
LONG = ("ALTER TABLE cdb_latiss.exposure ADD a int; SELECT pg_sleep(600)", "SELECT 1")
LONG_AT_THE_SITES = (f"{LONG[0]} FROM pg_publication", LONG[1])
"""The same, but not where the history is replayed."""
SLEEPING = (
    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()"
)

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.usefixtures("default_signals")]


@pytest.fixture
def base() -> Iterator[Path]:
    """Give a directory with a path short enough for a socket, open to the user who runs servers."""
    memory = Path("/dev/shm")
    directory = Path(tempfile.mkdtemp(prefix="t", dir=memory if os.access(memory, os.W_OK) else "/tmp"))
    directory.chmod(0o777)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def running(*args: str, base: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the program with everything temporary in a folder."""
    process = subprocess.Popen(
        [sys.executable, PROGRAM, *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(base), "PYTHONPATH": str(PROGRAM.parents[2])},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(holds: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for something that the program brings about."""

    def holds_while_it_runs() -> bool:
        assert process.poll() is None, process.communicate()
        return holds()

    until(holds_while_it_runs)


def sleeping(url: sa.URL) -> int:
    """Return how many sessions sleep."""
    with connect(url.set(username="postgres", database="postgres")) as connection:
        row = connection.execute(SLEEPING.encode()).fetchone()
    return int(str(row[0])) if row else 0


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_f2_an_interrupted_upgrade_is_rolled_back(
    server: ScratchServer, tmp_path: Path, base: Path, signum: signal.Signals, code: int
) -> None:
    made = SiteTree(tmp_path / "consdb")
    made.add("takes long", *LONG)
    evidence = tmp_path / "evidence.json"
    with database(server, made.tree(), "interrupted", owner="oods") as url:
        args = ["migrations", "apply", "--consdb", str(made.root), "--section", "latiss", "--yes"]
        args += ["--database-url", url.render_as_string(hide_password=False), "--evidence", str(evidence)]
        with running(*args, "--no-replay", base=base) as process:
            wait_for(lambda: sleeping(url) == 1, process)
            process.send_signal(signum)
            _, error = process.communicate(timeout=PATIENCE)
        assert process.returncode == code
        assert f"section latiss is at {BEFORE}, as before; its transaction was rolled back" in error
        assert sleeping(url) == 0
        with connect(url) as connection:
            row = connection.execute("SELECT version_num FROM cdb.cdb_latiss_version").fetchone()
            assert row == (BEFORE,)
            columns = connection.execute("SELECT * FROM cdb_latiss.exposure LIMIT 0").description or []
        assert "a" not in [column.name for column in columns]
    assert json.loads(evidence.read_text())["result"] == "interrupted"
    assert not list(base.iterdir())


def test_o6_nothing_commits_after_apply_was_killed(server: ScratchServer, tmp_path: Path, base: Path) -> None:
    made = SiteTree(tmp_path / "consdb")
    made.add("takes long", *LONG)
    with database(server, made.tree(), "killed", owner="oods") as url:
        args = ["migrations", "apply", "--consdb", str(made.root), "--section", "latiss", "--yes"]
        args += ["--database-url", url.render_as_string(hide_password=False), "--no-replay"]
        with running(*args, base=base) as process:
            wait_for(lambda: sleeping(url) == 1, process)
            process.kill()
            process.wait()
        # The server sees that its client is gone, long before the statement would have ended.
        until(lambda: sleeping(url) == 0)
        with connect(url) as connection:
            row = connection.execute("SELECT version_num FROM cdb.cdb_latiss_version").fetchone()
            columns = connection.execute("SELECT * FROM cdb_latiss.exposure LIMIT 0").description or []
        assert row == (BEFORE,)
        assert "a" not in [column.name for column in columns]


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_f2_an_interrupted_rehearsal_leaves_nothing(
    tmp_path: Path, base: Path, signum: signal.Signals, code: int
) -> None:
    made = SiteTree(tmp_path / "consdb")
    made.add("takes long", *LONG_AT_THE_SITES)

    def asleep() -> bool:
        for place in base.glob("consdb-actions-pg-*/s"):
            url = sa.URL.create("postgresql+psycopg", port=5432, query={"host": str(place)})
            try:
                if sleeping(url):
                    return True
            except psycopg.OperationalError:
                continue
        return False

    args = ["process", "rehearse", "--consdb", str(made.root), "--section", f"latiss:{BEFORE}..head"]
    with running(*args, "--act", "migrate", "--by-hand", base=base) as process:
        wait_for(asleep, process)
        assert len(list(base.glob("consdb-actions-pg-*"))) == 2
        process.send_signal(signum)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == code
    assert not list(base.iterdir())
    listing = subprocess.run(["ps", "-ww", "-eo", "args="], capture_output=True, text=True, check=True)
    assert f"{base}/" not in listing.stdout
