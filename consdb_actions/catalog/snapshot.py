"""The model of a schema in Postgres, with SQL that is compared independently of how Postgres prints it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import sqlalchemy as sa
from pglast import ast, parse_sql
from pglast.enums import A_Expr_Kind, BoolExprType
from pglast.parser import ParseError
from pglast.stream import RawStream
from pglast.visitors import Visitor
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.types import TypeEngine

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


_DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call]
_FORM = re.compile(
    r"(?P<head>[^(\[]+)(?:\((?P<arguments>[\d,\s-]*)\))?(?P<tail>[^\[(]*)(?P<array>(?:\[\d*\])*)"
)


def sqlalchemy_type(text: str) -> TypeEngine[Any]:
    """Return the SQLAlchemy type of a column."""
    match = _FORM.fullmatch(text)
    if match is None:
        return _named(text)
    name = (match["head"].strip() + match["tail"]).strip()
    arguments = [int(a) for a in (match["arguments"] or "").split(",") if a.strip()]
    found = _plain(name, arguments)
    return postgresql.ARRAY(found) if match["array"] else found


def _plain(name: str, arguments: list[int]) -> TypeEngine[Any]:
    first = arguments[0] if arguments else None
    zone = name.endswith("with time zone")
    if name.startswith("timestamp"):
        return postgresql.TIMESTAMP(timezone=zone, precision=first)
    if name.startswith("time"):
        return postgresql.TIME(timezone=zone, precision=first)
    if name.startswith("interval"):
        return postgresql.INTERVAL(fields=name.removeprefix("interval").strip() or None, precision=first)
    if name == "double precision":
        # Postgres prints no precision for it; FLOAT(53) would be written into every script.
        return sa.DOUBLE_PRECISION()
    if name == "numeric":
        return sa.NUMERIC(first, arguments[1] if len(arguments) > 1 else None)
    if name in {"character", "character varying"}:
        return (sa.CHAR if name == "character" else sa.VARCHAR)(first)
    if name in {"bit", "bit varying"}:
        return postgresql.BIT(first, varying=name != "bit")
    known: Any = ischema_names.get(name)
    found: TypeEngine[Any] = known() if known is not None else _named(name)
    return found


def _named(name: str) -> TypeEngine[Any]:
    parts = [p.strip('"').replace('""', '"') for p in re.findall(r'"(?:[^"]|"")*"|[^."]+', name)]
    schema = parts[-2] if len(parts) > 1 else None
    return postgresql.ENUM(name=parts[-1], schema=schema, create_type=False)


def type_text(text: str) -> str:
    """Write a type as SQLAlchemy does, such as ``VARCHAR(16)`` for ``character varying(16)``."""
    return sqlalchemy_type(text).compile(dialect=_DIALECT)


Options = tuple[tuple[str, Any], ...]
"""Options by their SQLAlchemy names, sorted; those with their default value are left out."""


@dataclass(frozen=True, order=True)
class Grant:
    """One privilege of one role; ``grantee`` is ``PUBLIC`` for everyone."""

    grantee: str
    privilege: str
    grantable: bool = False


@dataclass(frozen=True)
class CatalogColumn:
    """A column as in ``pg_attribute``."""

    name: str
    position: int  # Number among existing columns, from 0
    type: str  # As ``format_type`` prints it
    nullable: bool
    default: str | None = None  # SQL as Postgres prints it, also of a generated column; None for a sequence
    identity: Options = ()
    generated: str = ""
    collation: str | None = None
    comment: str | None = None
    grants: frozenset[Grant] = frozenset()
    sequence: str | None = None  # Qualified name of the sequence that ``nextval`` reads in the default
    statistics: int | None = None  # The target of ``SET STATISTICS``; None for the server's default
    settings: tuple[str, ...] = ()
    """Non-default storage, compression and options, as ALTER COLUMN writes them."""

    @property
    def sqlalchemy_type(self) -> TypeEngine[Any]:
        """The type as a SQLAlchemy object."""
        return sqlalchemy_type(self.type)

    @property
    def type_text(self) -> str:
        """The type as SQLAlchemy writes it, such as ``VARCHAR(16)``."""
        return type_text(self.type)


@dataclass(frozen=True)
class CatalogConstraint:
    """A constraint of a table."""

    name: str
    kind: str  # ``primary key``, ``unique``, ``foreign key``, ``check`` or ``exclusion``
    definition: str  # The text of ``pg_get_constraintdef``
    columns: tuple[str, ...] = ()
    references: str | None = None
    comment: str | None = None
    referenced: tuple[str, ...] = ()
    referenced_schema: str | None = None  # Schema of a foreign key's target; None for its own
    options: Options = ()
    expression: str = ""  # The condition of a CHECK as Postgres prints it
    index: str = field(default="", compare=False)  # The index of a key, or the one that a foreign key uses
    source: str | None = field(default=None, compare=False)
    """The condition as the schema file writes it, if known (rule M21)."""

    @property
    def table(self) -> str:
        """The table that a foreign key refers to."""
        return self.references or ""

    @property
    def sql(self) -> str:
        """The condition of a CHECK, as the schema file writes it if known."""
        return self.source or self.expression

    @cached_property
    def meaning(self) -> tuple[Any, ...]:
        """Key that is equal for equal constraints under any name."""
        if self.kind == "check":
            return self.kind, self.options, stable_expression(self.expression)
        if self.kind == "exclusion":
            return self.kind, self.options, self.definition
        return (
            self.kind,
            self.options,
            self.columns,
            self.references,
            self.referenced,
            self.referenced_schema,
        )


@dataclass(frozen=True)
class CatalogIndex:
    """An index that belongs to no constraint."""

    name: str
    definition: str  # The text of ``pg_get_indexdef``
    elements: tuple[str, ...] = ()
    """Column names or, where ``is_expression``, SQL with order and operator class."""
    is_expression: tuple[bool, ...] = ()
    unique: bool = False
    options: Options = ()
    comment: str | None = None
    sources: tuple[str, ...] = field(default=(), compare=False)

    @cached_property
    def meaning(self) -> tuple[Any, ...]:
        """Key that is equal for equal indexes under any name."""
        elements = tuple(
            stable_expression(e) if sql else e
            for e, sql in zip(self.elements, self.is_expression, strict=True)
        )
        options = tuple((k, stable_expression(v) if k == "postgresql_where" else v) for k, v in self.options)
        return elements, self.is_expression, self.unique, options


@dataclass(frozen=True)
class ExtendedStatistics:
    """Extended statistics (``CREATE STATISTICS``); dropped with any of its columns."""

    definition: str
    columns: tuple[str, ...]
    target: int | None = None
    comment: str | None = None


@dataclass(frozen=True)
class CatalogRelation:
    """A table or view."""

    name: str
    kind: str
    columns: Mapping[str, CatalogColumn]
    constraints: Mapping[str, CatalogConstraint] = field(default_factory=dict)
    indexes: Mapping[str, CatalogIndex] = field(default_factory=dict)
    comment: str | None = None
    grants: frozenset[Grant] = frozenset()
    definition: str = ""  # A view's query; empty for a table
    options: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()  # The relations of the schema in a view's query
    statistics: Mapping[str, ExtendedStatistics] = field(default_factory=dict)
    extras: Mapping[str, str] = field(default_factory=dict)
    """What migrations do not create, such as rules or UNLOGGED; compared, so that no loss is silent."""

    @property
    def is_view(self) -> bool:
        """Whether this is a view or a materialized view."""
        return self.kind in {"view", "materialized view"}

    @cached_property
    def primary_key(self) -> CatalogConstraint | None:
        """The primary key, if any."""
        return next((c for c in self.constraints.values() if c.kind == "primary key"), None)

    @cached_property
    def uniques(self) -> tuple[CatalogConstraint, ...]:
        """The UNIQUE constraints by name."""
        return self._of_kind("unique")

    @cached_property
    def foreign_keys(self) -> tuple[CatalogConstraint, ...]:
        """The foreign keys by name."""
        return self._of_kind("foreign key")

    @cached_property
    def checks(self) -> tuple[CatalogConstraint, ...]:
        """The CHECK constraints by name."""
        return self._of_kind("check")

    @property
    def keys(self) -> list[tuple[str, ...]]:
        """The column lists that identify a row."""
        primary = [self.primary_key.columns] if self.primary_key else []
        return primary + [u.columns for u in self.uniques]

    def _of_kind(self, kind: str) -> tuple[CatalogConstraint, ...]:
        return tuple(c for _, c in sorted(self.constraints.items()) if c.kind == kind)


@dataclass(frozen=True)
class Sequence:
    """A sequence."""

    name: str
    type: str
    owned_by: str | None = None  # The owning column, as ``table.column``
    used: bool = True
    """Whether a default or identity uses it; ConsDB has unused sequences of dropped defaults."""


@dataclass(frozen=True)
class Snapshot:
    """All relations of one schema."""

    schema: str
    relations: Mapping[str, CatalogRelation] = field(default_factory=dict)
    sequences: Mapping[str, Sequence] = field(default_factory=dict)
    functions: Mapping[str, str] = field(default_factory=dict)
    triggers: Mapping[str, str] = field(default_factory=dict)
    policies: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def tables(self) -> dict[str, CatalogRelation]:
        """The tables by name."""
        return {name: r for name, r in self.relations.items() if not r.is_view}

    @cached_property
    def views(self) -> dict[str, CatalogRelation]:
        """The views by name."""
        return {name: r for name, r in self.relations.items() if r.is_view}

    def readers(self, names: Collection[str]) -> set[str]:
        """Return the views that read any of these relations, also through other views."""
        found: set[str] = set()
        while more := {
            v.name for v in self.views.values() if {*names, *found} & set(v.reads) and v.name not in found
        }:
            found |= more
        return found
