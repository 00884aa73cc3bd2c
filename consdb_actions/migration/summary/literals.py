"""Evaluate literals, columns and types in a syntax tree, without running code (rule S2)."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine, UserDefinedType

__all__ = ["UnknownValueError", "arguments", "value"]

_TEXTS = {"sa.text", "sqlalchemy.text", "text", "op.f"}
_LONGEST = 1_000_000
"""Maximum characters of a joined text; lists have at most a hundredth as many items."""
_LENGTHS = {"length", "precision", "scale", "timezone"}


class UnknownValueError(Exception):
    """An expression without a known value."""


class _Named(UserDefinedType[Any]):
    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: object) -> str:
        return self.name


def arguments(call: ast.Call, names: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return the values of a call's arguments; see `value`."""
    if any(keyword.arg is None for keyword in call.keywords):
        raise UnknownValueError
    return _each(call.args, names), {str(k.arg): value(k.value, names) for k in call.keywords}


def value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """Return the value of an expression."""
    match node:
        case ast.Constant():
            return node.value
        case ast.Name() if node.id in names:
            return names[node.id]
        case ast.List() | ast.Tuple():
            return [_plain(item) for item in _each(node.elts, names)]
        case ast.Dict():
            return {
                str(_plain(value(key, names))): _plain(value(item, names))
                for key, item in zip(node.keys, node.values, strict=True)
                if key is not None
            }
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.BinOp(op=ast.Add()):
            left, right = value(node.left, names), value(node.right, names)
            if isinstance(left, str) and isinstance(right, str):
                return _joined([left, right])
        case ast.Subscript():
            whole, key = value(node.value, names), _plain(value(node.slice, names))
            if isinstance(whole, dict) and str(key) in whole:
                return whole[str(key)]
        case ast.JoinedStr():
            return _joined([_formatted(part, names) for part in node.values])
        case ast.Call():
            return _called(node, names)
    raise UnknownValueError


def _each(nodes: Iterable[ast.expr], names: Mapping[str, Any]) -> list[Any]:
    """Return the values of expressions; starred ones are lists."""
    out: list[Any] = []
    for node in nodes:
        if isinstance(node, ast.Starred):
            many = value(node.value, names)
            if not isinstance(many, list):
                raise UnknownValueError
            out += many
        else:
            out.append(value(node, names))
        if len(out) > _LONGEST // 100:
            raise UnknownValueError
    return out


def _plain(item: Any) -> Any:
    """Return a value that contains no others, so that nothing can grow."""
    if isinstance(item, list | dict):
        raise UnknownValueError
    return item


def _joined(parts: list[str]) -> str:
    if sum(map(len, parts)) > _LONGEST:
        raise UnknownValueError
    return "".join(parts)


def _formatted(part: ast.expr, names: Mapping[str, Any]) -> str:
    if isinstance(part, ast.FormattedValue):
        if part.conversion != -1 or part.format_spec is not None:
            raise UnknownValueError
        part = part.value
    return str(_plain(value(part, names)))


def _called(call: ast.Call, names: Mapping[str, Any]) -> Any:
    name = ast.unparse(call.func)
    last = name.rpartition(".")[2]
    if last == "with_variant" and isinstance(call.func, ast.Attribute):
        return value(call.func.value, names)
    if name in _TEXTS and call.args:
        return value(call.args[0], names)
    if last == "Column":
        return _column(call, names)
    if last.endswith(("Constraint", "ForeignKey", "Identity", "Computed", "Sequence")):
        return None
    kind = getattr(sa, last, None) or getattr(postgresql, last, None)
    if isinstance(kind, type) and issubclass(kind, TypeEngine):
        return _type(kind, call, names)
    if isinstance(call.func, ast.Attribute | ast.Name) and not call.keywords and not call.args:
        return _Named(last.lower())
    raise UnknownValueError


def _column(call: ast.Call, names: Mapping[str, Any]) -> sa.Column[Any]:
    if len(call.args) < 2:
        raise UnknownValueError
    name, type_ = value(call.args[0], names), value(call.args[1], names)
    if not isinstance(name, str) or not isinstance(type_, TypeEngine):
        raise UnknownValueError
    given = {item.arg: item.value for item in call.keywords}
    primary = "primary_key" in given and bool(value(given["primary_key"], names))
    nullable = bool(value(given["nullable"], names)) if "nullable" in given else not primary
    return sa.Column(name, type_, nullable=nullable)


def _type(kind: type[TypeEngine[Any]], call: ast.Call, names: Mapping[str, Any]) -> TypeEngine[Any]:
    positional = [value(item, names) for item in call.args]
    given = {k.arg: value(k.value, names) for k in call.keywords if k.arg in _LENGTHS}
    try:
        return kind(*positional, **given)
    except Exception:  # The class needs more than lengths: use its name only.
        return _Named(kind.__name__.lower())
