from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from consdb_actions.lint.finding import merged
from consdb_actions.lint.rules import CHECKS, RULES, judge
from consdb_actions.lint.script import Failure
from tests.lint.cases_locks import LOCKS, READERS
from tests.lint.cases_running import RUNNING, Case
from tests.lint.cases_unjudged_and_readers import READERS_AND_REPLICAS, UNJUDGED
from tests.support.lint import HISTORY, hits, make_script

CASES = (*RUNNING, *LOCKS, *READERS, *UNJUDGED, *READERS_AND_REPLICAS)
TOLD_ELSEWHERE = {
    "script-fails",
    "ends-transaction",
    "two-heads",
    "edited-merged-revision",
    "empty-downgrade",
    "downgrade-mirror",
    "acknowledgement",
}


@pytest.mark.parametrize("case", CASES, ids=[f"{c.rule}-{n}" for n, c in enumerate(CASES)])
def test_cases(case: Case) -> None:
    found = hits(case.rule, make_script(case.upgrade, case.downgrade))
    assert sorted(hit.line for hit in found) == list(case.lines), found


def test_each_rule_has_cases_of_both_kinds() -> None:
    bad = Counter(case.rule for case in CASES if case.lines)
    good = Counter(case.rule for case in CASES if not case.lines)
    for rule in RULES:
        if rule.id not in TOLD_ELSEWHERE:
            assert bad[rule.id], rule.id
            assert good[rule.id], rule.id


def test_each_rule_has_a_check_and_a_text() -> None:
    assert {rule.id for rule in RULES} == {*CHECKS, "acknowledgement"}
    for rule in RULES:
        assert rule.summary.endswith(".")
        assert rule.doc.rstrip("`").rstrip().endswith((".", "```", ":")), rule.id
        assert rule.remedy


def test_hits_name_the_table_the_lock_and_the_statement() -> None:
    (hit,) = hits("index-under-lock", make_script(["CREATE INDEX i ON cdb_demo.exposure (note);"]))
    assert (hit.table, hit.lock, hit.direction, hit.item) == ("cdb_demo.exposure", "SHARE", "upgrade", "i")
    assert hit.sql == "CREATE INDEX i ON cdb_demo.exposure (note)"


def test_l3_one_finding_for_each_table_and_rule() -> None:
    drops = [f"ALTER TABLE cdb_demo.exposure DROP COLUMN {c}" for c in ("note", "amount", "seen")]
    indexes = ["CREATE INDEX i ON cdb_demo.quick (seeing)", "CREATE INDEX j ON cdb_demo.quick (seeing)"]
    found = judge(make_script([*drops, *indexes, "DROP TABLE cdb_demo.spare"]), "", {})
    rules = Counter((f.rule, f.table) for f in found)
    assert set(rules.values()) == {1}
    lost = next(f for f in found if f.rule == "data-loss" and f.table == "cdb_demo.exposure")
    assert lost.lines == (20, 21, 22)
    assert all(name in lost.message for name in ("note", "amount", "seen"))
    assert next(f.lines for f in found if f.rule == "index-under-lock") == (23, 24)


@pytest.mark.parametrize(
    "sql",
    [
        "REVOKE SELECT ON cdb_demo.visit1 FROM usdf",
        "ALTER TABLE cdb_demo.exposure ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE cdb_demo.exposure OWNER TO usdf",
        "DROP PUBLICATION usdfpub",
        "ALTER TABLE cdb_demo.exposure REPLICA IDENTITY NOTHING",
        "ALTER TABLE cdb_demo.spare SET UNLOGGED",
        "ALTER VIEW cdb_demo.visit1 RENAME COLUMN visit_id TO exposure_id",
        "UPDATE cdb.cdb_demo_version SET version_num = ''",
        "SET session_replication_role = replica",
    ],
)
def test_l2_what_readers_and_replicas_notice_is_a_warning_at_least(sql: str) -> None:
    found = judge(make_script([sql], ["SELECT 1"]), "", {"downgrade-mirror": "off"})
    assert {f.severity for f in found} & {"error", "warning"}


