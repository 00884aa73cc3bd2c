"""Revisions made of SQL, for the rules of lint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from consdb_actions.migration.lint.finding import Hit
from consdb_actions.migration.lint.rules import MODULES
from consdb_actions.migration.lint.script import Failure, Rendering, Script, Statement, run
from consdb_actions.migration.lint.state import State

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
"""What is there before each case."""


def statements(sql: Sequence[str], first: int = 20) -> tuple[Statement, ...]:
    """Give each text a line of its own."""
    return tuple(Statement(text, first + number) for number, text in enumerate(sql))


def state_after(sql: Sequence[str], schema: str = SCHEMA) -> State:
    """Return what is there after some statements, all of which must be understood."""
    followed = run("upgrade", Rendering(statements(sql)), State(schema))
    assert followed.whole, [step.problem or step.refusal for step in followed.steps]
    return followed.end


def make_script(
    upgrade: Sequence[str] = (),
    downgrade: Sequence[str] = (),
    *,
    history: Sequence[str] = HISTORY,
    schema: str = SCHEMA,
    failures: Mapping[str, Failure] | None = None,
    **facts: object,
) -> Script:
    """Return a revision; its upgrade's statements start in line 20, its downgrade's in line 60."""
    given = failures or {}
    start = state_after(history, schema)
    up = run("upgrade", Rendering(statements(upgrade), 19, given.get("upgrade")), start)
    middle = replace(up.end, complete=up.whole)
    down = run("downgrade", Rendering(statements(downgrade, 60), 59, given.get("downgrade")), middle)
    script = Script(
        "alembic/demo/versions/a.py", "demo", "aaaa", schema, "cdb", up, down, line=12, roles=ROLES
    )
    return replace(script, **facts)  # type: ignore[arg-type]


def hits(rule: str, script: Script) -> list[Hit]:
    """Return what one rule finds."""
    (module,) = [module for module in MODULES if module.RULE.id == rule]
    return list(module.check(script))
