"""Render a runbook (which a rehearsal reads back), its rehearsal, and an upgrade with its evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import jinja2

from consdb_actions.forms import as_json
from consdb_actions.process.apply_facts import ApplyCheck, ApplyOutcome, Direction, statements
from consdb_actions.process.runbook_change import SectionChange
from consdb_actions.process.runbook_steps import (
    Act,
    Block,
    BlockResult,
    Rehearsal,
    RehearsalFinding,
    Runbook,
    RunbookPart,
    RunbookStep,
    block_info,
)
from consdb_actions.report.markdown import (
    Paint,
    bullets,
    code,
    cut,
    details,
    escape,
    fence,
    plural,
    printable,
    prose,
    table,
    unpainted,
)

_LATER = ("cancel", "halfway", "back")  # Parts that are only for when something goes wrong


def render_runbook_markdown(runbook: Runbook) -> str:
    """Write the whole runbook."""
    template = _templates().get_template("runbook.md.jinja")
    text = template.render(
        runbook=runbook,
        later=_LATER,
        changes=[line for change in runbook.changes for line in _change_lines(change)],
        show=_Blocks(runbook).show,
    )
    return text.strip() + "\n"


@cache
def _templates() -> jinja2.Environment:
    # What goes into Markdown is escaped by these filters; escaping for HTML would destroy it.
    environment = jinja2.Environment(  # noqa: S701
        loader=jinja2.PackageLoader("consdb_actions"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        md=escape, prose=prose, span=code, cell=lambda text: code(text, in_table=True), fence=fence
    )
    return environment


def _folded(step: RunbookStep, block: Block) -> bool:
    """Tell whether a block is shown folded: what the upgrade's own command does by itself."""
    return block.kind in ("by-hand", "check") and any(other.kind == "by-hand" for other in step.blocks)


class _Blocks:
    """Writes the blocks of steps; what stood before is only referred to."""

    def __init__(self, runbook: Runbook) -> None:
        self._seen: dict[str, str] = {}
        self._counts: Counter[str] = Counter()
        self._numbers = {
            step.id: f"{number}.{index}"
            for number, part in enumerate(runbook.parts, start=1)
            for index, step in enumerate(part.steps, start=1)
        }

    def show(self, part: RunbookPart, step: RunbookStep) -> str:
        text = f"*{escape(step.who)}*" + (f": {prose(step.why)}" if step.why else "")
        for block in step.blocks:
            if not _folded(step, block):
                text = _joined(text, self._block(part, step, block))
        if folded := [block for block in step.blocks if _folded(step, block)]:
            text = _joined(text, self._by_hand(part, step, folded))
        if step.failure:
            sign = "- " if text.rpartition("\n")[2].startswith("- ") else ""
            text = _joined(text, f"{sign}If it fails: {prose(step.failure)}")
        return text

    def _by_hand(self, part: RunbookPart, step: RunbookStep, blocks: Sequence[Block]) -> str:
        """Write the same without this program; where it stood before, on one line."""
        title = "Without consdb-actions: the same commands and checks by hand"
        first = self._seen.get(blocks[0].text)
        if first and all(block.text in self._seen for block in blocks):
            known = " ".join(f"<!-- {self._info(part, step, block)} -->" for block in blocks)
            number = self._numbers[first.partition("/")[0]]
            return f"- {title}, as in step {number}. {prose(blocks[0].note)} {known}"
        shown = ""
        for block in blocks:
            shown = _joined(shown, self._block(part, step, block))
        return f"\n<details>\n<summary>{title}</summary>\n\n{shown.lstrip()}\n\n</details>\n"

    def _block(self, part: RunbookPart, step: RunbookStep, block: Block) -> str:
        """Write a block: short ones as an item of a list, with what a rehearsal reads in a comment."""
        lead, first = _lead(block), self._seen.get(block.text, "")
        info = self._info(part, step, block)
        if _is_short(block) and "-->" not in info:
            return f"- {lead} {code(block.text)} <!-- {info.partition(' same=')[0]} -->".replace("-  ", "- ")
        if first and block.language == "sql":
            number = self._numbers[first.partition("/")[0]]
            return f"- {lead} the query of step {number} <!-- {info} -->"
        return f"{lead}\n{fence(block.text, info.partition(' same=')[0])}".lstrip()

    def _info(self, part: RunbookPart, step: RunbookStep, block: Block) -> str:
        own = f"{step.id}/{self._counts[step.id]}"
        self._counts[step.id] += 1
        first = self._seen.setdefault(block.text, own)
        info = block_info(part.id, step.id, block)
        return info if first == own else f"{info} same={first}"


