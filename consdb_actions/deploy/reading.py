"""Parse values files into nodes and data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from consdb_actions.errors import InputError

__all__ = ["STRING", "Path", "Tree", "compose", "key_text", "leaves", "parse_values"]

Tree = Mapping[str, Any]
"""Data of a values file; every scalar is its text."""

Path = tuple[str, ...]
"""Keys from the root of a file to a value."""

STRING = "tag:yaml.org,2002:str"
MAX_SIZE = 1_000_000
"""Maximum size in characters; the largest real values file has about 60,000."""


def parse_values(text: str, *, place: str) -> Tree:
    """Parse a values file, with every scalar as text.

    Raises `InputError` at `place` for invalid YAML and for a file that is not a mapping.
    """
    data = _plain(compose(text, place), {})
    return data if isinstance(data, dict) else {}


def compose(text: str, place: str) -> yaml.Node | None:
    """Parse the nodes of a file."""
    if len(text) > MAX_SIZE:
        raise InputError(f"the file has more than {MAX_SIZE:,} characters", place=place)
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "it cannot be read"
        raise InputError(f"this is no YAML: {problem}", place=f"{place}{line}") from error
    except RecursionError:
        raise InputError("the YAML is nested too deeply", place=place) from None
    if node is not None and not isinstance(node, yaml.MappingNode):
        raise InputError("this is no values file: no mapping", place=place)
    return node


def _plain(node: yaml.Node | None, known: dict[int, Any]) -> Any:
    """Return the data of a node, shared by aliases against exponential growth."""
    if node is None:
        return None
    if id(node) in known:
        return known[id(node)]
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        known[id(node)] = mapping
        mapping.update({key_text(key, n): _plain(value, known) for n, (key, value) in enumerate(node.value)})
        return mapping
    if isinstance(node, yaml.SequenceNode):
        items: list[Any] = []
        known[id(node)] = items
        items.extend(_plain(value, known) for value in node.value)
        return items
    return "" if node.tag == "tag:yaml.org,2002:null" else node.value


def key_text(node: yaml.Node, number: int) -> str:
    """Return a key as text, or else its number."""
    return node.value if isinstance(node, yaml.ScalarNode) else f"? {number}"


def leaves(text: str, place: str) -> dict[Path, tuple[str, str]]:
    """Return type and text of every node by its first path."""
    found: dict[Path, tuple[str, str]] = {}
    known: dict[int, Path] = {}

    def walk(node: yaml.Node, path: Path) -> None:
        if id(node) in known:
            found[path] = ("alias", "/".join(known[id(node)]))
            return
        known[id(node)] = path
        found[path] = (node.tag, node.value if isinstance(node, yaml.ScalarNode) else str(len(node.value)))
        if isinstance(node, yaml.SequenceNode):
            for number, value in enumerate(node.value):
                walk(value, (*path, str(number)))
        elif isinstance(node, yaml.MappingNode):
            for number, (key, value) in enumerate(node.value):
                walk(value, (*path, key_text(key, number)))

    root = compose(text, place)
    if root is not None:
        walk(root, ())
    return found
