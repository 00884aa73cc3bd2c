"""What CHECK constraints ask of single columns, as far as their text tells.

The text is what ``pg_get_constraintdef`` prints: fully parenthesised, with casts. Comparisons with constants,
lists, lengths, ``IS [NOT] NULL`` and comparisons of two columns are understood; the rest is left to the
database, which refuses the row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

__all__ = ["Limits", "Order", "read_checks"]

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>[eE]?'(?:[^']|'')*')|(?P<quoted>"(?:[^"]|"")+")|(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)
    |(?P<word>[^\W\d][\w$]*)|(?P<op>::|<>|!=|<=|>=|[-+*/%~!@\#^&|<>=]+)|(?P<punct>[()\[\],.]))""",
    re.VERBOSE,
)
_TYPE_WORDS = frozenset({"varying", "precision", "without", "with", "time", "zone"})
_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "<>": "<>"}
_LENGTHS = frozenset({"char_length", "character_length", "length", "octet_length"})

Node = tuple[Any, ...]
_UNKNOWN: Node = ("unknown",)


@dataclass
class Limits:
    """What the values of one column must satisfy; bounds are texts as the constraint has them."""

    low: str | None = None
    high: str | None = None
    low_open: bool = False
    high_open: bool = False
    choices: tuple[str, ...] | None = None
    excluded: set[str] = field(default_factory=set)
    not_null: bool = False
    always_null: bool = False
    shortest: int = 0
    longest: int | None = None

    def joined(self, other: Limits) -> Limits:
        """Return the limits that satisfy both."""
        low, low_open = _tighter((self.low, self.low_open), (other.low, other.low_open), 1)
        high, high_open = _tighter((self.high, self.high_open), (other.high, other.high_open), -1)
        choices = self.choices if other.choices is None else other.choices
        if self.choices is not None and other.choices is not None:
            choices = tuple(c for c in self.choices if c in other.choices) or self.choices
        longest = [size for size in (self.longest, other.longest) if size is not None]
        return Limits(
            low=low,
            high=high,
            low_open=low_open,
            high_open=high_open,
            choices=choices,
            excluded=self.excluded | other.excluded,
            not_null=self.not_null or other.not_null,
            always_null=self.always_null or other.always_null,
            shortest=max(self.shortest, other.shortest),
            longest=min(longest, default=None),
        )


def _tighter(a: tuple[str | None, bool], b: tuple[str | None, bool], sign: int) -> tuple[str | None, bool]:
    if a[0] is None or b[0] is None:
        return b if a[0] is None else a
    try:
        x, y = sign * Decimal(a[0]), sign * Decimal(b[0])
    except InvalidOperation:
        # Moments in ISO form sort as texts.
        return (max if sign > 0 else min)(a, b)
    return max((x, a[1], a), (y, b[1], b))[2]


@dataclass(frozen=True)
class Order:
    """A comparison of two columns: the value of ``small`` is below that of ``large``."""

    small: str
    large: str
    strict: bool


def read_checks(definitions: Iterable[str]) -> tuple[dict[str, Limits], list[Order]]:
    """Read CHECK constraints.

    Parameters
    ----------
    definitions
        Texts of ``pg_get_constraintdef``.

    Returns
    -------
    tuple
        Limits by column, and comparisons between columns.
    """
    limits: dict[str, Limits] = {}
    orders: list[Order] = []
    for definition in definitions:
        tokens = _tokens(definition.removeprefix("CHECK").strip())
        _apply(_Parser(tokens).expression(), limits, orders)
    return limits, orders


def _tokens(text: str) -> list[tuple[str, str]]:
    out = []
    position = 0
    while match := _TOKEN.match(text, position):
        position = match.end()
        kind = match.lastgroup or ""
        out.append((kind, match[kind]))
    return out


