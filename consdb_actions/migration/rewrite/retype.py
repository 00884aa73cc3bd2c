"""Make type changes run in each direction, and report those that can fail (rule M8)."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from sqlalchemy.types import TypeEngine

from consdb_actions.catalog import CatalogColumn
from consdb_actions.migration.rewrite.plan import (
    DataLoss,
    DirectionFacts,
    MigrationPlan,
    RewriteQuestion,
    Risk,
)
from consdb_actions.migration.rewrite.statements import Retype, escape_binds, literal, quote
from consdb_actions.migration.types import BITS, TypeKind, alteration, parse_type

_SHORT = {
    "varchar": "character varying",
    "char": "character",
    "float": "double precision",
    "bool": "boolean",
    "timestamp": "timestamp without time zone",
    "time": "time without time zone",
}
_TEXT = {"text", "character varying", "character", "name"}
_TIMES = (
    "date",
    "timestamp without time zone",
    "timestamp with time zone",
    "time without time zone",
)
_FLAGS = {"t", "true", "y", "yes", "on", "1", "f", "false", "n", "no", "off", "0"}
_WIDTHS = {"boolean": 5, "smallint": 6, "integer": 11, "bigint": 20, "date": 13}
_NUMBERS = ("smallint", "integer", "bigint", "numeric", "real", "double precision")


def retype(plan: MigrationPlan, facts: DirectionFacts) -> MigrationPlan:
    """Add USING to each type change, and recreate a default that cannot be converted."""
    out: list[ops.MigrateOperation] = []
    risks, questions, lost = list(plan.risks), list(plan.questions), list(plan.losses)
    resets = {
        (op.table_name, op.column_name)
        for op in plan.ops
        if isinstance(op, ops.AlterColumnOp) and op.modify_server_default is not False
    }
    for op in plan.ops:
        if not isinstance(op, ops.AlterColumnOp) or op.modify_type is None:
            out.append(op)
            continue
        where = (op.table_name, op.column_name)
        old = facts.before.tables[op.table_name].columns[op.column_name]
        new = facts.after.tables[op.table_name].columns[op.column_name]
        source, target = base_type(old.type_text), base_type(new.type_text)
        # The driver gets the text after USING unchanged, so a percent sign must be doubled.
        column = op.column_name.replace("%", "%%")
        expression = using(column, source, target, new.type_text, facts.casts)
        readable = convertible(source, target)
        if not readable:
            question = _no_conversion(facts, where, old, new)
            if question is not None:
                questions.append(question)
                continue
            expression = f"NULL::{new.type_text}"
            lost.append(_values_lost(facts, where, old, new))
            if not old.nullable and not new.nullable:
                # The rule of NOT NULL columns finds the second, and values for the rows in between.
                out += [_nullable(op, old.sqlalchemy_type, True), _nullable(op, new.sqlalchemy_type, False)]
        elif expression and new.nullable and (given := _unreadable(facts, where, source, target)):
            # What the upgrade put in place of NULL becomes NULL again.
            name = quote(column)
            expression = expression.replace(name, f"nullif({name}, {_unformatted(given)})", 1)
        if old.default is not None and source != target:
            if where not in resets or new.default is not None:
                out.append(_default(op, old.sqlalchemy_type, None))
            if where not in resets and new.default is not None:
                out.append(_default(op, new.sqlalchemy_type, escape_binds(new.default)))
        out.append(_with_using(op, expression, empties=not readable) if expression else op)
        if readable and (text := narrowing(old.type_text, new.type_text)):
            change = f"{facts.direction}: {old.type_text} to {new.type_text}"
            risks.append(Risk(".".join(where), f"{change}: {text}"))
        altered = alteration(_printed(old.type_text), _printed(new.type_text)) if readable else ""
        if altered and facts.direction == "upgrade":
            text = f"the downgrade does not restore all values of {'.'.join(where)}: {altered}"
            lost.append(DataLoss(*where, facts.direction, text))
    return replace(plan, ops=tuple(out), risks=tuple(risks), questions=tuple(questions), losses=tuple(lost))


def convertible(source: str, target: str) -> bool:
    """Return whether values of one type have a meaning in another: numbers, times, and all as text."""
    families = [(*_NUMBERS, "boolean"), _TIMES]
    if source == target or source in _TEXT or target in _TEXT:
        return True
    return any(source in f and target in f for f in families) or not any(
        source in f or target in f for f in families
    )


def _unformatted(text: str) -> str:
    """Return a literal without percent signs (parameters of the driver)."""
    quoted = literal(text)
    return quoted if "%" not in text else f"E{quoted.removeprefix('E')}".replace("%", r"\x25")


def _unreadable(facts: DirectionFacts, where: tuple[str, str], source: str, target: str) -> str | None:
    """Return the text that an upgrade filled in, if it is invalid in the old type."""
    given = facts.given.get(where)
    if given is None or source not in _TEXT:
        return None
    try:
        if target in _NUMBERS:
            Decimal(given.strip())
        elif target == "boolean":
            return None if given.strip().lower() in _FLAGS else given
        elif target in _TIMES:
            datetime.fromisoformat(given.strip())
        return None
    except (ValueError, InvalidOperation):
        return given


def _no_conversion(
    facts: DirectionFacts, where: tuple[str, str], old: CatalogColumn, new: CatalogColumn
) -> RewriteQuestion | None:
    """Ask about a type change that keeps no value, except in a downgrade."""
    if facts.direction == "downgrade":
        return None
    name = ".".join(where)
    text = (
        f"{name} changes from {old.type_text} to {new.type_text}, and no value of the old type is valid "
        f"in the new one"
    )
    if not new.nullable and _stays_in_primary_key(facts, where):
        return RewriteQuestion(
            name,
            f"{text}; the column is in the primary key, so that its values cannot be emptied. Give the new "
            "column another name, or remove this one from the key in a separate change first.",
            (),
        )
    if facts.on_question == "proceed" or where in facts.fills:
        return None
    if new.nullable:
        return RewriteQuestion(name, f"{text}. Drop its values?", ("--on-question drop-add",))
    default = ("--on-question drop-add",) if new.default is not None else ()
    instead = "its default or another value" if default else "which value"
    return RewriteQuestion(
        name,
        f"{text}; the column is NOT NULL. What should the rows hold instead: {instead}? "
        "With --no-fill the upgrade runs only where the table is empty.",
        (f"--fill {name}=VALUE", *default, f"--no-fill {name}"),
    )


def _stays_in_primary_key(facts: DirectionFacts, where: tuple[str, str]) -> bool:
    table, column = where
    keys = (facts.before.tables[table].primary_key, facts.after.tables[table].primary_key)
    return all(key is not None and column in key.columns for key in keys)


def _values_lost(
    facts: DirectionFacts, where: tuple[str, str], old: CatalogColumn, new: CatalogColumn
) -> DataLoss:
    return DataLoss(
        *where,
        facts.direction,
        f"the {facts.direction} empties {'.'.join(where)}: no {base_type(old.type_text)} reads as "
        f"{base_type(new.type_text)}",
    )


def base_type(text: str) -> str:
    """Return a type's name as Postgres spells it, without length or precision."""
    name = re.sub(r"\s+", " ", re.sub(r"\([^)]*\)", "", text)).strip().lower()
    return _SHORT.get(name, name)


