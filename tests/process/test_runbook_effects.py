"""What a migration does, and what that asks of the replication, from its SQL alone."""

from __future__ import annotations

import pytest

from consdb_actions.process.runbook_change import Effects, Needs, effects_of, needs_of
from consdb_actions.schema.model import Name
from tests.support.lint import make_script


def effects(*sql: str) -> Effects:
    return effects_of([make_script(sql).upgrade])


def needs(*sql: str, published: bool = True) -> Needs:
    return needs_of([effects(*sql)], lambda _: published)


def demo(*names: str) -> tuple[Name, ...]:
    return tuple(Name("cdb_demo", name) for name in names)


def column_changes(*sql: str) -> list[tuple[str, str]]:
    return [(change.kind, f"{change.table}.{change.column}") for change in effects(*sql).columns]


E = "ALTER TABLE cdb_demo.exposure"


@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        (f"{E} ADD a int", [("added", "a")]),
        (f"{E} ADD a int DEFAULT 0 NOT NULL", [("added", "a")]),
        (f"{E} ADD a int; {E} ALTER a SET NOT NULL", [("added", "a")]),
        (f"{E} DROP note", [("dropped", "note")]),
        (f"{E} RENAME note TO remark", [("renamed", "remark")]),
        (f"{E} ALTER amount TYPE int USING amount::int", [("retyped", "amount")]),
        (f"{E} ALTER band SET NOT NULL", [("tightened", "band")]),
        (f"{E} ALTER day_obs DROP NOT NULL", [("loosened", "day_obs")]),
        # What comes and goes again is nothing.
        (f"{E} ADD a int; {E} DROP a", []),
        (f"{E} RENAME note TO x; {E} RENAME x TO note", []),
        ("COMMENT ON COLUMN cdb_demo.exposure.note IS 'more'", []),
        ("CREATE INDEX i ON cdb_demo.exposure (note)", []),
    ],
)
def test_changes_of_columns(sql: str, wanted: list[tuple[str, str]]) -> None:
    statements = sql.split("; ")
    found = [(kind, f"cdb_demo.exposure.{name}") for kind, name in wanted]
    assert column_changes(*statements) == found
    for change in effects(*statements).columns:
        assert change.required == ("SET NOT NULL" in sql)
        assert f"{change.table}.{change.old or change.column}" in str(change)


def test_names_are_those_of_the_end() -> None:
    statements = (
        "ALTER TABLE cdb_demo.spare ADD a int",
        "ALTER TABLE cdb_demo.spare RENAME TO kept",
        "ALTER TABLE cdb_demo.kept RENAME a TO b",
        "ALTER TABLE cdb_demo.kept ALTER value TYPE varchar(3)",
        "ALTER TABLE cdb_demo.kept RENAME value TO worth",
    )
    found = effects(*statements)
    assert found.renamed_tables == ((*demo("spare"), *demo("kept")),)
    assert column_changes(*statements) == [
        ("added", "cdb_demo.kept.b"),
        ("renamed", "cdb_demo.kept.worth"),
        ("retyped", "cdb_demo.kept.worth"),
    ]
    assert found.locked == demo("spare")


def test_tables_views_and_privileges() -> None:
    found = effects(
        "CREATE TABLE cdb_demo.quicklook (id bigint PRIMARY KEY, "
        "CONSTRAINT f FOREIGN KEY (id) REFERENCES cdb_demo.exposure (exposure_id))",
        "GRANT SELECT ON cdb_demo.quicklook TO usdf, oods",
        "INSERT INTO cdb_demo.quicklook SELECT exposure_id FROM cdb_demo.exposure",
        "CREATE TABLE cdb_demo.gone (id bigint)",
        "DROP TABLE cdb_demo.gone",
        "DROP TABLE cdb_demo.spare",
        "DROP VIEW cdb_demo.visit1",
        "CREATE VIEW cdb_demo.visit1 AS SELECT exposure_id AS visit_id, band FROM cdb_demo.exposure",
        "CREATE VIEW cdb_demo.more AS SELECT band FROM cdb_demo.exposure",
    )
    assert (found.new_tables, found.dropped_tables, found.filled) == (
        demo("quicklook"),
        demo("spare"),
        demo("quicklook"),
    )
    assert (found.new_views, found.remade_views, found.dropped_views) == (demo("more"), demo("visit1"), ())
    assert dict(found.view_columns)[Name("cdb_demo", "visit1")] == ("visit_id", "band")
    assert found.roles == ("oods", "usdf")
    # The table that the new one refers to is locked as well.
    assert set(found.locked) == set(demo("exposure", "spare", "visit1"))
    assert found.losses == ("table cdb_demo.spare with its rows",)


def test_rows_that_change_while_there_is_no_key() -> None:
    drop = "ALTER TABLE cdb_demo.spare DROP CONSTRAINT spare_pkey"
    fill = "UPDATE cdb_demo.spare SET value = 'x'"
    key = "ALTER TABLE cdb_demo.spare ADD PRIMARY KEY (id)"
    assert effects(drop, fill, key).unidentified == (demo("spare", "spare"),)
    assert effects(fill, drop, key).unidentified == ()
    assert effects(fill, drop, key).updated == demo("spare")
    assert effects("DELETE FROM cdb_demo.spare").emptied == demo("spare")


def test_what_cannot_be_followed_is_said() -> None:
    found = effects(
        "DO $$ BEGIN PERFORM 1; END $$",
        "THIS IS NO SQL",
        "CREATE INDEX CONCURRENTLY i ON cdb_demo.quick (seeing)",
    )
    assert len(found.unknown) == 2
    assert found.apart
    assert needs_of([found], lambda _: True).quiet


