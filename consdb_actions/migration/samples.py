"""Deterministic sample values: edge cases of types, other spellings, values in conditions."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pglast

from consdb_actions.migration.types import BITS, NUMBERS, TypeKind, parse_type

_TEXTS = (
    'O\'Brien said "no"',
    "back\\slash \\N \\. \\x41",
    "100 % of %s and %(name)s",
    ":name ::text :1",
    "$1 $$ ${x} $tag$",
    "two\nlines\r\nand a\ttab",
    "Größe Ωμέγα 日本語 🔭",
    '"""; DROP TABLE x; --',
    " leading, {braces}, and/or <tags>&amp;",
)
# Texts that other types accept, and that no other type prints in the same way.
_READABLE = ("", "007", "yes", "blank at the end ", "2026-01-01 12:00:00+02", "NULL")
_SHORT = "aZ'\"\\%:$é0_Ω-\n;{}<>/[]()=+*?!.,|~^@#&`"
_LONG = "very long text: " + "0123456789 äöü " * 400
_QUOTED_IN_ARRAYS = re.compile(r'[{},"\\\s]')
_FLAGS = ("true", "false", "yes", "no", "t", "f", "1", "0", "on", "off", "TRUE")
_WORDS = (
    "a",
    "A",
    "ab",
    "AB",
    "abc",
    "ABC",
    "a1",
    "A1",
    "Ab1_x",
    "0",
    "1",
    "12",
    "123",
    "-1",
    "1.5",
    "a b",
    "",
)
_DAYS = ("2024-01-01", "2024-01-02 12:00:00", "2030-06-15")
_COUNTS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 24, 60, 100, 1000, 86400, 10**6, 10**9)
ANY_TYPE = (
    *("1", "0", "0101", "a", "A", "1.5", "{}", "{1}", "{a}", "()", "(1,2)", "[1,5)", "empty", "a=>1", "1.2"),
    *("10.0.0.0/8", "08:00:2b:01:02:03", "<a>1</a>", "2024-01-01", "[2024-01-01,2024-01-02)", '{"a": 1}'),
    *("12:34:56", "(1,2),(0,0)", "((0,0),(1,1),(1,0))", "<(1,2),3>", "{1,2,3}", "1 day", "0/1", "a & b"),
)
"""Texts of which most types accept at least one."""


def sample(type_: str, label: str, index: int, *, plain: bool = False) -> str | None:
    """Return a sample by label and index, ``plain`` for keys; None if the type is unknown."""
    kind = parse_type(type_)
    if kind.family is None:
        return None
    found = _value(kind, zlib.crc32(label.encode()), index, plain)
    if kind.dimensions:
        if not found or _QUOTED_IN_ARRAYS.search(found):
            found = '"' + found.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return "{" * kind.dimensions + found + "}" * kind.dimensions
    return found


def spelled(type_: str, target: str, label: str, index: int, *, plain: bool = False) -> str | None:
    """Return a sample of a column that becomes ``target``, in a spelling that changes."""
    source, kind = parse_type(type_), parse_type(target)
    value = sample(target, label, index, plain=True)
    if value is None or source.dimensions:
        return value
    if source.family == "bytea" and kind.family == "text":
        return "\\x" + value.encode().hex()
    if source.family != "text" or plain:
        return value
    if kind.family == "boolean":
        return _FLAGS[index % len(_FLAGS)]
    if kind.family in NUMBERS:
        return (value, f"00{value}", f" {value} ", f"+{value}")[index % 4] if value[0] != "-" else value
    if kind.family in {"timestamp", "date"}:
        return (value, f"{value.replace(' ', 'T')}+02", f" {value}", value[:19], f"{value[:19]}+02")[
            index % 5
        ]
    return f"{value} " if index % 2 else value


def _value(kind: TypeKind, mark: int, index: int, plain: bool) -> str:
    number = mark % 100000 + index * 100003
    match kind.family:
        case "text":
            return _text(63 // 4 if kind.name == "name" else kind.arguments[:1], mark, index, plain)
        case "integer" | "decimal" | "float":
            return _number(kind, mark, index, plain)
        case "boolean":
            return ("true", "false")[(mark + index) % 2]
        case "timestamp" | "date" | "time":
            return _moment(kind, mark, index, plain)
        case "interval":
            return f"{number % 400} days {number % 24:02}:{number % 60:02}:00.{number % 1000000:06}"
        case "bytea":
            return "\\x" + (f"00ff275c{number:08x}" if index % 2 else f"'é%\\ {number}".encode().hex())
        case "uuid":
            return f"{mark:08x}-0000-4000-8000-{index:012x}"
        case "json":
            # One member: jsonb keeps neither order nor spaces.
            return f'{{"it\'s \\"{number}\\" %": null}}'
        case "inet":
            return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}/32"
    # pgSphere normalizes its input; polygons in whole degrees do not change.
    size = 1 + index % 60
    return f"{{({mark % 200}d,0d),({mark % 200 + size}d,0d),({mark % 200 + size}d,{size}d)}}"