def _joined(text: str, more: str) -> str:
    """Put a piece below another: what follows an item of a list without a blank line would belong to it."""
    last = text.rpartition("\n")[2]
    apart = last.startswith("- ") and not more.startswith(("- ", "`"))
    return f"{text}\n\n{more}" if apart else f"{text}\n{more}"


def _is_short(block: Block) -> bool:
    text = block.text
    return (
        block.kind not in ("upgrade", "downgrade", "by-hand")
        and len(text) <= _LONG
        and text == text.strip()
        and code(text) == f"`{text}`"
    )


def _lead(block: Block) -> str:
    text = {
        "check": f"must return {code(block.answer)}",
        "wait": f"repeat until it returns {code(block.answer)} (at most {_time(block.seconds)})",
        "compare": "must return the same at both sites (repeat while rows are being written)",
    }.get(block.kind, "")
    if block.kind in ("check", "wait", "look", "sql"):
        place = f"At {code(block.site)}, as {_ACCOUNTS[block.account]}"
        text = f"{place}; {text}" if text else place
    text = ". ".join(part for part in (text, prose(block.note).rstrip(".:") if block.note else "") if part)
    return f"{text}:" if text else ""


_ACCOUNTS = {"owner": "owner", "administrator": "administrator", "replication": "replication role"}


def _time(seconds: int) -> str:
    return f"{seconds // 60} minutes" if seconds > 60 else f"{seconds} seconds"


_LONG = 160  # Characters of a block on one line

_MOST = 30


def _change_lines(change: SectionChange) -> list[str]:
    return cut(change.text(), _MOST, f"and {{}} more in {change.schema}")


def render_runbook_text(runbook: Runbook) -> str:
    """Write an overview for a terminal: what changes, what it needs, and the steps."""
    sections = ", ".join(change.range for change in runbook.changes)
    lines = [f"Runbook {runbook.ticket}: {sections}", ""]
    lines += [f"Warning: {text}" for text in runbook.warnings]
    lines += [f"  {text}" for change in runbook.changes for text in _change_lines(change)]
    for number, part in enumerate(runbook.parts, start=1):
        lines += ["", f"{number}. {part.title}"]
        for index, step in enumerate(part.steps, start=1):
            lines.append(f"   {number}.{index:<2} {step.title}  [{step.who}]")
    return "\n".join(printable(line) for line in lines)


_FINDING_SIGNS = {
    (True, False): ("ok", "ok"),
    (True, True): ("warning", "warning"),
    (False, False): ("NO", "error"),
}
_STATE_COLOURS = {"done": "ok", "failed": "error", "not rehearsed": "dim"}
_DETAIL_LENGTH = 160


def _rehearsal_verdict(rehearsal: Rehearsal) -> str:
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


def render_rehearsal_text(rehearsal: Rehearsal, paint: Paint = unpainted) -> str:
    """Render the result for a terminal: a line per step, and the findings."""
    lines = [printable(text) for text in rehearsal.servers]
    for act in rehearsal.acts:
        lines += ["", act.title]
        lines += [paint(printable(f"  {line}"), kind) for line, kind in _steps(act)]
        for finding in act.findings:
            sign, kind = _FINDING_SIGNS[finding.holds, finding.warning]
            lines.append(paint(printable(f"  {sign:<7} {finding.text}"), kind))
            lines += [printable(f"          {detail}") for detail in finding.details]
        if act.errors and not act.passed:
            lines.append("  The replica's log:")
            lines += [printable(f"          {text}") for text in act.errors]
    lines += ["", *(printable(text) for text in _refused(rehearsal))]
    lines.append(paint(printable(f"{_rehearsal_verdict(rehearsal)}."), "ok" if rehearsal.passed else "error"))
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
    words += [plural(checks, "check")] if checks else []
    return ", ".join(words)


