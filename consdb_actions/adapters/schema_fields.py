"""Typed access to the keys of a mapping; invalid values become problems."""

from __future__ import annotations

from collections.abc import Sequence

from consdb_actions.adapters.felis_types import KEYS
from consdb_actions.adapters.problems import Problem, did_you_mean, shorten
from consdb_actions.adapters.yaml_tree import YamlNode

_TRUE = {"true", "yes", "on", "y", "t", "1"}
_FALSE = {"false", "no", "off", "n", "f", "0"}


class Fields:
    """The keys of a schema, table, column, constraint or index.

    Felis's attribute spellings (``primary_key``) are accepted, unknown keys are problems. ``kind`` is a key
    of :data:`~consdb_actions.adapters.felis_types.KEYS`, ``what`` the object's name in messages.
    """

    def __init__(self, node: YamlNode, kind: str, what: str, problems: list[Problem]) -> None:
        self._node = node
        self.what = what
        self._problems = problems
        self.usable = isinstance(node.value, dict)
        self._values: dict[str, YamlNode] = {}
        self._spelled: dict[str, str] = {}
        if not isinstance(node.value, dict):
            found = "a list" if isinstance(node.value, list) else shorten(node.text)
            self.problem(
                "",
                f"{what} must be a mapping of keys and values, not {found}",
                "Write keys and values there.",
            )
            return
        known = KEYS[kind]
        for key, value in list(node.value.items()):
            spelled = known.get(key)
            if spelled is None:
                self.problem(
                    key,
                    f"{what} has an unknown key {shorten(key)}",
                    did_you_mean(key, known.values()) or "Remove the key.",
                )
            elif spelled in self._values:
                self.problem(key, f'{what} has "{spelled}" twice, in two spellings', "Remove one of the two.")
            else:
                self._values[spelled] = value
                self._spelled[spelled] = key

    def problem(self, key: str, cause: str, remedy: str = "") -> None:
        """Add a problem at a key of this mapping, or at its start."""
        line, column = self._node.keys.get(self._spelled.get(key, key), (self._node.line, self._node.column))
        self._problems.append(Problem(line, column, cause, remedy))

    def node(self, key: str) -> YamlNode | None:
        """Return the value of a key; None when it is absent."""
        return self._values.get(key)

    def line(self, key: str) -> int:
        """Return the line of a key, or of the object when the key is absent."""
        return self._node.keys.get(self._spelled.get(key, key), (self._node.line, 0))[0]

    def name(self) -> str:
        """Return the object's name; add a problem when it is missing or not text."""
        node = self.node("name")
        if node is None or node.value is None:
            self.problem("", f"{self.what} has no name", "Add name: and the name.")
            return ""
        name = self.text("name")
        if not name and isinstance(node.value, str):
            self.problem("name", f"{self.what} has an empty name", "Write the name.")
        return name

    def text(self, key: str) -> str:
        """Return a stripped text, empty when absent."""
        node = self.node(key)
        if node is None or node.value is None:
            return ""
        if not isinstance(node.value, str):
            kind = (
                "a list"
                if isinstance(node.value, list)
                else "a mapping"
                if isinstance(node.value, dict)
                else ""
            )
            shown = kind or f"{node.text} ({type(node.value).__name__} in YAML)"
            self.problem(key, f'"{key}" of {self.what} must be text, not {shown}', "Put it in quotes.")
            return ""
        if "\0" in node.value:
            self.problem(
                key, f'"{key}" of {self.what} holds a NUL character', "Postgres cannot store it: remove it."
            )
            return ""
        return node.value.strip()

    def integer(self, key: str, *, least: int) -> int | None:
        """Return a whole number, None when absent."""
        node = self.node(key)
        if node is None or node.value is None:
            return None
        value = node.value
        if isinstance(value, str) and value.strip().isdecimal():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            shown = shorten(node.text) if node.text else "this"
            self.problem(
                key,
                f'"{key}" of {self.what} must be a whole number from {least} on, not {shown}',
                "Write a number.",
            )
            return None
        return value

    def flag(self, key: str, *, default: bool | None) -> bool | None:
        """Return a boolean, the default when absent."""
        node = self.node(key)
        if node is None or node.value is None:
            return default
        if isinstance(node.value, bool):
            return node.value
        word = node.text.strip().lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        self.problem(
            key,
            f'"{key}" of {self.what} must be true or false, not {shorten(node.text)}',
            "Write one of them.",
        )
        return default

    def choice(self, key: str, words: Sequence[str]) -> str:
        """Return one of ``words``, empty when absent."""
        text = self.text(key)
        if text and text not in words:
            remedy = did_you_mean(text, words) or f"Write one of: {', '.join(words)}."
            cause = f'"{key}" of {self.what} is {shorten(text)}, which Felis does not know'
            self.problem(key, cause, remedy)
            return ""
        return text

    def items(self, key: str, *, required: bool = False) -> list[YamlNode]:
        """Return the nodes of a list, empty when absent."""
        node = self.node(key)
        if node is None or node.value is None:
            if required:
                self.problem(key, f'{self.what} has no "{key}"', f"Add {key}: and a list.")
            return []
        if not isinstance(node.value, list):
            self.problem(key, f'"{key}" of {self.what} must be a list', "Put a dash before each entry.")
            return []
        return node.value

    def texts(self, key: str) -> list[YamlNode]:
        """Return the nodes of a list of texts; a single text counts as a list."""
        node = self.node(key)
        if node is not None and isinstance(node.value, str):
            return [node]
        items = self.items(key)
        for item in items:
            if not isinstance(item.value, str):
                cause = f'"{key}" of {self.what} must be a list of texts'
                self._problems.append(Problem(item.line, item.column, cause, "Put each entry in quotes."))
                return []
        return items

    def annotations(self, *keys: str) -> list[tuple[str, str]]:
        """Return keys that the database ignores, as pairs of text."""
        found = []
        for key in keys:
            node = self.node(key)
            if node is not None and node.value is not None and not isinstance(node.value, (list, dict)):
                found.append((key, str(node.value).strip()))
        return found