def _text(length: int | tuple[int, ...], mark: int, index: int, plain: bool) -> str:
    longest = length if isinstance(length, int) else next(iter(length), 10**6)
    if longest == 1:
        return _SHORT[(index + mark) % len(_SHORT)]
    slot = (index + mark) % (len(_TEXTS) + (0 if plain else len(_READABLE) + 1))
    if slot > len(_TEXTS):
        return _READABLE[slot - len(_TEXTS) - 1][:longest]
    end = f"{mark % 46656:x}.{index}"
    if longest <= len(end):
        end = str(index)
    start = _LONG if slot == len(_TEXTS) else _TEXTS[slot]
    return (start[: max(0, longest - len(end))] + end)[-longest:]


def _number(kind: TypeKind, mark: int, index: int, plain: bool) -> str:
    slot = 99 if plain else (index + mark) % 9
    small = mark % 10000 + index
    if kind.name in BITS:
        top = 2 ** BITS[kind.name]
        return str({0: 0 if kind.name == "oid" else -top, 1: top - 1}.get(slot, small))
    if kind.name == "numeric" and kind.arguments:
        digits, places = kind.arguments if len(kind.arguments) == 2 else (kind.arguments[0], 0)
        top = 10 ** min(digits, 38)
        unit = Decimal(1).scaleb(-places)
        number = {0: 1 - top, 1: top - 1}.get(slot, (small if plain else mark % 50000 + index * 7) % top)
        return f"{number * unit:f}"
    if kind.name == "numeric":
        edges = ("NaN", "12345678901234567890.123456789012345678", "-0.000000000000000000001")
        return edges[slot] if slot < len(edges) else f"{Decimal(small) / 8:f}"
    single = kind.name == "real"
    large, tiny = (
        ("1.234568e+37", "1.1754944e-38")
        if single
        else ("-1.2345678901234567e+300", "2.2250738585072014e-308")
    )
    extremes = ("NaN", "-Infinity", "-0", large, tiny)
    if slot < len(extremes):
        return extremes[slot]
    if single or plain:
        # Eighths below 10**5 print in full, in single precision too.
        value = (mark % 160001 - 80000 + index * 1009) / 8
    else:
        value = (mark % 1000003 - 500000 + index * 1000003) / 7
    return repr(value).removesuffix(".0")


def _moment(kind: TypeKind, mark: int, index: int, plain: bool) -> str:
    moment = datetime(2024, 1, 1) + timedelta(days=mark % 300 + index, seconds=mark % 86400)
    slot = 99 if plain else (index + mark) % 11
    if slot == 2 and kind.family != "time":
        return "infinity"
    moment = {0: datetime(1858, 11, 17), 1: datetime(9999, 12, 30, 23, 59, 58)}.get(slot, moment)
    precision = kind.arguments[0] if kind.arguments else 6
    digits = f"{(mark * 31 + index * 7919) % 1000000:06}"[:precision].rstrip("0")
    clock = moment.strftime("%H:%M:%S") + (f".{digits}" if digits else "")
    day = f"{moment.year:04}-{moment.month:02}-{moment.day:02}"
    zone = "+00" if kind.name.endswith("with time zone") else ""
    return (
        day
        if kind.family == "date"
        else f"{clock}{zone}"
        if kind.family == "time"
        else f"{day} {clock}{zone}"
    )


def mentioned(definition: str, type_: str, count: int) -> list[str]:
    """Return values around a condition's constants, ``count`` near each."""
    numbers, texts = _constants(definition)
    family = parse_type(type_).family
    out: list[str] = []
    if family in NUMBERS or family is None:
        signed = sorted({s * n for n in numbers for s in (1, -1)})
        near = [n + s * Decimal(k) for n in signed[:40] for k in range(count) for s in (1, -1)]
        some = signed[:12]
        close = [n + s * Decimal(1).scaleb(-k) for n in some for k in (1, 2, 3) for s in (1, -1)]
        between = [a + (b - a) * k / 8 for a, b in pairwise(signed[:40]) for k in range(1, 8)]
        joined = [v for a in some for b in some for v in (a + b, a * b)]
        counts = [Decimal(s * n) for n in _COUNTS for s in (1, -1)]
        out += [f"{n:f}" for n in (*signed, *counts[:12], *between, *close, *near, *joined, *counts[12:])]
    if family == "boolean":
        out += ["true", "false"]
    if family in {"timestamp", "date", "time"} or family is None:
        moments = sorted(filter(None, map(_read_moment, texts)))
        steps = [timedelta(days=1), timedelta(hours=1), timedelta(seconds=1), timedelta(microseconds=1)]
        found = [m + s * k * step for m in moments for step in steps for k in range(4) for s in (1, -1)]
        found += [a + (b - a) * k / 8 for a, b in pairwise(moments) for k in range(1, 8)]
        out += [*_DAYS, *map(str, found)]
    if family not in {*NUMBERS, "boolean", "timestamp", "date", "time"}:
        out += texts
        lengths = sorted({int(n) + s for n in numbers if 0 < n <= 1000 for s in (-1, 0, 1)})
        out += [v for t in texts for v in _matching(t)]
        out += _WORDS
        out += [v for t in texts for v in (t.upper(), t.lower(), t + "x", f"x{t}", t.strip())]
        out += [f"{k}".ljust(n, "x")[:n] for n in lengths for k in range(count)]
        out += [letter * n for n in lengths for letter in "aA1"]
    return list(dict.fromkeys(out))


