"""Small helpers over the tree of Postgres' own parser (libpg_query, through pglast)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from consdb_actions.migration.lint.column_types import Type
from consdb_actions.migration.lint.names import Name

__all__ = ["Node", "children", "kind", "name_of", "relation", "strings", "text_of", "type_of", "walk"]

Node = Any
"""A node of the parser's tree; pglast has no type hints."""


def kind(node: Node) -> str:
    """Return the name of a node's class, as in ``RangeVar``."""
    return type(node).__name__


def children(node: Node) -> Iterator[Node]:
    """Yield the nodes right below a node."""
    stack = [getattr(node, slot) for slot in reversed(_slots(node))]
    while stack:
        value = stack.pop()
        if isinstance(value, tuple):
            stack.extend(reversed(value))
        elif _is_node(value):
            yield value


def _slots(node: Node) -> tuple[str, ...]:
    return tuple(type(node).__slots__)


def _is_node(value: object) -> bool:
    return type(value).__module__ == "pglast.ast"


def walk(node: Node | Iterable[Node]) -> Iterator[Node]:
    """Yield a node and all below it; without recursion, since expressions can be very deep."""
    stack = list(reversed(node)) if isinstance(node, tuple) else [node]
    while stack:
        current = stack.pop()
        if not _is_node(current):
            continue
        yield current
        stack.extend(reversed(list(children(current))))


def strings(values: Iterable[Node] | None) -> tuple[str, ...]:
    """Return the texts of a list of names; what is no name (``*``) is left out."""
    return tuple(value.sval for value in values or () if kind(value) == "String")


def name_of(parts: Iterable[Node], search_path: str = "") -> Name:
    """Return the relation that a list of names means."""
    texts = strings(parts)
    if not texts:
        return Name("", "")
    return Name(texts[-2], texts[-1]) if len(texts) > 1 else Name(search_path, texts[-1])


def relation(node: Node, search_path: str = "") -> Name:
    """Return the relation that a ``RangeVar`` means."""
    return Name(node.schemaname or search_path, node.relname)


def type_of(node: Node) -> Type:
    """Return the type that a ``TypeName`` means."""
    names = strings(node.names)
    if names[:1] == ("pg_catalog",):
        names = names[1:]
    mods = tuple(
        mod.val.ival for mod in node.typmods or () if kind(mod) == "A_Const" and kind(mod.val) == "Integer"
    )
    return Type(".".join(names), mods, bool(node.arrayBounds))


def text_of(node: Node) -> str:
    """Return a text that is equal for equal expressions, wherever they stand in a statement."""
    parts: list[str] = []
    stack: list[Any] = [node]
    while stack:
        value = stack.pop()
        if isinstance(value, tuple):
            parts.append(f"({len(value)}")
            stack.extend(reversed(value))
        elif _is_node(value):
            parts.append(kind(value))
            stack.extend(getattr(value, s) for s in reversed(_slots(value)) if "location" not in s)
        else:
            parts.append(repr(value))
    return " ".join(parts)
