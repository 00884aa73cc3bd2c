"""Names as Postgres truncates and generates them (rule M9).

A name has at most 63 *bytes* (``NAMEDATALEN - 1``) of UTF-8; longer ones are truncated silently. Source:
PostgreSQL, ``truncate_identifier`` (scansup.c) and ``makeObjectName`` (indexcmds.c).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = [
    "MAX_BYTES",
    "check_name",
    "cut",
    "foreign_key_name",
    "index_name",
    "is_snake_case",
    "is_too_long",
    "make_object_name",
    "primary_key_name",
    "unique_name",
]

MAX_BYTES = 63
"""Longest identifier in bytes of UTF-8."""

_SNAKE = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")


def is_too_long(name: str) -> bool:
    """Return whether Postgres would truncate this name."""
    return len(name.encode()) > MAX_BYTES


def cut(name: str, limit: int = MAX_BYTES) -> str:
    """Truncate a name to ``limit`` bytes, without splitting a character."""
    return name.encode()[:limit].decode(errors="ignore")


def is_snake_case(name: str) -> bool:
    """Return whether a name is lower-case words joined by single underscores."""
    return _SNAKE.fullmatch(name) is not None


def make_object_name(first: str, second: str = "", label: str = "") -> str:
    """Return the name that Postgres makes; the longer of the first two parts is truncated."""
    overhead = (1 if second else 0) + (len(label.encode()) + 1 if label else 0)
    available = MAX_BYTES - overhead
    one, two = len(first.encode()), len(second.encode())
    while one + two > available:
        if one > two:
            one -= 1
        else:
            two -= 1
    parts = [cut(first, one)]
    if second:
        parts.append(cut(second, two))
    if label:
        parts.append(label)
    return "_".join(parts)


def primary_key_name(table: str) -> str:
    """Return the default name of a primary key."""
    return make_object_name(table, label="pkey")


def unique_name(table: str, columns: Sequence[str]) -> str:
    """Return the default name of a UNIQUE constraint, unless it is used."""
    return make_object_name(table, _columns(columns), "key")


def foreign_key_name(table: str, columns: Sequence[str]) -> str:
    """Return the default name of a foreign key, unless it is used."""
    return make_object_name(table, _columns(columns), "fkey")


def check_name(table: str, columns: Sequence[str]) -> str:
    """Return the default name of a CHECK; only a single column is part of it."""
    return make_object_name(table, columns[0] if len(columns) == 1 else "", "check")


def index_name(table: str, columns: Sequence[str]) -> str:
    """Return the default name of an index, unless it is used."""
    return make_object_name(table, _columns(columns), "idx")


def _columns(columns: Sequence[str]) -> str:
    """Join column names as ``ChooseIndexNameAddition``, up to 64 bytes."""
    joined = b""
    for column in columns:
        joined += (b"_" if joined else b"") + column.encode()[:MAX_BYTES]
        if len(joined) >= MAX_BYTES + 1:
            break
    return joined.decode(errors="ignore")
