"""Rules O1 to O4: what is changed, what is not, who owns it, and that no writer loses a row."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic.operations import ops

from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.adapters.postgres import ScratchServer, connect
from consdb_actions.migration.rewrite.statements import Phase, SqlStatement
from consdb_actions.process.apply_facts import locked_first
from tests.commands.test_migrations_apply import NEW, Bench, MakeBench, bench, data_of
from tests.support.trees import BEFORE

__all__ = ["bench"]  # a fixture

CHILD_FIRST = (
    """ALTER TABLE cdb_latiss.exposure_flexdata ADD b int;
    SELECT pg_sleep(0.4);
    DROP VIEW cdb_latiss.visit1; ALTER TABLE cdb_latiss.exposure ADD airmass double precision;
    CREATE VIEW cdb_latiss.visit1 AS SELECT exposure_id AS visit_id, day_obs, seq_num, band, airmass
        FROM cdb_latiss.exposure; GRANT SELECT ON cdb_latiss.visit1 TO usdf, oods""",
    "SELECT 1",
)
"""Locks in the order that meets hinfo in a deadlock."""


@dataclass
class Hinfo:
    """Writes as hinfo does: a row and its children in one transaction, parent first, without a retry."""

    url: sa.URL
    statements: tuple[str, ...]
    pause: float = 0.005
    written: int = 0
    lost: list[str] = field(default_factory=list)
    longest: float = 0.0

    def __post_init__(self) -> None:
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Hinfo:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(60)

    def _work(self) -> None:
        with connect(self.url) as connection:
            number = 1_000_000
            while not self._end.is_set():
                number += 1
                started = time.monotonic()
                try:
                    with connection.transaction():
                        for statement in self.statements:
                            connection.execute(statement.format(n=number).encode())
                            time.sleep(self.pause)
                    self.written += 1
                except psycopg.Error as error:
                    self.lost.append(str(error))
                self.longest = max(self.longest, time.monotonic() - started)


IMAGE = (
    "INSERT INTO cdb_latiss.exposure (exposure_id, day_obs, seq_num) VALUES ({n}, {n}, 1)",
    "INSERT INTO cdb_latiss.exposure_flexdata (obs_id, key) VALUES ({n}, 'a')",
)
CHILD = ("INSERT INTO cdb_latiss.exposure_flexdata (obs_id, key) VALUES (1, 'k{n}')",)
READ = ("SELECT count(*) FROM cdb_latiss.visit1", "SELECT count(*) FROM cdb_latiss.exposure_flexdata")


@contextmanager
def blocked(url: sa.URL, seconds: float) -> Iterator[None]:
    """Read a table in a transaction that stays open for a while."""
    ready = threading.Event()

    def hold() -> None:
        with connect(url) as connection, connection.transaction():
            connection.execute(b"SELECT count(*) FROM cdb_latiss.exposure")
            ready.set()
            time.sleep(seconds)

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    ready.wait(10)
    yield
    thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.0, 12.0], ids=["free", "blocked"])
def test_o3_no_writer_loses_a_row(bench: MakeBench, seconds: float) -> None:
    made = bench(*CHILD_FIRST)
    made.sql("INSERT INTO cdb_latiss.exposure (exposure_id, day_obs, seq_num) VALUES (1, 1, 1)")
    with (
        Hinfo(made.url, IMAGE) as image,
        Hinfo(made.url, CHILD) as child,
        Hinfo(made.url, READ) as reader,
        blocked(made.url, seconds),
    ):
        assert made.run() == 0, made.err
    assert (image.lost, child.lost, reader.lost) == ([], [], [])
    assert min(image.written, child.written, reader.written) > 20
    # What waits for a lock waits for less than deadlock_timeout, but for every sixth try; and for the
    # revision.
    longest = max(image.longest, child.longest, reader.longest)
    logging.getLogger(__name__).info(
        "longest stall %.2f s, %s images, %s children", longest, image.written, child.written
    )
    assert longest < 4
    assert made.revision == NEW


@pytest.mark.slow
def test_o3_without_these_locks_a_row_is_lost(bench: MakeBench) -> None:
    """The test before shows something: the same revision by plain alembic meets the writer in a deadlock."""
    made = bench(*CHILD_FIRST)
    with (
        Hinfo(made.url, IMAGE, pause=0.05) as image,
        connect(made.url) as connection,
        connection.transaction(),
    ):
        connection.execute(b"SET LOCAL lock_timeout = '5s'")
        for statement in CHILD_FIRST[0].split(";"):
            connection.execute(statement.encode())
    assert any("deadlock" in words for words in image.lost)


@pytest.mark.slow
def test_o4_what_an_administrator_applies_belongs_to_the_owner(bench: MakeBench) -> None:
    made = bench()
    report = made.report(url=made.url.set(username="postgres").render_as_string(hide_password=False))
    assert report["result"] == "applied", made.err
    owners = dict(
        made.sql(
            "SELECT relname::text, pg_get_userbyid(relowner)::text FROM pg_class "
            "WHERE relnamespace = 'cdb_latiss'::regnamespace AND relkind IN ('r', 'v', 'S')"
        )
    )
    assert set(owners.values()) == {"oods"}
    assert {"quicklook", "visit1"} <= set(owners)
    checks = {c["id"]: c["state"] for c in report["sections"][0]["verification"]}
    assert checks["owner"] == "ok"


def test_o4_a_user_who_cannot_act_as_the_owner_is_refused(bench: MakeBench) -> None:
    made = bench()
    made.sql("DROP ROLE IF EXISTS stranger; CREATE ROLE stranger LOGIN; GRANT pg_read_all_data TO stranger")
    url = made.url.set(username="stranger").render_as_string(hide_password=False)
    assert "owner" in made.refused(url=url)
    assert "cannot act as that role" in made.out


@pytest.mark.slow
def test_o4_an_owner_who_cannot_read_its_table_is_found(bench: MakeBench) -> None:
    made = bench("REVOKE ALL ON cdb_latiss.exposure FROM oods", "SELECT 1")
    assert made.run() == 5
    assert "oods has no SELECT on exposure, which it owns" in made.out
    assert "verification failed" in made.out


AUTOCOMMIT = """\
from alembic import op

