"""The checks before a migration that are about the replication, on made-up facts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from consdb_actions.catalog import Snapshot
from consdb_actions.process.apply_checks import check_before, check_replication
from consdb_actions.process.apply_facts import (
    ApplyCheck,
    Checkout,
    DatabaseFacts,
    PublicationFacts,
    SectionFacts,
    Subscription,
)
from consdb_actions.process.runbook_change import RunbookRevision, SectionChange, effects_of
from consdb_actions.process.sites import Replication
from tests.support.lint import make_script

TABLES = frozenset({"cdb_demo.exposure", "cdb_demo.spare"})
PUBLISHED = PublicationFacts("usdfpub", TABLES, unidentified=TABLES)
SLOT = "usdf_exposurelog"
ADD = "ALTER TABLE cdb_demo.exposure ADD a int"
DROP = "ALTER TABLE cdb_demo.exposure DROP note"
TABLE = "CREATE TABLE cdb_demo.n (id int PRIMARY KEY)"
KEY = (
    "ALTER TABLE cdb_demo.spare DROP CONSTRAINT spare_pkey; UPDATE cdb_demo.spare SET value = ''; "
    "ALTER TABLE cdb_demo.spare ADD PRIMARY KEY (id, value)"
)


def facts(**values: Any) -> DatabaseFacts:
    return DatabaseFacts("db", "host", 5432, "oods", "14.11", **values)


def subscribed(enabled: bool) -> DatabaseFacts:
    return facts(subscriptions=(Subscription(SLOT, enabled, TABLES),))


def publishing(active: bool | None, **values: Any) -> DatabaseFacts:
    slots = {} if active is None else {SLOT: active}
    return facts(publications=(PUBLISHED,), slots=slots, roles=frozenset({"replicauser"}), **values)


def checks(found: DatabaseFacts, sql: str) -> list[ApplyCheck]:
    script = make_script(sql.split("; "))
    revision = RunbookRevision("b", "", "b.py")
    effects = effects_of([script.upgrade])
    change = SectionChange("demo", "cdb_demo", "cdb.v", "a", "b", (revision,), effects, effects)
    return list(check_replication(found, [change], Replication()))


@pytest.mark.parametrize(
    ("found", "sql", "states"),
    [
        (facts(), DROP, ["ok"]),
        # Another schema's tables are published, and not these.
        (facts(publications=(PublicationFacts("p", frozenset({"public.message"})),)), DROP, ["ok"]),
        (subscribed(True), ADD, ["refused"]),
        (subscribed(False), ADD, ["ok"]),
        (subscribed(True), "CREATE INDEX i ON cdb_demo.exposure (note)", ["ok"]),
        (publishing(True), ADD, ["refused"]),
        (publishing(False), ADD, ["ok"]),
        (publishing(None), ADD, ["warning"]),
        (publishing(True), "COMMENT ON TABLE cdb_demo.exposure IS 'x'", ["ok"]),
        # Rows that wait matter only where they would not fit afterwards.
        (publishing(False, waiting={SLOT: 3}), ADD, ["ok"]),
        (publishing(False, waiting={SLOT: 3}), DROP, ["ok", "refused"]),
        (publishing(False, waiting={SLOT: 0}), DROP, ["ok", "ok"]),
        (publishing(False), DROP, ["ok", "warning"]),
        (publishing(False, waiting={SLOT: 0}), KEY, ["ok", "ok", "refused"]),
        (publishing(False), TABLE, ["ok"]),
        (facts(publications=(PUBLISHED,), slots={SLOT: False}), TABLE, ["ok", "refused"]),
        (publishing(False), "INSERT INTO cdb_demo.spare VALUES (1, 'x')", ["ok", "warning", "refused"]),
        (
            publishing(False),
            "ALTER TABLE cdb_demo.exposure ADD a timestamp DEFAULT clock_timestamp()",
            ["ok", "refused"],
        ),
    ],
)
def test_p4_replication_stands_as_the_change_needs_it(
    found: DatabaseFacts, sql: str, states: list[str]
) -> None:
    made = checks(found, sql)
    assert [check.state for check in made] == states
    assert all(check.remedy for check in made if check.state == "refused")


def test_remedies_are_statements_to_copy() -> None:
    assert "`ALTER SUBSCRIPTION usdf_exposurelog DISABLE;`" in checks(subscribed(True), ADD)[0].remedy
    key = checks(publishing(False, waiting={SLOT: 0}), KEY)[-1]
    assert key.details == ("ALTER TABLE cdb_demo.spare REPLICA IDENTITY FULL;",)
    added = checks(publishing(False), "INSERT INTO cdb_demo.spare VALUES (1, 'x')")[-1]
    assert added.details == ("ALTER PUBLICATION usdfpub DROP TABLE cdb_demo.spare;",)
    full = PublicationFacts("usdfpub", TABLES)
    known = facts(publications=(full,), slots={SLOT: False}, waiting={SLOT: 0})
    assert [check.state for check in checks(known, KEY)] == ["ok", "ok"]


def test_o5_what_the_runbook_brings_about_does_not_refuse_ahead() -> None:
    """All else does: a run ahead of the day must not be green while something cannot work."""

    def states(sql: str, found: DatabaseFacts, *, ahead: bool) -> set[tuple[str, str]]:
        effects = effects_of([make_script(sql.split("; ")).upgrade])
        change = SectionChange(
            "demo", "cdb_demo", "cdb.v", "a", "b", (RunbookRevision("b", "", "b.py"),), effects, effects
        )
        there = SectionFacts("cdb_demo", ("a",), frozenset({"cdb", "cdb_demo"}), Snapshot("cdb_demo"))
        found = replace(found, sections={"cdb_demo": there})
        made = check_before(found, [change], Checkout("c"), Replication(), {}, ahead=ahead)
        return {(check.id, check.state) for check in made if check.id not in ("tables", "owner")}

    assert ("replication", "refused") in states(ADD, publishing(True), ahead=False)
    assert ("replication", "warning") in states(ADD, publishing(True), ahead=True)
    volatile = "ALTER TABLE cdb_demo.exposure ADD at timestamp DEFAULT clock_timestamp()"
    assert ("values", "refused") in states(volatile, publishing(False), ahead=True)
