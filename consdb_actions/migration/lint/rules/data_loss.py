"""Data that the upgrade removes."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.finding import Hit, Rule, at
from consdb_actions.migration.lint.locks import EXCLUSIVE
from consdb_actions.migration.lint.losses import losses
from consdb_actions.migration.lint.script import Script

__all__ = ["RULE", "check"]

RULE = Rule(
    id="data-loss",
    severity="error",
    summary="The upgrade removes data.",
    doc="""\
Dropping a column or a table that was there before the revision, and deleting rows, cannot be undone: the
downgrade brings back the column, not its values. Somebody has to say in the file that this is meant:

```python
# consdb: ack data-loss: DM-12345, never filled; agreed with the quicklook team
op.drop_column("exposure_quicklook", "guider_t_mean", schema="cdb_lsstcam")
```

A column whose values an UPDATE or INSERT of the same revision carries elsewhere first is moved, not lost.""",
    safe="Copy what is still wanted first, and acknowledge the loss with a reason: `# consdb: ack "
    "data-loss: REASON`",
)


def check(script: Script) -> Iterator[Hit]:
    """Yield what the upgrade removes."""
    for loss in losses(script.upgrade):
        words = f"{loss.what} is lost, and the downgrade cannot bring it back"
        yield at(loss.step, "upgrade", words, loss.table, lock=EXCLUSIVE)
