"""Read YAML into a tree of nodes with line numbers, and report all problems of a file."""

from __future__ import annotations

import datetime
import difflib
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from consdb_actions.errors import InputError

MAX_SHOWN = 20  # Maximum number of shown problems of a file; further ones are counted


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """A problem in a file."""

    line: int  # from 1; 0 if unknown
    column: int  # from 1; 0 if unknown
    cause: str  # a sentence without full stop
    remedy: str = ""

    @property
    def place(self) -> str:
        """Return ``line 3, column 5``; empty if unknown."""
        if not self.line:
            return ""
        return f"line {self.line}, column {self.column}" if self.column else f"line {self.line}"


class FileError(InputError):
    """An unusable file with all its problems, shown in file order."""

    def __init__(self, source: str, problems: Iterable[Problem]) -> None:
        self.source = source
        self.problems: Sequence[Problem] = tuple(sorted(set(problems)))
        if len(self.problems) == 1:
            only = self.problems[0]
            place = ":".join([source, *(str(number) for number in (only.line, only.column) if number)])
            super().__init__(only.cause, place=place, remedy=only.remedy)
            return
        lines = []
        for problem in self.problems[:MAX_SHOWN]:
            lines.append(f"  {problem.place or 'file'}: {problem.cause}")
            if problem.remedy:
                lines.append(f"      {problem.remedy}")
        hidden = len(self.problems) - MAX_SHOWN
        if hidden > 0:
            lines.append(f"  and {hidden} more")
        super().__init__("\n".join([f"{len(self.problems)} problems", *lines]), place=source)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggest the most similar known word; empty for none."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f'Did you mean "{near[0]}"?' if near else ""


def shorten(value: object, limit: int = 60) -> str:
    """Return a value in double quotes on one line, cut if long."""
    text = " ".join(str(value).split())
    return f'"{text[: limit - 1]}…"' if len(text) > limit else f'"{text}"'


def said(error: BaseException) -> str:
    """Return an error as text, with its type if needed."""
    message = str(error).strip()
    return message if isinstance(error, SyntaxError | UserWarning) else f"{type(error).__name__}: {message}"


def raised_in(error: BaseException, folder: Path) -> str:
    """Return where in a folder an error was raised; else the folder."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}" if error.lineno else error.filename
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if Path(frame.filename).parent == folder:
            return f"{frame.filename}:{frame.lineno}"
    return str(folder)


MAX_BYTES = 8 * 1024 * 1024  # Largest file that is read


def decode(data: str | bytes, *, source: str) -> str:
    """Return the text of a YAML file."""
    text = _text(data, source)
    _refuse_directives(text, source)
    return text


def _text(data: str | bytes, source: str) -> str:
    if len(data) > MAX_BYTES:
        cause = f"the file is larger than {MAX_BYTES // 2**20} MiB"
        raise FileError(source, [Problem(0, 0, cause, "Split it, or check whether it is a schema file.")])
    if isinstance(data, str):
        try:
            data.encode()
        except UnicodeEncodeError as error:
            line = data.count("\n", 0, error.start) + 1
            cause = f"the text contains U+{ord(data[error.start]):04X}, which is not a character"
            raise FileError(source, [Problem(line, 0, cause, "Remove it.")]) from error
        return data.removeprefix("\ufeff")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise FileError(source, [Problem(1, 0, "the file is UTF-16, not UTF-8", "Save it as UTF-8.")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        cause = f"the file is not UTF-8: byte 0x{data[error.start]:02x} here is not a character"
        raise FileError(source, [Problem(line, 0, cause, "Save it as UTF-8.")]) from error


def _refuse_directives(text: str, source: str) -> None:
    """Refuse directives: no schema needs one, and many slow the parser down."""
    if not text.startswith("%") and "\n%" not in text:
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.startswith("%"):
            cause = f"the file starts with a YAML directive, {shorten(line)}"
            raise FileError(source, [Problem(number, 1, cause, "Remove the line.")])
        if line.strip() and not line.lstrip().startswith("#"):
            return


MAX_DEPTH = 32

MAX_EXPANDED = 4 * MAX_BYTES

"""Characters, plus 64 per value, that a file may hold once its aliases are followed."""

MAX_PROBLEMS = 100  # Maximum number of problems reported

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_PREFIX = "tag:yaml.org,2002:"

_SCALARS = {"null", "bool", "int", "float", "str", "timestamp"}

_COLLECTIONS = {"map", "seq"}

_NODE_WEIGHT = 64

Pairs: TypeAlias = "list[tuple[yaml.ScalarNode, YamlNode]]"

Value: TypeAlias = "bool | int | float | str | datetime.date | list[YamlNode] | dict[str, YamlNode] | None"


@dataclass(slots=True, eq=False)
class YamlNode:
    """A value with its position."""

    value: Value  # A scalar, a list of nodes, or a mapping from keys (as written) to nodes
    line: int  # Counted from 1, like ``column``
    column: int
    text: str = ""  # A plain scalar as written, also where ``value`` is a number
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)  # Line and column of each key
    weight: int = _NODE_WEIGHT  # Size of the value in characters with its aliases expanded
    merged: Pairs | None = None
    """All pairs of a mapping with merge keys, also repeated ones, as PyYAML flattened them."""

    def get(self, key: str) -> YamlNode | None:
        """Return a value of a mapping; None where there is none."""
        return self.value.get(key) if isinstance(self.value, dict) else None

    def text_of(self, key: str) -> str:
        """Return a text of a mapping; empty where there is none."""
        found = self.get(key)
        return found.text if found is not None and isinstance(found.value, str) else ""

    def problem(self, cause: str, remedy: str) -> Problem:
        """Return a problem at the node's position."""
        return Problem(self.line, self.column, cause, remedy)


