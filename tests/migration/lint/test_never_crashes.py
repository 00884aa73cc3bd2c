"""Whatever Postgres' parser takes, lint takes; what it does not take is a finding."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from consdb_actions.migration.lint.judge import judge
from consdb_actions.migration.lint.reading import SqlError, read
from tests.migration.lint.cases_locks import LOCKS, READERS
from tests.migration.lint.cases_running import RUNNING
from tests.support.lint import SCHEMA, make_script
from tests.support.random_ddl import STATEMENT

CORPUS = tuple(
    line
    for line in Path(__file__).with_name("statements.sql").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("--")
)
OWN = tuple(sql for case in (*RUNNING, *LOCKS, *READERS) for sql in (*case.upgrade, *case.downgrade))

names = st.sampled_from((SCHEMA, "cdb_demo", "other", "exposure", "visit1", "note", "Böse", "x" * 70, "a b"))


@st.composite
def twisted(draw: st.DrawFn) -> str:
    """Return a statement of the corpus with some words replaced by names or words of another one."""
    words = draw(st.sampled_from(CORPUS + OWN)).split()
    others = st.sampled_from(draw(st.sampled_from(CORPUS + OWN)).split())
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(words) - 1))
        words[place] = draw(st.one_of(names.map(lambda n: f'"{n}"'), names, others))
    return " ".join(words)


SQL = st.one_of(st.sampled_from(CORPUS), twisted(), STATEMENT)


def test_the_corpus_is_sql() -> None:
    for sql in CORPUS:
        assert read(sql), sql


@given(st.lists(SQL, max_size=6), st.lists(SQL, max_size=4), st.sampled_from(("", SCHEMA)))
def test_no_statement_makes_lint_crash(upgrade: list[str], downgrade: list[str], search_path: str) -> None:
    if search_path:
        upgrade = [f"SET search_path TO {search_path}", *upgrade]
    script = make_script(upgrade, downgrade)
    for finding in judge(script, "pass\n", {}):
        assert finding.hit.line >= 1
        assert finding.hit.words


@given(st.text())
def test_no_text_makes_the_reader_crash(text: str) -> None:
    try:
        found = read(text)
    except SqlError:
        return
    assert all(parsed.sql for parsed in found)
