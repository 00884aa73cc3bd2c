"""Rows of tables as texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Rows", "TableRows"]


@dataclass(frozen=True)
class TableRows:
    """Rows of one table; a value is Postgres's text, None is NULL."""

    table: str
    columns: tuple[str, ...]
    """Names, in the order of the values."""
    types: tuple[str, ...]
    """The columns' types, as ``format_type`` prints them."""
    rows: tuple[tuple[str | None, ...], ...] = ()


Rows = Mapping[str, TableRows]
"""Rows by table."""