@pytest.mark.parametrize(
    ("sql", "rule", "lock"),
    [
        ("CREATE INDEX i ON cdb_demo.spare (value)", "index-under-lock", "SHARE"),
        ("ALTER TABLE cdb_demo.spare ADD UNIQUE (value)", "key-under-lock", "ACCESS EXCLUSIVE"),
        ("ALTER TABLE cdb_demo.spare ADD CHECK (id > 0)", "check-scan", "ACCESS EXCLUSIVE"),
        ("ALTER TABLE cdb_demo.spare ALTER value SET NOT NULL", "not-null-scan", "ACCESS EXCLUSIVE"),
    ],
)
def test_l4_scans_and_indexes_come_from_squawk(sql: str, rule: str, lock: str) -> None:
    script = make_script(["SELECT 1;\n\n  SELECT '\n;\n'", sql])
    (finding,) = [f for f in judge(script, "", {}) if f.rule == rule]
    assert (finding.lines, finding.table, finding.lock) == ((21,), "cdb_demo.spare", lock)
    assert not [f for f in judge(replace(script, squawk=()), "", {}) if f.rule == rule]


def test_l1_what_is_not_judged_is_neither_an_error_nor_hidden() -> None:
    found = judge(make_script(["DO $$ BEGIN RAISE NOTICE 'drop table'; END $$"]), "", {})
    assert [(f.rule, f.severity) for f in found] == [("not-judged", "warning")]


@pytest.mark.parametrize(
    ("rule", "upgrade", "parts"),
    [
        (
            "breaks-readers",
            ["ALTER TABLE cdb_demo.exposure RENAME band TO filter"],
            ["cdb_demo.exposure", "band", "filter", "cdb_demo.visit1"],
        ),
        (
            "breaks-readers",
            [
                "DROP VIEW cdb_demo.visit1",
                "CREATE VIEW cdb_demo.visit1 AS SELECT day_obs FROM cdb_demo.exposure",
            ],
            ["cdb_demo.visit1", "visit_id, band"],
        ),
        ("cascade", ["ALTER TABLE cdb_demo.exposure DROP band CASCADE"], ["view cdb_demo.visit1"]),
        ("cascade", ["DROP TABLE cdb_demo.exposure CASCADE"], ["view cdb_demo.visit1", "fk_quick"]),
        (
            "long-identifier",
            [f"ALTER TABLE cdb_demo.spare ADD {'x' * 64} int"],
            ["64 bytes", f"to {'x' * 63}"],
        ),
        (
            "lock-timeout",
            ["ALTER TABLE cdb_demo.spare ADD a int", "DROP VIEW cdb_demo.visit1"],
            ["cdb_demo.spare, cdb_demo.visit1"],
        ),
        (
            "view-grants-lost",
            [
                "DROP VIEW cdb_demo.visit1",
                "CREATE VIEW cdb_demo.visit1 AS SELECT 1 AS a",
                "GRANT SELECT ON cdb_demo.visit1 TO usdf",
            ],
            ["cdb_demo.visit1", "SELECT for oods"],
        ),
        ("does-not-apply", ["ALTER TABLE cdb_demo.exposure ALTER band TYPE text"], ["view cdb_demo.visit1"]),
        (
            "does-not-apply",
            ["ALTER TABLE cdb_demo.exposure ALTER note TYPE integer"],
            ["USING note::integer"],
        ),
        (
            "table-rewrite",
            ["ALTER TABLE cdb_demo.spare ADD COLUMN a uuid DEFAULT gen_random_uuid()"],
            ["cdb_demo.spare", "gen_random_uuid()"],
        ),
        (
            "table-rewrite",
            ["ALTER TABLE cdb_demo.spare ALTER id TYPE int"],
            ["cdb_demo.spare", "id", "bigint to integer"],
        ),
        (
            "revoked-grant",
            ["REVOKE SELECT ON cdb_demo.visit1 FROM usdf"],
            ["SELECT", "cdb_demo.visit1", "usdf"],
        ),
        ("table-without-grant", ["CREATE TABLE cdb_demo.t (a int)"], ["cdb_demo.t", "SELECT for oods, usdf"]),
    ],
)
def test_what_messages_name(rule: str, upgrade: list[str], parts: list[str]) -> None:
    (hit,) = hits(rule, make_script(upgrade))
    message = merged([hit])
    assert all(part in message for part in parts), message


