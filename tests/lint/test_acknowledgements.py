from __future__ import annotations

import pytest

from consdb_actions.lint.finding import acknowledgements
from consdb_actions.lint.rules import judge
from consdb_actions.lint.script import RevisionScript
from tests.support.lint import make_script

HEAD = '"""A revision."""\n\nfrom alembic import op\n\ndown_revision = None\n\n\n'
DROP = 'op.drop_column("spare", "value", schema="cdb_demo")'
SQL = "ALTER TABLE cdb_demo.spare DROP COLUMN value"


def body(*lines: str) -> str:
    """Return a revision file whose upgrade has these lines; the first of them is line 9."""
    return HEAD + "def upgrade():\n" + "\n".join(f"    {line}" if line else "" for line in lines) + "\n"


def script_of(line: int, sql: str = SQL) -> RevisionScript:
    """Return the revision whose upgrade sends one statement from a line."""
    return make_script([sql], ["SELECT 1"], lines=[line])


def judged(source: str, line: int) -> tuple[dict[str, str | None], list[str]]:
    """Return the reasons by rule, and what is wrong with the comments."""
    findings = judge(script_of(line), source, {"downgrade-mirror": "off", "lock-timeout": "off"})
    reasons = {f.rule: f.acknowledged for f in findings if f.rule != "acknowledgement"}
    return reasons, [f.message for f in findings if f.rule == "acknowledgement"]


ACK = "# consdb: ack data-loss: DM-1: never filled"


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        ((ACK, DROP), 10),
        ((f"{DROP}  {ACK}",), 9),
        (("# why it goes", ACK, "# and more", DROP), 12),
        (("op.drop_column(", '    "spare",', f'    "value",  {ACK}', ")"), 9),
        (("op.drop_column(", f"    {ACK}", '    "spare",', ")"), 9),
        (("with op.batch_alter_table('spare') as t:", f"    {ACK}", "    t.drop_column('value')"), 11),
        (("op.execute(", '    """', "    ALTER", '    """', f"){ACK}"), 9),
        (("#consdb:ack data-loss:DM-1: never filled", DROP), 10),
        (("# consdb: acknowledge data-loss: DM-1: never filled", DROP), 10),
    ],
)
def test_where_it_may_stand(lines: tuple[str, ...], line: int) -> None:
    reasons, faults = judged(body(*lines), line)
    assert reasons == {"data-loss": "DM-1: never filled"}
    assert not faults


@pytest.mark.parametrize(
    ("lines", "line", "fault"),
    [
        ((ACK, "", DROP), 11, "no finding here"),
        ((DROP, ACK), 9, "no finding here"),
        ((ACK, "pass", DROP), 11, "no finding here"),
        (("# consdb: ack data-loss", DROP), 10, "gives no reason"),
        (("# consdb: ack data-loss:   ", DROP), 10, "gives no reason"),
        (("# consdb: ack dataloss: because", DROP), 10, "names dataloss, which is not a rule"),
        (("# consdb: ack", DROP), 10, "names no rule"),
        (("# consdb: ack this is not a rule: because", DROP), 10, "names no rule"),
        (("# consdb: ack cascade: because", DROP), 10, "matches this acknowledgement of cascade"),
        (("x = '# consdb: ack data-loss: in a string'", DROP), 10, ""),
        (("# consdb: rename a.b=c", DROP), 10, ""),
    ],
)
def test_what_does_not_count(lines: tuple[str, ...], line: int, fault: str) -> None:
    reasons, faults = judged(body(*lines), line)
    assert reasons == {"data-loss": None}
    assert [fault in words for words in faults] == ([True] if fault else [])


def test_it_speaks_for_all_statements_of_the_line_but_only_of_its_rule() -> None:
    source = body(
        "for name in ('a', 'b'):", f"    {ACK}", '    op.execute(f"DROP TABLE cdb_demo.{name} CASCADE")'
    )
    script = make_script(["DROP TABLE cdb_demo.spare CASCADE", "DROP TABLE cdb_demo.quick"], lines=[11, 11])
    found = [(f.rule, f.acknowledged) for f in judge(script, source, {}) if f.line == 11]
    reason = "DM-1: never filled"
    assert found == [("data-loss", reason), ("data-loss", reason), ("cascade", None), ("lock-timeout", None)]


def test_above_a_function_it_speaks_for_the_function() -> None:
    source = (
        HEAD
        + "def upgrade():\n    pass\n\n\n# consdb: ack empty-downgrade: none\ndef downgrade():\n    pass\n"
    )
    (comment,) = acknowledgements(source)
    assert (comment.first, comment.last) == (13, 13)


def test_severities_are_configured() -> None:
    found = judge(script_of(9), body(DROP), {"data-loss": "warning", "downgrade-mirror": "off"})
    assert [(f.rule, f.severity) for f in found] == [("data-loss", "warning"), ("lock-timeout", "info")]
    found = judge(script_of(9), body(f"{DROP}  {ACK}"), {"data-loss": "off", "downgrade-mirror": "off"})
    assert [f.rule for f in found] == ["lock-timeout", "acknowledgement"]
    off = {"data-loss": "off", "downgrade-mirror": "off", "lock-timeout": "off", "acknowledgement": "off"}
    assert judge(script_of(9), body(f"{DROP}  {ACK}"), off) == ()  # type: ignore[arg-type]