revision, down_revision = "{revision}", "{down}"


def upgrade():
    op.execute("ALTER TABLE cdb_latiss.exposure ADD a int")
    with op.get_context().autocommit_block():
        op.execute("CREATE INDEX CONCURRENTLY i_a ON cdb_latiss.exposure (a)")
    op.execute("SELECT 1/0")


def downgrade():
    pass
"""


@pytest.mark.slow
def test_o2_what_was_committed_in_part_is_named(bench: MakeBench) -> None:
    made = bench("SELECT 1", "SELECT 1")
    text = AUTOCOMMIT.format(revision=NEW, down=BEFORE)
    next(made.tree.versions.glob(f"{NEW}*")).write_text(text)
    evidence = made.tree.root.parent / "evidence.json"
    assert made.run("--no-replay", "--evidence", str(evidence)) == 5
    report = data_of(evidence.read_text())
    assert (report["result"], report["changed"], report["attests"]) == ("failed", "in part", "")
    (section,) = report["sections"]
    assert (section["state"], section["at"]) == ("applied in part", BEFORE)
    assert any("exposure.columns.a" in part for part in section["part"])
    assert "nothing was changed" not in made.err.lower()
    assert "half way" in made.err
    assert made.revision == BEFORE
    assert "a" in made.columns("exposure")


def _fails(made: Bench) -> int:
    return made.run("--no-replay")


FAILURES: dict[str, tuple[tuple[str, str], Callable[[Bench], int], int, str, str]] = {
    # where it fails: revision, run, exit code, first words, what is in the database
    "a check": (("CREATE TABLE cdb_latiss.t (id int)", ""), _fails, 1, "Stopped: nothing", "nothing"),
    "a statement": (("SELECT 1/0", ""), _fails, 1, "nothing was changed", "nothing"),
    "a statement takes too long": (
        ("SELECT pg_sleep(9)", ""),
        lambda made: made.run("--no-replay", "--statement-timeout", "200ms"),
        3,
        "nothing was changed",
        "nothing",
    ),
    "verification": (
        ("REVOKE ALL ON cdb_latiss.exposure FROM oods", ""),
        _fails,
        5,
        "The database was changed, and verification failed",
        "not verified",
    ),
}


@pytest.mark.parametrize("where", FAILURES)
def test_o1_kinds_of_failure_are_told_apart(bench: MakeBench, where: str) -> None:
    revision, run, code, words, changed = FAILURES[where]
    made = bench(*revision)
    columns = made.columns("exposure")
    found = run(made)
    assert (found, words in made.out + made.err) == (code, True), made.err
    assert made.columns("exposure") == columns
    assert (made.revision == NEW) == (changed != "nothing")
    forbidden = "nothing was changed" if code == 5 else "half way"
    assert forbidden not in made.out + made.err


def test_o5_views_elsewhere_that_read_ours_are_found(bench: MakeBench, server: ScratchServer) -> None:
    made = bench()
    made.sql("CREATE SCHEMA elsewhere; CREATE VIEW elsewhere.mine AS SELECT * FROM cdb_latiss.visit1")
    assert "dependents" in made.refused()
    assert "view elsewhere.mine reads visit1" in made.out
    made.sql("DROP SCHEMA elsewhere CASCADE")
    made.sql("CREATE SCHEMA elsewhere; CREATE VIEW elsewhere.mine AS SELECT band FROM cdb_latiss.exposure")
    report: dict[str, Any] = made.report("--dry-run", "--no-replay")
    assert ("dependents", "warning") in {(c["id"], c["state"]) for c in report["checks"]}


def test_o5_foreign_tables_that_read_ours_are_found(bench: MakeBench) -> None:
    made = bench()
    made.sql(
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER here FOREIGN DATA WRAPPER w; CREATE SCHEMA far; "
        "CREATE FOREIGN TABLE far.visits (visit_id bigint) SERVER here "
        "OPTIONS (schema_name 'cdb_latiss', table_name 'visit1')"
    )
    assert "dependents" in made.refused()
    assert "foreign table far.visits reads visit1" in made.out


@pytest.mark.slow
def test_a_downgrade_that_does_not_restore_is_named_before(bench: MakeBench) -> None:
    made = bench(
        "ALTER TABLE cdb_latiss.exposure DROP note", "ALTER TABLE cdb_latiss.exposure ADD note varchar(9)"
    )
    assert made.run() == 0
    report = made.report("--downgrade", section=f"latiss:{NEW}..{BEFORE}")
    checks = {c["id"]: c for c in report["checks"]}
    assert checks["downgrade"]["state"] == "warning"
    assert any("note.type" in line for line in checks["downgrade"]["details"])
    # What the revision does is what is verified.
    assert (report["result"], report["changed"]) == ("applied", "verified")


@pytest.mark.slow
def test_a_downgrade_that_cannot_run_is_refused(bench: MakeBench) -> None:
    made = bench("ALTER TABLE cdb_latiss.exposure DROP note", "ALTER TABLE cdb_latiss.exposure DROP missing")
    assert made.run() == 0
    assert made.run("--downgrade", section=f"latiss:{NEW}..{BEFORE}") == 1
    assert "the downgrade does not run" in made.out
    assert made.revision == NEW


IN_A_REVISION = """\
from alembic import op

