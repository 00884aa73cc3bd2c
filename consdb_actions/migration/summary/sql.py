"""SQL statements of a revision as deeds."""

from __future__ import annotations

from collections.abc import Iterator

from consdb_actions.migration.lint import actions as act
from consdb_actions.migration.lint.reading import SqlError, read
from consdb_actions.migration.summary.deeds import Deed

__all__ = ["deeds_of_sql"]

_KINDS = {
    "primary": "primary key",
    "unique": "unique",
    "foreign": "foreign key",
    "check": "check",
    "exclude": "exclusion",
    "notnull": "not null",
}


def deeds_of_sql(sql: str, line: int) -> tuple[Deed, ...]:
    """Return what a text of SQL does.

    Parameters
    ----------
    sql
        Any number of statements.
    line
        Its line in the revision's file, to be named where the words do not tell everything.

    Returns
    -------
    tuple
        Nothing for statements that leave no trace, such as ``SET``.
    """
    try:
        parsed = read(sql)
    except SqlError:
        return (_untold(line),)
    out: list[Deed] = []
    for statement in parsed:
        if not statement.actions:
            out.append(_untold(line))
        for action in statement.actions:
            out.extend(_deeds(action, line))
    return tuple(out)


def _untold(line: int) -> Deed:
    words = f"run other SQL (line {line})"
    return Deed("other", "", words, words)


def _deeds(action: act.Action, line: int) -> Iterator[Deed]:
    match action:
        case act.CreateTable(temporary=False):
            count = len(action.columns)
            size = f" with {count} column{'s' if count != 1 else ''}" if action.known else ""
            name = action.table.name
            yield Deed("create table", name, name, f"create table {name}{size}")
        case act.AddColumn():
            column, table = action.column, action.table.name
            null = "" if column.nullable else " not null"
            words = f"add column {table}.{column.name} ({column.type}{null})"
            yield Deed("add column", table, column.name, words)
        case act.DropColumn():
            yield _of("drop column", action.table.name, action.column, "drop column {}")
        case act.AlterType():
            item = f"{action.column} to {action.type}"
            yield _of("change type", action.table.name, item, "change type of {}")
        case act.ChangeColumn():
            yield _changed(action)
        case act.AddConstraint():
            kind, name = _KINDS[action.constraint.kind], action.constraint.name
            words = f"add {kind} {name} to {action.table.name}".replace("  ", " ")
            yield Deed("add constraint", action.table.name, name or kind, words)
        case act.DropConstraint() | act.ValidateConstraint():
            verb = "drop" if isinstance(action, act.DropConstraint) else "validate"
            words = f"{verb} constraint {action.name} of {action.table.name}"
            yield Deed(f"{verb} constraint", action.table.name, action.name, words)
        case act.CreateIndex():
            words = f"create index {action.name} on {action.table.name}"
            yield Deed("create index", action.table.name, action.name, words)
        case act.CreateView():
            name = action.view.name
            yield Deed("create view", "", name, f"create view {name}")
        case act.DropRelation():
            yield _dropped(action)
        case act.Rename():
            yield _renamed(action)
        case act.Grant(relations=relations):
            verb, preposition = ("revoke", "from") if action.revoke else ("grant", "to")
            things = [relation.name for relation in relations] or [f"all of {s}" for s in action.schemas]
            privileges = ", ".join(sorted(action.privileges))
            for thing in things:
                words = f"{verb} {privileges} on {thing} {preposition} {', '.join(action.roles)}"
                yield Deed(verb, thing, words, words)
        case act.Comment(column=""):
            name = action.relation.name
            yield Deed("describe table", "", name, f"change comment on table {name}")
        case act.Comment():
            yield _of("describe column", action.relation.name, action.column, "change comment on {}")
        case act.Write():
            name = action.table.name
            yield Deed("write", "", name, f"write rows of {name}")
        case act.RemoveRows():
            name = action.table.name
            yield Deed("remove", "", name, f"remove rows of {name}")
        case act.Publish():
            names = [table.name for table in action.tables] or [f"all of {s}" for s in action.schemas]
            yield _plain(f"add {', '.join(names) or 'all tables'} to a publication")
        case act.SetSchema():
            yield _plain(f"move {action.relation.name} to schema {action.schema}")
        case act.DropSchema():
            yield _plain(f"drop schema {action.name}")
        case act.CreateOther():
            name = action.name.name
            yield Deed("sequence", "", name, f"create sequence {name}")
        case act.SetVariable() | act.Transaction() | act.CreateTable():
            return
        case _:
            yield _untold(line)


def _plain(words: str) -> Deed:
    return Deed("other", "", words, words)


def _of(kind: str, table: str, item: str, pattern: str) -> Deed:
    """Return a deed on a column."""
    return Deed(kind, table, item, pattern.format(f"{table}.{item}"))


def _changed(action: act.ChangeColumn) -> Deed:
    table, column = action.table.name, action.column
    match action.change:
        case "set not null":
            return _of("not null", table, column, "make {} not null")
        case "drop not null":
            return _of("nullable", table, column, "make {} nullable")
        case "set default":
            return _of("set default", table, column, "set default of {}")
        case _:
            return _of("drop default", table, column, "drop default of {}")


def _dropped(action: act.DropRelation) -> Deed:
    name = action.name.name
    match action.kind:
        case "view" | "index":
            return Deed(f"drop {action.kind}", "", name, f"drop {action.kind} {name}")
        case "matview":
            return _plain(f"drop materialized view {name}")
        case "sequence":
            return Deed("sequence", "", name, f"drop sequence {name}")
        case kind:
            return Deed(f"drop {kind}", name, name, f"drop {kind} {name}")


def _renamed(action: act.Rename) -> Deed:
    table, item = action.relation.name, f"{action.old} to {action.new}"
    match action.kind:
        case "column":
            return _of("rename column", table, item, "rename column {}")
        case "constraint":
            return Deed("rename constraint", table, item, f"rename constraint {item} of {table}")
        case "index":
            return Deed("rename index", "", item, f"rename index {item}")
        case _:
            item = f"{table} to {action.new}"
            return Deed("rename table", "", item, f"rename {item}")
