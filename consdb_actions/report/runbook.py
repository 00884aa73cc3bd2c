"""A runbook as Markdown (which a rehearsal reads back), as an overview for a terminal, and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import jinja2

from consdb_actions.process.runbook_change import SectionChange
from consdb_actions.process.runbook_steps import Block, Part, Runbook, Step, block_info
from consdb_actions.report.markdown import code, escape, fence, printable, prose

__all__ = ["FORMAT", "render_json", "render_markdown", "render_text"]

FORMAT = "consdb-actions/runbook/1"
"""Raised when the form changes."""


_LATER = ("cancel", "halfway", "back")
"""Parts that are only for when something goes wrong."""


def render_markdown(runbook: Runbook) -> str:
    """Write the whole runbook."""
    template = _templates().get_template("runbook.md.jinja")
    text = template.render(
        runbook=runbook,
        later=_LATER,
        changes=[line for change in runbook.changes for line in _lines(change)],
        folded=_folded,
        show=_Blocks().show,
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


def _folded(step: Step, block: Block) -> bool:
    """Tell whether a block is shown folded: what the upgrade's own command does by itself."""
    return block.kind in ("by-hand", "check") and any(other.kind == "by-hand" for other in step.blocks)


class _Blocks:
    """Writes blocks; a long query that stood before is only referred to."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}
        self._counts: Counter[str] = Counter()

    def show(self, part: Part, step: Step, block: Block) -> str:
        """Write a block with what it must answer."""
        info = block_info(part.id, step.id, block)
        own = f"{step.id}/{self._counts[step.id]}"
        self._counts[step.id] += 1
        first = self._seen.setdefault(block.text, own)
        repeated = first != own
        if repeated and block.language == "sql" and block.text.count("\n") > _LONG:
            shown = fence(f"-- the same as in step {first.partition('/')[0]}", f"{info} same={first}")
        else:
            shown = fence(block.text, info)
        lead = _lead(block)
        return f"{lead}\n\n{shown}" if lead else shown


def _lead(block: Block) -> str:
    lead = {
        "check": f"Must answer {code(block.answer)}:",
        "wait": f"Ask again until it answers {code(block.answer)} (at most {_time(block.seconds)}):",
        "compare": "Must answer the same at both sites (ask again while rows are being written):",
        "look": "" if block.note else "Look at:",
    }.get(block.kind, "")
    if block.kind in ("check", "wait", "look", "sql"):
        lead = f"At {code(block.site)}, as {_ACCOUNTS[block.account]}. {lead}"
    return f"{lead.strip()} {prose(block.note) if block.note else ''}".strip()


_ACCOUNTS = {"owner": "owner", "administrator": "administrator", "replication": "replication role"}


def _time(seconds: int) -> str:
    return f"{seconds // 60} minutes" if seconds > 60 else f"{seconds} seconds"


_LONG = 2  # line ends of a query that is written once
_MOST = 30


def _lines(change: SectionChange) -> Iterator[str]:
    words = list(change.words())
    yield from words[:_MOST]
    if len(words) > _MOST:
        yield f"and {len(words) - _MOST} more in {change.schema}"


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
        "minutes": step.minutes,
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
