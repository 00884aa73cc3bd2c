"""Read ``.github/consdb-actions.yaml`` as data (rule S2); report every error with path and line."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consdb_actions.adapters.files import read_bytes
from consdb_actions.adapters.problems import FileError, Problem, did_you_mean, shorten
from consdb_actions.adapters.yaml_tree import YamlNode, read_tree
from consdb_actions.config import CONFIG_PATH, DEFAULT_CONFIG, Config, config_from_mapping

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

__all__ = ["config_schema", "load_config", "parse_config"]


def load_config(path: Path | None = None, *, directory: Path | None = None) -> Config:
    """Read the configuration file.

    A given `path` must exist; the default file in `directory` (the current one) may be missing and then gives
    the defaults. Raises `InputError` with all problems of the file.
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
    problems = list(_problems(values, root))
    if problems:
        raise FileError(source, problems)
    return config_from_mapping(values, source=source)


def config_schema() -> dict[str, Any]:
    """Return the JSON Schema of the configuration."""
    from importlib import resources

    text = resources.files("consdb_actions").joinpath("config.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def _plain(node: YamlNode) -> Any:
    """Return plain data; a date stays the text as written."""
    if isinstance(node.value, dict):
        return {key: _plain(value) for key, value in node.value.items()}
    if isinstance(node.value, list):
        return [_plain(item) for item in node.value]
    return node.text if isinstance(node.value, datetime.date) else node.value


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


def _problems(values: Any, root: YamlNode) -> Iterator[Problem]:
    """Yield every violation of the JSON Schema."""
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(config_schema(), format_checker=Draft202012Validator.FORMAT_CHECKER)
    for error in validator.iter_errors(values):
        yield from _in_words(error, root)


def _in_words(error: ValidationError, root: YamlNode) -> Iterator[Problem]:
    """Convert a schema violation to a problem."""
    path = list(error.absolute_path)
    line, column = _place(root, path)
    where = _dotted(path) or "the configuration"
    known: dict[str, Any] = dict(error.schema) if isinstance(error.schema, Mapping) else {}
    wanted: Any = error.validator_value
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        words = list(known.get("properties", {}))
        for key in error.instance:
            if key not in words:
                at = _place(root, [*path, key])
                remedy = did_you_mean(str(key), words) or f"Known here: {', '.join(words)}."
                yield Problem(*at, f"unknown key {_dotted([*path, key])}", remedy)
        return
    if error.validator == "required":
        present = error.instance if isinstance(error.instance, dict) else {}
        missing = [key for key in wanted if key not in present]
        yield Problem(line, column, f"{where} lacks {', '.join(missing)}", f"Add {missing[0]}:.")
    elif error.validator == "type":
        kind = _KINDS.get(str(wanted), str(wanted))
        cause = f"{where} must be {kind}, not {_kind_of(error.instance)}"
        yield Problem(line, column, cause, str(known.get("description", "Change it.")))
    elif error.validator == "enum":
        choices = [str(choice) for choice in wanted]
        remedy = did_you_mean(str(error.instance), choices) or f"Write one of: {', '.join(choices)}."
        yield Problem(line, column, f"{where} is {shorten(error.instance)}", remedy)
    elif error.validator == "pattern":
        # The description explains a pattern better than the expression itself.
        remedy = str(known.get("description", "Change it."))
        yield Problem(
            line, column, f"{where}: {shorten(error.instance)} is not written as it must be", remedy
        )
    else:
        yield Problem(line, column, f"{where}: {error.message}", str(known.get("description", "Change it.")))


_KINDS = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "boolean": "true or false",
    "integer": "a whole number",
}


def _kind_of(value: object) -> str:
    """Name the type of a value."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return "empty" if value is None else shorten(json.dumps(value) if not isinstance(value, str) else value)


def _dotted(path: Sequence[str | int]) -> str:
    """Format a path as ``approvals.roles[0].label``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _place(root: YamlNode, path: Sequence[str | int]) -> tuple[int, int]:
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