_ASKING = ("check", "wait", "compare")


def _refused(rehearsal: Rehearsal) -> Iterator[str]:
    for text, count in rehearsal.refused.items():
        yield f"Refused by the database, {count} times: {text}"


def render_rehearsal_markdown(rehearsal: Rehearsal) -> str:
    """Render the result for a pull request, verdict first."""
    sign = "✅" if rehearsal.passed else "❌"
    parts = [f"### Rehearsal: {sign} {escape(_rehearsal_verdict(rehearsal))}", escape(_scope(rehearsal))]
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
    parts.append(bullets(escape(text) for text in (*rehearsal.servers, *_refused(rehearsal))))
    return "\n\n".join(parts) + "\n"


def _finding(finding: RehearsalFinding) -> str:
    sign = "⚠️" if finding.warning else "✅" if finding.holds else "❌"
    text = f"{sign} {escape(finding.text)}"
    return text + "".join(f"<br>{escape(detail[:_DETAIL_LENGTH])}" for detail in finding.details)


_KIND = {"ok": "ok", "warning": "warning", "refused": "error"}
_SIGN = {"ok": "✅", "warning": "⚠️", "refused": "❌"}


def where(outcome: ApplyOutcome) -> str:
    """Name the database, without secrets."""
    facts = outcome.facts
    host = f" on {facts.host}" if facts.host else ""
    name = f"{facts.database}{host}" + (f":{facts.port}" if facts.host and facts.port != 5432 else "")
    return f"{outcome.site.title} ({name})" if outcome.site else name


def render_plan(outcome: ApplyOutcome, paint: Paint = unpainted) -> str:
    """Render the plan: changes, failed checks, and the SQL."""
    lines = [f"{where(outcome)}, as {outcome.facts.user}, Postgres {outcome.facts.version}", ""]
    for section in outcome.sections:
        lines += _section(section.change, outcome.direction)
    lines += ["", "Checks", *_checks(outcome.checks, paint)]
    sql = [line for section in outcome.sections for line in _sql(section.change, outcome.direction)]
    if sql:
        lines += ["", "SQL", *sql]
    return "\n".join(lines)


def _section(change: SectionChange, direction: Direction) -> Iterator[str]:
    if not change.revisions:
        yield printable(f"{change.section} is already at {change.end}")
        return
    yield printable(f"{change.section}: {change.start} -> {change.end}")
    for revision in change.revisions:
        back = "downgrade " if direction == "downgrade" else ""
        yield printable(f"  {back}{revision.id} {revision.text}".rstrip())
    for text in change.text():
        yield printable(f"    {text}")
    for loss in change.forward.losses:
        yield printable(f"    data loss: {loss}")


def _checks(checks: Sequence[ApplyCheck], paint: Paint) -> Iterator[str]:
    width = max((len(check.id) for check in checks), default=0)
    for check in checks:
        state = "accepted" if check.accepted else check.state
        line = f"  {state:<8}  {check.id:<{width}}  {check.text}"
        yield paint(printable(line), "warning" if check.accepted else _KIND[check.state])
        if check.state == "ok":
            continue
        yield from (printable(f"{'':12}{'':<{width}}  {detail}") for detail in check.details)
        if check.remedy:
            yield printable(f"{'':12}{'':<{width}}  what to do: {check.remedy}")


def _sql(change: SectionChange, direction: Direction) -> Iterator[str]:
    for revision, parts in statements(change, direction):
        yield printable(f"-- {change.section} {revision}")
        for sql in parts:
            yield from (printable(line) for line in f"{sql};".split("\n"))


