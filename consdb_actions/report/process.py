"""Reports of the process status: text and JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from consdb_actions.process.facts import Facts
from consdb_actions.process.language import Command
from consdb_actions.process.plan import Plan, wishes_of
from consdb_actions.process.states import Progress, Standing, StepState
from consdb_actions.process.summary import readiness
from consdb_actions.report.markdown import printable

__all__ = ["FORMAT", "render_json", "render_plan", "render_text"]

FORMAT = "consdb-actions/process/1"


def render_text(facts: Facts, progress: Progress) -> str:
    """Render the status for a terminal, one line per step."""
    verdict = readiness(facts, progress)
    lines = [
        f"{facts.repository}#{facts.pull.number}: {facts.pull.title}",
        f"merge {verdict.state}: {verdict.description}",
    ]
    for item in progress.actionable:
        who = f" ({', '.join(item.people)})" if item.people else ""
        since = f", since {item.since:%Y-%m-%d}" if item.since else ""
        lines.append(f"next: {item.step.todo}; {item.owner}{who}{since}")
    applying = [item for item in progress.steps if item.standing is not Standing.NOT_APPLICABLE]
    width = max((len(item.step.title) for item in applying), default=0)
    for item in applying:
        lines.append(f"  {item.standing:<12}  {item.step.title:<{width}}  {_plain(item)}".rstrip())
        lines.extend(f"{'':<16}{disorder.words}" for disorder in item.order)
    lines.extend(
        f"  {heard.actor.login}, “{heard.said.text[:80]}”: {heard.answer}"
        for heard in progress.listening.heard
        if heard.answer
    )
    return "\n".join(printable(line.replace("\t", " ")) for line in lines)


def _plain(item: StepState) -> str:
    """Render the evidence of a step in one line."""
    parts = [", ".join(evidence.text for evidence in item.evidence)] if item.evidence else []
    if item.at is not None:
        by = f" by {item.by}" if item.by else ""
        parts.append(f"{item.at:%Y-%m-%d}{by}" + (f" for {item.commit[:8]}" if item.commit else ""))
    if item.words:
        parts.append(item.words)
    return "; ".join(dict.fromkeys(parts))


def render_plan(plan: Plan) -> str:
    """List the changes of a plan, one line each."""
    lines = []
    if plan.status is not None:
        status = plan.status
        lines.append(
            f"set the status {status.context} on {status.sha[:8]} to {status.state}: {status.description}"
        )
    lines += [f"react to the comment {item.comment} with {item.content}" for item in plan.reactions]
    if plan.comment is not None:
        lines.append(
            "write the comment" if plan.comment.id is None else f"change the comment {plan.comment.id}"
        )
    lines += [f"remove the comment {number}" for number in plan.comments_delete]
    return "\n".join(f"would {line}" for line in lines) or "nothing would change"


def render_json(facts: Facts, progress: Progress) -> dict[str, Any]:
    """Return the status as JSON data, described by ``process.schema.json``."""
    verdict = readiness(facts, progress)
    wishes = wishes_of(facts, progress)
    return {
        "format": FORMAT,
        "repository": facts.repository,
        "number": facts.pull.number,
        "title": facts.pull.title,
        "url": facts.pull.url,
        "head": facts.pull.head,
        "applicable": progress.applicable,
        "routes": [route.value for route in progress.scope.routes],
        "state": verdict.state,
        "description": verdict.description,
        "ready": verdict.ready,
        "next": [item.step.id for item in progress.actionable],
        "steps": [_step_json(item) for item in progress.steps],
        "commands": [
            {
                "comment": heard.comment.id,
                "actor": heard.actor.login,
                "at": heard.comment.created_at.isoformat(),
                "text": heard.said.text,
                "verb": heard.said.verb.value if isinstance(heard.said, Command) else None,
                "step": heard.step or None,
                "outcome": heard.outcome.value,
                "answer": heard.answer,
            }
            for heard in progress.listening.heard
        ],
        "answers": list(wishes.answers),
        "regenerate": wishes.regenerate,
        "troubles": [{"source": trouble.source.value, "words": trouble.words} for trouble in facts.troubles],
    }


def _step_json(item: StepState) -> dict[str, Any]:
    return {
        "id": item.step.id,
        "title": item.step.title,
        "standing": item.standing.value,
        "done": item.done,
        "attested": item.step.attested,
        "words": item.words,
        "owner": item.owner,
        "people": list(item.people),
        "at": _moment(item.at),
        "by": item.by,
        "since": _moment(item.since),
        "commit": item.commit or None,
        "note": item.note,
        "evidence": [{"text": evidence.text, "url": evidence.url} for evidence in item.evidence],
        "order": [
            {"words": disorder.words, "steps": list(disorder.steps), "still": disorder.still}
            for disorder in item.order
        ],
    }


def _moment(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None
