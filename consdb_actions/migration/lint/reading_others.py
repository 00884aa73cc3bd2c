"""All other statements that a rule cares about: drops, renames, grants, comments, settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from consdb_actions.migration.lint.actions import (
    Action,
    Comment,
    CreateOther,
    DefaultPrivileges,
    DropRelation,
    DropSchema,
    Grant,
    OutsideTransaction,
    Publish,
    RelationKind,
    Rename,
    SetSchema,
    SetVariable,
    Transaction,
    UnknownEffect,
)
from consdb_actions.migration.lint.names import Name
from consdb_actions.migration.lint.nodes import Node, kind, name_of, relation, strings

__all__ = ["ALL_PRIVILEGES", "read_other"]

ALL_PRIVILEGES = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"})
"""What ``GRANT ALL`` on a table means."""

_DROPPED: dict[str, RelationKind] = {
    "OBJECT_TABLE": "table",
    "OBJECT_FOREIGN_TABLE": "table",
    "OBJECT_VIEW": "view",
    "OBJECT_MATVIEW": "matview",
    "OBJECT_INDEX": "index",
    "OBJECT_SEQUENCE": "sequence",
}

_RENAMED: dict[str, Literal["relation", "column", "constraint", "index"]] = {
    "OBJECT_TABLE": "relation",
    "OBJECT_VIEW": "relation",
    "OBJECT_MATVIEW": "relation",
    "OBJECT_FOREIGN_TABLE": "relation",
    "OBJECT_COLUMN": "column",
    "OBJECT_TABCONSTRAINT": "constraint",
    "OBJECT_INDEX": "index",
}

_OUTSIDE = {
    "VacuumStmt": "VACUUM",
    "CreatedbStmt": "CREATE DATABASE",
    "DropdbStmt": "DROP DATABASE",
    "CreateTableSpaceStmt": "CREATE TABLESPACE",
    "DropTableSpaceStmt": "DROP TABLESPACE",
    "AlterSystemStmt": "ALTER SYSTEM",
}

_OPENING = frozenset({"TRANS_STMT_BEGIN", "TRANS_STMT_START"})
_ENDING = frozenset({"TRANS_STMT_COMMIT", "TRANS_STMT_ROLLBACK", "TRANS_STMT_PREPARE"})


def read_other(node: Node, search_path: str) -> Sequence[Action]:
    """Return what a statement does; nothing where no rule cares."""
    readers: dict[str, Callable[[Node, str], Iterable[Action]]] = {
        "DropStmt": _drop,
        "RenameStmt": _rename,
        "AlterObjectSchemaStmt": _set_schema,
        "GrantStmt": _grant,
        "AlterDefaultPrivilegesStmt": _default_privileges,
        "CommentStmt": _comment,
        "AlterPublicationStmt": _publication,
        "CreatePublicationStmt": _publication,
        "VariableSetStmt": _set,
        "SelectStmt": _select,
        "TransactionStmt": _transaction,
        "CreateSeqStmt": _sequence,
    }
    what = kind(node)
    if what in _OUTSIDE:
        return [OutsideTransaction(_OUTSIDE[what])] if what != "VacuumStmt" or node.is_vacuumcmd else ()
    if what in ("DoStmt", "CallStmt", "ExecuteStmt"):
        return [UnknownEffect({"DoStmt": "DO", "CallStmt": "CALL", "ExecuteStmt": "EXECUTE"}[what])]
    reader = readers.get(what)
    return tuple(reader(node, search_path)) if reader else ()


def _drop(node: Node, search_path: str) -> Iterable[Action]:
    what, cascade = node.removeType.name, node.behavior.name == "DROP_CASCADE"
    if what == "OBJECT_SCHEMA":
        yield from (DropSchema(name, cascade) for name in strings(node.objects))
        return
    names = [
        name_of(item, search_path) if isinstance(item, tuple) else Name("", what)
        for item in node.objects or ()
    ]
    for name in names:
        yield DropRelation(
            _DROPPED.get(what, "other"),
            name,
            cascade,
            bool(node.missing_ok),
            bool(node.concurrent),
            frozenset(names),
        )


def _rename(node: Node, search_path: str) -> Iterable[Action]:
    what = _RENAMED.get(node.renameType.name)
    if what is None or node.relation is None:
        return
    target = relation(node.relation, search_path)
    old = node.subname if what in ("column", "constraint") else target.name
    yield Rename(what, target, old, node.newname, bool(node.missing_ok))


def _set_schema(node: Node, search_path: str) -> Iterable[Action]:
    if node.relation is not None:
        yield SetSchema(relation(node.relation, search_path), node.newschema)


def _privileges(node: Node) -> frozenset[str]:
    if not node.privileges:
        return ALL_PRIVILEGES
    # A privilege on single columns is none on the relation.
    return frozenset((p.priv_name or "all").upper() for p in node.privileges if not p.cols)


def _roles(node: Node) -> tuple[str, ...]:
    return tuple(
        role.rolename if role.roletype.name == "ROLESPEC_CSTRING" else role.roletype.name[9:]
        for role in node.grantees or ()
    )


def _grant(node: Node, search_path: str) -> Iterable[Action]:
    if node.objtype.name != "OBJECT_TABLE":
        return
    schemas: tuple[str, ...] = ()
    relations: tuple[Name, ...] = ()
    if node.targtype.name == "ACL_TARGET_ALL_IN_SCHEMA":
        schemas = strings(node.objects)
    else:
        relations = tuple(relation(r, search_path) for r in node.objects or () if kind(r) == "RangeVar")
    yield Grant(_roles(node), _privileges(node), relations, schemas, revoke=not node.is_grant)


def _default_privileges(node: Node, _: str) -> Iterable[Action]:
    if node.action.objtype.name == "OBJECT_TABLE":
        schemas = tuple(
            name
            for option in node.options or ()
            if option.defname == "schemas"
            for name in strings(option.arg)
        )
        revoke = not node.action.is_grant
        yield DefaultPrivileges(_roles(node.action), _privileges(node.action), schemas, revoke)


def _comment(node: Node, search_path: str) -> Iterable[Action]:
    what = node.objtype.name
    if what == "OBJECT_COLUMN":
        yield Comment(name_of(node.object[:-1], search_path), strings(node.object)[-1], node.comment)
    elif what in ("OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW"):
        yield Comment(name_of(node.object, search_path), "", node.comment)


def _publication(node: Node, search_path: str) -> Iterable[Action]:
    if kind(node) == "AlterPublicationStmt" and node.action.name == "AP_DropObjects":
        return
    tables = tuple(
        relation(o.pubtable.relation, search_path) for o in node.pubobjects or () if o.pubtable is not None
    )
    schemas = tuple(o.name for o in node.pubobjects or () if o.pubtable is None and o.name)
    yield Publish(tables, schemas, bool(node.for_all_tables))


def _set(node: Node, _: str) -> Iterable[Action]:
    if node.name and node.kind.name in ("VAR_SET_VALUE", "VAR_SET_DEFAULT", "VAR_RESET"):
        yield SetVariable(node.name, tuple(_constant(a) for a in node.args or ()))


def _constant(node: Node) -> str:
    if kind(node) != "A_Const" or node.isnull:
        return ""
    value = node.val
    return str(
        next((getattr(value, s) for s in ("sval", "ival", "fval", "boolval") if hasattr(value, s)), "")
    )


def _select(node: Node, _: str) -> Iterable[Action]:
    """Read calls of ``set_config``; other functions are taken not to change tables."""
    for target in node.targetList or ():
        call = target.val
        if (
            kind(call) == "FuncCall"
            and strings(call.funcname)[-1] == "set_config"
            and len(call.args or ()) == 3
        ):
            name, value = _constant(call.args[0]), _constant(call.args[1])
            yield SetVariable(name, tuple(part.strip() for part in value.split(",")))


def _sequence(node: Node, search_path: str) -> Iterable[Action]:
    yield CreateOther(relation(node.sequence, search_path))


def _transaction(node: Node, _: str) -> Iterable[Action]:
    if node.kind.name in _OPENING:
        yield Transaction(opens=True)
    elif node.kind.name in _ENDING:
        yield Transaction(opens=False)