def test_a_table_is_lost_but_for_the_columns_that_were_copied() -> None:
    upgrade = [
        "CREATE TABLE cdb_demo.wide (id bigint, a text, b text, PRIMARY KEY (id))",
        "UPDATE cdb_demo.exposure SET note = w.a FROM cdb_demo.wide w WHERE w.id = exposure_id",
        "DROP TABLE cdb_demo.wide",
    ]
    (hit,) = hits("data-loss", make_script(upgrade[1:], history=(*HISTORY, upgrade[0])))
    assert "table cdb_demo.wide with its rows but a" in hit.message


def test_schemas_written_at_usdf_are_not_replicated() -> None:
    script = make_script(["CREATE TABLE cdb_demo.t (a int)"])
    assert hits("table-without-publication", script)
    assert not hits("table-without-publication", replace(script, version_schema="efd"))


@pytest.mark.parametrize(
    ("upgrade", "downgrade", "failure", "found"),
    [
        (["ALTER TABLE cdb_demo.spare ADD a int"], [], None, True),
        (["ALTER TABLE cdb_demo.spare ADD a int"], [], "unsupported", True),
        (["ALTER TABLE cdb_demo.spare ADD a int"], [], "refused", False),
        (["ALTER TABLE cdb_demo.spare ADD a int"], ["SELECT 1"], None, False),
        (["UPDATE cdb_demo.spare SET id = 1", "GRANT SELECT ON cdb_demo.spare TO x"], [], None, False),
        (["DO $$ BEGIN END $$"], [], None, False),
        (["DO $$ BEGIN ALTER TABLE cdb_demo.spare ADD a int; END $$"], [], None, True),
        ([], [], None, False),
    ],
)
def test_empty_downgrade(upgrade: list[str], downgrade: list[str], failure: str | None, found: bool) -> None:
    failures = {"downgrade": Failure(failure, "words", 70)} if failure else {}  # type: ignore[arg-type]
    assert bool(hits("empty-downgrade", make_script(upgrade, downgrade, failures=failures))) is found


MIRRORS = [
    (["ADD COLUMN a int"], ["ALTER TABLE cdb_demo.spare DROP COLUMN a"], ""),
    (
        ["ADD COLUMN a int", "ADD COLUMN b int"],
        ["ALTER TABLE cdb_demo.spare DROP COLUMN a"],
        "columns.b was not removed",
    ),
    (["DROP COLUMN value"], ["ALTER TABLE cdb_demo.spare ADD COLUMN value text"], ""),
    (
        ["DROP COLUMN value"],
        ["ALTER TABLE cdb_demo.spare ADD COLUMN value varchar(8)"],
        "spare.columns.value.type",
    ),
    (["ALTER value SET DEFAULT 'x'"], ["SELECT 1"], "spare.columns.value.default"),
    (["ALTER id DROP DEFAULT"], ["SELECT 1"], ""),
    (["ALTER value SET NOT NULL"], ["SELECT 1"], "spare.columns.value.nullable"),
    (["DROP CONSTRAINT spare_pkey"], ["SELECT 1"], "constraints.spare_pkey is missing"),
    (
        ["DROP CONSTRAINT spare_pkey"],
        ["ALTER TABLE cdb_demo.spare ADD CONSTRAINT spare_pkey PRIMARY KEY (id, value)"],
        "constraints.spare_pkey differs",
    ),
    (["ADD CHECK (id > 0)"], ["ALTER TABLE cdb_demo.spare DROP CONSTRAINT spare_id_check"], ""),
    (["RENAME TO other"], ["ALTER TABLE cdb_demo.other RENAME TO spare"], ""),
    (["RENAME TO other"], ["SELECT 1"], "other was not removed"),
]


