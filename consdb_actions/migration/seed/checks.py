"""What CHECK constraints ask of single columns, as far as their text tells.

The text is what ``pg_get_constraintdef`` prints: fully parenthesised, with casts. Comparisons with constants,
lists, lengths, ``IS [NOT] NULL`` and comparisons of two columns are understood; the rest is left to the
database, which refuses the row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from consdb_actions.migration.seed.conditions import Node, parse_condition

__all__ = ["Limits", "Order", "read_checks"]

_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "<>": "<>"}


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
        _apply(parse_condition(definition), limits, orders)
    return limits, orders


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
        found = _limits(limits, node[1])
        found.choices, found.not_null = (node[2],), found.not_null or node[3]
    elif kind == "null":
        found = _limits(limits, node[1])
        found.always_null, found.not_null = node[2], found.not_null or not node[2]
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
