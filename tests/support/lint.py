"""Revisions made of SQL, for the rules of lint."""

from __future__ import annotations

import atexit
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from itertools import count

import sqlalchemy as sa

from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.adapters.lint_replay import (
    Recorder,
    RecordingConnection,
    StateReader,
    recording,
    squawk_findings,
)
from consdb_actions.adapters.postgres import ScratchServer, scratch_server
from consdb_actions.lint.finding import Hit
from consdb_actions.lint.rules import CHECKS
from consdb_actions.lint.script import Direction, DirectionRun, Failure, RevisionScript

SCHEMA = "cdb_demo"
ROLES = {"usdf": ("SELECT",), "oods": ("SELECT",)}

HISTORY = (
    "CREATE TABLE cdb_demo.exposure (exposure_id bigint NOT NULL, day_obs integer NOT NULL, seq_num integer "
    "NOT NULL, band varchar(32), air_temp double precision, note text, amount numeric(8, 2), seen timestamp, "
    "img_type varchar(8), PRIMARY KEY (exposure_id), CONSTRAINT un_day UNIQUE (day_obs, seq_num))",
    "CREATE TABLE cdb_demo.quick (exposure_id bigint PRIMARY KEY, seeing real, "
    "CONSTRAINT fk_quick FOREIGN KEY (exposure_id) REFERENCES cdb_demo.exposure (exposure_id))",
    "CREATE TABLE cdb_demo.spare (id bigint NOT NULL, value text, CONSTRAINT spare_pkey PRIMARY KEY (id))",
    "CREATE INDEX ix_band ON cdb_demo.exposure (band)",
    "CREATE VIEW cdb_demo.visit1 AS SELECT exposure_id AS visit_id, day_obs, band FROM cdb_demo.exposure",
    "GRANT SELECT ON cdb_demo.visit1 TO usdf, oods",
)
"""The state before each case."""

_numbers = count()
_stack = ExitStack()
atexit.register(_stack.close)


@cache
def _server() -> ScratchServer:
    return _stack.enter_context(scratch_server())


@cache
def _database(
    history: tuple[str, ...], schema: str
) -> tuple[sa.Connection, RecordingConnection, StateReader]:
    """Create a database with a committed history."""
    name = f"lint_{next(_numbers)}"
    _server().create_database(name)
    connection, driver, reader = _stack.enter_context(recording(_server().url(name)))
    for each in dict.fromkeys(("cdb", "efd", schema)):
        connection.execute(sa.schema.CreateSchema(each))
    for statement in history:
        connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
    for each in dict.fromkeys((schema, "cdb_latiss")):
        connection.exec_driver_sql(f"CREATE TABLE cdb.{each}_version (version_num text)")
    connection.commit()
    return connection, driver, reader


class _Recorder(Recorder):
    """Records statements as if they came from lines of a file."""

    current = 0

    def line(self) -> int:
        return self.current


def make_script(
    upgrade: Sequence[str] = (),
    downgrade: Sequence[str] = (),
    *,
    history: Sequence[str] = HISTORY,
    schema: str = SCHEMA,
    failures: Mapping[str, Failure] | None = None,
    lines: Sequence[int] = (),
    **facts: object,
) -> RevisionScript:
    """Return a revision; its upgrade's statements start in line 20, its downgrade's in line 60.

    ``lines`` sets other lines for the upgrade. The statements run in one transaction, which is rolled back;
    one that ends it belongs in a test of revisions.
    """
    connection, driver, reader = _database(tuple(history), schema)
    given = failures or {}
    connection.rollback()
    before = read_snapshot(connection, schema)
    connection.rollback()
    runs: dict[Direction, DirectionRun] = {}
    for direction, sqls, first in (("upgrade", upgrade, 20), ("downgrade", downgrade, 60)):
        recorder = _Recorder(driver, reader, "")
        with driver.cursor() as cursor:
            numbers = lines if direction == "upgrade" and lines else range(first, first + len(sqls))
            for recorder.current, sql in zip(numbers, sqls, strict=True):
                recorder.send(cursor, sql)  # type: ignore[arg-type]
        assert not recorder.boundaries
        runs[direction] = DirectionRun(  # type: ignore[index]
            direction,  # type: ignore[arg-type]
            first - 1,
            tuple(recorder.steps),
            recorder.start,
            recorder.read(),
            given.get(direction),
            tuple(recorder.notices),
            read_snapshot(connection, schema),
        )
    connection.rollback()
    squawk = squawk_findings(runs["upgrade"], (), _server().info.version)
    script = RevisionScript(
        "alembic/demo/versions/a.py",
        "demo",
        "aaaa",
        schema,
        "cdb",
        f"{schema}_version",
        runs["upgrade"],
        runs["downgrade"],
        line=12,
        roles=ROLES,
        catalog=before,
        squawk=squawk,
    )
    return replace(script, **facts)  # type: ignore[arg-type]


def hits(rule: str, script: RevisionScript) -> list[Hit]:
    """Return the findings of one rule."""
    return list(CHECKS[rule](script))
