"""Render the state of the process as a report and as a comment."""

from __future__ import annotations

from datetime import datetime

from consdb_actions.approval.plan import SECTION_ROOM, Part
from consdb_actions.process.comment_commands import (
    FINISHED,
    CommandOutcome,
    Verb,
    answers_in,
    write_answers,
    written,
)
from consdb_actions.process.evidence import CONSDBTAP, DATALINK, TAP_SCHEMA, ticket_image
from consdb_actions.process.facts import Evidence, FactSource, ProcessFacts, SchemaChange
from consdb_actions.process.plan import Progress, StepState, StepStatus, readiness
from consdb_actions.report.markdown import (
    bullets,
    code,
    commit,
    cut,
    details,
    escape,
    fit,
    person,
    printable,
    prose,
    table,
)


def render_text(facts: ProcessFacts, progress: Progress) -> str:
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
    applying = [item for item in progress.steps if item.status is not StepStatus.NOT_APPLICABLE]
    width = max((len(item.step.title) for item in applying), default=0)
    for item in applying:
        lines.append(f"  {item.status:<12}  {item.step.title:<{width}}  {_plain(item)}".rstrip())
        lines.extend(f"{'':<16}{disorder.text}" for disorder in item.order)
    lines.extend(
        f"  {item.actor.login}, “{item.command.text[:80]}”: {item.answer}"
        for item in progress.comments.commands
        if item.answer
    )
    return "\n".join(printable(line.replace("\t", " ")) for line in lines)


def _plain(item: StepState) -> str:
    parts = [", ".join(evidence.text for evidence in item.evidence)] if item.evidence else []
    if item.at is not None:
        by = f" by {item.by}" if item.by else ""
        parts.append(f"{item.at:%Y-%m-%d}{by}" + (f" for {item.commit[:8]}" if item.commit else ""))
    if item.text:
        parts.append(item.text)
    return "; ".join(dict.fromkeys(parts))


ANSWERS = 5  # Maximum number of answers to commands

NAMED = 6  # Maximum number of people named for a step

UNFOLDED = 12  # Maximum number of unfolded lines for reviewers

CHANGES = 60  # How many changes of a schema it lists

FINDING_SIGNS = {"error": "❌", "warning": "⚠️"}

APPROVED = "approved"  # Outcome of a role whose checklist is finished

SIGNS = {
    StepStatus.DONE: "✅",
    StepStatus.NEXT: "▶️",
    StepStatus.WAITING: "⏳",
    StepStatus.STALE: "🔁",
    StepStatus.OUT_OF_ORDER: "⚠️",
    StepStatus.UNKNOWN: "❔",
}


def render_comment(facts: ProcessFacts, progress: Progress) -> str:
    """Render the section of the comment; equal facts give equal text."""
    state = written(progress.comments.states)
    if answers := answers_in(progress.comments.commands):
        state = f"{write_answers(answers)}\n\n{state}"
    blocks = [_heading(facts, progress)]
    if progress.applicable:
        blocks += [block for block in (_next(facts, progress), _table(facts, progress)) if block]
        blocks += _alerts(progress)
        blocks += [_meaning(item) for item in facts.schemas if item.meaning]
        blocks += _review(facts)
    blocks += _answers(facts, progress)
    blocks.append(
        f"<sub>For commit {commit(facts.html_url, facts.pull.head)}, by the policy in "
        f"{escape(facts.policy_source)}. This comment is updated automatically.</sub>"
    )
    blocks.append(_help(progress))
    if progress.applicable:
        blocks += [block for block in (_environments(facts), _attestations(facts, progress)) if block]
    note = "_{count} parts were omitted; `consdb-actions process status` prints them._"
    text = fit(blocks, note, limit=SECTION_ROOM[Part.PROCESS] - len(state) - 100)
    finished = progress.applicable and not any(item.open for item in progress.steps)
    return "\n\n".join([text, *([FINISHED] if finished else []), state])


def _heading(facts: ProcessFacts, progress: Progress) -> str:
    if not progress.applicable and (trouble := facts.trouble(FactSource.SCHEMAS)):
        return f"### ❔ The schema change could not be read\n\n{prose(_sentence(trouble))}"
    if not progress.applicable:
        return "### Steps of the schema change\n\nNo ConsDB schema is changed, so no step is needed."
    if not any(item.open for item in progress.steps):
        return "### ✅ All steps are done"
    if facts.pull.state == "closed" and facts.pull.merged_at is None:
        return "### Closed without a merge"
    steps = progress.actionable
    if not steps:
        return "### ❔ The next step is unknown"
    sign = "🔁" if steps[0].status is StepStatus.STALE else "▶️"
    again = ", again" if steps[0].status is StepStatus.STALE else ""
    return f"### {sign} Next: {escape(steps[0].step.todo)}{again}"


