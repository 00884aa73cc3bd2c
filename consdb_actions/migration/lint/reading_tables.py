"""Statements that define or change tables and indexes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from consdb_actions.migration.lint.actions import (
    Action,
    AddColumn,
    AddConstraint,
    AlterOther,
    AlterType,
    ChangeColumn,
    Column,
    Constraint,
    CreateIndex,
    CreateTable,
    DropColumn,
    DropConstraint,
    ValidateConstraint,
)
from consdb_actions.migration.lint.column_types import Type
from consdb_actions.migration.lint.names import Name
from consdb_actions.migration.lint.nodes import Node, kind, relation, strings, text_of, type_of, walk
from consdb_actions.migration.lint.volatility import volatile_part

__all__ = ["read_table_statement"]

_SERIALS = {
    "serial": "int4",
    "serial4": "int4",
    "bigserial": "int8",
    "serial8": "int8",
    "smallserial": "int2",
    "serial2": "int2",
}

# Sub-commands that let readers and writers go on (SHARE UPDATE EXCLUSIVE).
_LIGHT = frozenset(
    {
        "AT_SetStatistics",
        "AT_SetOptions",
        "AT_ResetOptions",
        "AT_ClusterOn",
        "AT_DropCluster",
        "AT_SetRelOptions",
    }
)

_CONSTRAINTS: dict[str, Literal["primary", "unique", "foreign", "check", "exclude", "notnull"]] = {
    "CONSTR_PRIMARY": "primary",
    "CONSTR_UNIQUE": "unique",
    "CONSTR_FOREIGN": "foreign",
    "CONSTR_CHECK": "check",
    "CONSTR_EXCLUSION": "exclude",
    "CONSTR_NOTNULL": "notnull",
}


def read_table_statement(node: Node, search_path: str) -> Sequence[Action]:
    """Return what a statement does to tables and indexes; nothing for other statements."""
    readers: dict[str, Callable[[Node, str], Sequence[Action]]] = {
        "CreateStmt": _create,
        "CreateForeignTableStmt": _create_foreign,
        "AlterTableStmt": _alter,
        "IndexStmt": _index,
    }
    reader = readers.get(kind(node))
    return reader(node, search_path) if reader else ()


def _create(node: Node, search_path: str) -> Sequence[Action]:
    columns: list[Column] = []
    constraints: list[Constraint] = []
    known = not (node.inhRelations or node.partbound or node.ofTypename)
    for element in node.tableElts or ():
        if kind(element) == "ColumnDef":
            column, beside = _column(element, search_path)
            columns.append(column)
            constraints.extend(beside)
        elif kind(element) == "Constraint":
            constraints.extend(_constraint(element, search_path))
        else:
            known = False
    return [
        CreateTable(
            relation(node.relation, search_path),
            tuple(columns),
            tuple(constraints),
            bool(node.if_not_exists),
            known,
            node.relation.relpersistence == "t",
        )
    ]


def _create_foreign(node: Node, search_path: str) -> Sequence[Action]:
    return [CreateTable(relation(node.base.relation, search_path), known=False)]


def _column(node: Node, search_path: str) -> tuple[Column, list[Constraint]]:
    """Read a column with what is written beside it."""
    type_ = type_of(node.typeName)
    nullable, default, volatile = True, False, ""
    if type_.name in _SERIALS:
        type_ = Type(_SERIALS[type_.name])
        nullable, default, volatile = False, True, "serial"
    beside: list[Constraint] = []
    for item in node.constraints or ():
        what = item.contype.name
        if what == "CONSTR_NOTNULL":
            nullable = False
        elif what == "CONSTR_DEFAULT":
            default, volatile = True, volatile_part(item.raw_expr)
            if kind(item.raw_expr) == "A_Const" and item.raw_expr.isnull:
                default = False
        elif what == "CONSTR_IDENTITY":
            nullable, default, volatile = False, True, "IDENTITY"
        elif what == "CONSTR_GENERATED":
            default = True
            # A virtual column (Postgres 18) is computed when it is read.
            volatile = "" if getattr(item, "generated_kind", "s") == "v" else "GENERATED"
        elif what in _CONSTRAINTS:
            beside.extend(_constraint(item, search_path, node.colname))
    if any(constraint.kind == "primary" for constraint in beside):
        nullable = False
    return Column(node.colname or "", type_, nullable, default, volatile), beside


def _constraint(node: Node, search_path: str, column: str = "") -> Iterable[Constraint]:
    what = _CONSTRAINTS.get(node.contype.name)
    if what is None:
        return
    own = (column,) if column else ()
    name = node.conname or ""
    valid = not node.skip_validation
    if what == "foreign":
        columns = strings(node.fk_attrs) or own
        yield Constraint(
            what,
            name,
            columns,
            relation(node.pktable, search_path),
            strings(node.pk_attrs),
            valid,
            text=f"{node.fk_upd_action}{node.fk_del_action}{node.deferrable}{node.initdeferred}",
        )
    elif what == "check":
        columns = own or tuple(dict.fromkeys(_column_names(node.raw_expr)))
        yield Constraint(
            what,
            name,
            columns,
            valid=valid,
            not_null=frozenset(_proved_not_null(node.raw_expr)),
            text=text_of(node.raw_expr),
        )
    elif what == "exclude":
        yield Constraint(what, name, valid=valid, text=text_of(node.exclusions))
    else:
        yield Constraint(what, name, strings(node.keys) or own, valid=valid, index=node.indexname or "")


def _column_names(node: Node) -> Iterable[str]:
    for found in walk(node):
        if kind(found) == "ColumnRef" and (names := strings(found.fields)):
            yield names[-1]


def _proved_not_null(node: Node) -> Iterable[str]:
    """Yield the columns that ``x IS NOT NULL`` parts of an AND speak of."""
    stack = [node]
    while stack:
        current = stack.pop()
        if kind(current) == "BoolExpr" and current.boolop.name == "AND_EXPR":
            stack.extend(current.args)
        elif (
            kind(current) == "NullTest"
            and current.nulltesttype.name == "IS_NOT_NULL"
            and kind(current.arg) == "ColumnRef"
        ):
            yield from strings(current.arg.fields)[-1:]


def _alter(node: Node, search_path: str) -> Sequence[Action]:
    if node.objtype.name not in ("OBJECT_TABLE", "OBJECT_FOREIGN_TABLE"):
        return ()
    table = relation(node.relation, search_path)
    return [action for command in node.cmds for action in _command(table, command, search_path)]


def _command(table: Name, node: Node, search_path: str) -> Iterable[Action]:
    what, column = node.subtype.name, node.name or ""
    cascade = node.behavior.name == "DROP_CASCADE"
    if what == "AT_AddColumn":
        added, beside = _column(node.def_, search_path)
        yield AddColumn(table, added, tuple(beside), bool(node.missing_ok))
    elif what == "AT_DropColumn":
        yield DropColumn(table, column, cascade, bool(node.missing_ok))
    elif what == "AT_AlterColumnType":
        using = node.def_.raw_default
        type_ = type_of(node.def_.typeName)
        yield AlterType(table, column, type_, using is not None, _computes(using, column, type_))
    elif what == "AT_SetNotNull":
        yield ChangeColumn(table, column, "set not null")
    elif what == "AT_DropNotNull":
        yield ChangeColumn(table, column, "drop not null")
    elif what == "AT_ColumnDefault":
        yield ChangeColumn(table, column, "set default" if node.def_ else "drop default")
    elif what in ("AT_AddIdentity", "AT_DropIdentity"):
        yield ChangeColumn(table, column, "set default" if what == "AT_AddIdentity" else "drop default")
    elif what == "AT_AddConstraint":
        for constraint in _constraint(node.def_, search_path):
            yield AddConstraint(table, constraint)
    elif what == "AT_DropConstraint":
        yield DropConstraint(table, column, cascade, bool(node.missing_ok))
    elif what == "AT_ValidateConstraint":
        yield ValidateConstraint(table, column)
    else:
        yield AlterOther(table, what.removeprefix("AT_"), what in _LIGHT)


def _computes(using: Node | None, column: str, type_: Type) -> bool:
    """Tell whether USING is anything else than the column, or a cast of it to the new type."""
    if using is None:
        return False
    if kind(using) == "TypeCast" and type_of(using.typeName).same == type_.same:
        using = using.arg
    return not (kind(using) == "ColumnRef" and strings(using.fields)[-1:] == (column,))


def _index(node: Node, search_path: str) -> Sequence[Action]:
    return [
        CreateIndex(
            relation(node.relation, search_path),
            node.idxname or "",
            tuple(parameter.name or "" for parameter in node.indexParams or ()),
            bool(node.unique),
            node.whereClause is not None,
            bool(node.concurrent),
            bool(node.if_not_exists),
        )
    ]
