"""Read a revision's file as data (rule S2)."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from consdb_actions.migration.summary.deeds import UNSEEN, Deed, sentences
from consdb_actions.migration.summary.literals import UnknownValueError, arguments, value
from consdb_actions.migration.summary.operations import CALLS, deeds_of_call
from consdb_actions.migration.summary.sql import deeds_of_sql

__all__ = ["Revision", "read_revision"]

LIMIT = 2_000_000
"""Maximum characters of a file; the longest real one has about 300,000."""
LOOP = 100
"""Maximum number of items of a loop."""


@dataclass(frozen=True, slots=True)
class Revision:
    """A revision."""

    id: str
    """Empty where the file has none."""
    title: str
    """The first line of its message."""
    operations: tuple[str, ...]
    """Its upgrade's actions on tables, columns, views and rows."""
    others: tuple[str, ...] = ()
    """Its actions on keys, defaults, grants and comments."""
    down: tuple[str, ...] = ()
    """The revisions that it follows."""


def read_revision(text: str) -> Revision:
    """Read a revision's file without running it."""
    try:
        if len(text) > LIMIT:
            raise ValueError
        tree = ast.parse(text)
        names = dict(_assigned(tree.body))
        upgrade = next(
            (item for item in tree.body if isinstance(item, ast.FunctionDef) and item.name == "upgrade"), None
        )
        deeds = tuple(_deeds(upgrade.body, names)) if upgrade is not None else ()
        message = (ast.get_docstring(tree) or "").partition("\n")[0].strip()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Revision("", "", ("what it does cannot be read from its file",))
    down = names.get("down_revision") or ()
    told = tuple(_without_echoes(deeds))
    return Revision(
        str(names.get("revision") or ""),
        message,
        sentences(deed for deed in told if deed.kind not in UNSEEN),
        sentences(deed for deed in told if deed.kind in UNSEEN),
        tuple(map(str, down)) if isinstance(down, list | tuple) else (str(down),),
    )


def _assigned(body: list[ast.stmt]) -> Iterator[tuple[str, Any]]:
    known: dict[str, Any] = {}
    for statement in body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=node):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as node):
                pass
            case _:
                continue
        try:
            known[name] = value(node, known)
        except UnknownValueError:
            known.pop(name, None)
    yield from known.items()


def _deeds(body: list[ast.stmt], names: dict[str, Any], *, looping: bool = False) -> Iterator[Deed]:
    """Yield actions of statements, also in conditions and loops, but not in nested loops."""
    names = {**names, **dict(_assigned(body))}
    for statement in body:
        match statement:
            case ast.Pass() | ast.Assign() | ast.AnnAssign() | ast.Return() | ast.Import() | ast.ImportFrom():
                continue
            case ast.Expr(value=ast.Constant()):
                continue
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="op"), attr=name)) as call):
                yield from _called(name, call, names)
            case ast.With():
                yield from _deeds(statement.body, names, looping=looping)
            case ast.For(target=ast.Name(id=name)) if not looping and (items := _items(statement, names)):
                for item in items:
                    yield from _deeds(statement.body, {**names, name: item}, looping=True)
            case ast.For() | ast.If() | ast.While() | ast.Try():
                yield _own_code(statement)
                inner = [
                    item for part in ("body", "orelse", "finalbody") for item in getattr(statement, part, [])
                ]
                yield from _deeds(inner, names, looping=looping)
            case _:
                yield _own_code(statement)


def _items(loop: ast.For, names: dict[str, Any]) -> list[Any]:
    """Return the items of a short loop over plain values."""
    try:
        items = value(loop.iter, names)
    except UnknownValueError:
        return []
    items = list(items) if isinstance(items, list | dict) and not loop.orelse else []
    return items if len(items) <= LOOP else []


def _own_code(statement: ast.stmt) -> Deed:
    words = f"run Python code of its own (line {statement.lineno})"
    return Deed("other", "", words, words)


def _called(name: str, call: ast.Call, names: dict[str, Any]) -> tuple[Deed, ...]:
    # Unknown or invalid arguments: Alembic reports these when the script runs.
    with contextlib.suppress(Exception):
        positional, named = arguments(call, names)
        if name == "execute" and positional and isinstance(positional[0], str):
            return deeds_of_sql(positional[0], call.lineno)
        if name in CALLS:
            return deeds_of_call(name, positional, named)
    what = "SQL that the script puts together" if name == "execute" else f"op.{name}"
    words = f"run {what} (line {call.lineno})"
    return (Deed("other", "", words, words),)


def _without_echoes(deeds: tuple[Deed, ...]) -> Iterator[Deed]:
    """Merge drop and create of a view, and leave out grants on new elements."""
    created = {deed.item for deed in deeds if deed.kind == "create view"}
    dropped = {deed.item for deed in deeds if deed.kind == "drop view"}
    made = created | {
        deed.words.split()[2]
        for deed in deeds
        if deed.words.startswith(("create table ", "create sequence "))
    }
    for deed in deeds:
        if deed.kind == "drop view" and deed.item in created:
            continue
        if (deed.kind == "grant" and deed.table in made) or (
            deed.kind == "rename column" and deed.table in created
        ):
            continue
        if deed.kind == "create view" and deed.item in dropped:
            deed = replace(deed, kind="remake view", words=f"remake view {deed.item}")
        yield deed
