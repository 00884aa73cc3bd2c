"""Compare two states of a schema's tables as Alembic operations (rule M6).

Alembic's comparison misses primary keys, renamed foreign keys, CHECK texts and constraint comments, and reads
the catalog again; here both sides are snapshots.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops

from consdb_actions.catalog import CatalogColumn, CatalogConstraint, CatalogRelation
from consdb_actions.catalog.compare import same_fact
from consdb_actions.migration.rewrite.constraints import (
    comment_on_constraint,
    compare_constraints,
    create_indexes,
    plain_options,
)
from consdb_actions.migration.rewrite.plan import DirectionFacts, MigrationPlan
from consdb_actions.migration.rewrite.statements import (
    Phase,
    SqlStatement,
    escape_binds,
    literal,
    qualified,
    quote,
)


def compare(plan: MigrationPlan, facts: DirectionFacts) -> MigrationPlan:
    """Add the operations from the old tables to the new, in column order."""
    out: list[ops.MigrateOperation] = []
    for name in sorted({*facts.before.tables, *facts.after.tables}):
        before, after = facts.before.tables.get(name), facts.after.tables.get(name)
        if after is None:
            out.append(ops.DropTableOp(name, schema=facts.schema))
        elif before is None:
            out.append(_create_table(facts.schema, after))
            out.extend(create_indexes(facts.schema, name, after.indexes.values()))
            out.extend(_constraint_comments(facts.schema, None, after))
            out.extend(_statistics(facts.schema, None, after))
        elif before != after:
            out.extend(_columns(facts, before, after))
            out.extend(_comment(facts.schema, before, after))
            out.extend(compare_constraints(facts.schema, before, after))
            out.extend(_constraint_comments(facts.schema, before, after))
            out.extend(_defaults(facts.schema, before, after))
            out.extend(_nullability(facts.schema, before, after))
            out.extend(_statistics(facts.schema, before, after))
    return replace(plan, ops=(*plan.ops, *out))


def _create_table(schema: str, table: CatalogRelation) -> ops.CreateTableOp:
    made = sa.Table(
        table.name,
        sa.MetaData(),
        *(_column(c, lone_key=_is_lone_key(table, c)) for c in table.columns.values()),
        *_table_constraints(schema, table),
        schema=schema,
        comment=table.comment,
    )
    return ops.CreateTableOp.from_table(made)


def _is_lone_key(table: CatalogRelation, column: CatalogColumn) -> bool:
    return table.primary_key is not None and table.primary_key.columns == (column.name,)


def _column(column: CatalogColumn, *, lone_key: bool = False) -> sa.Column[Any]:
    extra: list[Any] = []
    if column.identity:
        extra.append(sa.Identity(**{str(k): v for k, v in column.identity}))
    default: Any = None
    if column.generated:
        extra.append(
            sa.Computed(sa.text(escape_binds(column.default or "")), persisted=column.generated == "s")
        )
    elif column.default is not None:
        default = sa.text(escape_binds(column.default))
    type_: Any = column.sqlalchemy_type
    if column.collation and hasattr(type_, "collation"):
        type_.collation = column.collation
    return sa.Column(
        column.name,
        type_,
        *extra,
        nullable=column.nullable,
        server_default=default,
        comment=column.comment,
        autoincrement=bool(column.sequence) if lone_key and not column.identity else "auto",
    )


def _table_constraints(schema: str, table: CatalogRelation) -> Iterator[sa.Constraint]:
    for item in (*([table.primary_key] if table.primary_key else []), *table.uniques):
        kind: type[Any] = sa.PrimaryKeyConstraint if item.kind == "primary key" else sa.UniqueConstraint
        yield kind(*item.columns, name=item.name, **plain_options(item.options))
    for key in table.foreign_keys:
        target = key.referenced_schema or schema
        yield sa.ForeignKeyConstraint(
            key.columns,
            [f"{target}.{key.table}.{c}" for c in key.referenced],
            name=key.name,
            **plain_options(key.options),
        )
    for check in table.checks:
        yield sa.CheckConstraint(sa.text(escape_binds(check.sql)), name=check.name)


def _columns(
    facts: DirectionFacts, before: CatalogRelation, after: CatalogRelation
) -> Iterator[ops.MigrateOperation]:
    schema, table = facts.schema, after.name
    for column in after.columns.values():
        old = before.columns.get(column.name)
        if old is None:
            yield ops.AddColumnOp(table, _column(column), schema=schema)
            continue
        if old.type != column.type:
            yield ops.AlterColumnOp(
                table,
                column.name,
                schema=schema,
                existing_type=old.sqlalchemy_type,
                existing_nullable=old.nullable,
                modify_type=column.sqlalchemy_type,
            )
        if old.comment != column.comment:
            yield ops.AlterColumnOp(
                table,
                column.name,
                schema=schema,
                existing_type=column.sqlalchemy_type,
                existing_nullable=old.nullable,
                existing_comment=old.comment,
                modify_comment=column.comment,
            )
    for name in before.columns:
        if name not in after.columns:
            yield ops.DropColumnOp(table, name, schema=schema)


def _comment(schema: str, before: CatalogRelation, after: CatalogRelation) -> Iterator[ops.MigrateOperation]:
    if before.comment != after.comment:
        if after.comment is None:
            yield ops.DropTableCommentOp(after.name, schema=schema, existing_comment=before.comment)
        else:
            yield ops.CreateTableCommentOp(
                after.name, after.comment, schema=schema, existing_comment=before.comment
            )


def _constraint_comments(
    schema: str, before: CatalogRelation | None, after: CatalogRelation
) -> Iterator[SqlStatement]:
    """Yield COMMENT statements of constraints and indexes, which Alembic lacks."""
    for kind, items in (("CONSTRAINT", after.constraints), ("INDEX", after.indexes)):
        known: Any = (before.constraints if kind == "CONSTRAINT" else before.indexes) if before else {}
        for name, item in items.items():
            old = known.get(name) or next((o for o in known.values() if o.meaning == item.meaning), None)
            if (old.comment if old is not None and old.meaning == item.meaning else None) == item.comment:
                continue
            if isinstance(item, CatalogConstraint):
                yield comment_on_constraint(schema, after.name, item)
                continue
            verb = "remove comment of" if item.comment is None else "change comment on"
            yield SqlStatement.commenting(
                f"INDEX {qualified(schema, name)}",
                item.comment,
                text=f"{verb} index {name}",
                table=after.name,
            )


def _defaults(schema: str, before: CatalogRelation, after: CatalogRelation) -> Iterator[ops.AlterColumnOp]:
    for column in after.columns.values():
        old = before.columns.get(column.name)
        if old is None or column.generated or old.generated:
            continue
        # The same constant with another type is another default.
        same = old.default == column.default or old.type == column.type
        if same and same_fact("default", old.default, column.default):
            continue
        default = None if column.default is None else sa.DefaultClause(sa.text(escape_binds(column.default)))
        yield ops.AlterColumnOp(
            after.name,
            column.name,
            schema=schema,
            existing_type=column.sqlalchemy_type,
            existing_nullable=column.nullable,
            modify_server_default=default,
        )


def _nullability(schema: str, before: CatalogRelation, after: CatalogRelation) -> Iterator[ops.AlterColumnOp]:
    for column in after.columns.values():
        old = before.columns.get(column.name)
        if old is None or old.nullable == column.nullable:
            continue
        yield ops.AlterColumnOp(
            after.name,
            column.name,
            schema=schema,
            existing_type=old.sqlalchemy_type if column.nullable else column.sqlalchemy_type,
            modify_nullable=column.nullable,
        )


def _statistics(
    schema: str, before: CatalogRelation | None, after: CatalogRelation
) -> Iterator[SqlStatement]:
    owner = qualified(schema, after.name)
    for column in after.columns.values():
        old = before.columns.get(column.name) if before else None
        if (old.statistics if old else None) != column.statistics:
            target = -1 if column.statistics is None else column.statistics
            yield SqlStatement(
                f"ALTER TABLE {owner} ALTER COLUMN {quote(column.name)} SET STATISTICS {target}",
                phase=Phase.COMMENT,
                text=f"set statistics target of {after.name}.{column.name}",
                table=after.name,
            )
        # A change of type resets storage and compression.
        if old is None or (old.type, old.settings) != (column.type, column.settings):
            for setting in column.settings:
                text = f"({setting})" if "=" in setting else setting
                yield SqlStatement(
                    f"ALTER TABLE {owner} ALTER COLUMN {quote(column.name)} SET {text}",
                    phase=Phase.COMMENT,
                    text=f"set {setting} of {after.name}.{column.name}",
                    table=after.name,
                )
    known = before.statistics if before else {}
    for name, made in after.statistics.items():
        old_types = [before.columns[c].type for c in made.columns if before and c in before.columns]
        # Postgres recreates them when a column changes its type, and loses their target.
        remade = made.target is not None and old_types != [after.columns[c].type for c in made.columns]
        if known.get(name) == made and not remade:
            continue
        place = qualified(schema, name)
        texts = [] if name in known else [made.definition]
        if made.target is not None:
            texts.append(f"ALTER STATISTICS {place} SET STATISTICS {made.target}")
        if made.comment is not None and name not in known:
            texts.append(f"COMMENT ON STATISTICS {place} IS {literal(made.comment)}")
        for text in texts:
            message = f"{'create' if text.startswith('CREATE') else 'describe'} statistics {name}"
            yield SqlStatement(text, phase=Phase.COMMENT, text=message, table=after.name)
