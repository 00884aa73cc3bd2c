"""Convert SQL statements to actions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pglast
from pglast.stream import RawStream

from consdb_actions.migration.summary.deeds import Deed

__all__ = ["deeds_of_sql"]

Node = Any
"""A node of the parser's tree; pglast has no type hints."""

_KEYS = {
    "CONSTR_PRIMARY": "primary key",
    "CONSTR_UNIQUE": "unique",
    "CONSTR_FOREIGN": "foreign key",
    "CONSTR_CHECK": "check",
    "CONSTR_EXCLUSION": "exclusion",
    "CONSTR_NOTNULL": "not null",
}
_COLUMN = {
    "AT_SetNotNull": ("not null", "make {} not null"),
    "AT_DropNotNull": ("nullable", "make {} nullable"),
    "AT_AddIdentity": ("set default", "set default of {}"),
    "AT_DropIdentity": ("drop default", "drop default of {}"),
    "AT_DropColumn": ("drop column", "drop column {}"),
}
_CONSTRAINT = {"AT_DropConstraint": "drop", "AT_ValidateConstraint": "validate"}
_DROPPED = {"OBJECT_TABLE": "table", "OBJECT_VIEW": "view", "OBJECT_INDEX": "index"}
_ALL = "DELETE, INSERT, REFERENCES, SELECT, TRIGGER, TRUNCATE, UPDATE"
_QUIET = {"VariableSetStmt", "TransactionStmt", "LockStmt"}


def deeds_of_sql(sql: str, line: int) -> tuple[Deed, ...]:
    """Return the actions of SQL text."""
    other = f"run other SQL (line {line})"
    unknown = Deed("other", "", other, other)
    try:
        statements = pglast.parse_sql(sql) if "\0" not in sql else ()
        out: list[Deed] = []
        for raw in statements or (None,):
            kind = _kind(raw.stmt) if raw is not None else ""
            reader = _READERS.get(kind)
            found = list(reader(raw.stmt)) if reader and raw is not None else []
            out.extend(found or ([] if kind in _QUIET or _is_temporary(raw) else [unknown]))
    except (pglast.Error, UnicodeEncodeError):
        return (unknown,) if sql.strip() or "\0" in sql else ()
    return tuple(out) if sql.strip() else ()


def _kind(node: Node) -> str:
    return type(node).__name__


def _is_temporary(raw: Node) -> bool:
    relation = getattr(getattr(raw, "stmt", None), "relation", None)
    return getattr(relation, "relpersistence", "") == "t"


def _strings(values: Iterable[Node] | None) -> list[str]:
    return [value.sval for value in values or () if _kind(value) == "String"]


def _plain(words: str) -> Deed:
    return Deed("other", "", words, words)


def _of(kind: str, table: str, item: str, pattern: str) -> Deed:
    return Deed(kind, table, item, pattern.format(f"{table}.{item}"))


def _create_table(node: Node) -> Iterator[Deed]:
    relation = node.relation if _kind(node) == "CreateStmt" else node.into.rel
    if relation.relpersistence == "t":
        return
    count = sum(_kind(part) == "ColumnDef" for part in getattr(node, "tableElts", None) or ())
    size = f" with {count} column{'s' if count != 1 else ''}" if count else ""
    yield Deed("create table", relation.relname, relation.relname, f"create table {relation.relname}{size}")


def _alter_table(node: Node) -> Iterator[Deed]:
    table = node.relation.relname
    for command in node.cmds:
        what, name = command.subtype.name, command.name or ""
        if what in _COLUMN:
            kind, pattern = _COLUMN[what]
            yield _of(kind, table, name, pattern)
        elif what == "AT_AddColumn":
            column = command.def_
            kinds = {c.contype.name for c in column.constraints or ()}
            null = " not null" if kinds & {"CONSTR_NOTNULL", "CONSTR_PRIMARY"} else ""
            words = f"add column {table}.{column.colname} ({_type(column.typeName)}{null})"
            yield Deed("add column", table, column.colname, words)
        elif what == "AT_AlterColumnType":
            item = f"{name} to {_type(command.def_.typeName)}"
            yield _of("change type", table, item, "change type of {}")
        elif what == "AT_ColumnDefault":
            verb = "set" if command.def_ else "drop"
            yield _of(f"{verb} default", table, name, f"{verb} default of {{}}")
        elif what == "AT_AddConstraint":
            kind, name = _KEYS.get(command.def_.contype.name, "constraint"), command.def_.conname or ""
            words = f"add {kind} {name} to {table}".replace("  ", " ")
            yield Deed("add constraint", table, name or kind, words)
        elif what in _CONSTRAINT:
            verb = _CONSTRAINT[what]
            yield Deed(f"{verb} constraint", table, name, f"{verb} constraint {name} of {table}")
        else:
            yield _plain(f"alter table {table} ({what.removeprefix('AT_')})")