def _read_moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.strip()).replace(tzinfo=None)
    except ValueError:
        return None


def _constants(sql: str) -> tuple[list[Decimal], list[str]]:
    numbers, texts = list[Decimal](), list[str]()
    raw = sql.encode()
    try:
        tokens = pglast.parser.scan(sql)
    except pglast.Error:
        return [], []
    for token in tokens:
        text = raw[token.start : token.end + 1].decode()
        if token.name in {"ICONST", "FCONST"}:
            numbers.append(Decimal(text))
        elif token.name == "SCONST" and text.startswith("$"):
            # The body of a function.
            inner = _constants(text.strip("$").partition("$")[2] if text[1] != "$" else text.strip("$"))
            numbers, texts = numbers + inner[0], texts + inner[1]
        elif token.name == "SCONST":
            value = text[text.index("'") + 1 : -1].replace("''", "'")
            texts.append(value.replace("\\\\", "\\") if text[0] in "eE" else value)
            if value.startswith("{") and value.endswith("}"):
                texts += [item.strip('"') for item in value[1:-1].split(",")]
    return list(dict.fromkeys(numbers)), list(dict.fromkeys(texts))


def _matching(text: str) -> Iterator[str]:
    """Return a constant, and texts that match it as a LIKE pattern or regular expression."""
    if "%" in text or "_" in text:
        for filler in ("", "x", "A1"):
            parts = re.split(r"(\\.|%|_)", text)
            yield "".join({"%": filler, "_": "x"}.get(p, p[1:] if p[:1] == "\\" else p) for p in parts)
    if re.search(r"[\^$\[\]()*+?|\\.]", text):
        for choice in range(4):
            yield _Pattern(text, choice).text()


class _Pattern:
    """Makes texts that match a simple regular expression; ``choice`` varies them."""

    def __init__(self, pattern: str, choice: int) -> None:
        self._pattern, self._choice, self._at = pattern, choice, 0

    def text(self) -> str:
        return self._alternatives()

    def _alternatives(self) -> str:
        found = [""]
        while self._at < len(self._pattern) and self._pattern[self._at] != ")":
            if self._pattern[self._at] == "|":
                found.append("")
                self._at += 1
            else:
                found[-1] += self._repeated(self._atom())
        self._at += 1
        return found[self._choice % len(found)]

    def _atom(self) -> str:
        character = self._pattern[self._at]
        self._at += 1
        if character == "(":
            self._at += 2 if self._pattern.startswith("?:", self._at) else 0
            return self._alternatives()
        if character == "[":
            return self._class()
        if character == "\\" and self._at < len(self._pattern):
            self._at += 1
            letter = self._pattern[self._at - 1]
            return {"d": "7", "w": "w", "s": " ", "m": "", "M": "", "y": "", "A": "", "Z": ""}.get(
                letter, letter
            )
        return {"^": "", "$": "", ".": "x"}.get(character, character)

    def _class(self) -> str:
        end = self._pattern.find("]", self._at + 1)
        body = self._pattern[self._at : end]
        self._at = end + 1 if end > 0 else len(self._pattern)
        if body.startswith("^"):
            return next((c for c in "xA0 _-" if c not in body), "é")
        if body.startswith("[:"):
            self._at += 1
            return {"digit": "7", "upper": "A", "space": " "}.get(body[2:].strip(":"), "a")
        body = re.sub(r"\\d", "0-9", re.sub(r"\\w", "a-z", body))
        parts = re.findall(r".-.|.", body)
        part = parts[self._choice % len(parts)] if parts else ""
        return part[::2][self._choice % 2] if len(part) == 3 else part

    def _repeated(self, atom: str) -> str:
        match = re.compile(r"\{(\d+)(,\d*)?\}|[*+?]").match(self._pattern, self._at)
        if match is None:
            return atom
        self._at = match.end()
        return atom * (int(match[1]) if match[1] else 1 + self._choice if match[0] != "?" else 1)
