"""Build HTML with all text escaped (rule S5)."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import TypeAlias

from consdb_actions.report.markdown import printable

__all__ = [
    "Html",
    "Part",
    "day",
    "element",
    "isolated",
    "joined",
    "link",
    "prose",
    "separated",
    "spoken",
    "text",
]

_ADDRESS = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[^\s<>\"'\\]*)?")
_BACKQUOTED = re.compile(r"(`+)(.+?)(?<!`)\1(?!`)")


class Html(str):
    """Markup that is already escaped."""

    __slots__ = ()


Part: TypeAlias = "str | Iterable[Part] | None"  # Text, an element, nothing, or several of them

Value: TypeAlias = "str | int | bool | None"


def text(value: str) -> Html:
    """Escape a text: no markup, no line break, no invisible characters."""
    return Html(html.escape(printable(value)))


def element(name: str, *children: Part, **attributes: Value) -> Html:
    """Build an element."""
    return Html(f"<{name}{_attributes(attributes)}>{joined(children)}</{name}>")


def _attributes(values: Mapping[str, Value]) -> str:
    parts = []
    for name, value in values.items():
        if value is None or value is False:
            continue
        label = name.rstrip("_").replace("_", "-")
        parts.append(f" {label}" if value is True else f' {label}="{text(str(value))}"')
    return "".join(parts)


def joined(parts: Iterable[Part]) -> Html:
    """Join several parts; anything but `Html` is escaped."""
    found = []
    for part in parts:
        if isinstance(part, Html):
            found.append(str(part))
        elif isinstance(part, str):
            found.append(text(part))
        elif part is not None:
            found.append(joined(part))
    return Html("".join(found))


def link(words: Part, address: str, **attributes: Value) -> Html:
    """Build a link; only its text without an http(s) URL."""
    if not _ADDRESS.fullmatch(address):
        return element("span", words, **attributes)
    return element("a", words, href=address, **attributes)


def separated(parts: Iterable[Part], between: str) -> list[Part]:
    """Put a separator between parts."""
    found: list[Part] = []
    for part in parts:
        found += [between, part] if found else [part]
    return found


def isolated(words: str) -> Html:
    """Isolate the writing direction of a text."""
    return element("bdi", words)


def prose(words: str) -> Html:
    """Convert a sentence of ours, with code in backquotes."""
    parts: list[Part] = []
    line, end = printable(words), 0
    for match in _BACKQUOTED.finditer(line):
        parts += [line[end : match.start()], element("code", match[2])]
        end = match.end()
    return joined([*parts, line[end:]])


def spoken(words: str) -> Html:
    """Build text for screen readers only."""
    return element("span", words, class_="spoken")


def day(moment: datetime | date | None) -> Html:
    """Format a day, of a time in UTC."""
    if moment is None:
        return text("an unknown day")
    if isinstance(moment, datetime):
        moment = moment.astimezone(UTC).date()
    words = moment.isoformat()
    return element("time", words, datetime=words)
