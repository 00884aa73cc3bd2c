"""Read ``.github/consdb-actions.yaml`` as data (rule S2); report every error with path and line."""

from __future__ import annotations

import datetime
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from consdb_actions.adapters import typed_files
from consdb_actions.adapters.files import read_bytes
from consdb_actions.adapters.yaml_tree import YamlNode, read_tree
from consdb_actions.config import CONFIG_PATH, DEFAULT_CONFIG, Config, ConfigFile


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
    file = typed_files.typed(ConfigFile, values, source=source, what=what, place=place)
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


def _place(root: YamlNode, path: typed_files.Place) -> tuple[int, int]:
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
