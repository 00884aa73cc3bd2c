"""Rows of tables as texts, the way the seeding, the database and the comparison exchange them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Rows", "TableRows"]


@dataclass(frozen=True)
class TableRows:
    """Rows of one table; a value is the text that Postgres prints or reads, None is NULL.

    Attributes
    ----------
    table
        Its name.
    columns
        Names, in the order of the values.
    types
        The columns' types, as ``format_type`` prints them.
    rows
        The values.
    """

    table: str
    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...] = ()


Rows = Mapping[str, TableRows]
"""Rows by table."""
