"""Reports of a rehearsal: text, Markdown, JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from consdb_actions.process.rehearsal import Act, BlockResult, Rehearsal, RehearsalFinding
from consdb_actions.report.markdown import bullets, code, details, escape, fence, printable, table

Paint = Callable[[str, str], str]  # text, and ``error``, ``warning``, ``ok`` or ``dim``

_SIGNS = {
    (True, False): ("ok", "ok"),
    (True, True): ("warning", "warning"),
    (False, False): ("NO", "error"),
}
_KIND = {"done": "ok", "failed": "error", "not rehearsed": "dim"}
_WORDS = 160


def _plain(text: str, _: str) -> str:
    return text


def _verdict(rehearsal: Rehearsal) -> str:
    if rehearsal.passed:
        return "The runbook works"
    act = next((act for act in rehearsal.acts if not act.passed), None)
    if act is None:
        return "The runbook completes, but writers lost rows"
    failed = next((block for block in act.blocks if block.state == "failed"), None)
    if failed is not None:
        return f"The runbook fails at step {failed.placed.step}, in “{act.title}”"
    return f"The runbook completes, but checks fail after “{act.title}”"


def _scope(rehearsal: Rehearsal) -> str:
    rows = sum(rehearsal.written.values())
    return (
        f"{', '.join(rehearsal.sections)}; {rows} rows written meanwhile, "
        f"{sum(rehearsal.refused.values())} lost; longest wait of a writer {rehearsal.longest:.1f} seconds; "
        f"{rehearsal.seconds:.0f} seconds in all"
    )


def render_text(rehearsal: Rehearsal, paint: Paint = _plain) -> str:
    """Render the result for a terminal: a line per step, and the findings."""
    lines = [printable(words) for words in rehearsal.servers]
    for act in rehearsal.acts:
        lines += ["", act.title]
        lines += [paint(printable(f"  {line}"), kind) for line, kind in _steps(act)]
        for finding in act.findings:
            sign, kind = _SIGNS[finding.holds, finding.warning]
            lines.append(paint(printable(f"  {sign:<7} {finding.text}"), kind))
            lines += [printable(f"          {detail}") for detail in finding.details]
        if act.errors and not act.passed:
            lines.append("  The replica's log:")
            lines += [printable(f"          {words}") for words in act.errors]
    lines += ["", *(printable(words) for words in _refused(rehearsal))]
    lines.append(paint(printable(f"{_verdict(rehearsal)}."), "ok" if rehearsal.passed else "error"))
    lines.append(printable(_scope(rehearsal)))
    return "\n".join(lines)


def _steps(act: Act) -> Iterator[tuple[str, str]]:
    names = list(dict.fromkeys(block.placed.step for block in act.blocks))
    for name in names:
        blocks = [block for block in act.blocks if block.placed.step == name]
        done = [block for block in blocks if block.state == "done"]
        failed = [block for block in blocks if block.state == "failed"]
        seconds = sum(block.seconds for block in blocks)
        if failed:
            yield (
                f"{'FAILED':<7} {name} ({failed[0].placed.block.kind}, line {failed[0].placed.line})",
                "error",
            )
            yield from ((f"        {line}", "error") for line in failed[0].text.split("\n"))
        elif done:
            yield f"{'done':<7} {name} ({_parts(blocks)}, {seconds:.1f} s)", "ok"
        else:
            yield f"{'skipped':<7} {name}: {blocks[0].text}", "dim"


def _parts(blocks: list[BlockResult]) -> str:
    checks = sum(block.state == "done" and block.placed.block.kind in _ASKING for block in blocks)
    others = sum(block.state == "done" for block in blocks) - checks
    words = [f"{others} done"] if others else []
    words += [f"{checks} checks" if checks > 1 else "1 check"] if checks else []
    return ", ".join(words)


_ASKING = ("check", "wait", "compare")


def _refused(rehearsal: Rehearsal) -> Iterator[str]:
    for words, count in rehearsal.refused.items():
        yield f"Refused by the database, {count} times: {words}"


def render_markdown(rehearsal: Rehearsal) -> str:
    """Render the result for a pull request, verdict first."""
    sign = "✅" if rehearsal.passed else "❌"
    parts = [f"### Rehearsal: {sign} {escape(_verdict(rehearsal))}", escape(_scope(rehearsal))]
    for act in rehearsal.acts:
        parts.append(f"**{escape(act.title)}** {'✅' if act.passed else '❌'}")
        failed = [block for block in act.blocks if block.state == "failed"]
        parts += [f"Step {code(block.placed.step)} failed:\n\n{fence(block.text)}" for block in failed]
        if act.findings:
            parts.append(bullets(_finding(finding) for finding in act.findings))
        if act.errors and not act.passed:
            parts.append(details("The replica's log", fence("\n".join(act.errors))))
        rows = [
            (
                code(block.placed.step, in_table=True),
                code(block.placed.block.kind, in_table=True),
                escape(block.state),
                f"{block.seconds:.1f}",
            )
            for block in act.blocks
        ]
        parts.append(details(f"{len(rows)} blocks", table(("Step", "Block", "", "Seconds"), rows)))
    parts.append(bullets(escape(words) for words in (*rehearsal.servers, *_refused(rehearsal))))
    return "\n\n".join(parts) + "\n"


def _finding(finding: RehearsalFinding) -> str:
    sign = "⚠️" if finding.warning else "✅" if finding.holds else "❌"
    words = f"{sign} {escape(finding.text)}"
    return words + "".join(f"<br>{escape(detail[:_WORDS])}" for detail in finding.details)