A = "ALTER TABLE cdb_demo.exposure "
ORDER = [
    # What a migration does; whether writers must stand still, whether the subscription must be off.
    (A + "ADD a int", False, True),
    (A + "ADD a int NOT NULL DEFAULT 0", False, True),
    (A + "ADD a int; " + A + "ALTER a SET NOT NULL", True, True),
    (A + "DROP note", True, True),
    (A + "RENAME note TO remark", True, True),
    (A + "ALTER band SET NOT NULL", True, True),
    (A + "ALTER day_obs DROP NOT NULL", False, True),
    (A + "ALTER img_type TYPE varchar(64)", False, True),
    (A + "ALTER img_type TYPE text", False, True),
    (A + "ALTER img_type TYPE varchar(4)", True, True),
    (A + "ALTER seq_num TYPE bigint", False, True),
    (A + "ALTER seq_num TYPE smallint", True, True),
    (A + "ALTER seq_num TYPE text USING seq_num::text", False, True),
    ("ALTER TABLE cdb_demo.quick ALTER seeing TYPE double precision", True, True),
    ("CREATE TABLE cdb_demo.n (id int PRIMARY KEY)", False, True),
    ("DROP TABLE cdb_demo.spare", True, True),
    ("ALTER TABLE cdb_demo.spare RENAME TO kept", True, True),
    (
        "ALTER TABLE cdb_demo.spare DROP CONSTRAINT spare_pkey; "
        "ALTER TABLE cdb_demo.spare ADD PRIMARY KEY (id, value)",
        True,
        True,
    ),
    ("CREATE INDEX i ON cdb_demo.exposure (note)", False, False),
    ("COMMENT ON TABLE cdb_demo.exposure IS 'x'", False, False),
    ("DROP VIEW cdb_demo.visit1", False, False),
    ("UPDATE cdb_demo.spare SET value = 'x'", False, False),
    ("GRANT SELECT ON cdb_demo.exposure TO somebody", False, False),
    (A + "ADD CHECK (seq_num > 0)", False, False),
    ("ALTER TABLE cdb_demo.quick DROP CONSTRAINT fk_quick", False, False),
    ("ALTER TABLE cdb_demo.exposure RENAME CONSTRAINT un_day TO un_exposure_day", False, False),
]


@pytest.mark.parametrize(("sql", "quiet", "pause"), ORDER, ids=[sql[:60] for sql, _, _ in ORDER])
def test_p4_which_rows_fit_where(sql: str, quiet: bool, pause: bool) -> None:
    found = needs(*sql.split("; "))
    assert (found.quiet, found.pause) == (quiet, pause)
    assert bool(found.reasons) == quiet
    # What is not published asks for nothing.
    elsewhere = needs(*sql.split("; "), published=False)
    assert not elsewhere.quiet
    assert not elsewhere.pause


def test_what_would_differ_or_be_there_twice() -> None:
    assert needs(A + "ADD at timestamp DEFAULT clock_timestamp()").different == (
        "cdb_demo.exposure.at (clock_timestamp)",
    )
    made = needs("CREATE TABLE cdb_demo.n (id int PRIMARY KEY)", "INSERT INTO cdb_demo.n VALUES (1)")
    assert (made.refilled, made.unsent) == (demo("n"), ())


S = "ALTER TABLE cdb_demo.spare "
FILL = "UPDATE cdb_demo.spare SET value = 'x'"
WRITTEN = [
    # What writes rows of a table; whether they need an identity of their own, or must not be sent at all.
    (FILL, False, False),
    (f"{S}ADD a int; UPDATE cdb_demo.spare SET a = 1; {S}ALTER a SET NOT NULL", False, False),
    (f"{FILL}; DELETE FROM cdb_demo.spare", False, False),
    ("INSERT INTO cdb_demo.spare VALUES (1, 'x')", False, True),
    (f"{S}DROP CONSTRAINT spare_pkey; {FILL}; {S}ADD PRIMARY KEY (id)", True, False),
    # The key that a row is sent with is the old one, and the replica looks for it by the new one.
    (f"{FILL}; {S}DROP CONSTRAINT spare_pkey; {S}ADD PRIMARY KEY (id, value)", True, False),
    (f"{S}DROP CONSTRAINT spare_pkey; {S}ADD PRIMARY KEY (id, value); {FILL}", False, False),
    # The row is sent with a column that the replica no longer has.
    (f"{FILL}; {S}DROP value", False, True),
    (f"{FILL}; {S}RENAME value TO worth", False, True),
    (f"{S}RENAME value TO worth; UPDATE cdb_demo.spare SET worth = 'x'", False, False),
    (f"{FILL}; {S}RENAME TO kept", False, True),
    # The first of two leaves empty what must not be empty there.
    (
        f"{S}ADD a int; {S}ADD b int; UPDATE cdb_demo.spare SET a = 1; UPDATE cdb_demo.spare SET b = 1; "
        f"{S}ALTER b SET NOT NULL",
        False,
        True,
    ),
]


@pytest.mark.parametrize(("sql", "identity", "unsent"), WRITTEN, ids=[case[0][:70] for case in WRITTEN])
def test_p4_rows_that_the_upgrade_writes_itself(sql: str, identity: bool, unsent: bool) -> None:
    found = needs(*sql.split("; "))
    assert (bool(found.identity), bool(found.unsent)) == (identity, unsent)
    assert found.quiet or not unsent