def using(
    column: str, source: str, target: str, type_text: str, casts: frozenset[tuple[str, str]]
) -> str | None:
    """Return the USING expression of a type change; None where Postgres needs none.

    ``casts`` are the assignment casts. Anything but bytes converts to text by them; from text, and without a
    cast, the value's text is read again.
    """
    name = quote(column)
    if source in _TEXT and target == "bytea":
        return f"convert_to({name}::text, 'UTF8')"
    if source == "bytea" and target in _TEXT:
        return f"convert_from({name}, 'UTF8')"
    if source == target or target in _TEXT or (source, target) in casts:
        return None
    if target == "boolean" and source in _NUMBERS:
        return f"{name} <> 0"
    if source == "boolean" and target in _NUMBERS:
        return f"{name}::integer::{type_text}" if target != "integer" else f"{name}::integer"
    if source in _TEXT or target == "bytea" or {source, target} <= {"date", *_SHORT.values()}:
        return f"{name}::{type_text}"
    return f"{name}::text::{type_text}"


def narrowing(old: str, new: str) -> str:
    """Describe what a type change can do to some values; empty if nothing."""
    return ", and ".join(filter(None, (alteration(_printed(old), _printed(new)), _rejection(old, new))))


def _rejection(old: str, new: str) -> str:
    source, target = base_type(old), base_type(new)
    a, b = parse_type(_printed(old)), parse_type(_printed(new))
    if target in _TEXT:
        if source == "bytea":
            return "it fails for bytes that are not UTF-8"
        most = _WIDTHS.get(source) or (a.arguments[0] if source in _TEXT and a.arguments else None)
        longer = b.arguments and (most is None or b.arguments[0] < most)
        return f"values of more than {b.arguments[0]} characters make it fail" if longer else ""
    if source in _TEXT:
        return "" if target == "bytea" else f"it fails for values that are not valid as {target}"
    if source in _NUMBERS and target in _NUMBERS:
        return "it fails for values out of range" if _limit(a) > _limit(b) else ""
    times = source in _TIMES and target in _TIMES
    if source == target or times or "boolean" in {source, target}:
        return ""
    return f"it fails for values that are not valid as {target}"


def _limit(kind: TypeKind) -> int:
    """Return the upper limit of a numeric type, as power of ten."""
    if kind.name in BITS:
        return int(2 ** BITS[kind.name])
    if kind.name == "numeric" and kind.arguments:
        digits, places = (*kind.arguments, 0)[:2]
        return int(10 ** (digits - places))
    return 1 << (128 if kind.name == "real" else 1024)


def _printed(text: str) -> str:
    name, arguments = base_type(text), re.search(r"\([^)]*\)", text)
    if name == "character" and not arguments:
        return "character(1)"
    head, zone, tail = name.partition(" with")
    return f"{head}{arguments[0] if arguments else ''}{zone}{tail}"


def _with_using(op: ops.AlterColumnOp, expression: str, *, empties: bool) -> Retype:
    return Retype(
        op.table_name,
        op.column_name,
        schema=op.schema,
        existing_type=op.existing_type,
        existing_nullable=op.existing_nullable,
        modify_type=op.modify_type,
        modify_nullable=op.modify_nullable,
        using=expression,
        empties=empties,
    )


def _nullable(op: ops.AlterColumnOp, type_: TypeEngine[Any], nullable: bool) -> ops.AlterColumnOp:
    return ops.AlterColumnOp(
        op.table_name, op.column_name, schema=op.schema, existing_type=type_, modify_nullable=nullable
    )


def _default(op: ops.AlterColumnOp, type_: TypeEngine[Any], default: str | None) -> ops.AlterColumnOp:
    return ops.AlterColumnOp(
        op.table_name,
        op.column_name,
        schema=op.schema,
        existing_type=type_,
        existing_nullable=op.existing_nullable,
        modify_server_default=None if default is None else sa.DefaultClause(sa.text(default)),
    )
