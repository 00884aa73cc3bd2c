"""Carry out a planned migration of a database, and look at the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from consdb_actions.adapters.apply_facts import connected, read_section
from consdb_actions.adapters.apply_run import run_alembic
from consdb_actions.adapters.interrupts import Terminated, shielded, unwinding_on_signals
from consdb_actions.adapters.tree import Section
from consdb_actions.commands.apply_plan import Planned, Progress, Request, locks_of, roles_of
from consdb_actions.errors import ConsdbActionsError, DatabaseChanged
from consdb_actions.migration.catalog import compare
from consdb_actions.process.apply_facts import Lock
from consdb_actions.process.apply_outcome import ApplyOutcome, SectionResult, State
from consdb_actions.process.apply_verify import check_result
from consdb_actions.process.runbook_change import SectionChange

__all__ = ["carry_out"]

_MOST = 8  # differences that a message names


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
        A revision does not run, and nothing was changed.
    ExternalError
        A lock is not granted, and nothing was changed.
    DatabaseChanged
        The same, and the database was changed before, or that is not known.
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
                if isinstance(error, ConsdbActionsError):
                    raise _told(error, outcome) from error
                raise
            if not results[index].verified:
                rest = [replace(r, state="untouched") if r.state == "planned" else r for r in results]
                words = f"see below what is wrong with section {section.name}"
                outcome = replace(outcome, result="not verified", problem=words, sections=tuple(rest))
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
    before = facts.sections[change.schema]
    expected = planned.expected.get(change.schema)
    wanted = request.settings.grants_for(change.schema)

    def waiting(attempt: int, seconds: float, locks: tuple[Lock, ...]) -> None:
        holders = "; ".join(map(str, locks)) or "nobody any more"
        say(f"{section.name}: try {attempt} waited for a lock. Held by {holders}. Again in {seconds:g} s.")

    attempts = run_alembic(
        request.tree,
        section,
        request.url,
        planned.outcome.direction,
        change.end,
        locks=locks_of(change, before, expected),
        timeouts=request.timeouts,
        role=before.owner if before.owner != facts.user else "",
        schemas=request.schemas,
        waiting=waiting,
    )
    with connected(request.url) as connection:
        after = read_section(connection, section, roles_of(change, wanted))
    upgrade = planned.outcome.direction == "upgrade"
    verification = check_result(change, before, after, expected, wanted if upgrade else {}, facts.major)
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
            now = read_section(connection, section)
    except ConsdbActionsError:
        state: State = "unknown"
        at, part = "", list[str]()
        there = f"the database does not answer: see where section {section.name} is before you go on"
    else:
        at = now.revisions[0] if now.revisions else "base"
        before = outcome.facts.sections[change.schema].snapshot
        part = [str(found) for found in compare(before, now.snapshot)][:_MOST]
        state = _state(change, at, bool(part))
        there = f"section {section.name} is at {at}"
        if state == "failed":
            there += ", as before; its transaction was rolled back"
        elif state == "applied in part":
            there += ", and part of the revisions was committed" + (f": {'; '.join(part)}" if part else "")
    results[index] = replace(results[index], state=state, at=at, part=tuple(part))
    sections = tuple(replace(r, state="untouched") if r.state == "planned" else r for r in results)
    cause = error.cause if isinstance(error, ConsdbActionsError) else type(error).__name__
    return replace(
        outcome,
        result="interrupted" if interrupted else "failed",
        problem=there if interrupted else f"{there}; {cause}",
        sections=sections,
    )


def _state(change: SectionChange, at: str, differs: bool) -> State:
    """Judge by version table and catalog what became of a section whose run failed (rule O2)."""
    if at == change.end:
        return "applied"
    return "applied in part" if differs or at != change.start else "failed"


def _told(error: ConsdbActionsError, outcome: ApplyOutcome) -> ConsdbActionsError:
    """Return the error with what is in the database now (rule O1)."""
    unchanged = outcome.changed == "nothing"
    kind = type(error) if unchanged else DatabaseChanged
    lead = "nothing was changed" if unchanged else f"the database was changed ({outcome.changed})"
    return kind(
        f"{lead}: {outcome.problem}",
        place=error.place,
        remedy=" ".join(filter(None, (error.remedy if unchanged else "", outcome.next_step))),
    )
