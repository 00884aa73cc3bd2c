"""A primary key or unique constraint whose index is built while nobody can use the table."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.actions import AddColumn, AddConstraint, Constraint
from consdb_actions.migration.lint.finding import Hit, Rule, at
from consdb_actions.migration.lint.locks import EXCLUSIVE
from consdb_actions.migration.lint.script import Script

__all__ = ["RULE", "check"]

_KINDS = {
    "primary": "a primary key",
    "unique": "a unique constraint",
    "exclude": "an exclusion constraint",
}

RULE = Rule(
    id="key-under-lock",
    severity="warning",
    summary="The index of a primary key or unique constraint is built while nobody can use the table.",
    doc="""\
`ADD PRIMARY KEY` and `ADD UNIQUE` sort the whole table into a new index and keep it closed until that is
done. The index can be built beside the running system first:

```python
with op.get_context().autocommit_block():
    op.execute("CREATE UNIQUE INDEX CONCURRENTLY t_new ON s.t (day_obs, seq_num)")
op.execute("ALTER TABLE s.t ADD CONSTRAINT t_pkey PRIMARY KEY USING INDEX t_new")
```

A primary key also makes its columns NOT NULL, which reads the table once more where they are nullable.""",
    safe="`CREATE UNIQUE INDEX CONCURRENTLY` in an autocommit block, then `ADD CONSTRAINT ... USING INDEX`.",
)


def check(script: Script) -> Iterator[Hit]:
    """Yield the keys of the upgrade whose index is built on a table with rows."""
    for step in script.upgrade.steps:
        for action in step.actions:
            constraints: tuple[Constraint, ...]
            if isinstance(action, AddConstraint):
                constraints = (action.constraint,)
            elif isinstance(action, AddColumn):
                constraints = action.constraints
            else:
                continue
            for constraint in constraints if step.is_filled(action.table) else ():
                if constraint.kind in _KINDS and not constraint.index:
                    name = constraint.name or _KINDS[constraint.kind]
                    words = f"{name} builds its index over all of {action.table} while nobody can use it"
                    yield at(step, "upgrade", words, action.table, lock=EXCLUSIVE)
