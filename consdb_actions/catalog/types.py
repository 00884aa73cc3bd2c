"""Convert ``format_type`` output to SQLAlchemy types."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.types import TypeEngine

__all__ = ["sqlalchemy_type", "type_text"]

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
