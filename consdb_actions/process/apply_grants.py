"""The checks before a migration that are about privileges and roles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from consdb_actions.process.apply_facts import ApplyCheck, DatabaseFacts, SectionFacts
from consdb_actions.process.runbook_change import SectionChange
from consdb_actions.process.runbook_sql import table

__all__ = ["kept_grants", "new_grants", "roles_there"]

_MOST = 15


def kept_grants(change: SectionChange, facts: SectionFacts) -> Iterator[ApplyCheck]:
    """Find privileges of views that the revision does not give back when it makes them again."""
    given = set(change.forward.grants)
    lost = []
    for view in change.forward.remade_views:
        relation = facts.snapshot.relations.get(view.name)
        lost += [
            f"GRANT {grant.privilege} ON {table(view)} TO {grant.grantee};"
            for grant in (sorted(relation.grants) if relation else ())
            if (view, grant.grantee, grant.privilege) not in given
        ]
    if lost:
        yield ApplyCheck(
            "grants",
            "refused",
            f"{change.section}: views that are made again lose privileges that they have here",
            "Put these statements into the revision; or go on with --accept grants, and run them afterwards.",
            tuple(lost[:_MOST]),
        )


def new_grants(
    change: SectionChange, wanted: Mapping[str, tuple[str, ...]], direction: str
) -> Iterator[ApplyCheck]:
    """See that new tables and views get what the configuration gives (rule M3)."""
    made = (*change.forward.new_tables, *change.forward.new_views) if direction == "upgrade" else ()
    given = set(change.forward.grants)
    missing = [
        f"GRANT {privilege} ON {table(name)} TO {role};"
        for name in made
        for role, privileges in wanted.items()
        for privilege in privileges
        if (name, role, privilege) not in given
    ]
    if missing:
        yield ApplyCheck(
            "grants",
            "refused",
            f"{change.section}: new tables or views do not get the privileges that they should",
            "Put these statements into the revision; or go on with --accept grants, and run them afterwards.",
            tuple(missing[:_MOST]),
        )


def roles_there(
    facts: DatabaseFacts, changes: Sequence[SectionChange], wanted: Iterable[str]
) -> Iterator[ApplyCheck]:
    """See that the roles are there that get privileges (rule M3)."""
    named = sorted({role for change in changes for role in change.forward.roles} | set(wanted))
    missing = [role for role in named if role not in facts.roles]
    if missing:
        yield ApplyCheck(
            "roles",
            "refused",
            f"there is no role {', '.join(missing)}, which gets privileges",
            "Have an administrator run " + " ".join(f'`CREATE ROLE "{role}";`' for role in missing),
        )
    elif named:
        yield ApplyCheck("roles", "ok", f"the roles {', '.join(named)} are there")
