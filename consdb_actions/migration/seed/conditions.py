"""Read the conditions of CHECK constraints into nested tuples, as far as they are simple.

A node is one of ``("and", [nodes])``, ``("or", [nodes])``, ``("compare", operator, left, right)``,
``("list", operator, left, right)``, ``("null", column, whether)``,
``("is", column, "true", whether NULL is refused)``, ``("column", name)``,
``("length", column)``, ``("value", text)``, ``("array", texts)`` and ``("unknown",)``.
"""

from __future__ import annotations

import re
from typing import Any

__all__ = ["Node", "parse_condition"]

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>[eE]?'(?:[^']|'')*')|(?P<quoted>"(?:[^"]|"")+")|(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)
    |(?P<word>[^\W\d][\w$]*)|(?P<op>::|<>|!=|<=|>=|[-+*/%~!@\#^&|<>=]+)|(?P<punct>[()\[\],.]))""",
    re.VERBOSE,
)
_TYPE_WORDS = frozenset({"varying", "precision", "without", "with", "time", "zone"})
_LENGTHS = frozenset({"char_length", "character_length", "length", "octet_length"})

Node = tuple[Any, ...]
_UNKNOWN: Node = ("unknown",)


def parse_condition(definition: str) -> Node:
    """Parse the text of ``pg_get_constraintdef`` for a CHECK constraint."""
    return _Parser(_tokens(definition.removeprefix("CHECK").strip())).expression()


def _tokens(text: str) -> list[tuple[str, str]]:
    out = []
    position = 0
    while match := _TOKEN.match(text, position):
        position = match.end()
        kind = match.lastgroup or ""
        out.append((kind, match[kind]))
    return out


class _Parser:
    """Recursive descent over the little of SQL that is needed."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0

    def _peek(self, offset: int = 0) -> tuple[str, str]:
        index = self._at + offset
        return self._tokens[index] if index < len(self._tokens) else ("end", "")

    def _take(self, text: str) -> bool:
        kind, found = self._peek()
        if kind in {"word", "op", "punct"} and found.upper() == text:
            self._at += 1
            return True
        return False

    def expression(self) -> Node:
        parts = [self._conjunction()]
        while self._take("OR"):
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else ("or", parts)

    def _conjunction(self) -> Node:
        parts = [self._negation()]
        while self._take("AND"):
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else ("and", parts)

    def _negation(self) -> Node:
        if self._take("NOT"):
            inner = self._negation()
            return ("is", inner[1], "false", False) if inner[0] == "column" else _UNKNOWN
        return self._comparison()

    def _comparison(self) -> Node:
        left = self._operand()
        while True:
            if self._take("IS"):
                negated = self._take("NOT")
                word = self._peek()[1].lower()
                self._at += 1
                if left[0] != "column":
                    left = _UNKNOWN
                elif word == "null":
                    left = ("null", left[1], not negated)
                elif word in {"true", "false"} and not negated:
                    left = ("is", left[1], word, True)
                else:
                    left = _UNKNOWN
                continue
            kind, text = self._peek()
            if kind != "op":
                return left
            self._at += 1
            operator = "<>" if text == "!=" else text
            if self._take("ANY") or self._take("ALL"):
                left = ("list", operator, left, self._operand())
            else:
                left = ("compare", operator, left, self._operand())

    def _operand(self) -> Node:
        node = self._atom()
        while self._take("::"):
            self._type()
        return node

    def _type(self) -> None:
        self._at += 1
        while self._peek()[1] in _TYPE_WORDS or self._peek()[1] == ".":
            self._at += 2 if self._peek()[1] == "." else 1
        if self._peek()[1] == "(" and self._peek(1)[0] == "number":
            while self._peek()[0] != "end" and not self._take(")"):
                self._at += 1
            while self._peek()[1] in _TYPE_WORDS:
                self._at += 1
        while self._take("["):
            self._take("]")

    def _atom(self) -> Node:
        kind, text = self._peek()
        self._at += 1
        if kind == "punct" and text == "(":
            inner = self.expression()
            while self._take(","):
                self.expression()
                inner = _UNKNOWN
            self._take(")")
            return inner
        if kind == "string":
            return ("value", text[text.index("'") + 1 : -1].replace("''", "'"))
        if kind == "number":
            return ("value", text)
        if kind == "op" and text in {"-", "+"}:
            inner = self._operand()
            return ("value", f"-{inner[1]}" if text == "-" else inner[1]) if inner[0] == "value" else _UNKNOWN
        if kind == "quoted":
            return ("column", text[1:-1].replace('""', '"'))
        if kind != "word":
            return _UNKNOWN
        if text == "ARRAY" and self._take("["):
            return self._array()
        if self._take("("):
            return self._call(text)
        if text in {"true", "false"}:
            return ("value", text)
        return ("column", text)

    def _array(self) -> Node:
        items = []
        while self._peek()[0] != "end" and not self._take("]"):
            items.append(self._operand())
            self._take(",")
        if all(item[0] == "value" for item in items):
            return ("array", tuple(item[1] for item in items))
        return _UNKNOWN

    def _call(self, name: str) -> Node:
        arguments = []
        while self._peek()[0] != "end" and not self._take(")"):
            arguments.append(self.expression())
            self._take(",")
        if name in _LENGTHS and len(arguments) == 1 and arguments[0][0] == "column":
            return ("length", arguments[0][1])
        return _UNKNOWN
