"""A runbook as Markdown (which a rehearsal reads back), and as an overview for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache

import jinja2

from consdb_actions.process.runbook_change import SectionChange
from consdb_actions.process.runbook_steps import Block, Runbook, RunbookPart, RunbookStep, block_info
from consdb_actions.report.markdown import code, escape, fence, printable, prose

_LATER = ("cancel", "halfway", "back")  # Parts that are only for when something goes wrong


def render_markdown(runbook: Runbook) -> str:
    """Write the whole runbook."""
    template = _templates().get_template("runbook.md.jinja")
    text = template.render(
        runbook=runbook,
        later=_LATER,
        changes=[line for change in runbook.changes for line in _lines(change)],
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
            text = _joined(text, f"{sign}If it fails: " + " ".join(prose(words) for words in step.failure))
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
    words = {
        "check": f"must return {code(block.answer)}",
        "wait": f"repeat until it returns {code(block.answer)} (at most {_time(block.seconds)})",
        "compare": "must return the same at both sites (repeat while rows are being written)",
    }.get(block.kind, "")
    if block.kind in ("check", "wait", "look", "sql"):
        place = f"At {code(block.site)}, as {_ACCOUNTS[block.account]}"
        words = f"{place}; {words}" if words else place
    words = ". ".join(part for part in (words, prose(block.note).rstrip(".:") if block.note else "") if part)
    return f"{words}:" if words else ""


_ACCOUNTS = {"owner": "owner", "administrator": "administrator", "replication": "replication role"}


def _time(seconds: int) -> str:
    return f"{seconds // 60} minutes" if seconds > 60 else f"{seconds} seconds"


_LONG = 160  # Characters of a block on one line

_MOST = 30


def _lines(change: SectionChange) -> Iterator[str]:
    words = list(change.text())
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
