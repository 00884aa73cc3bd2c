"""Adjust a finished row to what ties its columns together, or ties it to other rows."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from consdb_actions.migration.seed.table import TablePlan

__all__ = ["Row", "agree", "put_in_order"]

Row = dict[str, str | None]


def put_in_order(row: Row, table: TablePlan) -> None:
    """Exchange values of two columns that a CHECK compares the other way round, or take one out."""
    for _ in table.orders:
        for order in table.orders:
            small, large = row[order.small], row[order.large]
            if (
                small is None
                or large is None
                or _above(large, small)
                or (small == large and not order.strict)
            ):
                continue
            free = {order.small, order.large} - table.bound
            if len(free) == 2 and small != large:
                row[order.small], row[order.large] = large, small
            elif free & table.nullable:
                row[min(free & table.nullable)] = None


def agree(row: Row, table: TablePlan, earlier: list[Row]) -> None:
    """Take over values of an earlier row that shares the key to which they will move."""
    for column, key in table.same:
        if column in table.bound:
            continue
        for other in earlier:
            if all(row[c] == other[c] for c in key):
                row[column] = other[column]
                break


def _above(a: str, b: str) -> bool:
    try:
        return Decimal(a) > Decimal(b)
    except InvalidOperation:
        return a > b
