"""Operations that Alembic lacks, rendered as plain `op` calls; phases and descriptions of all operations."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

# With the driver's own style of parameters, percent signs in names would be doubled.
_DIALECT = PGDialect_psycopg(paramstyle="named")  # type: ignore[no-untyped-call]


def escape_binds(sql: str) -> str:
    r"""Escape SQL so that ``sqlalchemy.text`` returns it without parameters (rule M13).

    Only ``:name`` is escaped where that is enough: SQLAlchemy removes a backslash only in some contexts.

    >>> escape_binds("SELECT ':x'::text")
    "SELECT '\\:x'::text"
    """
    for candidate in (sql, re.sub(r"(?<!:):(?!:)", r"\\:", sql)):
        compiled = sa.text(candidate).compile(dialect=_DIALECT)
        if not compiled.params and str(compiled).replace("%%", "%") == sql:
            return candidate
    return sql.replace(":", r"\:")


def quote(name: str) -> str:
    """Quote an identifier where Postgres needs it."""
    return str(_DIALECT.identifier_preparer.quote(name))


def qualified(schema: str, *names: str) -> str:
    """Join a schema and names, each quoted where needed."""
    return ".".join(quote(n) for n in (schema, *names))


def literal(text: str) -> str:
    """Return text as an SQL string literal (rule M13)."""
    quoted = "'" + text.replace("'", "''") + "'"
    return "E" + quoted.replace("\\", "\\\\") if "\\" in text else quoted


_WIDTH = 88


def wrap(sql: str) -> list[str]:
    """Split a statement into lines to join by one space."""
    lines: list[str] = []
    for word in sql.split(" "):
        if lines and len(lines[-1]) + 1 + len(word) <= _WIDTH:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return lines


class Phase(IntEnum):
    """The phases of a script, in order (rule M6); for key phases see ``identity.py``."""

    DROP_VIEW = 0
    RENAME = 10
    DROP_FOREIGN_KEY = 20
    DROP_TABLE = 21
    DROP_CHECK = 22
    DROP_UNIQUE = 23
    DROP_PRIMARY_KEY = 24
    DROP_INDEX = 25
    RENAME_CONSTRAINT = 30
    DROP_DEFAULT = 35
    CREATE_TABLE = 40
    ADD_COLUMN = 50
    RELAX = 55
    ALTER_COLUMN = 60
    READY_PRIMARY_KEY = 65
    FILL = 70
    FILL_REST = 75
    CHECK_DEFERRED = 76
    DROP_OLD_PRIMARY_KEY = 77
    RELAX_OLD_KEY = 78
    TIGHTEN = 80
    DROP_COLUMN = 90
    DROP_COPIED_TABLE = 91
    ADD_PRIMARY_KEY = 100
    ADD_UNIQUE = 101
    ADD_INDEX = 102
    ADD_DEFAULT = 105
    ADD_FOREIGN_KEY = 110
    ADD_CHECK = 111
    COMMENT = 120
    GRANT = 130
    CREATE_VIEW = 140


class SqlStatement(ops.ExecuteSQLOp):
    """One SQL statement, rendered as ``op.execute``.

    ``sql`` is the statement or lines to join by one space, ``words`` a description such as ``fill
    exposure.day_obs from visit``, ``table`` the table concerned.
    """

    def __init__(self, sql: str | Sequence[str], *, phase: Phase, text: str, table: str = "") -> None:
        self.lines = tuple(line for part in ([sql] if isinstance(sql, str) else sql) for line in wrap(part))
        super().__init__(escape_binds(" ".join(self.lines)))
        self.phase = phase
        self.text = text
        self.table = table

    @classmethod
    def of_lines(cls, lines: Sequence[str], *, phase: Phase, text: str, table: str) -> SqlStatement:
        """Keep these lines, however short."""
        made = cls("", phase=phase, text=text, table=table)
        made.lines = tuple(lines)
        made.sqltext = escape_binds(" ".join(lines))
        return made

    @classmethod
    def commenting(
        cls, target: str, comment: str | None, *, text: str, table: str, phase: Phase = Phase.COMMENT
    ) -> SqlStatement:
        """Return a ``COMMENT ON`` for what Alembic cannot comment on."""
        value = "NULL" if comment is None else literal(comment)
        return cls(f"COMMENT ON {target} IS {value}", phase=phase, text=text, table=table)

    @property
    def sql(self) -> str:
        """The whole statement, without escapes."""
        return " ".join(self.lines)

    @property
    def changes_rows(self) -> bool:
        """Whether it changes existing rows, and not only adds some."""
        return self.lines[0].startswith(("UPDATE ", "DELETE "))


class Rename(SqlStatement):
    """A rename of a table, column, constraint (``key`` if it has an index), index or sequence."""

    def __init__(
        self, kind: str, schema: str, table: str, old: str, new: str, *, phase: Phase = Phase.RENAME
    ) -> None:
        self.kind, self.schema, self.old, self.new = kind, schema, old, new
        owner = qualified(schema, table)
        sql = {
            "table": f"ALTER TABLE {qualified(schema, old)} RENAME TO {quote(new)}",
            "column": f"ALTER TABLE {owner} RENAME COLUMN {quote(old)} TO {quote(new)}",
            "constraint": f"ALTER TABLE {owner} RENAME CONSTRAINT {quote(old)} TO {quote(new)}",
            "key": f"ALTER TABLE {owner} RENAME CONSTRAINT {quote(old)} TO {quote(new)}",
            "index": f"ALTER INDEX {qualified(schema, old)} RENAME TO {quote(new)}",
            "sequence": f"ALTER SEQUENCE {qualified(schema, old)} RENAME TO {quote(new)}",
        }[kind]
        name = f"{table}.{old}" if kind == "column" else old
        word = "constraint" if kind == "key" else kind
        super().__init__(sql, phase=phase, text=f"rename {word} {name} to {new}", table=table)

    @property
    def space(self) -> str:
        """The namespace of both names: the table (columns, foreign keys, checks) or the schema."""
        return {"column": f"column of {self.table}", "constraint": f"constraint of {self.table}"}.get(
            self.kind, "relation"
        )


class Retype(ops.AlterColumnOp):
    """A change of type with ``USING`` (rule M8); ``empties`` if no value is kept."""

    def __init__(self, *args: Any, using: str, empties: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.using = using
        self.empties = empties
        self.kw["postgresql_using"] = using


class LateDropTable(ops.DropTableOp):
    """A ``drop_table`` after its values were read (rules M5, M7)."""

    @classmethod
    def of(cls, op: ops.DropTableOp) -> LateDropTable:
        """Drop a table late."""
        return cls(op.table_name, schema=op.schema, table_kw=op.table_kw, _reverse=op._reverse)


class ReadyKey(ops.CreatePrimaryKeyOp):
    """A new primary key that is created before rows change (rule M7)."""

    @classmethod
    def of(cls, op: ops.CreatePrimaryKeyOp) -> ReadyKey:
        """Create a key early."""
        return cls(op.constraint_name, op.table_name, op.columns, schema=op.schema, **op.kw)


class DropOldKey(ops.DropConstraintOp):
    """A primary key that is dropped after rows changed (rule M7)."""


class RelaxOldKey(ops.AlterColumnOp):
    """A DROP NOT NULL after the primary key (rule M7)."""

    @classmethod
    def of(cls, op: ops.AlterColumnOp) -> RelaxOldKey:
        """Drop a NOT NULL late."""
        return cls(
            op.table_name,
            op.column_name,
            schema=op.schema,
            existing_type=op.existing_type,
            modify_nullable=True,
        )


def phase_of(op: ops.MigrateOperation) -> Phase:
    """Return the phase of an operation."""
    if isinstance(op, SqlStatement):
        return op.phase
    for kind, phase in _ELSEWHERE:
        if isinstance(op, kind):
            return phase
    if isinstance(op, ops.DropConstraintOp):
        return {
            "foreignkey": Phase.DROP_FOREIGN_KEY,
            "check": Phase.DROP_CHECK,
            "unique": Phase.DROP_UNIQUE,
            "primary": Phase.DROP_PRIMARY_KEY,
        }[str(op.constraint_type)]
    if isinstance(op, ops.AlterColumnOp):
        return _alter_phase(op)
    for kind, phase in _PHASES:
        if isinstance(op, kind):
            return phase
    raise TypeError(f"no phase for {type(op).__name__}")


def _alter_phase(op: ops.AlterColumnOp) -> Phase:
    if op.modify_nullable is False:
        return Phase.TIGHTEN
    if op.modify_type is None and op.modify_nullable is True:
        return Phase.RELAX
    if op.modify_type is None and op.modify_nullable is None and op.modify_server_default is False:
        return Phase.COMMENT
    if op.modify_type is None and op.modify_server_default is None:
        return Phase.DROP_DEFAULT
    if op.modify_type is None and op.modify_server_default is not False:
        return Phase.ADD_DEFAULT
    return Phase.ALTER_COLUMN


_ELSEWHERE: tuple[tuple[type[ops.MigrateOperation], Phase], ...] = (
    (LateDropTable, Phase.DROP_COPIED_TABLE),
    (ReadyKey, Phase.READY_PRIMARY_KEY),
    (DropOldKey, Phase.DROP_OLD_PRIMARY_KEY),
    (RelaxOldKey, Phase.RELAX_OLD_KEY),
)

_PHASES: tuple[tuple[type[ops.MigrateOperation], Phase], ...] = (
    (ops.DropTableOp, Phase.DROP_TABLE),
    (ops.CreateTableOp, Phase.CREATE_TABLE),
    (ops.AddColumnOp, Phase.ADD_COLUMN),
    (ops.DropColumnOp, Phase.DROP_COLUMN),
    (ops.CreatePrimaryKeyOp, Phase.ADD_PRIMARY_KEY),
    (ops.CreateUniqueConstraintOp, Phase.ADD_UNIQUE),
    (ops.CreateForeignKeyOp, Phase.ADD_FOREIGN_KEY),
    (ops.CreateCheckConstraintOp, Phase.ADD_CHECK),
    (ops.CreateIndexOp, Phase.ADD_INDEX),
    (ops.DropIndexOp, Phase.DROP_INDEX),
    (ops.CreateTableCommentOp, Phase.COMMENT),
    (ops.DropTableCommentOp, Phase.COMMENT),
)


def describe(op: ops.MigrateOperation) -> str:
    """Describe an operation, such as ``drop column exposure.airmass``."""
    if isinstance(op, SqlStatement):
        return op.text
    for kind, text in _WORDS:
        if isinstance(op, kind):
            return text(op)
    return type(op).__name__


def subject(op: ops.MigrateOperation) -> tuple[str, str]:
    """Return the table, and the column, constraint or index, of an operation; or empty texts."""
    if isinstance(op, SqlStatement):
        return op.table, ""
    table = str(getattr(op, "table_name", None) or getattr(op, "source_table", None) or "")
    name = (
        getattr(op, "column_name", None)
        or getattr(op, "constraint_name", None)
        or getattr(op, "index_name", None)
    )
    if isinstance(op, ops.AddColumnOp):
        name = op.column.name
    return table, str(name or "")


def _type(type_: Any) -> str:
    return str(type_.compile(dialect=_DIALECT)).lower() if type_ is not None else ""


def _add_column(op: Any) -> str:
    null = "" if op.column.nullable else " not null"
    return f"add column {op.table_name}.{op.column.name} ({_type(op.column.type)}{null})"


def _alter_column(op: Any) -> str:
    name = f"{op.table_name}.{op.column_name}"
    if op.modify_type is not None:
        return f"change type of {name} from {_type(op.existing_type)} to {_type(op.modify_type)}"
    if op.modify_nullable is not None:
        return f"make {name} {'nullable' if op.modify_nullable else 'not null'}"
    if op.modify_server_default is not False:
        return f"{'drop' if op.modify_server_default is None else 'set'} default of {name}"
    return f"{'change comment on' if op.modify_comment else 'remove comment of'} {name}"


def _create_table(op: Any) -> str:
    count = sum(isinstance(item, sa.Column) for item in op.columns)
    return f"create table {op.table_name} with {count} column{'s' if count != 1 else ''}"


_KINDS = {"foreignkey": "foreign key", "primary": "primary key", "unique": "unique", "check": "check"}

_WORDS: tuple[tuple[type[ops.MigrateOperation], Callable[[Any], str]], ...] = (
    (ops.AddColumnOp, _add_column),
    (ops.DropColumnOp, lambda op: f"drop column {op.table_name}.{op.column_name}"),
    (ops.AlterColumnOp, _alter_column),
    (ops.CreateTableOp, _create_table),
    (ops.DropTableOp, lambda op: f"drop table {op.table_name}"),
    (ops.CreateTableCommentOp, lambda op: f"change comment on table {op.table_name}"),
    (ops.DropTableCommentOp, lambda op: f"remove comment of table {op.table_name}"),
    (
        ops.DropConstraintOp,
        lambda op: f"drop {_KINDS[op.constraint_type]} {op.constraint_name} of {op.table_name}",
    ),
    (
        ops.CreatePrimaryKeyOp,
        lambda op: f"add primary key {op.constraint_name} to {op.table_name} ({_names(op.columns)})",
    ),
    (
        ops.CreateUniqueConstraintOp,
        lambda op: f"add unique {op.constraint_name} to {op.table_name} ({_names(op.columns)})",
    ),
    (
        ops.CreateForeignKeyOp,
        lambda op: (
            f"add foreign key {op.constraint_name} from {op.source_table} ({_names(op.local_cols)}) "
            f"to {op.referent_table}"
        ),
    ),
    (ops.CreateCheckConstraintOp, lambda op: f"add check {op.constraint_name} to {op.table_name}"),
    (ops.CreateIndexOp, lambda op: f"create index {op.index_name} on {op.table_name}"),
    (ops.DropIndexOp, lambda op: f"drop index {op.index_name}"),
)


def _names(columns: Any) -> str:
    return ", ".join(str(c) for c in columns)
