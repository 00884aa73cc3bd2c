"""Which values survive all the types that a column has, will have, or shares with others."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from consdb_actions.migration.kinds import BITS, NUMBERS, parse_type
from consdb_actions.migration.seed.checks import Limits
from consdb_actions.migration.seed.values import Domain

__all__ = ["domain_of"]


def domain_of(types: Sequence[str], *, limits: Limits | None = None, plain: bool = False) -> Domain | None:
    """Return the values that survive all of some types.

    Parameters
    ----------
    types
        The column's own type first, then those that it, or a column that refers to it, has or will have.
    limits
        What CHECK constraints ask.
    plain
        Without extremes.

    Returns
    -------
    Domain or None
        None for a type that nothing is known of.
    """
    kinds = [parse_type(t) for t in dict.fromkeys(types)]
    own = kinds[0]
    if own.family is None:
        return None
    kinds = [k for k in kinds if k.family is not None and k.dimensions == own.dimensions]
    families = {k.family for k in kinds if k.family is not None}
    family = _common(own.family, families)
    mixed = len({k.name for k in kinds}) > 1
    low = high = None
    scale: int | None = None
    for kind in kinds:
        if kind.family not in NUMBERS:
            continue
        if kind.family == "integer":
            top = (
                Decimal(10) ** kind.arguments[0] if kind.name == "numeric" else Decimal(2) ** BITS[kind.name]
            )
            bottom = Decimal(0) if kind.name == "oid" else (1 - top if kind.name == "numeric" else -top)
            low, high = _tighter(low, high, bottom, top - 1)
            scale = 0
        elif kind.arguments:
            digits, places = kind.arguments
            low, high = _tighter(
                low, high, 1 - Decimal(10) ** (digits - places), Decimal(10) ** (digits - places) - 1
            )
            scale = places if scale is None else min(scale, places)
        elif kind.name == "numeric" and not mixed:
            scale = 12
    lengths = [k.arguments[0] for k in kinds if k.family == "text" and k.arguments]
    # A name has 63 bytes, whatever its characters need.
    lengths += [15 for k in kinds if k.name == "name"]
    length = min(lengths, default=None)
    if family in {"integer", "float", "decimal"} and mixed:
        digits = 6 if length is None else max(1, min(6, length - 1))
        low, high = _tighter(low, high, Decimal(0), Decimal(10) ** digits - 1)
        if length is not None and length < 12:
            scale = 0
    if family == "timestamp" and length is not None and length < len("2024-01-01 00:00:00"):
        family = "date"
    precisions = [k.arguments[0] for k in kinds if k.family in {"timestamp", "time"} and k.arguments]
    return Domain(
        own,
        family,
        low,
        high,
        scale,
        single=mixed and family in NUMBERS,
        length=length,
        precision=min([*precisions, 6 if length is None or length > 25 else 0]),
        plain=plain or mixed,
        limits=limits,
    )


def _common(own: str, families: set[str]) -> str:
    """Return whose values can be read as any of these; the column's own where nothing can."""
    rest = families - {"text"}
    if not rest:
        return "text"
    if len(rest) == 1:
        return next(iter(rest))
    if rest <= NUMBERS | {"boolean"}:
        return "boolean" if "boolean" in rest else "integer" if "integer" in rest else "float"
    if rest == {"timestamp", "date"}:
        return "date"
    return own


def _tighter(
    low: Decimal | None, high: Decimal | None, bottom: Decimal, top: Decimal
) -> tuple[Decimal, Decimal]:
    return bottom if low is None else max(low, bottom), top if high is None else min(high, top)
