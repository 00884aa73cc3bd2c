"""Read and change image tags in values files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from consdb_actions.errors import InputError

Tree = Mapping[str, Any]  # Data of a values file; every scalar is its text

Path = tuple[str, ...]  # Keys from the root of a file to a value

STRING = "tag:yaml.org,2002:str"

MAX_SIZE = 1_000_000  # Maximum size in characters; the largest real values file has about 60,000


def parse_values(text: str, *, place: str) -> Tree:
    """Parse a values file, with every scalar as text."""
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
        raise InputError(f"this is not YAML: {problem}", place=f"{place}{line}") from error
    except RecursionError:
        raise InputError("the YAML is nested too deeply", place=place) from None
    if node is not None and not isinstance(node, yaml.MappingNode):
        raise InputError("this is not a values file: no mapping", place=place)
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


_VALUE = re.compile(r"[ -~]+")

# YAML parsers differ in what is a number, so that only usual tags are written without quotes.
_BARE = re.compile(r"[a-z][a-z-]*[A-Za-z0-9.-]{2,}|[0-9]+\.[0-9]+\.[0-9]+", re.ASCII)

_ALIAS = re.compile(r"(?P<before>\s*:\s*)(?P<alias>\*[^\s,\[\]{}]+)")


def set_scalar(text: str, path: Path, value: str, *, place: str) -> str:
    """Replace a scalar and keep its quotes."""
    _, key, node = _find(text, path, place)
    if not _VALUE.fullmatch(value):
        raise InputError(f"{value[:100]!r} cannot be written into a values file", place=place)
    where = f"{place}, {'.'.join(path)}"
    if _is_alias(key, node):
        # An alias is composed as its target node: only the alias itself is replaced.
        found = _ALIAS.match(text, key.end_mark.index)
        if found is None:
            raise _by_hand(where)
        start, end, style = *found.span("alias"), '"'
    else:
        start, end = node.start_mark.index, node.end_mark.index
        if not _is_simple(node, text):
            raise _by_hand(where)
        if node.value == value:
            return text
        style = getattr(node, "style", None) or ""
    # An empty value may have no blank after the colon.
    blank = " " if start == end and text[start - 1] == ":" else ""
    written = blank + _quoted(value, style if start < end else '"')
    return _checked(text, text[:start] + written + text[end:], path, value, where)


def insert_scalar(text: str, path: Path, value: str, *, after: str | None, place: str) -> str:
    """Write a key that is not there yet, in its mapping; that is made where the one above it is there."""
    where = f"{place}, {'.'.join(path)}"
    if not _VALUE.fullmatch(value):
        raise InputError(f"{value[:100]!r} cannot be written into a values file", place=place)
    above = path[:-1] if path[:-1] in leaves(text, place) or len(path) < 3 else path[:-2]
    mapping = _mapping(text, above, place)
    pairs = {key_text(key, n): (key, node) for n, (key, node) in enumerate(mapping.value)}
    if path[len(above)] in pairs or mapping.flow_style or not mapping.value:
        raise _by_hand(where)
    first, style = mapping.value[0][0], '"'
    if after in pairs and above == path[:-1]:
        first, node = pairs[after]
        if not _is_alias(first, node) and not _is_simple(node, text):
            raise _by_hand(where)
        style = "'" if getattr(node, "style", None) == "'" else '"'
    start = _line_start(text, first.start_mark.index)
    indent = text[start : first.start_mark.index].removeprefix("\ufeff")
    if indent.strip(" "):
        raise _by_hand(where)
    ending = "\r\n" if "\r\n" in text else "\n"
    line = f"{indent}{path[-1]}: {_quoted(value, style)}"
    if above != path[:-1]:
        line = f"{indent}{path[-2]}:{ending}  {line}"
    if after not in pairs or above != path[:-1]:
        start = first.start_mark.index
        return _checked(
            text, f"{text[:start]}{line.lstrip(' ')}{ending}{indent}{text[start:]}", path, value, where
        )
    end = _line_end(text, first.end_mark.index)
    if text[end - 1 : end] in ("\n", "\r"):
        return _checked(text, f"{text[:end]}{line}{ending}{text[end:]}", path, value, where)
    return _checked(text, f"{text}{ending}{line}", path, value, where)


def remove_scalar(text: str, path: Path, *, place: str) -> str:
    """Take the line of a scalar out, with its mapping if nothing else is in it."""
    where = f"{place}, {'.'.join(path)}"
    mapping, key, node = _find(text, path, place)
    if len(mapping.value) == 1 and len(path) > 2 and _is_simple(node, text):
        value, path = node, path[:-1]
        mapping, key, node = _find(text, path, place)
        start, end = _line_start(text, key.start_mark.index), _line_end(text, value.end_mark.index)
        alone = len(mapping.value) > 1 and not text[start : key.start_mark.index].strip(" \ufeff")
        if mapping.flow_style or not alone or _is_alias(key, node) or _is_anchored(node, text):
            raise _by_hand(where)
        return _checked(text, text[:start] + text[end:], path, None, where)
    start, end = _line_start(text, key.start_mark.index), _line_end(text, key.end_mark.index)
    alone = len(mapping.value) > 1 and not text[start : key.start_mark.index].strip(" \ufeff")
    within = key.start_mark.index <= node.start_mark.index and node.end_mark.index <= end
    if mapping.flow_style or not alone or not within or not _is_simple(node, text):
        raise _by_hand(where)
    return _checked(text, text[:start] + text[end:], path, None, where)


def _is_simple(node: yaml.Node, text: str) -> bool:
    """Tell whether a value is an untagged one-line scalar."""
    start, end = node.start_mark.index, node.end_mark.index
    return (
        isinstance(node, yaml.ScalarNode)
        and text[start : start + 1] not in ("&", "!", "|", ">")
        and not set("\r\n") & set(text[start:end])
    )


def _is_alias(key: yaml.Node, node: yaml.Node) -> bool:
    """Tell whether a value is an alias: its node starts before the key."""
    return bool(node.start_mark.index < key.end_mark.index)


def _is_anchored(node: yaml.Node, text: str) -> bool:
    return text[node.start_mark.index : node.start_mark.index + 1] == "&"


def _mapping(text: str, path: Path, place: str) -> yaml.MappingNode:
    node = _find(text, path, place)[2] if path else compose(text, place)
    if not isinstance(node, yaml.MappingNode):
        raise InputError(f"there is no mapping {'.'.join(path) or 'at all'}", place=place)
    if _is_anchored(node, text):
        raise _by_hand(f"{place}, {'.'.join(path)}")
    return node


def _find(text: str, path: Path, place: str) -> tuple[yaml.MappingNode, yaml.Node, yaml.Node]:
    node = compose(text, place)
    found: tuple[yaml.MappingNode, yaml.Node, yaml.Node] | None = None
    for depth, part in enumerate(path, start=1):
        where = ".".join(path[:depth])
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        fits = [pair for number, pair in enumerate(pairs) if key_text(pair[0], number) == part]
        if not fits:
            raise InputError(
                f"there is no {where}",
                place=place,
                remedy="Add it to the file manually once; later runs update it.",
            )
        if len(fits) > 1:
            raise InputError(f"{where} is defined twice", place=place, remedy="Remove one of them.")
        assert isinstance(node, yaml.MappingNode)
        found = (node, *fits[0])
        key, node = fits[0]
        if depth < len(path) and (_is_alias(key, node) or _is_anchored(node, text)):
            raise _by_hand(f"{place}, {where}")
    assert found is not None
    return found


def _checked(before: str, after: str, path: Path, value: str | None, where: str) -> str:
    """Return the changed file if only the scalar has changed."""
    try:
        old, new = leaves(before, where), leaves(after, where)
    except InputError:
        raise _by_hand(where) from None
    above = path[:-1]
    if value is None:
        for each in [each for each in old if each[: len(path)] == path]:
            del old[each]
        old[above] = (old[above][0], str(int(old[above][1]) - 1))
    else:
        if above and above not in old:
            old[above] = ("tag:yaml.org,2002:map", "0")
            old[above[:-1]] = (old[above[:-1]][0], str(int(old[above[:-1]][1]) + 1))
        if path not in old:
            old[above] = (old[above][0], str(int(old[above][1]) + 1))
        old[path] = (STRING, value)
    if old != new:
        raise _by_hand(where)
    return after


def _quoted(value: str, style: str) -> str:
    """Write a value in a quote style; plain only where it stays text."""
    if style == "'":
        return "'" + value.replace("'", "''") + "'"
    if (
        not style
        and _BARE.fullmatch(value)
        and getattr(yaml.compose(value, Loader=yaml.SafeLoader), "tag", "") == STRING
    ):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _by_hand(where: str) -> InputError:
    return InputError(
        "this value cannot be changed without changing others",
        place=where,
        remedy="Change the file manually, or write it with one line per key and without anchors.",
    )


def _line_start(text: str, index: int) -> int:
    return max(text.rfind("\n", 0, index), text.rfind("\r", 0, index)) + 1


def _line_end(text: str, index: int) -> int:
    found = re.compile(r"\r\n|\n|\r").search(text, index)
    return found.end() if found else len(text)