def _type(node: Node) -> str:
    return str(RawStream()(node))


def _create_index(node: Node) -> Iterator[Deed]:
    table, name = node.relation.relname, node.idxname or ""
    yield Deed("create index", table, name, f"create index {name} on {table}")


def _create_view(node: Node) -> Iterator[Deed]:
    name = node.view.relname
    yield Deed("create view", "", name, f"create view {name}")


def _drop(node: Node) -> Iterator[Deed]:
    what = node.removeType.name
    for item in node.objects or ():
        if what == "OBJECT_SCHEMA":
            yield _plain(f"drop schema {item.sval}")
            continue
        name = _strings(item)[-1] if isinstance(item, tuple) and _strings(item) else ""
        if what in _DROPPED and name:
            kind = _DROPPED[what]
            yield Deed(f"drop {kind}", "" if kind != "table" else name, name, f"drop {kind} {name}")
        elif what == "OBJECT_SEQUENCE":
            yield Deed("sequence", "", name, f"drop sequence {name}")
        elif what == "OBJECT_MATVIEW":
            yield _plain(f"drop materialized view {name}")


def _rename(node: Node) -> Iterator[Deed]:
    if node.relation is None:
        return
    table, what = node.relation.relname, node.renameType.name
    item = f"{node.subname} to {node.newname}"
    if what == "OBJECT_COLUMN":
        yield _of("rename column", table, item, "rename column {}")
    elif what == "OBJECT_TABCONSTRAINT":
        yield Deed("rename constraint", table, item, f"rename constraint {item} of {table}")
    else:
        kind = "index" if what == "OBJECT_INDEX" else "table"
        item = f"{table} to {node.newname}"
        yield Deed(f"rename {kind}", "", item, f"rename {'index ' if kind == 'index' else ''}{item}")


def _grant(node: Node) -> Iterator[Deed]:
    verb, preposition = ("grant", "to") if node.is_grant else ("revoke", "from")
    if node.targtype.name == "ACL_TARGET_ALL_IN_SCHEMA":
        things = [f"all of {schema}" for schema in _strings(node.objects)]
    else:
        things = [o.relname for o in node.objects or () if _kind(o) == "RangeVar"]
    named = sorted((p.priv_name or "all").upper() for p in node.privileges or ())
    roles = ", ".join(
        role.rolename if role.roletype.name == "ROLESPEC_CSTRING" else role.roletype.name[9:]
        for role in node.grantees or ()
    )
    for thing in things:
        words = f"{verb} {', '.join(named) or _ALL} on {thing} {preposition} {roles}"
        yield Deed(verb, thing, words, words)


def _comment(node: Node) -> Iterator[Deed]:
    what = node.objtype.name
    names = _strings(node.object) if isinstance(node.object, tuple) else []
    if what == "OBJECT_COLUMN" and len(names) > 1:
        yield _of("describe column", names[-2], names[-1], "change comment on {}")
    elif what in ("OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW") and names:
        yield Deed("describe table", "", names[-1], f"change comment on table {names[-1]}")


def _write(node: Node) -> Iterator[Deed]:
    name = node.relation.relname
    yield Deed("write", "", name, f"write rows of {name}")


def _remove(node: Node) -> Iterator[Deed]:
    for relation in node.relations if _kind(node) == "TruncateStmt" else (node.relation,):
        yield Deed("remove", "", relation.relname, f"remove rows of {relation.relname}")


def _publish(node: Node) -> Iterator[Deed]:
    if getattr(getattr(node, "action", None), "name", "") == "AP_DropObjects":
        return
    names = [o.pubtable.relation.relname if o.pubtable else f"all of {o.name}" for o in node.pubobjects or ()]
    yield _plain(f"add {', '.join(names) or 'all tables'} to a publication")


def _move(node: Node) -> Iterator[Deed]:
    if node.relation is not None:
        yield _plain(f"move {node.relation.relname} to schema {node.newschema}")


def _sequence(node: Node) -> Iterator[Deed]:
    name = node.sequence.relname
    yield Deed("sequence", "", name, f"create sequence {name}")


_READERS = {
    "CreateStmt": _create_table,
    "CreateTableAsStmt": _create_table,
    "AlterTableStmt": _alter_table,
    "IndexStmt": _create_index,
    "ViewStmt": _create_view,
    "DropStmt": _drop,
    "RenameStmt": _rename,
    "GrantStmt": _grant,
    "CommentStmt": _comment,
    "InsertStmt": _write,
    "UpdateStmt": _write,
    "DeleteStmt": _remove,
    "TruncateStmt": _remove,
    "CreatePublicationStmt": _publish,
    "AlterPublicationStmt": _publish,
    "AlterObjectSchemaStmt": _move,
    "CreateSeqStmt": _sequence,
}
