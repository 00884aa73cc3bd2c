"""Rule M15: what a state must be after the upgrade, made from catalogs alone, and the checks in words.

Nothing here looks at operations or at SQLAlchemy: the judge is not the generator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from consdb_actions.migration.catalog import Column, Difference, Grant, Relation, Snapshot, compare, fact
from consdb_actions.migration.outcome import Check

__all__ = ["Expectation", "check_downgrade", "check_upgrade", "expected_after", "same_columns"]

_MOST = 20


@dataclass(frozen=True)
class Expectation:
    """What the judge is told besides the two catalogs.

    Attributes
    ----------
    tables
        Names of renamed tables, new to old.
    columns
        Names of renamed columns, by new table name: new to old.
    roles
        Privileges that the configuration grants on new relations, by role.
    views
        The table that each configured view shows.
    """

    tables: Mapping[str, str]
    columns: Mapping[str, Mapping[str, str]]
    roles: Mapping[str, tuple[str, ...]]
    views: Mapping[str, str]


def expected_after(before: Snapshot, described: Snapshot, after: Snapshot, told: Expectation) -> Snapshot:
    """Return what the catalog should be: the schema file's tables, with the views and grants of before.

    A view of the configuration is expected as the file gives it when a table under one of these views changed
    its columns, or when one of them was behind; else as it was. Views that nobody configured are taken from
    ``after`` but for what must not change: their columns, grants and comments. The type of a column follows
    the table that it is read from.
    """
    relations: dict[str, Relation] = {}
    for name, table in described.tables.items():
        old = before.tables.get(told.tables.get(name, name))
        if old is not None:
            relations[name] = _with_grants(table, old, told)
            continue
        # A new table may be granted to more roles than it must be.
        made = after.tables.get(name)
        new = _as_new(table, before, told)
        relations[name] = replace(new, grants=new.grants | (made.grants if made else frozenset()))
    configured = {n: v for n, v in described.views.items() if n in told.views}
    remade = any(
        name not in before.views
        or set(before.views[name].columns) != set(view.columns)
        or not same_columns(
            before.tables.get(told.tables.get(t := told.views[name], t)), described.tables.get(t)
        )
        for name, view in configured.items()
    )
    wanted = frozenset(Grant(r, p) for r, privileges in told.roles.items() for p in privileges)
    for name, view in configured.items():
        old = before.views.get(name)
        grants = _joined(old.grants if old else frozenset(), wanted)
        if remade or old is None:
            relations[name] = replace(
                view,
                grants=grants,
                comment=old.comment if old else None,
                options=old.options if old else (),
                columns=_as_before(view, old, told.columns.get(told.views[name], {}))
                if old
                else view.columns,
            )
        else:
            relations[name] = old
    for name, old in before.views.items():
        if name in relations:
            continue
        now = after.views.get(name)
        if now is None and not all(r in relations or r in before.views for r in old.reads):
            continue
        relations[name] = _as_shown(old, now) if now else old
    return Snapshot(
        schema=before.schema,
        relations=relations,
        sequences=described.sequences,
        functions=before.functions,
        triggers=after.triggers if after.triggers.keys() == before.triggers.keys() else before.triggers,
    )


def _as_before(view: Relation, old: Relation | None, names: Mapping[str, str]) -> dict[str, Column]:
    """Give the columns of a view the comments and grants that they had, under their names before."""
    if old is None:
        return dict(view.columns)
    columns = {}
    for name, column in view.columns.items():
        was = old.columns.get(names.get(name, name)) or old.columns.get(name)
        columns[name] = replace(column, comment=was.comment, grants=was.grants) if was else column
    return columns


def _as_shown(old: Relation, now: Relation) -> Relation:
    columns = {
        c.name: replace(c, type=now.columns[c.name].type) if c.name in now.columns else c
        for c in old.columns.values()
    }
    return replace(old, definition=now.definition, columns=columns)


def same_columns(a: Relation | None, b: Relation | None) -> bool:
    """Whether two tables have the same columns with the same types, in any order."""
    if a is None or b is None:
        return a is b
    return {c.name: c.type for c in a.columns.values()} == {c.name: c.type for c in b.columns.values()}


def _joined(held: frozenset[Grant], wanted: frozenset[Grant]) -> frozenset[Grant]:
    known = {(g.grantee, g.privilege) for g in held}
    return held | {g for g in wanted if (g.grantee, g.privilege) not in known}


def _with_grants(table: Relation, old: Relation, told: Expectation) -> Relation:
    names = told.columns.get(table.name, {})
    columns = {}
    for name, column in table.columns.items():
        previous = old.columns.get(names.get(name, name))
        columns[name] = replace(column, grants=previous.grants if previous else frozenset())
    return replace(table, grants=old.grants, columns=columns)


def _as_new(table: Relation, before: Snapshot, told: Expectation) -> Relation:
    tables = list(before.tables.values())
    held = {g for t in tables for g in t.grants if 2 * sum(g in o.grants for o in tables) > len(tables)}
    wanted = frozenset(Grant(r, p) for r, privileges in told.roles.items() for p in privileges)
    return replace(table, grants=_joined(frozenset(held), wanted))


def check_upgrade(before: Snapshot, described: Snapshot, after: Snapshot, told: Expectation) -> Check:
    """Compare the state after the upgrade with the one that the schema file describes."""
    expected = expected_after(before, described, after, told)
    differences = compare(after, expected, described=True)
    return Check(
        "upgrade",
        not differences,
        "the catalog after the upgrade is the one that the schema file describes, "
        "with the views and grants that there were",
        _shown(map(_against_expected, differences)),
    )


def check_downgrade(before: Snapshot, restored: Snapshot) -> Check:
    """Compare the state after upgrade and downgrade with the one before."""
    differences = compare(before, restored)
    return Check(
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
        return f"{where}: was not there before{fact(': ', now)}"
    if now is None:
        return f"{where}: does not come back{fact(': ', before)}"
    return f"{where}: {fact('', before)} before, {fact('', now)} now"


def _shown(differences: Iterable[str]) -> tuple[str, ...]:
    told = list(differences)
    more = len(told) - _MOST
    return (*told[:_MOST], f"and {more} more") if more > 0 else tuple(told)