revision, down_revision = "{revision}", "{down}"


def upgrade():
    for statement in {statements}:
        op.execute(statement)


def downgrade():
    pass
"""


@pytest.mark.slow
def test_o3_a_generated_revision_loses_no_row_by_plain_alembic(bench: MakeBench) -> None:
    """What an operator runs by hand, `alembic upgrade`, gives up before Postgres looks for a deadlock."""
    made = bench("SELECT 1", "SELECT 1")
    made.sql("INSERT INTO cdb_latiss.exposure (exposure_id, day_obs, seq_num) VALUES (1, 1, 1)")
    engine = sa.create_engine(made.url.set(drivername="postgresql+psycopg"))
    with engine.connect() as connection:
        before = read_snapshot(connection, "cdb_latiss")
    column = sa.Column("b", sa.Integer())
    operations = [
        SqlStatement("DROP VIEW cdb_latiss.visit1", phase=Phase.DROP_VIEW, text="", table="visit1"),
        *(ops.AddColumnOp(table, column) for table in ("exposure_flexdata", "exposure")),
    ]
    first = [op.sql for op in locked_first(operations, before)[:2] if isinstance(op, SqlStatement)]
    assert "visit1, cdb_latiss.exposure, cdb_latiss.exposure_flexdata IN ACCESS" in first[-1]
    text = IN_A_REVISION.format(revision=NEW, down=BEFORE, statements=[*first, CHILD_FIRST[0]])
    next(made.tree.versions.glob(f"{NEW}*")).write_text(text)
    url = made.url.render_as_string(hide_password=False).replace("%2F", "/")
    command = [sys.executable, "-m", "alembic", "-n", "latiss", "upgrade", "head"]
    tries = 0
    with Hinfo(made.url, IMAGE) as image, Hinfo(made.url, CHILD) as child, Hinfo(made.url, READ) as reader:
        while made.revision != NEW:
            tries += 1
            assert tries < 12
            environment = {**os.environ, "CONSDB_URL": url}
            done = subprocess.run(command, cwd=made.tree.root, env=environment, capture_output=True)
            assert done.returncode == 0 or b"LockNotAvailable" in done.stderr, done.stderr
    assert (image.lost, child.lost, reader.lost) == ([], [], [])
    longest = max(image.longest, child.longest, reader.longest)
    logging.getLogger(__name__).info("%s tries, longest stall %.2f s", tries, longest)
