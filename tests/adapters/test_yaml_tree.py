from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from consdb_actions.adapters import yaml_tree
from consdb_actions.adapters.yaml_tree import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_PROBLEMS,
    MAX_SHOWN,
    FileError,
    Problem,
    YamlNode,
    read_tree,
)


def problem(data: str | bytes) -> Problem:
    """Return the one problem of a bad file."""
    with pytest.raises(FileError) as caught:
        read_tree(data, source="f.yaml")
    (only,) = caught.value.problems
    return only


def plain(node: YamlNode) -> object:
    """Return a tree as plain data."""
    if isinstance(node.value, dict):
        return {key: plain(value) for key, value in node.value.items()}
    if isinstance(node.value, list):
        return [plain(item) for item in node.value]
    return node.value


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 10)}]\n" for i in range(20)
)


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        ("a: [b\nc: d", 2, "not YAML"),
        ("a: b\n\tc: d", 2, "not YAML"),
        ("a: 'b", 1, "not YAML"),
        (b"a: b\x01", 1, "control characters"),
        (b"a: x\nb: caf\xe9", 2, "not UTF-8: byte 0xe9"),
        ("a: b".encode("utf-16"), 1, "UTF-16"),
        ("a: b\n---\nc: d", 2, "second YAML document"),
        ("%YAML 1.1\n---\na: b", 1, "directive"),
        ("# note\n\n%TAG ! tag:x,1:\n---\na: b", 3, "directive"),
        ("a: !!python/object/apply:os.system [ls]", 1, "!!python/object/apply:os.system"),
        ("a:\n  !mine b", 2, 'tag "!mine"'),
        ("a: 1\nb: 2\na: 3", 3, "first on line 1"),
        ("a: {b: 1, b: 2}", 1, 'key "b" is defined twice'),
        ("? [a, b]\n: c", 1, "key is itself a list"),
        ("a: *b", 1, 'no anchor "&b"'),
        ("a: &a\n  b: *a", 2, "inside of what it refers to"),
        ("a: &a [*a]", 1, "inside of what it refers to"),
        ("a: b\nc: {<<: 3}", 2, "merge key"),
        ("a: " + "[" * MAX_DEPTH, 1, "nested deeper than 32"),
        ("- " * (MAX_DEPTH + 1), 1, "nested deeper than 32"),
        (BOMB, 5, "aliases (*name) expand this file"),
        ("a: !!int x", 1, "cannot be read as int"),
        ("a: " + "9" * 5000, 1, "cannot be read as int"),
        (b"a" * (MAX_BYTES + 1), 0, "larger than 8 MiB"),
        pytest.param("-\n" * 600_000, 524288, "more values than any schema", marks=pytest.mark.slow),
    ],
    ids=range(25),
)
def test_s2_bad_files_are_refused_with_the_place(data: str | bytes, line: int, words: str) -> None:
    found = problem(data)
    assert found.line == line
    assert words in found.cause
    assert found.remedy


def test_s2_a_file_with_too_many_values_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_tree, "MAX_EXPANDED", 2**16)
    found = problem("-\n" * 2000)
    assert found.line == 1024
    assert "more values than any schema" in found.cause


def test_s2_a_bomb_is_refused_before_it_is_expanded() -> None:
    """Expanded it would hold 10**21 values."""
    assert "expand" in problem(BOMB).cause


def test_duplicate_keys_are_all_named_but_not_endlessly() -> None:
    with pytest.raises(FileError) as caught:
        read_tree("a: 1\n" * 3, source="f.yaml")
    assert [item.line for item in caught.value.problems] == [2, 3]
    with pytest.raises(FileError) as caught:
        read_tree("a: !x 1\n" * 10_000, source="f.yaml")
    assert len(caught.value.problems) == MAX_PROBLEMS
    shown = str(caught.value)
    assert shown.startswith(f"f.yaml: {MAX_PROBLEMS} problems\n  line 1, column 4: the tag")
    assert shown.endswith(f"and {MAX_PROBLEMS - MAX_SHOWN} more")


def test_moderate_anchors_aliases_and_merge_keys_work() -> None:
    text = """
base: &base {datatype: float, unit: deg}
more: &more {unit: s, ucd: x}
columns:
- {<<: *base, name: a}
- <<: [*base, *more]
  name: b
- {name: c, unit: m, <<: *base}
- *base
"""
    assert plain(read_tree(text, source="x")) == yaml.safe_load(text)


@st.composite
def files_with_merge_keys(draw: st.DrawFn) -> str:
    """Draw mappings that merge earlier ones: alone, in lists, twice, inline, before and after own keys."""
    lines: list[str] = []
    for number in range(draw(st.integers(1, 5))):
        entries = [
            f"{key}: {number}{key}" for key in draw(st.sets(st.sampled_from(["a", "bb", "ccc", "=", "1"])))
        ]
        if number:
            alias = st.integers(0, number - 1).map("*m{}".format) | st.just("{bb: inline, d: inline}")
            merge = alias | st.lists(alias, max_size=4).map(lambda listed: f"[{', '.join(listed)}]")
            entries += [f"<<: {refers}" for refers in draw(st.lists(merge, max_size=3))]
        lines.append(f"- &m{number} {{{', '.join(draw(st.permutations(entries)))}}}")
    return "\n".join(lines)


@given(files_with_merge_keys())
def test_merge_keys_give_what_the_installed_pyyaml_gives(text: str) -> None:
    """PyYAML 6.0.3 and 6.0.4 differ in which of two merged mappings wins; Felis uses the installed one."""
    expected = [{str(key): value for key, value in item.items()} for item in yaml.safe_load(text)]
    assert plain(read_tree(text, source="x")) == expected


def test_places_and_written_text_are_kept() -> None:
    root = read_tree("a: 1\nb:\n- c: 1.10\n  d: 'e'\n", source="x")
    assert isinstance(root.value, dict)
    items = root.value["b"].value
    assert isinstance(items, list)
    entry = items[0]
    assert isinstance(entry.value, dict)
    node = entry.value["c"]
    assert (node.line, node.column, node.value, node.text) == (3, 6, 1.1, "1.10")
    assert entry.keys["d"] == (4, 3)


@pytest.mark.parametrize("data", ["", "# only a note\n", "---\n", "\ufeff", b"\xef\xbb\xbf# x"])
def test_files_without_content_have_no_value(data: str | bytes) -> None:
    assert read_tree(data, source="x").value is None


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"), max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc<é ", max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON, st.booleans())
def test_the_tree_says_what_the_safe_loader_says(data: object, flow: bool) -> None:
    text = yaml.safe_dump(data, default_flow_style=flow, allow_unicode=True)
    if not isinstance(data, dict) or "<<" not in data:
        assert plain(read_tree(text, source="x")) == yaml.safe_load(text)


@given(st.text(st.characters(), max_size=60) | st.binary(max_size=60))
def test_any_text_is_read_or_refused(data: str | bytes) -> None:
    try:
        refused: tuple[Problem, ...] = ()
        root: YamlNode | None = read_tree(data, source="x")
    except FileError as error:
        root, refused = None, tuple(error.problems)
    assert (root is None) == bool(refused)


def test_text_that_is_no_unicode_is_refused() -> None:
    assert "not a character" in problem("a: \ud800").cause
