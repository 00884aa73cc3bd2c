"""Render the board as text and JSON."""

from __future__ import annotations

from datetime import UTC

from consdb_actions.deploy.drift import Severity
from consdb_actions.process.board import Board, BoardEntry, Environments
from consdb_actions.process.states import StepState, StepStatus
from consdb_actions.report.markdown import bullets, escape, printable, prose, table

WIDTH = 90  # Characters of a title on a terminal

_TROUBLES = (StepStatus.UNKNOWN, StepStatus.STALE, StepStatus.OUT_OF_ORDER)


def todo(item: StepState) -> str:
    """Render the next action."""
    return f"{item.step.todo}, again" if item.standing is StepStatus.STALE else item.step.todo


def wrong(change: BoardEntry) -> list[StepStatus]:
    """List the problems of a change, each kind once."""
    return [kind for kind in _TROUBLES if any(item.standing is kind for item in change.steps)]


def counted(seen: Environments) -> str:
    """Count errors and warnings of the environments."""
    if seen.drift is None:
        return "not known"
    counts = [
        (sum(item.severity is severity for item in seen.drift.findings), severity.word)
        for severity in (Severity.ERROR, Severity.WARNING)
    ]
    words = [f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts if count]
    return " and ".join(words) or "nothing has drifted"


def render_text(board: Board) -> str:
    """Write the board for a terminal, a line for each change."""
    lines = [_heading(board), _extent(board)]
    for change in board.changes:
        pull = change.facts.pull
        title = pull.title if len(pull.title) <= WIDTH else f"{pull.title[: WIDTH - 1]}…"
        lines.append(f"  #{pull.number}  {title}")
        marks = f"; {', '.join(wrong(change))}" if wrong(change) else ""
        lines.append(f"        {_step(change)}; {change.done} of {len(change.steps)} steps done{marks}")
    lines += [f"  {item.name}  could not be looked at: {item.text}" for item in board.unread]
    lines += [f"what runs where: {counted(board.environments)}", f"newest release: {_newest(board)}"]
    return "\n".join(map(printable, lines))


def render_markdown(board: Board) -> str:
    """Write the board as Markdown, a row for each change."""
    blocks = [f"### ConsDB schema changes\n\n{escape(_heading(board))}. {escape(_extent(board))}."]
    rows = [
        (
            f"[#{change.facts.pull.number}]({change.facts.pull.url}) {escape(change.facts.pull.title)}",
            escape("; ".join(map(todo, change.next)) or "unknown"),
            escape(", ".join(change.owners)),
            _day(change) if change.next else "",
            f"{change.done} of {len(change.steps)}",
            escape(", ".join(wrong(change))),
        )
        for change in board.changes
    ]
    if rows:
        blocks.append(table(("Change", "Next step", "Waits for", "Since", "Steps done", ""), rows))
    if board.unread:
        blocks.append(
            bullets(
                f"{escape(item.name)} could not be looked at: {prose(item.text)}" for item in board.unread
            )
        )
    blocks.append(
        f"What runs where: {counted(board.environments)}. Newest release: {escape(_newest(board))}."
    )
    return "\n\n".join(blocks) + "\n"


def _heading(board: Board) -> str:
    return f"{board.repository}, {board.now.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _extent(board: Board) -> str:
    count = len(board.changes)
    attention = sum(change.needs_attention for change in board.changes)
    words = [f"{count or 'no'} open change{'' if count == 1 else 's'}"]
    words += [f"{attention} need{'s' if attention == 1 else ''} attention"] if attention else []
    words += [f"{len(board.unread)} could not be looked at"] if board.unread else []
    return ", ".join(words)


def _step(change: BoardEntry) -> str:
    if not change.next:
        return "the next step is unknown"
    return f"{'; '.join(map(todo, change.next))}: {', '.join(change.owners)}, since {_day(change)}"


def _day(change: BoardEntry) -> str:
    return f"{change.since.astimezone(UTC):%Y-%m-%d}"


def _newest(board: Board) -> str:
    shelf = board.releases
    if not shelf.items:
        return "not known" if shelf.trouble else "none"
    item = shelf.items[0]
    return item.tag if item.at is None else f"{item.tag}, {item.at.astimezone(UTC):%Y-%m-%d}"
