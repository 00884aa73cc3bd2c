"""Facts as JSON, so that a decision can be replayed without GitHub."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from datetime import date, datetime
from enum import Enum
from typing import Any

from consdb_actions.approval.facts import Facts
from consdb_actions.errors import InputError

__all__ = ["FORMAT", "decode", "encode", "facts_from_json", "facts_to_json"]

FORMAT = "consdb-actions/approval-facts/1"


def facts_to_json(facts: Facts) -> dict[str, Any]:
    """Convert facts to JSON values, with the format's name under ``format``."""
    encoded: dict[str, Any] = {"format": FORMAT}
    encoded.update(encode(facts))
    return encoded


def facts_from_json(data: object, *, place: str = "facts") -> Facts:
    """Read what `facts_to_json` wrote; ``place`` names the file in messages."""
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        raise InputError(
            f'this file does not say "format": "{FORMAT}"',
            place=place,
            remedy="Give a file that --dump-facts of this version wrote.",
        )
    try:
        facts = decode({key: value for key, value in data.items() if key != "format"}, Facts, "")
    except InputError as error:
        where = f"{place}: {error.place.removeprefix('.')}" if error.place else place
        remedy = "Give a file that --dump-facts wrote, as it is."
        raise InputError(error.cause, place=where, remedy=remedy) from error
    assert isinstance(facts, Facts)
    return facts


def encode(value: Any) -> Any:
    """Encode dataclasses, tuples, enums and dates; leave the rest."""
    if dataclasses.is_dataclass(value):
        return {item.name: encode(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date):
        return value.isoformat()
    return value


def decode(value: Any, kind: Any, place: str) -> Any:
    """Decode a value by a dataclass field's type; InputError names the path within the value."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        kind = next(item for item in typing.get_args(kind) if item is not type(None))
        return decode(value, kind, place)
    if origin is tuple:
        if not isinstance(value, list):
            raise _type_error(value, "a list", place)
        item_kind = typing.get_args(kind)[0]
        return tuple(decode(item, item_kind, f"{place}[{index}]") for index, item in enumerate(value))
    if dataclasses.is_dataclass(kind):
        return _decode_object(value, typing.cast("type[Any]", kind), place)
    if isinstance(kind, type) and issubclass(kind, Enum | date):
        try:
            return kind(value) if issubclass(kind, Enum) else kind.fromisoformat(value)
        except (ValueError, TypeError) as error:
            raise _type_error(value, _type_name(kind), place) from error
    if type(value) is not kind:
        raise _type_error(value, _type_name(kind), place)
    return value


def _decode_object(value: Any, kind: type[Any], place: str) -> Any:
    if not isinstance(value, Mapping):
        raise _type_error(value, "an object", place)
    hints = typing.get_type_hints(kind)
    fields = {item.name: item for item in dataclasses.fields(kind)}
    if unknown := sorted(set(value) - set(fields)):
        raise InputError(f'"{unknown[0]}" is not known here', place=place)
    required = [
        name
        for name, item in fields.items()
        if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
    ]
    if missing := [name for name in required if name not in value]:
        raise InputError(f'"{missing[0]}" is missing', place=place)
    return kind(**{name: decode(value[name], hints[name], f"{place}.{name}") for name in value})


def _type_name(kind: type) -> str:
    if issubclass(kind, Enum):
        return f"one of {', '.join(item.value for item in kind)}"
    return _NAMES.get(kind, "what belongs here")


_NAMES = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    datetime: "a moment such as 2026-03-02T09:00:00+00:00",
    date: "a day such as 2026-03-02",
}


def _type_error(value: object, wanted: str, place: str) -> InputError:
    shown = repr(value)
    return InputError(f"{shown if len(shown) < 60 else shown[:57] + '...'} is not {wanted}", place=place)