class _Parser:
    """Recursive descent over the little of SQL that is needed."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0

    def _peek(self, offset: int = 0) -> tuple[str, str]:
        index = self._at + offset
        return self._tokens[index] if index < len(self._tokens) else ("end", "")

    def _take(self, text: str) -> bool:
        kind, found = self._peek()
        if kind in {"word", "op", "punct"} and found.upper() == text:
            self._at += 1
            return True
        return False

    def expression(self) -> Node:
        parts = [self._conjunction()]
        while self._take("OR"):
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else ("or", parts)

    def _conjunction(self) -> Node:
        parts = [self._negation()]
        while self._take("AND"):
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else ("and", parts)

    def _negation(self) -> Node:
        if self._take("NOT"):
            inner = self._negation()
            return ("is", inner[1], "false") if inner[0] == "column" else _UNKNOWN
        return self._comparison()

    def _comparison(self) -> Node:
        left = self._operand()
        while True:
            if self._take("IS"):
                negated = self._take("NOT")
                word = self._peek()[1].lower()
                self._at += 1
                if left[0] != "column":
                    left = _UNKNOWN
                elif word == "null":
                    left = ("null", left[1], not negated)
                elif word in {"true", "false"} and not negated:
                    left = ("is", left[1], word)
                else:
                    left = _UNKNOWN
                continue
            kind, text = self._peek()
            if kind != "op":
                return left
            self._at += 1
            operator = "<>" if text == "!=" else text
            if self._take("ANY") or self._take("ALL"):
                left = ("list", operator, left, self._operand())
            else:
                left = ("compare", operator, left, self._operand())

    def _operand(self) -> Node:
        node = self._atom()
        while self._take("::"):
            self._type()
        return node

    def _type(self) -> None:
        self._at += 1
        while self._peek()[1] in _TYPE_WORDS or self._peek()[1] == ".":
            self._at += 2 if self._peek()[1] == "." else 1
        if self._peek()[1] == "(" and self._peek(1)[0] == "number":
            while self._peek()[0] != "end" and not self._take(")"):
                self._at += 1
            while self._peek()[1] in _TYPE_WORDS:
                self._at += 1
        while self._take("["):
            self._take("]")

    def _atom(self) -> Node:
        kind, text = self._peek()
        self._at += 1
        if kind == "punct" and text == "(":
            inner = self.expression()
            while self._take(","):
                self.expression()
                inner = _UNKNOWN
            self._take(")")
            return inner
        if kind == "string":
            return ("value", text[text.index("'") + 1 : -1].replace("''", "'"))
        if kind == "number":
            return ("value", text)
        if kind == "op" and text in {"-", "+"}:
            inner = self._operand()
            return ("value", f"-{inner[1]}" if text == "-" else inner[1]) if inner[0] == "value" else _UNKNOWN
        if kind == "quoted":
            return ("column", text[1:-1].replace('""', '"'))
        if kind != "word":
            return _UNKNOWN
        if text == "ARRAY" and self._take("["):
            return self._array()
        if self._take("("):
            return self._call(text)
        if text in {"true", "false"}:
            return ("value", text)
        return ("column", text)

    def _array(self) -> Node:
        items = []
        while self._peek()[0] != "end" and not self._take("]"):
            items.append(self._operand())
            self._take(",")
        if all(item[0] == "value" for item in items):
            return ("array", tuple(item[1] for item in items))
        return _UNKNOWN

    def _call(self, name: str) -> Node:
        arguments = []
        while self._peek()[0] != "end" and not self._take(")"):
            arguments.append(self.expression())
            self._take(",")
        if name in _LENGTHS and len(arguments) == 1 and arguments[0][0] == "column":
            return ("length", arguments[0][1])
        return _UNKNOWN


def _apply(node: Node, limits: dict[str, Limits], orders: list[Order]) -> None:
    kind = node[0]
    if kind == "and":
        for part in node[1]:
            _apply(part, limits, orders)
    elif kind == "or":
        # One alternative is enough; one that is understood and leaves a value is the best.
        ranked = sorted(node[1], key=lambda part: (part[0] == "unknown", part[0] == "null" and part[2]))
        _apply(ranked[0], limits, orders)
    elif kind == "column":
        _limits(limits, node[1]).choices = ("true",)
    elif kind == "is":
        _limits(limits, node[1]).choices = (node[2],)
    elif kind == "null":
        found = _limits(limits, node[1])
        found.always_null, found.not_null = node[2], not node[2]
    elif kind == "list":
        _apply_list(node, limits)
    elif kind == "compare":
        _apply_comparison(node, limits, orders)


def _limits(limits: dict[str, Limits], column: str) -> Limits:
    return limits.setdefault(column, Limits())


def _apply_list(node: Node, limits: dict[str, Limits]) -> None:
    _, operator, left, right = node
    if left[0] != "column" or right[0] not in {"array", "value"}:
        return
    values = right[1] if right[0] == "array" else tuple(v.strip('"') for v in right[1].strip("{}").split(","))
    if operator == "=":
        _limits(limits, left[1]).choices = values
    elif operator == "<>":
        _limits(limits, left[1]).excluded.update(values)


def _apply_comparison(node: Node, limits: dict[str, Limits], orders: list[Order]) -> None:
    _, operator, left, right = node
    if operator not in _FLIPPED:
        return
    if left[0] == "value":
        left, right, operator = right, left, _FLIPPED[operator]
    if left[0] == "column" and right[0] == "column" and operator not in {"=", "<>"}:
        small, large = (left[1], right[1]) if operator in {"<", "<="} else (right[1], left[1])
        orders.append(Order(small, large, strict=operator in {"<", ">"}))
    if right[0] != "value":
        return
    if left[0] == "column":
        found, bound = _limits(limits, left[1]), right[1]
        if operator == "=":
            found.choices = (bound,)
        elif operator == "<>":
            found.excluded.add(bound)
        elif operator in {">", ">="}:
            found.low, found.low_open = _tighter((found.low, found.low_open), (bound, operator == ">"), 1)
        else:
            found.high, found.high_open = _tighter(
                (found.high, found.high_open), (bound, operator == "<"), -1
            )
    elif left[0] == "length" and right[1].isdigit():
        found, size = _limits(limits, left[1]), int(right[1])
        if operator in {">", ">=", "="}:
            found.shortest = size + (operator == ">")
        if operator in {"<", "<=", "="}:
            found.longest = size - (operator == "<")
        if operator == "<>" and size == 0:
            found.shortest = 1
