from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from consdb_actions.migration.lint import rules
from consdb_actions.migration.lint.rules import MODULES, RULES
from consdb_actions.migration.lint.script import Failure
from tests.migration.lint.cases_locks import LOCKS, READERS
from tests.migration.lint.cases_running import RUNNING, Case
from tests.support.lint import HISTORY, hits, make_script

CASES = (*RUNNING, *LOCKS, *READERS)
TOLD_ELSEWHERE = {
    "script-fails",
    "needs-connection",
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


def test_each_file_is_a_rule_in_the_registry() -> None:
    folder = Path(next(iter(rules.__path__)))
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert {rule.id.replace("-", "_") for rule in RULES} == files
    assert len(RULES) == len(MODULES) == len(files)
    for rule in RULES:
        assert rule.summary.endswith(".")
        assert rule.doc.rstrip("`").rstrip().endswith((".", "```")), rule.id
        assert rule.safe


def test_hits_name_the_table_the_lock_and_the_statement() -> None:
    (hit,) = hits("index-under-lock", make_script(["CREATE INDEX i ON cdb_demo.exposure (note);"]))
    assert hit.tables == ("cdb_demo.exposure",)
    assert hit.lock == "SHARE"
    assert hit.direction == "upgrade"
    assert hit.sql == "CREATE INDEX i ON cdb_demo.exposure (note)"


@pytest.mark.parametrize(
    ("rule", "upgrade", "words"),
    [
        (
            "breaks-readers",
            ["ALTER TABLE cdb_demo.exposure RENAME band TO filter"],
            "cdb_demo.exposure.band is called filter from now on, while cdb_demo.visit1 goes on calling it "
            "band; queries with the old name fail",
        ),
        (
            "cascade",
            ["ALTER TABLE cdb_demo.exposure DROP band CASCADE"],
            "CASCADE removes whatever depends on it, here at least cdb_demo.visit1",
        ),
        (
            "long-identifier",
            [f"ALTER TABLE cdb_demo.spare ADD {'x' * 64} int"],
            f"{'x' * 64} has 64 bytes; Postgres cuts it to {'x' * 63}",
        ),
        (
            "lock-timeout",
            ["ALTER TABLE cdb_demo.spare ADD a int", "DROP VIEW cdb_demo.visit1"],
            "locks are waited for without limit: cdb_demo.spare, cdb_demo.visit1",
        ),
        (
            "view-grants-lost",
            [
                "DROP VIEW cdb_demo.visit1",
                "CREATE VIEW cdb_demo.visit1 AS SELECT 1 AS a",
                "GRANT SELECT ON cdb_demo.visit1 TO usdf",
            ],
            "cdb_demo.visit1 is made anew without SELECT for oods, which it had before",
        ),
    ],
)
def test_words(rule: str, upgrade: list[str], words: str) -> None:
    (hit,) = hits(rule, make_script(upgrade))
    assert hit.words == words


def test_a_table_is_lost_but_for_the_columns_that_were_copied() -> None:
    upgrade = [
        "CREATE TABLE cdb_demo.wide (id bigint, a text, b text, PRIMARY KEY (id))",
        "UPDATE cdb_demo.exposure SET note = w.a FROM cdb_demo.wide w WHERE w.id = exposure_id",
        "DROP TABLE cdb_demo.wide",
    ]
    (hit,) = hits("data-loss", make_script(upgrade[1:], history=(*HISTORY, upgrade[0])))
    assert "table cdb_demo.wide with its rows but a" in hit.words


def test_schemas_written_at_usdf_are_not_replicated() -> None:
    script = make_script(["CREATE TABLE cdb_demo.t (a int)"])
    assert hits("table-without-publication", script)
    assert not hits("table-without-publication", replace(script, version_schema="efd"))


@pytest.mark.parametrize(
    ("upgrade", "downgrade", "failure", "found"),
    [
        (["ALTER TABLE cdb_demo.spare ADD a int"], [], None, True),
        (["ALTER TABLE cdb_demo.spare ADD a int"], [], "unsupported", True),
        (["ALTER TABLE cdb_demo.spare ADD a int"], [], "connection", False),
        (["ALTER TABLE cdb_demo.spare ADD a int"], ["SELECT 1"], None, False),
        (["UPDATE cdb_demo.spare SET id = 1", "GRANT SELECT ON cdb_demo.spare TO x"], [], None, False),
        (["DO $$ BEGIN END $$"], [], None, True),
        ([], [], None, False),
    ],
)
def test_empty_downgrade(upgrade: list[str], downgrade: list[str], failure: str | None, found: bool) -> None:
    failures = {"downgrade": Failure(failure, "words", 70)} if failure else {}  # type: ignore[arg-type]
    assert bool(hits("empty-downgrade", make_script(upgrade, downgrade, failures=failures))) is found


MIRRORS = [
    (["ADD COLUMN a int"], ["ALTER TABLE cdb_demo.spare DROP COLUMN a"], ""),
    (["ADD COLUMN a int", "ADD COLUMN b int"], ["ALTER TABLE cdb_demo.spare DROP COLUMN a"], "b is left"),
    (["DROP COLUMN value"], ["ALTER TABLE cdb_demo.spare ADD COLUMN value text"], ""),
    (
        ["DROP COLUMN value"],
        ["ALTER TABLE cdb_demo.spare ADD COLUMN value varchar(8)"],
        "value is varchar(8)",
    ),
    (["ALTER value SET DEFAULT 'x'"], ["SELECT 1"], "value has a default and had none"),
    (["ALTER id DROP DEFAULT"], ["SELECT 1"], ""),
    (["ALTER value SET NOT NULL"], ["SELECT 1"], "value is NOT NULL and was not"),
    (["DROP CONSTRAINT spare_pkey"], ["SELECT 1"], "constraint spare_pkey of cdb_demo.spare is gone"),
    (
        ["DROP CONSTRAINT spare_pkey"],
        ["ALTER TABLE cdb_demo.spare ADD CONSTRAINT spare_pkey PRIMARY KEY (id, value)"],
        "constraint spare_pkey of cdb_demo.spare says something else",
    ),
    (["RENAME TO other"], ["ALTER TABLE cdb_demo.other RENAME TO spare"], ""),
    (["RENAME TO other"], ["SELECT 1"], "table cdb_demo.other is left"),
]


@pytest.mark.parametrize(("changes", "downgrade", "words"), MIRRORS)
def test_m10_the_downgrade_leads_back(changes: list[str], downgrade: list[str], words: str) -> None:
    upgrade = [f"ALTER TABLE cdb_demo.spare {change}" for change in changes]
    found = hits("downgrade-mirror", make_script(upgrade, downgrade))
    assert bool(found) is bool(words)
    if words:
        assert words in found[0].words
        assert found[0].line == 59


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT exposure_id AS visit_id, day_obs, band FROM cdb_demo.exposure", ""),
        ("SELECT exposure_id AS visit_id, band, day_obs FROM cdb_demo.exposure", "in another order"),
        ("SELECT exposure_id, day_obs, band FROM cdb_demo.exposure", "without visit_id; with exposure_id"),
        ("SELECT * FROM cdb_demo.exposure", "with air_temp"),
    ],
)
def test_m10_views_show_what_they_showed(query: str, words: str) -> None:
    downgrade = [f"CREATE VIEW cdb_demo.visit1 AS {query}"]
    found = hits("downgrade-mirror", make_script(["DROP VIEW cdb_demo.visit1"], downgrade))
    assert bool(found) is bool(words)
    assert not words or words in found[0].words


