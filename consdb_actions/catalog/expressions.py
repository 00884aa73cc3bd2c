"""Compare SQL independently of how Postgres prints it (rule M21)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pglast import ast, parse_sql
from pglast.enums import A_Expr_Kind, BoolExprType
from pglast.parser import ParseError
from pglast.stream import RawStream
from pglast.visitors import Visitor

_TEXT = {"text", "varchar", "bpchar", "name"}


def same_sql(left: Any, right: Any, *, statement: bool = False) -> bool:
    """Return whether two SQL texts differ only in how Postgres prints them."""
    if left == right or not isinstance(left, str) or not isinstance(right, str):
        return bool(left == right)
    stable = stable_statement if statement else stable_expression
    return stable(left) == stable(right)


@lru_cache(maxsize=4096)
def stable_expression(sql: str) -> str:
    """Normalize an expression; return it unchanged if it does not parse."""
    if not sql:
        return sql
    found = _stable(f"SELECT {sql}")
    return sql if found is None else found.removeprefix("SELECT ")


@lru_cache(maxsize=1024)
def stable_statement(sql: str) -> str:
    """Normalize a query or CREATE INDEX; return it unchanged if it does not parse."""
    found = _stable(sql)
    return sql if found is None else found


def same_rows(left: str, right: str) -> bool:
    """Return whether two queries differ only in what they select of the same rows."""
    return _rows(left) == _rows(right)


def _rows(query: str) -> str:
    try:
        (statement,) = parse_sql(query)
        waiting: list[Any] = [statement.stmt]
        while waiting:
            select = waiting.pop()
            select.targetList = None
            waiting += [part for part in (select.larg, select.rarg) if part is not None]
        return stable_statement(str(RawStream()(statement)))
    except (ParseError, NotImplementedError):
        return query


def columns_read(query: str, relation: str) -> set[str]:
    """Return the names of columns that a view's query reads of a relation, or may read."""
    try:
        (statement,) = parse_sql(query)
    except ParseError:
        return set()
    found = _Reads()
    found(statement)
    names = {alias for alias, name in found.relations if name == relation}
    return {column for alias, column in found.columns if alias in names | {""}}


class _Reads(Visitor):
    def __init__(self) -> None:
        self.relations: set[tuple[str, str]] = set()  # Alias and name
        self.columns: set[tuple[str, str]] = set()  # Alias, or nothing, and name

    def visit_RangeVar(self, _ancestors: Any, node: Any) -> None:  # noqa: N802
        self.relations.add((node.alias.aliasname if node.alias else node.relname, node.relname))

    def visit_ColumnRef(self, _ancestors: Any, node: Any) -> None:  # noqa: N802
        names = [n.sval or "" for n in node.fields if isinstance(n, ast.String)]
        if names:
            self.columns.add((names[-2] if len(names) > 1 else "", names[-1]))


def _stable(sql: str) -> str | None:
    try:
        (statement,) = parse_sql(sql)
        tree: Any = statement.stmt
        _Stable()(tree)
        # Again, since a flattened AND may now be part of another.
        _Stable()(tree)
        return str(RawStream()(tree))
    except (ParseError, ValueError, NotImplementedError, RecursionError):
        return None


class _Stable(Visitor):
    def visit_TypeCast(self, _ancestors: Any, node: Any) -> Any:  # noqa: N802
        # A cast to text adds nothing, and a constant takes the type that it is compared with.
        names = [n.sval for n in node.typeName.names or ()]
        if names and names[-1] in _TEXT:
            return node.arg
        if isinstance(node.arg, ast.A_Const) and not node.typeName.arrayBounds:
            return _as_text(node.arg)
        if isinstance(node.arg, ast.A_ArrayExpr):
            return node.arg
        return None

    def visit_A_Const(self, ancestors: Any, node: Any) -> Any:  # noqa: N802
        # -1 is printed as '-1'::integer, and 1.5 as 1.5 or '1.5'::numeric.
        return _as_text(node)

    def visit_A_Expr(self, _ancestors: Any, node: Any) -> Any:  # noqa: N802
        if (
            node.kind == A_Expr_Kind.AEXPR_OP
            and node.lexpr is None
            and node.name[0].sval == "-"
            and isinstance(node.rexpr, ast.A_Const)
            and isinstance(node.rexpr.val, ast.String)
        ):
            return ast.A_Const(isnull=False, val=ast.String(f"-{node.rexpr.val.sval}"))
        return None

    def visit_BoolExpr(self, _ancestors: Any, node: Any) -> Any:  # noqa: N802
        if node.boolop == BoolExprType.NOT_EXPR:
            return None
        flat: list[Any] = []
        for part in node.args:
            nested = isinstance(part, ast.BoolExpr) and part.boolop == node.boolop
            flat.extend(part.args if nested else [part])
        if len(flat) == len(node.args):
            return None
        return ast.BoolExpr(boolop=node.boolop, args=tuple(flat))

    def visit_SelectStmt(self, _ancestors: Any, node: Any) -> Any:  # noqa: N802
        # Before version 16, Postgres qualifies columns also with a single table.
        tables: Any = node.fromClause or ()
        if len(tables) == 1 and isinstance(tables[0], ast.RangeVar) and node.targetList:
            name = str(tables[0].alias.aliasname if tables[0].alias else tables[0].relname)
            _Unqualified(name)(node)
        for target in node.targetList or ():
            value: Any = target.val
            if (
                isinstance(value, ast.ColumnRef)
                and getattr((value.fields or ("",))[-1], "sval", "") == target.name
            ):
                target.name = None
        return None


class _Unqualified(Visitor):
    def __init__(self, table: str) -> None:
        super().__init__()
        self.table = table

    def visit_ColumnRef(self, _ancestors: Any, node: Any) -> Any:  # noqa: N802
        if len(node.fields) == 2 and getattr(node.fields[0], "sval", None) == self.table:
            return ast.ColumnRef(fields=node.fields[1:])
        return None


def _as_text(node: Any) -> Any:
    value = node.val
    if isinstance(value, ast.Integer):
        return ast.A_Const(isnull=False, val=ast.String(str(value.ival)))
    if isinstance(value, ast.Float):
        return ast.A_Const(isnull=False, val=ast.String(value.fval))
    return node if isinstance(value, ast.String) else None