def _next(facts: ProcessFacts, progress: Progress) -> str:
    steps = progress.actionable
    if not steps:
        return ""
    now = f": {prose(steps[0].text)}." if steps[0].text else "."
    lines = [f"{_owner(facts, steps[0])}, since {_day(steps[0].since)}{now} {_how(steps[0])}"]
    if steps[1:]:
        others = "; ".join(f"{escape(item.step.todo)} ({escape(item.owner)})" for item in steps[1:])
        lines.append(f"At the same time: {others}.")
    return "\n".join(lines)


def _how(item: StepState) -> str:
    """Render how the completion of a step is recognized."""
    step = item.step
    if not step.attested:
        return f"Done when {prose(step.evidence)}."
    command = code(f"/consdb done {step.id}")
    if not item.people:
        return (
            f"When it is done, somebody writes {command} in a comment; the configuration has to say who may."
        )
    who = "one of them writes" if len(item.people) > 1 else f"{escape(item.people[0])} writes"
    return f"When it is done, {who} {command} in a comment."


def _table(facts: ProcessFacts, progress: Progress) -> str:
    rows = [
        (
            f"{SIGNS[item.status]} {escape(item.step.title)}<br>"
            f"<sub>{item.status}, {escape(item.owner)}</sub>",
            _shown(facts, item),
        )
        for item in progress.steps
        if item.status is not StepStatus.NOT_APPLICABLE
    ]
    text = table(("Step", "Evidence"), rows)
    needless = [
        f"Not needed, since {escape(why)}: {escape(what)}." for why, what in progress.needless.items()
    ]
    return "\n\n".join([text, "\n".join(needless)] if needless else [text])


def _shown(facts: ProcessFacts, item: StepState) -> str:
    parts = []
    if item.evidence:
        parts.append(", ".join(_link(evidence) for evidence in item.evidence))
    if item.at is not None:
        by = f" by {person(facts.html_url, item.by)}" if item.by else ""
        about = f" for {commit(facts.html_url, item.commit)}" if item.commit else ""
        parts.append(f"{_day(item.at)}{by}{about}")
    if item.text:
        parts.append(prose(item.text))
    return "; ".join(parts)


def _alerts(progress: Progress) -> list[str]:
    lines = [
        f"“{escape(item.step.title)}” was {prose(disorder.text)}."
        for item in progress.steps
        for disorder in item.order
    ]
    return ["\n".join(["> [!WARNING]", *(f"> - {line}" for line in lines)])] if lines else []


def _meaning(change: SchemaChange) -> str:
    findings = bullets([f"{FINDING_SIGNS[severity]} {prose(text)}" for severity, text in change.findings])
    lines = cut(map(prose, change.meaning), CHANGES)
    count = len(change.meaning)
    title = f"What changes in {escape(change.schema)} ({count})"
    folded = details(title, bullets(lines), is_open=count <= UNFOLDED)
    return f"{findings}\n\n{folded}" if change.findings else folded


def _review(facts: ProcessFacts) -> list[str]:
    sources = [
        f"{code(f'{schema.schema}.{item.table}')}: {prose(str(item))}"
        for schema in facts.schemas
        for item in schema.sources
    ]
    findings = [f"⚠️ {prose(text)}" for schema in facts.schemas for text in schema.source_findings]
    near = [
        f"{code(f'{schema.schema}.{item.table}.{item.column}')}: {', '.join(map(code, item.near))}"
        for schema in facts.schemas
        for item in schema.relations
        if item.near
    ]
    parts = []
    for title, lines in (
        ("Data sources", [*findings, *sources]),
        ("New columns that resemble existing ones", near),
    ):
        if lines:
            parts.append(
                f"**{title}**\n\n{bullets(lines)}"
                if len(lines) <= UNFOLDED
                else details(f"{title} ({len(lines)})", bullets(lines))
            )
    items = {checklist.role: checklist.items for checklist in facts.checklists}
    lists = [
        f"**{escape(role.title)}**\n\n{bullets([prose(item) for item in items[role.id]])}"
        for role in facts.approvals.roles
        if role.outcome != APPROVED and items.get(role.id)
    ]
    if lists:
        parts.append(
            details("Checklists of the roles that have not approved", "\n\n".join(lists), is_open=True)
        )
    return parts


