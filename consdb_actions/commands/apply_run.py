"""Carry out a planned migration of a database, and look at the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from consdb_actions.adapters.apply_facts import connected, read_section
from consdb_actions.adapters.apply_run import run_alembic
from consdb_actions.adapters.interrupts import Terminated, shielded, unwinding_on_signals
from consdb_actions.adapters.tree import Section
from consdb_actions.commands.apply_plan import Planned, Progress, Request
from consdb_actions.errors import ConsdbActionsError
from consdb_actions.process.apply_facts import Lock
from consdb_actions.process.apply_outcome import ApplyOutcome, SectionResult
from consdb_actions.process.apply_verify import check_result

__all__ = ["carry_out"]


def carry_out(
    request: Request,
    planned: Planned,
    progress: Progress,
    say: Callable[[str], None],
    record: Callable[[ApplyOutcome], None],
) -> ApplyOutcome:
    """Apply what was planned, section by section, and look at the result.

    Parameters
    ----------
    request, planned
        What to do.
    progress
        Told what is done.
    say
        Told what a person must know meanwhile, such as who holds a lock.
    record
        Given the outcome however it ends, before an error or a signal goes on its way.

    Returns
    -------
    ApplyOutcome
        How it ended.

    Raises
    ------
    CheckFailed
        A revision does not run.
    ExternalError
        A lock is not granted, or the database is lost.
    """
    outcome = planned.outcome
    results = list(outcome.sections)
    with unwinding_on_signals():
        for index, result in enumerate(results):
            if not result.change.revisions:
                continue
            section = planned.sections[result.change.section]
            progress(section.name, outcome.direction)
            try:
                results[index] = _apply(request, planned, section, result, say)
            except BaseException as error:
                with shielded():
                    outcome = _ended(request, outcome, results, index, section, error)
                    record(outcome)
                    if outcome.result == "interrupted":
                        say(outcome.problem)
                    if outcome.done:
                        names = ", ".join(one.change.section for one in outcome.done)
                        back = "; ".join(outcome.way_back())
                        say(f"Done before that, and left so: {names}. To go back: {back}")
                raise
            if any(check.stops for check in results[index].verification):
                rest = [replace(r, state="untouched") if r.state == "planned" else r for r in results]
                words = f"see below what is wrong with section {section.name}"
                outcome = replace(outcome, result="not as expected", problem=words, sections=tuple(rest))
                record(outcome)
                return outcome
    outcome = replace(outcome, result="applied", sections=tuple(results))
    record(outcome)
    return outcome


def _apply(
    request: Request,
    planned: Planned,
    section: Section,
    result: SectionResult,
    say: Callable[[str], None],
) -> SectionResult:
    change, facts = result.change, planned.outcome.facts

    def waiting(attempt: int, seconds: float, locks: tuple[Lock, ...]) -> None:
        holders = "; ".join(map(str, locks)) or "nobody any more"
        say(f"{section.name}: try {attempt} waited for a lock. Held by {holders}. Again in {seconds:g} s.")

    attempts = run_alembic(
        request.tree,
        section,
        request.url,
        planned.outcome.direction,
        change.end,
        locked=tuple(map(str, change.forward.locked)),
        timeouts=request.timeouts,
        schemas=request.schemas,
        waiting=waiting,
    )
    with connected(request.url) as connection:
        after = read_section(connection, section)
    verification = check_result(
        change,
        facts.sections[change.schema],
        after,
        planned.expected.get(change.schema),
        request.settings.grants_for(change.schema) if planned.outcome.direction == "upgrade" else {},
        facts.major,
    )
    looked = tuple(
        replace(check, accepted=check.state == "refused" and check.id in request.accepted)
        for check in verification
    )
    return SectionResult(change, "applied", attempts.count, attempts.seconds, looked)


def _ended(
    request: Request,
    outcome: ApplyOutcome,
    results: list[SectionResult],
    index: int,
    section: Section,
    error: BaseException,
) -> ApplyOutcome:
    """Find out what is there after an error or a signal."""
    change = results[index].change
    interrupted = isinstance(error, KeyboardInterrupt | Terminated)
    try:
        with connected(request.url) as connection:
            rows = read_section(connection, section).revisions
        at = rows[0] if rows else "base"
        there = f"section {section.name} is at {at}" + (", as before" if at == change.start else "")
    except ConsdbActionsError:
        at, there = "", f"the database does not answer: see where section {section.name} is before you go on"
    results[index] = replace(results[index], state="applied" if at == change.end else "failed")
    sections = tuple(replace(r, state="untouched") if r.state == "planned" else r for r in results)
    rolled = "; its transaction was rolled back" if at == change.start else ""
    if interrupted:
        problem = f"{there}{rolled}"
    else:
        cause = error.cause if isinstance(error, ConsdbActionsError) else type(error).__name__
        problem = f"{there}; {cause}"
    return replace(
        outcome, result="interrupted" if interrupted else "failed", problem=problem, sections=sections
    )