def render_result(outcome: ApplyOutcome, paint: Paint = unpainted) -> str:
    """Render the result, the present state, and the way to revert it."""
    kind = "ok" if outcome.result in ("applied", "nothing to do", "planned") else "error"
    lines = [paint(printable(_verdict(outcome)), kind)]
    for section in outcome.sections:
        tries = f", {section.attempts} tries" if section.attempts > 1 else ""
        took = f", {section.seconds:.1f} s{tries}" if section.state == "applied" else ""
        done = section.state in ("applied", "already there")
        place = section.at or (section.change.end if done else section.change.start)
        place = "an unknown revision" if section.state == "unknown" else place
        lines.append(printable(f"  {section.change.section}: {section.state}{took}, at {place}"))
        lines += [f"  {line}" for line in _checks(section.verification, paint)]
    if outcome.next_step:
        lines += ["", printable(f"Next: {outcome.next_step}")]
    if back := outcome.way_back():
        again = "To upgrade again" if outcome.direction == "downgrade" else "To roll back"
        lines += ["", f"{again} (see the runbook first: other sites may need it too):"]
        lines += [printable(f"  {command}") for command in back]
        lost = dict.fromkeys(loss for section in outcome.done for loss in section.change.back.losses)
        lines += [printable(f"  data loss: {', '.join(lost)}")] if lost else []
    if outcome.attests:
        lines += ["", "When everything is tested, comment on the pull request in sdm_schemas:", ""]
        lines += render_comment(outcome, short=True).rstrip().split("\n")
    return "\n".join(lines)


_VERDICTS = {
    "planned": "Dry run: nothing was changed",
    "applied": "Done",
    "nothing to do": "Nothing to do",
    "refused": "Stopped: nothing was changed",
    "declined": "Not confirmed: nothing was changed",
    "failed": "Failed",
    "interrupted": "Interrupted",
    "not verified": "The database was changed, and verification failed",
}


def _verdict(outcome: ApplyOutcome) -> str:
    text = _VERDICTS[outcome.result]
    if outcome.result in ("failed", "interrupted"):
        done = [section.change.section for section in outcome.done]
        text += {
            "nothing": "; nothing was changed",
            "unknown": "; it is unknown whether the database was changed",
        }.get(outcome.changed, "; the database was changed in part")
        text += f"; done before that: {', '.join(done)}" if done else ""
    return f"{text}: {outcome.problem}" if outcome.problem else f"{text}."


def render_comment(outcome: ApplyOutcome, *, short: bool = False) -> str:
    """Render the evidence as a comment, with ``/consdb done STEP`` only if everything is verified."""
    parts = [f"/consdb done {outcome.attests}"] if outcome.attests else []
    parts.append(f"**{escape(where(outcome))}**: {prose(_verdict(outcome))}")
    rows = [
        (
            code(section.change.section, in_table=True),
            code(section.change.start, in_table=True),
            code(section.change.end, in_table=True),
            escape(section.state),
        )
        for section in outcome.sections
    ]
    parts.append(table(("Section", "From", "To", ""), rows))
    facts = [f"at {outcome.when}", f"Postgres {outcome.facts.version}"]
    if outcome.checkout.commit:
        tag = f"{outcome.checkout.tag}, " if outcome.checkout.tag else ""
        facts.insert(0, f"consdb {tag}{outcome.checkout.commit}")
    parts.append(escape("; ".join(facts)))
    if short:
        return "\n\n".join(parts) + "\n"
    after = [check for section in outcome.sections for check in section.verification]
    lines = bullets(
        f"{_SIGN[check.state]} {prose(check.text)}{' (accepted with --accept)' if check.accepted else ''}"
        for check in (*outcome.checks, *after)
    )
    if lines:
        parts.append(details("Checks", lines))
    if back := outcome.way_back():
        parts.append(details("Rollback", fence("\n".join(back), "sh")))
    return "\n\n".join(parts) + "\n"


def evidence(outcome: ApplyOutcome) -> dict[str, Any]:
    """Return the evidence as JSON values, with the comment."""
    return as_json(replace(outcome, comment=render_comment(outcome)))