def _answers(facts: ProcessFacts, progress: Progress) -> list[str]:
    lines = []
    for item in [item for item in progress.comments.commands if item.answer][-ANSWERS:]:
        when = _link(Evidence(f"{item.comment.created_at:%Y-%m-%d}", item.comment.url))
        text = item.command.text if len(item.command.text) <= 80 else item.command.text[:79] + "…"
        who = person(facts.html_url, item.actor.login)
        lines.append(f"> - {who}, {when}, {code(text)}: {prose(item.answer)}.")
    return ["\n".join(["> [!NOTE]", *lines])] if lines else []


def _help(progress: Progress) -> str:
    commands = progress.comments.commands
    asked = bool(commands) and commands[-1].command.verb is Verb.HELP
    attested = [
        item.step.id
        for item in progress.steps
        if item.step.attested and item.status is not StepStatus.NOT_APPLICABLE
    ]
    ids = ", ".join(code(name) for name in attested) or "none here"
    lines = [
        f"{code('/consdb done STEP')}: confirms a step that leaves no trace in a repository. The steps "
        f"are {ids}. A note may follow on the same line.",
        f"{code('/consdb undo STEP')}: withdraws that.",
        f"{code('/consdb rename TABLE.OLD=NEW')}: declares a rename, for this and later migrations.",
        f"{code('/consdb take head TABLE.COLUMN')}: resolves a conflict to the schema's state; "
        f"{code('current')} is the database's.",
        f"{code('/consdb regenerate')}: regenerates the migration; edited files are kept.",
        f"{code('/consdb help')}: shows this list.",
    ]
    text = (
        "A command is at the start of a line of a comment, outside of quotations and code. 👍 means "
        "accepted, 😕 rejected, with the reason above. Edits of a comment have no effect: write another "
        "one. Confirmations of another version of the change are stale.\n\n"
    )
    return details("Commands in comments", text + bullets(lines), is_open=asked)


def _environments(facts: ProcessFacts) -> str:
    environments = list(dict.fromkeys(item.environment for item in facts.deployments))
    if not environments:
        return ""
    families = ("hinfo", "pq", TAP_SCHEMA, DATALINK)
    releases = {release.tag for release in facts.releases}
    holding = {ticket_image(facts.pull.branch), *facts.weeklies}
    rows = []
    for environment in environments:
        cells = [escape(environment)]
        for family in families:
            parts = [
                item
                for item in facts.deployments
                if item.environment == environment
                and item.enabled
                and item.component.partition(".")[0] == family
            ]
            tags = dict.fromkeys(
                (item.tag, item.tag in (holding if item.application == CONSDBTAP else releases))
                for item in parts
            )
            cells.append(
                "<br>".join(
                    f"{code(tag, in_table=True) if tag else 'no tag'}{' ✅' if holds else ''}"
                    for tag, holds in tags
                )
                or "-"
            )
        rows.append(cells)
    newest = f" The newest release is {code(facts.newest_release)}." if facts.newest_release else ""
    body = table(("Environment", "hinfo", "pqserver", "TAP_SCHEMA", "Datalink"), rows)
    return details("Environments", f"{body}\n\n✅ contains this change.{newest}")


def _attestations(facts: ProcessFacts, progress: Progress) -> str:
    rows = []
    for item in progress.comments.commands:
        if item.outcome is not CommandOutcome.ACCEPTED or not item.command.step:
            continue
        sha = item.binding.sha if item.binding is not None else ""
        when = f"{item.comment.created_at:%Y-%m-%d %H:%M}"
        rows.append(
            (
                _link(Evidence(when, item.comment.url)),
                person(facts.html_url, item.actor.login),
                f"{item.command.verb} {item.command.step}",
                commit(facts.html_url, sha) if sha else "",
                escape(item.command.note),
            )
        )
    if not rows:
        return ""
    return details("Attestations", table(("When (UTC)", "Who", "What", "Commit", "Note"), rows))


def _owner(facts: ProcessFacts, item: StepState) -> str:
    people = ", ".join(person(facts.html_url, login) for login in item.people[:NAMED])
    people += f" and {len(item.people) - NAMED} more" if len(item.people) > NAMED else ""
    return f"**{escape(item.owner)}**" + (f" ({people})" if people else "")


def _link(evidence: Evidence) -> str:
    return f"[{escape(evidence.text)}]({evidence.url})" if evidence.url else escape(evidence.text)


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment is not None else "an unknown day"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "…")) else ".")
