"""Data that the downgrade removes."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.finding import Hit, Rule, at
from consdb_actions.migration.lint.losses import losses
from consdb_actions.migration.lint.script import Script

__all__ = ["RULE", "check"]

_SHOWN = 6

RULE = Rule(
    id="downgrade-loss",
    severity="info",
    summary="The downgrade removes what was written since the upgrade.",
    doc="""\
Taking a new column away again loses what was written there meanwhile. That is in the nature of a
downgrade, and is noted once for each revision so that an operator knows it.""",
    safe="Save what is needed before a downgrade on a database in use.",
)


def check(script: Script) -> Iterator[Hit]:
    """Yield one hit for everything that the downgrade removes."""
    found = list(losses(script.downgrade))
    if not found:
        return
    columns: dict[str, list[str]] = {}
    others = []
    for loss in found:
        if loss.column:
            columns.setdefault(str(loss.table), []).append(loss.column)
        else:
            others.append(loss.what)
    listed = [f"{_some(names)} of {table}" for table, names in columns.items()]
    words = f"what was written since the upgrade is lost: {'; '.join([*others, *listed])}"
    yield at(found[0].step, "downgrade", words, *dict.fromkeys(loss.table for loss in found))


def _some(names: list[str]) -> str:
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{rest}"
