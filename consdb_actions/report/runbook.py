"""A runbook as Markdown (which a rehearsal reads back), as an overview for a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from consdb_actions.process.runbook_change import SectionChange
from consdb_actions.process.runbook_reading import block_info
from consdb_actions.process.runbook_steps import Block, Part, Runbook, Step
from consdb_actions.report.markdown import bullets, code, details, escape, fence, printable, prose, table

__all__ = ["FORMAT", "render_json", "render_markdown", "render_text"]

FORMAT = "consdb-actions/runbook/1"
"""Raised when the form changes."""


def render_markdown(runbook: Runbook) -> str:
    """Write the whole runbook."""
    sections = ", ".join(change.section for change in runbook.changes)
    parts = [f"# Runbook {escape(runbook.ticket)}: {escape(sections)}", _about(runbook)]
    parts += [f"> ⚠️ **{prose(words)}**" for words in runbook.warnings]
    parts.append(_changes(runbook))
    parts.append(_contents(runbook))
    if runbook.sessions:
        rows = [(escape(who), code(how, in_table=True)) for who, how in runbook.sessions]
        parts += ["## Have ready", _ready(runbook), table(("Session", "How"), rows)]
    for number, part in enumerate(runbook.parts, start=1):
        parts.append(f"## {number}. {escape(part.title)}")
        parts += [prose(words) for words in part.intro]
        for index, step in enumerate(part.steps, start=1):
            parts += _step(f"{number}.{index}", part, step)
        parts += _end(part)
    parts.append("## Texts to send")
    for text in runbook.texts:
        parts += [f"### {escape(text.title)}", f"To: {prose(text.to)}", fence(text.body, "text")]
    return "\n\n".join(parts) + "\n"


def _about(runbook: Runbook) -> str:
    ranges = "; ".join(f"{code(c.section)} from {code(c.start)} to {code(c.end)}" for c in runbook.changes)
    release = f"Release {code(runbook.release)}." if runbook.release else "No release is named yet."
    return (
        f"{release} Revisions: {ranges}. Made from what these revisions do: if they are edited, make it anew."
    )


def _changes(runbook: Runbook) -> str:
    items = []
    for change in runbook.changes:
        items += [prose(words) for words in _lines(change)]
    return "## What changes\n\n" + bullets(items or ["Nothing that tables or views show."])


_MOST = 30


def _lines(change: SectionChange) -> Iterator[str]:
    words = list(change.words())
    yield from words[:_MOST]
    if len(words) > _MOST:
        yield f"and {len(words) - _MOST} more in {change.schema}"


def _contents(runbook: Runbook) -> str:
    rows = []
    for number, part in enumerate(runbook.parts, start=1):
        for index, step in enumerate(part.steps, start=1):
            rows.append((f"{number}.{index}", escape(step.title), escape(step.who)))
    shown = [row for row in rows if not row[0].startswith(tuple(_later(runbook)))]
    return "## Who does what\n\n" + table(("Step", "What", "Who"), shown)


def _later(runbook: Runbook) -> list[str]:
    """Return how the numbers of parts start that are only for when something goes wrong."""
    return [f"{n}." for n, part in enumerate(runbook.parts, start=1) if part.id in ("cancel", "back")]


def _ready(runbook: Runbook) -> str:
    release = runbook.release or f"tickets/{runbook.ticket}"
    commands = "\n".join(
        [
            "git clone https://github.com/lsst-dm/consdb && cd consdb",
            f"git checkout {release}",
            "consdb-actions --version",
            "git clone https://github.com/lsst/sdm_schemas ../sdm_schemas",
            f"git -C ../sdm_schemas checkout tickets/{runbook.ticket}",
            "export SDM_SCHEMAS_DIR=$PWD/../sdm_schemas",
        ]
    )
    words = (
        "Passwords come from `~/.pgpass` or the variable `PGPASSWORD`; none stands here. Commands are run "
        "in this folder:"
    )
    return f"{prose(words)}\n\n{fence(commands, 'sh')}"


def _step(number: str, part: Part, step: Step) -> Iterator[str]:
    yield f"### {number} {escape(step.title)}"
    yield f"*{escape(step.who)}*" + (f". {prose(step.why)}" if step.why else "")
    shown = [(block, _block(part, step, block)) for block in step.blocks]
    by_hand = any(block.kind == "by-hand" for block in step.blocks)
    folded = [text for block, text in shown if by_hand and block.kind in ("by-hand", "check")]
    yield from (text for _, text in shown if text not in folded)
    if folded:
        yield details(
            "Without consdb-actions: the commands, and the checks that it makes", "\n\n".join(folded)
        )
    if step.failure:
        yield "If it fails:\n\n" + bullets(prose(words) for words in step.failure)


def _block(part: Part, step: Step, block: Block) -> str:
    shown = fence(block.text, block_info(part.id, step.id, block))
    lead = {
        "check": f"Must answer {code(block.answer)}:",
        "wait": f"Ask again until it answers {code(block.answer)} (at most {_time(block.seconds)}):",
        "compare": "Must answer the same at both sites (ask again while rows are being written):",
        "look": "" if block.note else "Look at:",
    }.get(block.kind, "")
    if block.kind in ("check", "wait", "look", "sql"):
        lead = f"At {code(block.site)}, as {_ACCOUNTS[block.account]}. {lead}".strip()
    if block.note:
        lead = f"{lead} {prose(block.note)}"
    return f"{lead}\n\n{shown}" if lead else shown


_ACCOUNTS = {"owner": "owner", "administrator": "administrator", "replication": "replication role"}


def _time(seconds: int) -> str:
    return f"{seconds // 60} minutes" if seconds > 60 else f"{seconds} seconds"


def _end(part: Part) -> Iterator[str]:
    lines = [f"/consdb done {word}" for word in part.attested]
    if lines:
        words = "Then say so in a comment on the pull request in sdm_schemas:"
        yield f"{words}\n\n{fence(chr(10).join(lines), 'text')}"


def render_text(runbook: Runbook) -> str:
    """Write an overview for a terminal: what changes, what it needs, and the steps."""
    sections = ", ".join(change.range for change in runbook.changes)
    lines = [f"Runbook {runbook.ticket}: {sections}", ""]
    lines += [f"Warning: {words}" for words in runbook.warnings]
    lines += [f"  {words}" for change in runbook.changes for words in _lines(change)]
    for number, part in enumerate(runbook.parts, start=1):
        lines += ["", f"{number}. {part.title}"]
        for index, step in enumerate(part.steps, start=1):
            lines.append(f"   {number}.{index:<2} {step.title}  [{step.who}]")
    return "\n".join(printable(line) for line in lines)


def render_json(runbook: Runbook) -> dict[str, Any]:
    """Return the runbook as data for JSON, as ``schemas/runbook.schema.json`` describes it."""
    return {
        "format": FORMAT,
        "ticket": runbook.ticket,
        "release": runbook.release or None,
        "warnings": list(runbook.warnings),
        "sections": [
            {
                "section": change.section,
                "schema": change.schema,
                "from": change.start,
                "to": change.end,
                "revisions": [revision.id for revision in change.revisions],
                "changes": list(change.words()),
                "losses": list(change.forward.losses),
                "losses_back": list(change.back.losses),
            }
            for change in runbook.changes
        ],
        "replication": {
            "pause": runbook.needs.pause,
            "quiet": runbook.needs.quiet,
            "reasons": list(runbook.needs.reasons),
            "added": [str(name) for name in runbook.needs.added],
            "removed": [str(name) for name in runbook.needs.removed],
        },
        "parts": [
            {
                "id": part.id,
                "title": part.title,
                "intro": list(part.intro),
                "steps": [_step_json(step) for step in part.steps],
                "attested": list(part.attested),
            }
            for part in runbook.parts
        ],
        "texts": [{"title": text.title, "to": text.to, "body": text.body} for text in runbook.texts],
    }


def _step_json(step: Step) -> dict[str, Any]:
    return {
        "id": step.id,
        "title": step.title,
        "site": step.site or None,
        "who": step.who,
        "why": step.why or None,
        "blocks": [
            {
                "do": block.kind,
                "at": block.site or None,
                "as": block.account,
                "language": block.language,
                "text": block.text,
                "answer": block.answer or None,
                "within": block.seconds or None,
            }
            for block in step.blocks
        ],
        "failure": list(step.failure),
    }