def test_what_is_not_wholly_known_is_not_compared() -> None:
    upgrade, downgrade = ["ALTER TABLE cdb_demo.spare ADD a int"], ["SELECT 1"]
    assert hits("downgrade-mirror", make_script(upgrade, downgrade))
    assert not hits("downgrade-mirror", make_script([*upgrade, "DO $$ BEGIN END $$"], downgrade))
    assert not hits("downgrade-mirror", make_script([*upgrade, "SELEC"], downgrade))
    failures = {"downgrade": Failure("connection", "rows", 70)}
    assert not hits("downgrade-mirror", make_script(upgrade, downgrade, failures=failures))


def test_failures_are_told_at_their_line() -> None:
    failures = {
        "upgrade": Failure("error", "NameError: x", 25),
        "downgrade": Failure("connection", "the rows of a query", 66),
    }
    script = make_script(failures=failures)
    (error,) = hits("script-fails", script)
    assert (error.line, error.words) == (25, "upgrade() fails here: NameError: x")
    (question,) = hits("needs-connection", script)
    assert question.line == 66
    assert question.direction == "downgrade"


def test_m12_two_heads() -> None:
    script = make_script(heads={"aaaa": "a.py", "bbbb": "b.py"})
    (hit,) = hits("two-heads", script)
    assert "beside bbbb (b.py)" in hit.words
    assert hit.line == 12
    assert not hits("two-heads", replace(script, heads={"aaaa": "a.py"}))
    assert not hits("two-heads", replace(script, revision="old"))


def test_m12_edited_and_removed_revisions() -> None:
    assert not hits("edited-merged-revision", make_script())
    (hit,) = hits("edited-merged-revision", make_script(edited=True))
    assert "aaaa is merged already" in hit.words
    (hit,) = hits("edited-merged-revision", make_script(removed={"bbbb": "b.py"}))
    assert "bbbb (b.py) is merged already and is gone" in hit.words
