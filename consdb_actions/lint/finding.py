"""Findings of lint, and their acknowledgement."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from consdb_actions.forms import Public
from consdb_actions.lint.script import Direction
from consdb_actions.schema.findings import Severity

_LISTED = 8

_ORDER = ("error", "warning", "info")


@dataclass(frozen=True, slots=True)
class LintRule:
    """A rule of lint."""

    id: str  # Name in the configuration and in acknowledgements
    severity: Severity
    summary: str  # What it finds, as a sentence
    doc: str  # When it matters and when not, in Markdown
    remedy: str


@dataclass(frozen=True, slots=True)
class Hit:
    """One place where a rule found something."""

    line: int
    message: str  # ``{items}`` is replaced by ``item``, or by those of all joined hits
    direction: Direction | None = None
    table: str = ""  # The table or view, with its schema
    item: str = ""
    lock: str = ""  # The lock that Postgres takes, if relevant
    sql: str = ""
    minor: bool = False  # Whether the finding is ``info`` whatever the rule's severity


@dataclass(frozen=True, slots=True)
class LintFinding(Public):
    """The result of a rule for a table or the whole revision (rule L3)."""

    PUBLIC: ClassVar[str] = (
        "rule severity judged section revision file line lines direction table lock message remedy "
        "statement acknowledged"
    )

    rule: str
    severity: Literal["error", "warning", "info"]
    file: str
    section: str
    revision: str
    message: str
    remedy: str
    lines: tuple[int, ...]  # All lines concerned; it is shown at the first
    direction: Direction | None = None
    table: str = ""
    lock: str = ""
    sql: str = ""
    acknowledged: str | None = None  # Reason in the file; None without an acknowledgement

    @property
    def line(self) -> int:
        """The line where it is shown."""
        return self.lines[0]

    @property
    def judged(self) -> bool:
        """Whether lint can tell what it does; if not, it may be harmful."""
        return self.rule != "not-judged"

    @property
    def statement(self) -> str:
        """The beginning of the SQL; may be empty."""
        return self.sql[:400]


def merged(hits: Sequence[Hit]) -> str:
    """Return one message for several hits."""
    items: dict[str, dict[str, None]] = {}
    for hit in hits:
        items.setdefault(hit.message, {}).update({hit.item: None} if hit.item else {})
    return "; ".join(
        message.replace("{items}", listed(found) if found else "") for message, found in items.items()
    )


def listed(names: Iterable[object]) -> str:
    """List names, with a limit."""
    texts = [str(name) for name in names]
    rest = f" and {len(texts) - _LISTED} more" if len(texts) > _LISTED else ""
    return ", ".join(texts[:_LISTED]) + rest


@dataclass(frozen=True, slots=True)
class CheckedRevision:
    """A revision that was checked."""

    section: str
    revision: str
    file: str


@dataclass(frozen=True, slots=True)
class LintResult(Public):
    """The result of a lint run."""

    FORMAT: ClassVar[str] = "consdb-actions/lint/2"
    PUBLIC: ClassVar[str] = "selection counts revisions findings notes"

    revisions: tuple[CheckedRevision, ...]
    findings: tuple[LintFinding, ...]  # All findings, also acknowledged ones
    selection: str  # Description of the chosen revisions
    notes: tuple[str, ...] = ()

    @property
    def open(self) -> tuple[LintFinding, ...]:
        """The findings without acknowledgement, most severe first."""
        waiting = [f for f in self.findings if f.acknowledged is None]
        return tuple(sorted(waiting, key=lambda f: _ORDER.index(f.severity)))

    @property
    def acknowledged(self) -> tuple[LintFinding, ...]:
        """The acknowledged findings."""
        return tuple(f for f in self.findings if f.acknowledged is not None)

    @property
    def counts(self) -> dict[str, int]:
        """The number of open findings of each severity."""
        return {severity: self.count(severity) for severity in _ORDER}

    def count(self, severity: str) -> int:
        """Return the number of open findings of a severity."""
        return sum(f.severity == severity for f in self.open)


_COMMENT = re.compile(r"#\s*consdb:\s*(?P<verb>[\w-]*)\s*(?P<rest>.*)", re.DOTALL)

_ACK = re.compile(r"(?P<rule>[\w-]+)\s*(?::\s*(?P<reason>.*\S))?\s*:?\s*", re.DOTALL)


Span = tuple[int, int]  # First and last line of a statement; of a compound statement those of its head


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """One comment."""

    line: int
    first: int  # First and last line that it covers
    last: int
    rule: str  # Empty where the comment cannot be read
    reason: str  # Empty where none is given


def spans(source: str) -> list[Span]:
    """Return the statements of a file, also those within functions, in order."""
    out = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.stmt):
            last = node.end_lineno or node.lineno
            if hasattr(node, "body"):
                last = max([node.lineno, *_ends_of_head(node)])
            out.append((node.lineno, last))
    return sorted(out)


def _ends_of_head(node: ast.stmt) -> Iterator[int]:
    for name, value in ast.iter_fields(node):
        if name not in ("body", "orelse", "finalbody", "handlers", "cases", "decorator_list"):
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, ast.AST):
                    yield from (getattr(part, "end_lineno", None) or 0 for part in ast.walk(item))


def acknowledgements(source: str) -> tuple[Acknowledgement, ...]:
    """Return the acknowledgements of a file, in order."""
    if "consdb:" not in source:  # parsing takes much longer than searching
        return ()
    statements = spans(source)
    lines = source.splitlines()
    out = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        found = _COMMENT.fullmatch(token.string.strip()) if token.type == tokenize.COMMENT else None
        if found is None or found["verb"] not in ("ack", "acknowledge"):
            continue
        target = line = token.start[0]
        column = token.start[1]
        if not lines[line - 1][:column].strip():
            inside = any(first < line <= last for first, last in statements)
            target = line if inside else _next_code_line(lines, line)
        around = [span for span in statements if span[0] <= target <= span[1]]
        innermost = min(around, key=lambda span: span[1] - span[0], default=(target, target))
        match = _ACK.fullmatch(found["rest"].strip())
        rule, reason = (match["rule"], match["reason"] or "") if match else ("", "")
        out.append(Acknowledgement(line, *innermost, rule, reason))
    return tuple(out)


def _next_code_line(lines: list[str], line: int) -> int:
    """Return the line after a block of comments; an empty line ends the block."""
    for number in range(line + 1, len(lines) + 1):
        text = lines[number - 1].strip()
        if not text.startswith("#"):
            return number if text else line
    return line
