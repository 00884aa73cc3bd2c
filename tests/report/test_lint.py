from __future__ import annotations

from pathlib import Path

import pytest

from consdb_actions.forms import as_json
from consdb_actions.lint.finding import CheckedRevision, LintFinding, LintResult
from consdb_actions.lint.rules import RULES
from consdb_actions.report.lint import render_markdown, render_rules, render_text
from consdb_actions.report.markdown import COMMENT_LIMIT

REMEDIES = {rule.id: rule.remedy for rule in RULES}
CHECKED = (CheckedRevision("demo", "aaaa", "alembic/demo/versions/a.py"),)


def finding(rule: str = "data-loss", severity: str = "error", line: int = 7, **parts: object) -> LintFinding:
    """Return a finding."""
    values: dict[str, object] = {
        "message": "column s.t.c is lost",
        "remedy": REMEDIES[rule],
        "lines": (line,),
    }
    return LintFinding(rule, severity, "a.py", "demo", "aaaa", **{**values, **parts})  # type: ignore[arg-type]


def result(*findings: LintFinding) -> LintResult:
    """Return what was found in one revision."""
    return LintResult(CHECKED, findings, "heads")


@pytest.mark.parametrize(
    ("findings", "verdict"),
    [
        ((), "✅ No findings"),
        ((finding("lock-timeout", "info"),), "✅ 1 note"),
        ((finding("not-null-scan", "warning"),) * 2, "⚠️ 2 warnings"),
        ((finding(), finding("not-null-scan", "warning")), "❌ 1 error, 1 warning"),
        ((finding(acknowledged="why"),), "✅ 1 acknowledged"),
        ((finding("not-judged", "warning"),), "⚠️ 1 warning, 1 of them not judged"),
    ],
)
def test_the_verdict_comes_first(findings: tuple[LintFinding, ...], verdict: str) -> None:
    first = render_markdown(result(*findings)).splitlines()[0]
    assert first == f"### Lint of the migrations: {verdict}"


def test_the_worst_come_first_and_the_acknowledged_last() -> None:
    found = result(
        finding("lock-timeout", "info", line=1),
        finding(line=2, acknowledged="DM-1"),
        finding("not-null-scan", "warning", line=3),
        finding("cascade", line=4),
    )
    lines = [line for line in render_text(found).splitlines() if line.startswith("a.py")]
    assert [line.split(":")[1] for line in lines] == ["4", "3", "1", "2"]
    assert lines[-1].endswith("(acknowledged: DM-1)")


def test_what_to_do_is_said_once_for_each_rule_that_is_open() -> None:
    text = render_text(result(finding(), finding(line=9), finding("cascade", acknowledged="why")))
    assert text.count("# consdb: ack data-loss: REASON") == 1
    assert text.count("cascade") == 1


def test_names_cannot_control_a_terminal() -> None:
    text = render_text(result(finding(message="column \x1b[31mred\r\nerror x is lost")))
    assert "\x1b" not in text
    assert "\r" not in text
    assert "\nerror" not in text


def test_a_comment_is_never_too_long() -> None:
    many = [finding(message=f"{'x' * 900} {n}", acknowledged=str(n)) for n in range(200)]
    assert len(render_markdown(result(*many))) <= COMMENT_LIMIT


def test_json_cuts_long_statements_and_has_all_lines() -> None:
    given = finding(sql="x" * 9999, table="s.t", lock="SHARE", lines=(7, 9))
    (found,) = as_json(result(given))["findings"]
    assert len(found["statement"]) == 400
    assert (found["table"], found["lock"], found["line"], found["lines"]) == ("s.t", "SHARE", 7, [7, 9])
    (other,) = as_json(result(finding("not-judged", "warning")))["findings"]
    assert (found["judged"], other["judged"]) == (True, False)


def test_other_lines_of_a_finding_are_named() -> None:
    given = result(finding(lines=(7, 9, 12)))
    assert "9, 12" in render_text(given)
    assert "9, 12" in render_markdown(given)


def test_the_documentation_has_every_rule_as_it_is() -> None:
    page = (Path(__file__).parents[2] / "docs" / "rules-lint.md").read_text(encoding="utf-8")
    assert page.endswith(f"# The rules\n\n{render_rules()}"), "run: nox -s docs"
    for rule in RULES:
        assert f"\n## {rule.id}\n" in page
