"""Reports of ``migrations apply``: plan and result for a terminal, evidence, and comment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from consdb_actions.forms import as_json
from consdb_actions.process.apply_facts import ApplyCheck, ApplyOutcome, Direction, statements
from consdb_actions.process.runbook_change import SectionChange
from consdb_actions.report.markdown import bullets, code, details, escape, fence, printable, prose, table

Paint = Callable[[str, str], str]  # text, and ``error``, ``warning``, ``ok`` or ``dim``

_KIND = {"ok": "ok", "warning": "warning", "refused": "error"}
_SIGN = {"ok": "✅", "warning": "⚠️", "refused": "❌"}


def _plain(text: str, _: str) -> str:
    return text


def where(outcome: ApplyOutcome) -> str:
    """Name the database, without secrets."""
    facts = outcome.facts
    host = f" on {facts.host}" if facts.host else ""
    name = f"{facts.database}{host}" + (f":{facts.port}" if facts.host and facts.port != 5432 else "")
    return f"{outcome.site.title} ({name})" if outcome.site else name


def render_plan(outcome: ApplyOutcome, paint: Paint = _plain) -> str:
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
    for words in change.text():
        yield printable(f"    {words}")
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


def render_result(outcome: ApplyOutcome, paint: Paint = _plain) -> str:
    """Render the result, the present state, and the way to revert it."""
    lines = [paint(printable(_verdict(outcome)), _verdict_kind(outcome))]
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
    words = _VERDICTS[outcome.result]
    if outcome.result in ("failed", "interrupted"):
        done = [section.change.section for section in outcome.done]
        words += {
            "nothing": "; nothing was changed",
            "unknown": "; it is unknown whether the database was changed",
        }.get(outcome.changed, "; the database was changed in part")
        words += f"; done before that: {', '.join(done)}" if done else ""
    return f"{words}: {outcome.problem}" if outcome.problem else f"{words}."


def _verdict_kind(outcome: ApplyOutcome) -> str:
    return "ok" if outcome.result in ("applied", "nothing to do", "planned") else "error"


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
        f"{_SIGN[check.state]} {prose(check.text)}{_accepted(check)}" for check in _seen(outcome, after)
    )
    if lines:
        parts.append(details("Checks", lines))
    if back := outcome.way_back():
        parts.append(details("Rollback", fence("\n".join(back), "sh")))
    return "\n\n".join(parts) + "\n"


def evidence(outcome: ApplyOutcome) -> dict[str, Any]:
    """Return the evidence as JSON values, with the comment."""
    return as_json(replace(outcome, comment=render_comment(outcome)))


def _seen(outcome: ApplyOutcome, after: Iterable[ApplyCheck]) -> list[ApplyCheck]:
    return [*outcome.checks, *after]


def _accepted(check: ApplyCheck) -> str:
    return " (accepted with --accept)" if check.accepted else ""
