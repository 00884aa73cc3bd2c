"""Compare catalogs independently of the generator, without its operations (rule M15)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from consdb_actions.catalog import CatalogRelation, Difference, Snapshot, compare, fact
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
