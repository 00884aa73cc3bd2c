"""Render text of any author as GitHub Markdown (rule S5).

Text comes out literally: no mention, issue reference, link, HTML, comment, broken table, or Markdown. Where a
backslash has no effect (GitHub finds mentions, references and links after rendering), a zero-width space
breaks the pattern.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from consdb_actions.redaction import UNSEEN

__all__ = [
    "COMMENT_LIMIT",
    "bullets",
    "code",
    "details",
    "escape",
    "fence",
    "fit",
    "printable",
    "prose",
    "table",
]

COMMENT_LIMIT = 65_536
"""Maximum length of a GitHub comment or body in characters."""

_BREAK = "\u200b"
_BREAKS = re.compile(r"[\r\n\f\v\u0085\u2028\u2029]+")
_SPACE = re.compile(r"[ \t\r\n\f\v\u0085\u2028\u2029]+")
_PUNCTUATION = re.compile(r"([\\`*_\[\]|~#])")
_LEADING = re.compile(r"^(?:[-+=](?=[\s+=-]|$)|\d+(?=[.)](?:\s|$)))")
_AFTER_RENDERING = re.compile(
    r"(?P<mention>@)(?=[\w-])"
    r"|(?P<gh>\bGH)(?=-\d)"
    r"|(?P<scheme>:)(?=//)"
    r"|(?P<www>\bwww)(?=\.)"
    r"|(?P<mail>\b(?:mailto|xmpp))(?=:)",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"\\#(?=\w)")
_BACKQUOTED = re.compile(r"(`+)(.+?)(?<!`)\1(?!`)", re.DOTALL)


def escape(text: str) -> str:
    """Escape a text for Markdown, on one line."""
    return _LEADING.sub(_lead, _inline(_one_line(text)))


def code(text: str, *, in_table: bool = False) -> str:
    """Return a code span on one line; empty text becomes quotes.

    In a table, bars are escaped even inside code.
    """
    line = _one_line(text).replace("<!--", f"<{_BREAK}!--")
    if not line:
        return "“”"
    longest = max((len(run) for run in re.findall(r"`+", line)), default=0)
    ticks = "`" * (longest + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    if in_table:
        line = line.replace("|", r"\|")
    return f"{ticks}{pad}{line}{pad}{ticks}"


def prose(text: str, *, in_table: bool = False) -> str:
    """Escape a sentence of ours but for code in backquotes."""
    line = _one_line(text)
    parts, end = [], 0
    for match in _BACKQUOTED.finditer(line):
        parts += [_inline(line[end : match.start()]), code(match[2], in_table=in_table)]
        end = match.end()
    parts.append(_inline(line[end:]))
    return _LEADING.sub(_lead, "".join(parts))


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of Markdown cells with escaped bars."""
    lines = ["| " + " | ".join(headings) + " |", "|" + " --- |" * len(headings)]
    lines += ["| " + " | ".join(cell.replace("\n", " ") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def printable(text: str) -> str:
    """Return a text as one line for a terminal: what would move the cursor or turn the direction goes."""
    return UNSEEN.sub("\ufffd", _BREAKS.sub(" ", text))


def bullets(items: Iterable[str]) -> str:
    """Return a list of Markdown items, one line each."""
    return "\n".join(f"- {item}" for item in items)


def details(summary: str, body: str, *, is_open: bool = False) -> str:
    """Return a folded part of Markdown; the summary allows no code spans."""
    opened = " open" if is_open else ""
    return f"<details{opened}>\n<summary>{summary}</summary>\n\n{body}\n\n</details>"


def fence(text: str, language: str = "") -> str:
    """Return a code block with a literal text."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    ticks = "`" * max(3, longest + 1)
    safe = UNSEEN.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))
    return f"{ticks}{language}\n{safe.rstrip()}\n{ticks}"


def fit(
    blocks: Sequence[str], note: str, *, limit: int = COMMENT_LIMIT, ranks: Sequence[int] | None = None
) -> str:
    """Join as many independent blocks as fit."""
    whole = "\n\n".join(blocks)
    if len(whole) <= limit:
        return whole
    room = limit - len(note) - len(str(len(blocks)))
    kept: set[int] = set()
    for number in sorted(range(len(blocks)), key=lambda index: ranks[index] if ranks else 0):
        length = len(blocks[number]) + 2
        if length <= room:
            room -= length
            kept.add(number)
    chosen = [block for number, block in enumerate(blocks) if number in kept]
    return "\n\n".join([*chosen, note.replace("{count}", str(len(blocks) - len(kept)))])[:limit]


def _one_line(text: str) -> str:
    """Put a text on one line, without characters that cannot be seen."""
    return UNSEEN.sub("\ufffd", _SPACE.sub(" ", text)).strip()


def _inline(line: str) -> str:
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _PUNCTUATION.sub(r"\\\1", line)
    line = _REFERENCE.sub(rf"\\#{_BREAK}", line)
    line = _AFTER_RENDERING.sub(rf"\g<0>{_BREAK}", line)
    return line.replace("$", "<span>$</span>")


def _lead(match: re.Match[str]) -> str:
    """Escape a list or rule marker at a line's start."""
    return f"{match[0]}{_BREAK}" if match[0].isdigit() else f"\\{match[0]}"
