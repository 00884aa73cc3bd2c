"""A new table that is not replicated."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint.actions import Publish
from consdb_actions.migration.lint.finding import Hit, Rule, at
from consdb_actions.migration.lint.script import Script

__all__ = ["RULE", "check"]

RULE = Rule(
    id="table-without-publication",
    severity="warning",
    summary="A new table is not in the publication.",
    doc="""\
The replica at USDF gets only the tables that the publication at the Summit names. A new one has to be
added there (with its grants, in the replica's SQL files and in the list of tables that a rebuild
truncates), usually by a ticket. The acknowledgement is the place to say which:

```python
# consdb: ack table-without-publication: IHS-1234
op.create_table(
```

Schemas that are written at USDF (`efd_*`) are not replicated, so that nothing is said about them.""",
    safe="Write the ticket for the publication and name it: `# consdb: ack "
    "table-without-publication: TICKET`",
)


def check(script: Script) -> Iterator[Hit]:
    """Yield the tables of the upgrade that no publication gains."""
    run = script.upgrade
    if script.version_schema != "cdb":
        return
    published = [a for step in run.steps for a in step.actions if isinstance(a, Publish)]
    for name in sorted(run.fresh):
        if name not in run.end.tables or not script.own(name) or name in run.start.tables:
            continue
        if any(p.everything or name in p.tables or name.schema in p.schemas for p in published):
            continue
        step = run.made_at(name)
        if step is not None:
            yield at(step, "upgrade", f"table {name} is new, and no publication gains it", name)
