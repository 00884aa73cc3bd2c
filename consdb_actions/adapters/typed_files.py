"""Read files into dataclasses, among them the configuration (rule S2); every error has its path and line."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from types import UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from consdb_actions import forms
from consdb_actions.adapters.files import read_bytes, read_json
from consdb_actions.adapters.yaml_tree import (
    MAX_PROBLEMS,
    FileError,
    Problem,
    YamlNode,
    did_you_mean,
    read_tree,
    shorten,
)
from consdb_actions.config import CONFIG_PATH, DEFAULT_CONFIG, Config, ConfigFile
from consdb_actions.errors import InputError
from consdb_actions.forms import Form, WrongValueError

T = TypeVar("T")

Place = Sequence[str | int]


def typed(
    kind: type[T],
    values: Any,
    *,
    source: str,
    what: str = "the file",
    place: Callable[[Place], tuple[int, int]] = lambda path: (0, 0),
) -> T:
    """Return values as a dataclass, or raise `FileError` with all problems.

    Parameters
    ----------
    kind
        The dataclass, with `forms.STRICT` as its configuration.
    values
        JSON values.
    source
        The file, for errors; its content is `what`.
    place
        Returns line and column of a path.
    """
    from pydantic import ValidationError

    try:
        made: T = forms.adapter(kind).validate_json(json.dumps(values))
        return made
    except ValidationError as error:
        errors = error.errors(include_url=False)
    # A list with wrong items is not too short besides, and of a union the mapping was meant.
    within = {error["loc"][:end] for error in errors for end in range(len(error["loc"]))}
    whole = [e for e in errors if e["loc"] not in within]
    named = [e for e in whole if not str(e["loc"][-1:]).startswith("('literal[")] or whole
    problems = [_problem(e, *_resolve(kind, e["loc"]), what, place) for e in named[:MAX_PROBLEMS]]
    raise FileError(source, problems)


def load_facts(kind: type[T], path: Path) -> T:
    """Read facts that ``--dump-facts`` wrote; `kind` has their ``FORMAT``."""
    values = read_json(path)
    if not isinstance(values, dict) or values.pop("format", None) != getattr(kind, "FORMAT"):  # noqa: B009
        raise InputError(
            f'this file does not say "format": "{kind.FORMAT}"',  # type: ignore[attr-defined]
            place=str(path),
            remedy="Give a file that --dump-facts of this version wrote.",
        )
    return typed(kind, values, source=str(path))


def _resolve(kind: Any, location: Place) -> tuple[list[str | int], Any, list[str]]:
    """Return the path in the file of an error of pydantic, the annotation there, and the keys beside it."""
    path: list[str | int] = []
    parent: Any = None
    for part in location:
        bare = _bare(kind)
        if part == "[key]":
            kind = get_args(parent)[0]
        elif get_origin(bare) in (Union, UnionType):
            kind = next((one for one in get_args(bare) if getattr(one, "__name__", "") == part), bare)
        else:
            path.append(part)
            parent = bare
            if is_dataclass(bare):
                kind = get_type_hints(bare, include_extras=True).get(str(part), Any)
            else:
                items = [item for item in get_args(bare) if item is not ...]
                kind = items[-1] if items else Any
    return path, kind, [item.name for item in fields(parent)] if is_dataclass(parent) else []


def _forms_of(kind: Any) -> list[Form]:
    """Return the forms of an annotation, the outermost first."""
    if get_origin(kind) is not Annotated:
        return []
    inner = [one for one in get_args(kind.__origin__) if get_origin(one) is Annotated]
    own = [one for one in reversed(kind.__metadata__) if isinstance(one, Form)]
    return own + (_forms_of(inner[0]) if get_origin(kind.__origin__) in (Union, UnionType) and inner else [])


def _bare(kind: Any) -> Any:
    """Return the type in the file that an annotation stands for."""
    if get_origin(kind) is Annotated:
        kind = next((form.kind for form in _forms_of(kind) if form.kind is not None), kind.__origin__)
    if get_origin(kind) in (Union, UnionType):
        given = [one for one in get_args(kind) if one is not type(None)]
        return _bare(given[0]) if len(given) == 1 else kind
    return kind if get_origin(kind) is not Annotated else _bare(kind)


def _problem(
    item: Mapping[str, Any],
    path: list[str | int],
    node: Any,
    known: list[str],
    what: str,
    place: Callable[[Place], tuple[int, int]],
) -> Problem:
    """Convert an error of pydantic to a problem."""
    code, value, cause = item["type"], item["input"], item.get("ctx", {}).get("error")
    is_key = item["loc"][-1:] == ("[key]",)
    where, at = dotted(path[:-1] if is_key else path) or what, place(path)
    remedy = next((form.description for form in _forms_of(node) if form.description), "Change it.")
    if isinstance(cause, WrongValueError):
        path = [*path, *cause.path]
        near = did_you_mean(str(path[-1]), cause.known) if path else ""
        return Problem(*place(path), f"{dotted(path) or what}: {cause}", near or cause.remedy or remedy)
    if code == "unexpected_keyword_argument":
        remedy = did_you_mean(str(path[-1]), known) or f"Known here: {', '.join(known)}."
        return Problem(*at, f"unknown key {where}", remedy)
    if code == "missing":
        return Problem(
            *place(path[:-1]), f"{dotted(path[:-1]) or what} lacks {path[-1]}", f"Add {path[-1]}:."
        )
    if kind := _KINDS.get(code):
        return Problem(*at, f"{where} must be {kind}, not {_kind_of(value)}", remedy)
    if choices := _choices(_bare(node)):
        remedy = did_you_mean(str(value), choices) or f"Write one of: {', '.join(choices)}."
        return Problem(*at, f"{where} is {shorten(value)}", remedy)
    if code == "string_pattern_mismatch":
        # The description explains a pattern better than the expression itself.
        remedy = next((form.description for form in _forms_of(node) if "pattern" in form.constraints), remedy)
        return Problem(*at, f"{where}: {shorten(value)} is not written as it must be", remedy)
    if code.startswith("date"):
        kind = "date and time" if code.startswith("datetime") else "day of the calendar"
        return Problem(*at, f"{where}: {shorten(value)} is not a {kind}", remedy)
    message = item["msg"].replace("Input", shorten(value)).replace("Tuple", "The list")
    return Problem(*at, f"{where}: {message.replace(' after validation', '')}", remedy)


_KINDS = {
    "dataclass_type": "a mapping",
    "dict_type": "a mapping",
    "tuple_type": "a list",
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "date_type": "a day",
    "datetime_type": "a date and time",
}


def _choices(kind: Any) -> list[str]:
    if get_origin(kind) is Literal:
        return [str(choice) for choice in get_args(kind)]
    return [str(one.value) for one in kind] if isinstance(kind, type) and issubclass(kind, Enum) else []


def _kind_of(value: object) -> str:
    """Name the type of a value."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return "empty" if value is None else shorten(json.dumps(value) if not isinstance(value, str) else value)