@pytest.mark.parametrize(("changes", "downgrade", "words"), MIRRORS)
def test_m10_the_downgrade_leads_back(changes: list[str], downgrade: list[str], words: str) -> None:
    upgrade = [f"ALTER TABLE cdb_demo.spare {change}" for change in changes]
    found = hits("downgrade-mirror", make_script(upgrade, downgrade))
    assert bool(found) is bool(words)
    if words:
        assert words in found[0].message
        assert found[0].line == 59


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT exposure_id AS visit_id, day_obs, band FROM cdb_demo.exposure", ""),
        (
            "SELECT exposure_id AS visit_id, band, day_obs FROM cdb_demo.exposure",
            "columns.band.position differs",
        ),
        ("SELECT exposure_id, day_obs, band FROM cdb_demo.exposure", "columns.visit_id is missing"),
        ("SELECT * FROM cdb_demo.exposure", "columns.air_temp was not removed"),
    ],
)
def test_m10_views_show_what_they_showed(query: str, words: str) -> None:
    downgrade = [f"CREATE VIEW cdb_demo.visit1 AS {query}", "GRANT SELECT ON cdb_demo.visit1 TO usdf, oods"]
    found = hits("downgrade-mirror", make_script(["DROP VIEW cdb_demo.visit1"], downgrade))
    assert bool(found) is bool(words)
    assert not words or words in found[0].message


def test_what_is_not_wholly_known_is_not_compared() -> None:
    upgrade, downgrade = ["ALTER TABLE cdb_demo.spare ADD a int"], ["SELECT 1"]
    assert hits("downgrade-mirror", make_script(upgrade, downgrade))
    assert hits("downgrade-mirror", make_script([*upgrade, "DO $$ BEGIN END $$"], downgrade))
    assert not hits("downgrade-mirror", make_script([*upgrade, "SELEC"], downgrade))
    failures = {"downgrade": Failure("refused", "rows", 70)}
    assert not hits("downgrade-mirror", make_script(upgrade, downgrade, failures=failures))


def test_failures_are_told_at_their_line() -> None:
    failures = {
        "upgrade": Failure("error", "NameError: x", 25),
        "downgrade": Failure("unsupported", "NotImplementedError", 66),
    }
    script = make_script(failures=failures)
    (error,) = hits("script-fails", script)
    assert (error.line, error.message) == (25, "upgrade() fails here: NameError: x")
    refused = make_script(failures={"upgrade": Failure("refused", "lint refuses it", 25)})
    assert not hits("script-fails", refused)


def test_comments_that_the_downgrade_does_not_restore() -> None:
    comment = "COMMENT ON COLUMN cdb_demo.spare.value IS "
    history = (*HISTORY, f"{comment} 'old'")
    for back, found in ((f"{comment} NULL", True), (f"{comment} 'old'", False)):
        assert (
            bool(hits("downgrade-mirror", make_script([f"{comment} 'x'"], [back], history=history))) is found
        )


def test_m12_two_heads() -> None:
    script = make_script(heads={"aaaa": "a.py", "bbbb": "b.py"})
    (hit,) = hits("two-heads", script)
    assert "bbbb (b.py)" in hit.message
    assert hit.line == 12
    assert not hits("two-heads", replace(script, heads={"aaaa": "a.py"}))
    assert not hits("two-heads", replace(script, revision="old"))


def test_m12_edited_and_removed_revisions() -> None:
    assert not hits("edited-merged-revision", make_script())
    (hit,) = hits("edited-merged-revision", make_script(edited=True))
    assert "aaaa" in hit.message
    (hit,) = hits("edited-merged-revision", make_script(removed={"bbbb": "b.py"}))
    assert "bbbb (b.py)" in hit.message