@dataclass(slots=True)
class _Open:
    node: YamlNode
    anchor: str | None
    mapping: bool
    items: list[YamlNode] = field(default_factory=list)
    key_is_merge: list[bool] = field(default_factory=list)


def read_tree(data: str | bytes, *, source: str) -> YamlNode:
    """Read one YAML document."""
    text = decode(data, source=source)
    builder = _Builder()
    try:
        root = builder.build(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = ", ".join(part for part in (error.context, error.problem) if part)
        raise FileError(
            source, [_not_yaml(said, mark.line + 1 if mark else 0, mark.column + 1 if mark else 0)]
        ) from error
    except yaml.YAMLError as error:
        position = getattr(error, "position", None)
        line = text.count("\n", 0, position) + 1 if isinstance(position, int) and position >= 0 else 0
        raise FileError(source, [_not_yaml(str(getattr(error, "reason", error)), line, 0)]) from error
    except _RefusedError as refused:
        raise FileError(source, [*builder.problems, refused.problem]) from None
    if builder.problems:
        raise FileError(source, builder.problems)
    return root


def _not_yaml(said: str, line: int, column: int) -> Problem:
    remedy = (
        "Check indentation, colons and quotes on this line and the one above; "
        "a text with ': ' or ' #' in it needs quotes."
    )
    return Problem(line, column, f"this is not YAML: {said}", remedy)


class _RefusedError(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.cause)
        self.problem = problem


class _Builder:
    """Builds the tree from events; collects problems that do not stop it."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._anchors: dict[str, YamlNode] = {}
        self._opened: set[str] = set()
        self._stack: list[_Open] = []
        self._root: YamlNode | None = None
        self._loader: Any = None
        self._aliases = False

    def build(self, text: str) -> YamlNode:
        self._loader = loader = _LOADER(text)
        try:
            while loader.check_event():
                self._take(loader.get_event())
                if len(self.problems) >= MAX_PROBLEMS:
                    break
        finally:
            loader.dispose()
        return self._root or YamlNode(None, 1, 1)

    def _take(self, event: Any) -> None:
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if isinstance(event, yaml.ScalarEvent):
            merge = bool(event.value == "<<" and event.implicit[0])
            self._add(self._scalar(event, line, column), event.anchor, merge=merge)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._check_tag(event.tag, line, column)
            if len(self._stack) >= MAX_DEPTH:
                cause = f"nested deeper than {MAX_DEPTH} levels"
                raise _RefusedError(
                    Problem(line, column, cause, "A schema file needs eight. Look for a stray bracket.")
                )
            mapping = isinstance(event, yaml.MappingStartEvent)
            if event.anchor:
                self._opened.add(event.anchor)
            self._stack.append(_Open(YamlNode({} if mapping else [], line, column), event.anchor, mapping))
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            opened = self._stack.pop()
            self._close(opened)
            if opened.anchor:
                self._opened.discard(opened.anchor)
            self._add(opened.node, opened.anchor)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event.anchor, line, column)
        elif isinstance(event, yaml.DocumentStartEvent) and self._root is not None:
            raise _RefusedError(
                Problem(line, column, "a second YAML document starts here", "Keep one schema per file.")
            )

    def _add(self, node: YamlNode, anchor: str | None, *, merge: bool = False) -> None:
        if anchor:
            self._anchors[anchor] = node
        if not self._stack:
            self._root = node
            return
        opened = self._stack[-1]
        opened.items.append(node)
        opened.key_is_merge.append(merge)
        opened.node.weight += node.weight
        if opened.node.weight > MAX_EXPANDED:
            if self._aliases:
                cause = f"aliases (*name) expand this file to more than {MAX_EXPANDED // 2**20} MiB"
                remedy = "Write out what they stand for, or drop them."
            else:
                cause = "the file holds more values than any schema has"
                remedy = "Check whether it is a schema file."
            raise _RefusedError(node.problem(cause, remedy))

    def _alias(self, anchor: str | None, line: int, column: int) -> None:
        if anchor in self._opened:
            cause = f'the alias "*{anchor}" is inside of what it refers to'
            raise _RefusedError(Problem(line, column, cause, "Write out that part."))
        if anchor is None or anchor not in self._anchors:
            cause = f'the alias "*{anchor}" has no anchor "&{anchor}" above it'
            raise _RefusedError(Problem(line, column, cause, "Put the text in quotes if no alias is meant."))
        self._aliases = True
        self._add(self._anchors[anchor], None)

    def _check_tag(self, tag: str | None, line: int, column: int) -> str:
        """Return an explicit tag's short name; add a problem for unsupported tags."""
        if tag is None or tag == "!":
            return ""
        short = tag.removeprefix(_PREFIX)
        if tag.startswith(_PREFIX) and (short in _SCALARS or short in _COLLECTIONS):
            return short
        shown = tag if not tag.startswith(_PREFIX) else f"!!{short}"
        cause = f"the tag {shorten(shown)} is not allowed: a schema file is plain data"
        self.problems.append(Problem(line, column, cause, "Remove the tag."))
        return "str"

    def _scalar(self, event: Any, line: int, column: int) -> YamlNode:
        kind = self._check_tag(event.tag, line, column)
        if not kind:
            implicit = event.implicit[0] and event.tag is None
            tag = (
                self._loader.resolve(yaml.ScalarNode, event.value, (True, False))
                if implicit
                else _PREFIX + "str"
            )
            kind = tag.removeprefix(_PREFIX)
        node = YamlNode(event.value, line, column, text=event.value, weight=_NODE_WEIGHT + len(event.value))
        if kind in _SCALARS and kind != "str":
            try:
                node.value = getattr(self._loader, f"construct_yaml_{kind}")(
                    yaml.ScalarNode(_PREFIX + kind, event.value)
                )
            except (ValueError, KeyError, OverflowError, AttributeError):
                cause = f"{shorten(event.value)} cannot be read as {kind}"
                self.problems.append(Problem(line, column, cause, "Put it in quotes if it is text."))
        return node

    def _close(self, opened: _Open) -> None:
        node = opened.node
        if not opened.mapping:
            node.value = opened.items
            return
        own: dict[str, YamlNode] = {}
        pairs: list[tuple[yaml.ScalarNode, Any]] = []
        for index in range(0, len(opened.items) - 1, 2):
            key, value = opened.items[index], opened.items[index + 1]
            if opened.key_is_merge[index]:
                pairs.append((yaml.ScalarNode(_PREFIX + "merge", key.text), self._sources(value)))
            elif isinstance(key.value, (list, dict)):
                cause = "a mapping's key is itself a list or a mapping"
                self.problems.append(key.problem(cause, "Use plain words as keys."))
            elif key.text in own:
                first = node.keys[key.text][0]
                cause = f"the key {shorten(key.text)} is defined twice in one mapping, first on line {first}"
                self.problems.append(key.problem(cause, "Remove or rename one of the two."))
            else:
                own[key.text] = value
                node.keys[key.text] = (key.line, key.column)
                pairs.append((yaml.ScalarNode(_PREFIX + "str", key.text), value))
        if len(pairs) > len(own):
            self._merge(node, pairs)
        else:
            node.value = own

    def _merge(self, node: YamlNode, pairs: list[tuple[yaml.ScalarNode, Any]]) -> None:
        """Flatten merge keys with PyYAML: which duplicate wins depends on its version."""
        flat = yaml.MappingNode(_PREFIX + "map", pairs)
        self._loader.flatten_mapping(flat)
        node.merged = flat.value
        node.value = {key.value: value for key, value in flat.value}
        for name, value in node.value.items():
            node.keys.setdefault(name, (value.line, value.column))

    def _sources(self, value: YamlNode) -> yaml.Node:
        """Return a merge key's value as a PyYAML node; add a problem unless it is a mapping."""
        found = []
        for source in value.value if isinstance(value.value, list) else [value]:
            if isinstance(source.value, dict):
                # The texts of keys are passed on as the same objects: PyYAML 6.0.4 compares their identity.
                pairs = [
                    (yaml.ScalarNode(_PREFIX + "str", name), node) for name, node in source.value.items()
                ]
                found.append(yaml.MappingNode(_PREFIX + "map", source.merged or pairs))
            else:
                cause = 'a merge key "<<" needs a mapping or a list of mappings'
                self.problems.append(source.problem(cause, "Refer to a mapping there."))
        one = len(found) == 1 and not isinstance(value.value, list)
        return found[0] if one else yaml.SequenceNode(_PREFIX + "seq", found)