def dotted(path: Place) -> str:
    """Format a path as ``approvals.roles[0].label``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def load_config(path: Path | None = None, *, directory: Path | None = None) -> Config:
    """Read the configuration file.

    A given `path` must exist; the default file in `directory` (the current one) may be missing and then gives
    the defaults.
    """
    if path is None:
        path = (directory or Path()) / CONFIG_PATH
        if not path.is_file():
            return DEFAULT_CONFIG
    return parse_config(read_bytes(path), source=str(path))


def parse_config(data: str | bytes, *, source: str) -> Config:
    """Parse the content of a configuration file; see :func:`load_config`."""
    root = read_tree(data, source=source)
    if root.value is None:
        return DEFAULT_CONFIG
    values = _plain(root)
    _bare_off(root, values)
    what, place = "the configuration", partial(_place, root)
    file = typed(ConfigFile, values, source=source, what=what, place=place)
    return Config(**{item.name: getattr(file, item.name) for item in fields(file)}, source=source)


def _plain(node: YamlNode) -> Any:
    """Return plain data; a date and an endless number stay the text as written."""
    if isinstance(node.value, dict):
        return {key: _plain(value) for key, value in node.value.items()}
    if isinstance(node.value, list):
        return [_plain(item) for item in node.value]
    endless = isinstance(node.value, int) and node.value.bit_length() > 63
    return node.text if endless or isinstance(node.value, datetime.date) else node.value


def _bare_off(root: YamlNode, values: Any) -> None:
    """Restore ``rule: off``: YAML 1.1 reads a bare ``off`` as false."""
    node = root
    for key in ("lint", "severity"):
        if not isinstance(node.value, dict) or key not in node.value:
            return
        node = node.value[key]
    if isinstance(node.value, dict):
        for rule, severity in node.value.items():
            if severity.value is False:
                values["lint"]["severity"][rule] = severity.text.lower()


def _place(root: YamlNode, path: Place) -> tuple[int, int]:
    """Return line and column of the key at a path."""
    node, place = root, (root.line, root.column)
    for part in path:
        if isinstance(node.value, dict) and part in node.value:
            place = node.keys.get(str(part), place)
            node = node.value[str(part)]
        elif isinstance(node.value, list) and isinstance(part, int):
            node = node.value[part]
            place = (node.line, node.column)
        else:
            break
    return place
