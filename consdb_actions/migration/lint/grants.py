"""What the rules about privileges share."""

from __future__ import annotations

from collections.abc import Container, Iterator

from consdb_actions.migration.lint.names import Name
from consdb_actions.migration.lint.script import Run, Script
from consdb_actions.migration.lint.state import Grants

__all__ = ["in_words", "lost", "ungranted"]


def lost(script: Script, run: Run) -> dict[Name, Grants]:
    """Return what relations that a direction makes anew held before the revision and hold no more."""
    if not run.whole:
        return {}
    held = script.upgrade.start.grants
    found = {
        name: held.get(name, frozenset()) - run.end.grants.get(name, frozenset())
        for name in sorted(run.fresh)
    }
    return {name: grants for name, grants in found.items() if grants}


def ungranted(script: Script, among: Container[Name]) -> Iterator[tuple[Name, Grants]]:
    """Yield relations that the upgrade makes, and the configured privileges that it does not give."""
    run = script.upgrade
    if not run.whole:
        return
    configured = frozenset((role, p) for role, privileges in script.roles.items() for p in privileges)
    already = lost(script, run)
    for name in sorted(run.fresh):
        if name in among and script.own(name):
            wanted = configured - run.end.grants.get(name, frozenset()) - already.get(name, frozenset())
            if wanted:
                yield name, wanted


def in_words(grants: Grants) -> str:
    """Write privileges as ``SELECT for oods, usdf``."""
    of_role: dict[str, list[str]] = {}
    for role, privilege in sorted(grants):
        of_role.setdefault(role, []).append(privilege)
    roles: dict[str, list[str]] = {}
    for role, privileges in of_role.items():
        roles.setdefault(", ".join(privileges), []).append(role)
    return " and ".join(f"{privileges} for {', '.join(names)}" for privileges, names in roles.items())
