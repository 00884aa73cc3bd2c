"""Compare catalogs independently of the generator (rule M15), and a site's database with its history."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, replace
from typing import Literal

from consdb_actions.catalog import CatalogRelation, Difference, Snapshot, compare, fact
from consdb_actions.errors import InputError
from consdb_actions.migration.outcome import VerificationCheck

_MOST = 20


def check_upgrade(
    before: Snapshot, expected: Snapshot, after: Snapshot, views: Collection[str]
) -> VerificationCheck:
    """Compare the catalog after the upgrade with the expected one (rule M17)."""
    relations = dict(expected.relations)
    for name, relation in expected.relations.items():
        made = after.relations.get(name)
        if made is None:
            continue
        if relation.is_view and name not in views:
            relations[name] = _typed_like(relation, made)
        elif not relation.is_view and name not in before.relations:
            relations[name] = replace(relation, grants=relation.grants | made.grants)
    used = replace(after, sequences={n: s for n, s in after.sequences.items() if s.used})
    wanted = replace(
        expected,
        relations=relations,
        sequences={n: s for n, s in expected.sequences.items() if s.used},
        triggers=after.triggers if after.triggers.keys() == before.triggers.keys() else before.triggers,
    )
    differences = compare(used, wanted)
    return VerificationCheck(
        "upgrade",
        not differences,
        "the catalog after the upgrade is the expected one: it contains the change and nothing else",
        _shown(map(_against_expected, differences)),
    )


def _typed_like(view: CatalogRelation, made: CatalogRelation) -> CatalogRelation:
    columns = {
        c.name: replace(c, type=made.columns[c.name].type) if c.name in made.columns else c
        for c in view.columns.values()
    }
    return replace(view, columns=columns)


def check_downgrade(before: Snapshot, restored: Snapshot) -> VerificationCheck:
    """Compare the state after upgrade and downgrade with the one before."""
    differences = compare(before, restored)
    return VerificationCheck(
        "downgrade",
        not differences,
        "the downgrade restores the catalog exactly",
        _shown(map(_against_before, differences)),
    )


def _against_expected(difference: Difference) -> str:
    where, found, wanted = ".".join(difference.path), difference.left, difference.right
    if found is None:
        return f"{where}: missing{fact('; expected is ', wanted)}"
    if wanted is None:
        return f"{where}: not expected{fact(': ', found)}"
    return f"{where}: {fact('', found)}, expected is {fact('', wanted)}"


def _against_before(difference: Difference) -> str:
    where, before, now = ".".join(difference.path), difference.left, difference.right
    if before is None:
        return f"{where}: did not exist before{fact(': ', now)}"
    if now is None:
        return f"{where}: is not restored{fact(': ', before)}"
    return f"{where}: {fact('', before)} before, {fact('', now)} now"


def _shown(differences: Iterable[str]) -> tuple[str, ...]:
    found = list(differences)
    more = len(found) - _MOST
    return (*found[:_MOST], f"and {more} more") if more > 0 else tuple(found)


Use = Literal["copy", "server", "done"]
"""Copy it with its rows; use only its server, since it is empty; or skip it, with nothing to check."""


@dataclass(frozen=True)
class SectionState:
    """The state of one section in a database."""

    database: str
    schema: str
    version_table: str  # Name with its schema
    revisions: tuple[str, ...] | None  # Content of the version table; None where there is none
    relations: int
    owners: tuple[str, ...] = ()  # Owners of these whose rights the user does not have
    user: str = ""

    def is_at(self, revision: str | None) -> bool:
        """Return whether the version table has exactly this revision; None: no revision."""
        return (self.revisions or ()) == ((revision,) if revision else ())


def use_of(
    state: SectionState, *, section: str, revision: str, before: str | None, named: bool, any_head: bool
) -> Use:
    """Decide how a check uses a site's database (rule M12).

    A section that is not ``named`` is skipped if the database has the revision already. ``before`` is the
    previous revision, None for the first; ``any_head`` accepts a database at any revision.
    """
    if state.revisions is None and not state.relations:
        return "server"
    place = f'{state.version_table} in "{state.database}"'
    found = state.revisions or ()
    if not any_head:
        if revision in found and not named:
            return "done"
        if state.revisions is None:
            raise InputError(
                f"the database holds {state.schema}, but has no version table, so its revision is unknown",
                place=place,
                remedy=f"If it is at {before or 'no revision'}, run `alembic -n {section} stamp "
                f"{before or 'base'}` on it, or use --any-head.",
            )
        if revision in found:
            raise InputError(
                f"the database is at revision {revision} already, the one that is to be checked",
                place=place,
                remedy=f"Give a copy from before it was applied, or downgrade this one with `alembic -n "
                f"{section} downgrade {before or 'base'}`.",
            )
        if not state.is_at(before):
            raise InputError(
                f"the database is at revision {', '.join(found) or 'none'}, and not at {before or 'none'}",
                place=place,
                remedy=f"Bring the copy there with `alembic -n {section} upgrade {before or 'base'}`, or "
                f"use --any-head if this is intended.",
            )
    if state.owners:
        raise InputError(
            f'{state.schema} belongs to {", ".join(state.owners)}, so that user "{state.user}" may '
            "not change its tables",
            place=f'database "{state.database}"',
            remedy="Connect as that role, or as a superuser.",
        )
    return "copy"


def check_drift(database: str, differences: Many[Difference]) -> VerificationCheck:
    """Report how a database differs from its history (``left``)."""
    if not differences:
        return VerificationCheck("database", True, f'the database "{database}" matches its replayed history')
    text = (
        f'the database "{database}" differs from its replayed history in {_count(len(differences))}, which '
        "the statements below leave out"
    )
    shown = [_describe(d) for d in differences[:_MOST]]
    more = len(differences) - len(shown)
    return VerificationCheck("database", None, text, (*shown, *([f"and {more} more"] if more else [])))


def drifted_paths(
    differences: Many[Difference],
    tables: Mapping[str, str],
    columns: Mapping[tuple[str, str], str],
) -> frozenset[tuple[str, ...]]:
    """Return the differing paths before an upgrade, in old and new names."""
    out = set()
    for path in (d.path for d in differences):
        new = tables.get(path[0], path[0])
        later = (new, *path[1:])
        if len(path) > 2 and path[1] == "columns":
            later = (new, "columns", columns.get((new, path[2]), path[2]), *path[3:])
        out |= {path, later}
    return frozenset(out)


def check_site(
    differences: Many[Difference] | None, drifted: Collection[tuple[str, ...]]
) -> VerificationCheck:
    """Compare the upgraded copy with the upgraded history (``left``), except earlier differences."""
    if differences is None:
        return VerificationCheck(
            "database upgrade", None, "the upgrade runs on the copy of the database, if only there"
        )
    new = [d for d in differences if not any(d.path[: len(p)] == p for p in drifted)]
    shown = [_describe(d) for d in new[:_MOST]]
    more = [f"and {len(new) - _MOST} more"] if len(new) > _MOST else []
    return VerificationCheck(
        "database upgrade",
        not new,
        "the upgrade has the same result in the copy of the database as after the replayed history",
        (*shown, *more),
    )


def _describe(difference: Difference) -> str:
    where, left, right = ".".join(difference.path), difference.left, difference.right
    if left is None:
        return f"{where}: only in the database{fact(': ', right)}"
    if right is None:
        return f"{where}: not in the database{fact('; by its history ', left)}"
    return f"{where}: {fact('', right)} in the database, {fact('', left)} by its history"


def _count(number: int) -> str:
    return "one place" if number == 1 else f"{number} places"
