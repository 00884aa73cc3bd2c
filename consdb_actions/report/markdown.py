"""Escape and build Markdown and Mermaid diagrams."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from urllib.parse import quote

from consdb_actions.redaction import UNSEEN
from consdb_actions.schema.delta import SchemaDelta, TableDelta
from consdb_actions.schema.model import Column, Schema, Table

Paint = Callable[[str, str], str]  # Colours a text: ``error``, ``warning``, ``ok``, ``name`` or ``dim``

COMMENT_LIMIT = 65_536  # Maximum length of a GitHub comment or body in characters

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


def unpainted(text: str, _kind: str) -> str:
    """Return a text without colour."""
    return text


def escape(text: str) -> str:
    """Escape a text for Markdown, on one line."""
    return _LEADING.sub(_lead, _inline(_one_line(text)))


def code(text: str, *, in_table: bool = False) -> str:
    """Return a code span on one line; empty text becomes quotes, bars in a table are escaped."""
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
    """Return a text as one line for a terminal, without control and direction characters."""
    return UNSEEN.sub("\ufffd", _BREAKS.sub(" ", text))


def plural(count: int, noun: str, many: str = "") -> str:
    """Return ``1 column`` or ``2 columns``."""
    return f"{count} {noun if count == 1 else many or noun + 's'}"


def cut(items: Iterable[str], most: int, rest: str = "and {} more") -> list[str]:
    """Return at most so many items, and how many others there are."""
    found = list(items)
    more = len(found) - most
    return [*found[:most], rest.replace("{}", str(more))] if more > 0 else found


def profile(html_url: str, login: str) -> str:
    """Return the URL of an account; `html_url` is that of a repository."""
    return f"{html_url.rsplit('/', 2)[0]}/{quote(login.removesuffix('[bot]'), safe='')}"


def person(html_url: str, login: str) -> str:
    """Return a link to a person; a mention would notify."""
    return f"[{escape(login)}]({profile(html_url, login)})"


def commit(html_url: str, sha: str) -> str:
    """Return a link to a commit of a repository."""
    return f"[{code(sha[:8])}]({html_url}/commit/{sha})"


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
    safe = safe.replace("<!-- consdb-actions", f"<{_BREAK}!-- consdb-actions")  # nothing literal is a marker
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


MAX_TABLES = 15

MAX_COLUMNS = 20


def er_diagram(
    before: Schema | None,
    after: Schema | None,
    delta: SchemaDelta,
    renamed: Mapping[tuple[str, str], str] | None = None,
) -> str:
    """Draw the changed tables and those that they reference."""
    lines: list[str] = []
    touched = _touched(before, after, delta)
    shown = dict(list(touched.items())[:MAX_TABLES])
    for table, change in shown.items():
        lines.append(f"  {_word(table.name)} {{")
        lines += [f"    {line}" for line in _columns(table, change, renamed or {}, delta)]
        lines.append("  }")
    lines += [f"  {line}" for line in _relations(list(shown))]
    return "\n".join(["erDiagram", *lines]) if shown else ""


def _touched(
    before: Schema | None, after: Schema | None, delta: SchemaDelta
) -> dict[Table, TableDelta | None]:
    """Return the tables to draw; None for a new or dropped one."""
    tables: dict[Table, TableDelta | None] = {}
    for changed in delta.tables_changed:
        if after is not None:
            tables[after.table(changed.name)] = changed
    tables.update(dict.fromkeys(delta.tables_added))
    tables.update(dict.fromkeys(delta.tables_removed))
    return tables


def _columns(
    table: Table, change: TableDelta | None, renamed: Mapping[tuple[str, str], str], delta: SchemaDelta
) -> Iterator[str]:
    """Yield the key of a table and its changed columns, with the changes."""
    marks: dict[str, str] = {}
    if change is None:
        mark = "removed" if table in delta.tables_removed else "new"
        marks = dict.fromkeys(table.column_names, mark)
    else:
        for changed in change.columns_changed:
            what = changed.structure or changed.text
            marks[changed.name] = ", ".join(item.attribute.replace("_", " ") for item in what)
        marks.update((column.name, "new") for column in change.columns_added)
    columns: list[tuple[Column, str]] = [
        (column, marks.get(column.name, ""))
        for column in table.columns
        if column.name in marks or column.name in table.primary_key
    ]
    gone = {old for (name, _), old in renamed.items() if name == table.name}
    if change is not None:
        columns += [(column, "removed") for column in change.columns_removed if column.name not in gone]
    for column, mark in columns[:MAX_COLUMNS]:
        old = renamed.get((table.name, column.name))
        comment = re.sub(r"[^A-Za-z0-9_ ,]", "", f"was {_word(old)}" if old else mark)
        key = " PK" if column.name in table.primary_key else ""
        note = f' "{comment}"' if comment else ""
        yield f"{_word(column.datatype or 'unknown')} {_word(column.name)}{key}{note}"
    if len(columns) > MAX_COLUMNS:
        yield f"columns and_{len(columns) - MAX_COLUMNS}_more"


def _relations(tables: list[Table]) -> Iterator[str]:
    pairs: dict[tuple[str, str], list[str]] = {}
    for table in tables:
        for key in table.foreign_keys:
            pairs.setdefault((key.referenced_table, table.name), []).append(", ".join(key.columns))
    for (parent, child), columns in pairs.items():
        label = _label(columns[0]) if len(columns) == 1 else f"{len(columns)} foreign keys"
        yield f'{_word(parent)} ||--o{{ {_word(child)} : "{label}"'


def _word(name: str) -> str:
    word = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return word if word[:1].isalpha() else f"x{word}"


def _label(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_ ,]", "_", text)
