"""Values files keep every byte that is not meant (rule R3)."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from consdb_actions.deploy.values import insert_scalar, parse_values, remove_scalar, set_scalar
from consdb_actions.errors import InputError

TEXT = """\
# What runs at the test stand
hinfo:
  latiss:   # the small one
    enable: true
    tag: "26.6.1"   # keep
  lsstcam: {enable: true, tag: '26.6.1'}

pq:
  image:
    tag: 26.6.1
"""


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_r3_a_mapping_is_made_where_it_is_missing_and_goes_again(ending: str) -> None:
    text = TEXT.replace("\n", ending)
    path = ("hinfo", "image", "pullPolicy")
    longer = insert_scalar(text, path, "Always", after="tag", place="f")
    made = f'hinfo:{ending}  image:{ending}    pullPolicy: "Always"{ending}  latiss:'
    assert longer == text.replace(f"hinfo:{ending}  latiss:", made)
    assert remove_scalar(longer, path, place="f") == text


@pytest.mark.parametrize(
    "text",
    ["hinfo: {latiss: {tag: a}}\n", "hinfo: &a\n  latiss: {tag: a}\n", "hinfo:\n", "hinfo: x\n", "pq: x\n"],
)
def test_r3_a_mapping_that_cannot_be_made_alone_is_left_to_people(text: str) -> None:
    with pytest.raises(InputError):
        insert_scalar(text, ("hinfo", "image", "pullPolicy"), "Always", after="tag", place="f")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (("hinfo", "latiss", "tag"), ('tag: "26.6.1"   # keep', 'tag: "26.6.2"   # keep')),
        (("hinfo", "lsstcam", "tag"), ("tag: '26.6.1'}", "tag: '26.6.2'}")),
        (("pq", "image", "tag"), ("    tag: 26.6.1\n", "    tag: 26.6.2\n")),
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_r3_one_scalar_changes_in_the_quotes_that_it_has(
    path: tuple[str, ...], expected: tuple[str, str], ending: str, bom: str
) -> None:
    text = bom + TEXT.replace("\n", ending)
    old, new = (part.replace("\n", ending) for part in expected)
    assert text.count(old) == 1
    assert set_scalar(text, path, "26.6.2", place="f") == text.replace(old, new)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("tag:", 'tag: "26.6.2"'),
        ("tag:\n", 'tag: "26.6.2"\n'),
        ("tag: # why\nb: 1\n", 'tag: "26.6.2" # why\nb: 1\n'),
        ("tag: ~\n", "tag: 26.6.2\n"),
        ('tag: ""\n', 'tag: "26.6.2"\n'),
        ("tag: 26.10\n", "tag: 26.6.2\n"),
        ("a: &x 1\ntag: *x\n", 'a: &x 1\ntag: "26.6.2"\n'),
        ("a: &x 1\ntag: *x # c\nb: *x", 'a: &x 1\ntag: "26.6.2" # c\nb: *x'),
        ("a: &x {b: 1}\ntag: *x\n", 'a: &x {b: 1}\ntag: "26.6.2"\n'),
        ("{tag: 1, b: 2}", "{tag: 26.6.2, b: 2}"),
        ("? tag\n: 1\n", "? tag\n: 26.6.2\n"),
        ('"tag": "1"\n', '"tag": "26.6.2"\n'),
        ("---\ntag: '1'\n...\n", "---\ntag: '26.6.2'\n...\n"),
        ("a: |\n  tag: 1\ntag: 1\n", "a: |\n  tag: 1\ntag: 26.6.2\n"),
    ],
)
def test_r3_ways_to_write_a_scalar(before: str, after: str) -> None:
    assert set_scalar(before, ("tag",), "26.6.2", place="f") == after


@pytest.mark.parametrize(
    ("value", "written"),
    [("26.6", '"26.6"'), ("1e3", '"1e3"'), ("yes", '"yes"'), ("a: b", '"a: b"'), ("w.1", "w.1")],
)
def test_r3_a_bare_value_gets_quotes_where_it_would_be_no_text(value: str, written: str) -> None:
    assert set_scalar("tag: x\n", ("tag",), value, place="f") == f"tag: {written}\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tag: &x 1\nb: *x\n", "without changing others"),
        ("tag: !!str 1\n", "without changing others"),
        ("tag: |\n  1\n", "without changing others"),
        ('tag: "1\n  2"\n', "without changing others"),
        ("tag: {a: 1}\n", "without changing others"),
        ("tag: 1\ntag: 2\n", "twice"),
        ("other: 1\n", "there is no tag"),
        ("- tag\n", "no mapping"),
        ("", "there is no tag"),
        ("tag: [\n", "not YAML"),
        ("tag: 1\n---\ntag: 2\n", "not YAML"),
        ("tag: \x00\n", "not YAML"),
        ("tag: " + "[" * 700, "nested too deeply"),
        ("tag: 1 #" + "x" * 1_000_001, "more than 1,000,000"),
    ],
)
def test_r3_what_cannot_be_changed_alone_is_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        set_scalar(text, ("tag",), "26.6.2", place="values-base.yaml")


def test_r3_a_mapping_that_an_anchor_shares_is_refused() -> None:
    for text in ("a: &x\n  tag: 1\nb: *x\n", "b: &x\n  tag: 1\na: *x\n"):
        for key in ("a", "b"):
            with pytest.raises(InputError, match="without changing others"):
                set_scalar(text, (key, "tag"), "26.6.2", place="f")


@pytest.mark.parametrize("value", ["", "a\nb", "a\r", "ä", "\x1b[0m"])
def test_s1_no_other_text_is_written(value: str) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        set_scalar("tag: 1\n", ("tag",), value, place="f")
    with pytest.raises(InputError, match="cannot be written"):
        insert_scalar("tag: 1\n", ("new",), value, after="tag", place="f")


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("i:\n  tag: 'x'  # c\n  b: 1\n", "tag", "i:\n  tag: 'x'  # c\n  new: 'Always'\n  b: 1\n"),
        ("i:\r\n  tag: x\r\n", "tag", 'i:\r\n  tag: x\r\n  new: "Always"\r\n'),
        ("i:\n  tag: x", "tag", 'i:\n  tag: x\n  new: "Always"'),
        ("i:\n    # first\n    b: 1\n", None, 'i:\n    # first\n    new: "Always"\n    b: 1\n'),
        ("i:\n  b: 1\n", "tag", 'i:\n  new: "Always"\n  b: 1\n'),
    ],
)
def test_r3_a_line_comes_in_beside_its_kin(text: str, after: str | None, expected: str) -> None:
    assert insert_scalar(text, ("i", "new"), "Always", after=after, place="f") == expected
    if after in (None, "tag") and "b: 1" not in text:
        assert remove_scalar(expected, ("i", "new"), place="f").rstrip() == text.rstrip()


@pytest.mark.parametrize(
    "text", ["i: {tag: x}\n", "i: {}\n", "i:\n  new: 1\n", "i: &a\n  tag: x\nb: *a\n", "i: 1\n", "i:\n"]
)
def test_r3_a_line_that_has_no_place_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        insert_scalar(text, ("i", "new"), "Always", after="tag", place="f")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("i:\n  a: 1\n  new: x  # c\n  b: 2\n", "i:\n  a: 1\n  b: 2\n"),
        ("i:\r\n  new: x\r\n  b: 2\r\n", "i:\r\n  b: 2\r\n"),
        ("i:\n  a: 1\n  new: x", "i:\n  a: 1\n"),
    ],
)
def test_r3_a_line_goes_out(text: str, expected: str) -> None:
    assert remove_scalar(text, ("i", "new"), place="f") == expected


@pytest.mark.parametrize(
    "text",
    ["i:\n  new: x\n", "i: {a: 1, new: x}\n", "i:\n  a: 1\n  new: |\n    x\n", "i:\n  a: 1\n  new: {}\n"],
)
def test_r3_what_has_no_line_of_its_own_stays(text: str) -> None:
    with pytest.raises(InputError):
        remove_scalar(text, ("i", "new"), place="f")


def test_an_anchor_that_holds_itself_or_much_does_no_harm() -> None:
    loop = parse_values("a: &x\n  b: *x\n", place="f")
    assert loop["a"]["b"] is loop["a"]
    laughs = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
    text = f"{laughs}tag: 1\n"
    assert parse_values(text, place="f")["tag"] == "1"
    assert set_scalar(text, ("tag",), "26.6.2", place="f") == f"{laughs}tag: 26.6.2\n"


# Documents of our own making: the place of the value that changes is known from writing them.

KEYS = st.sampled_from(["hinfo", "pq", "latiss", "image", "tag", "x-y", "on", "2", "é"])
COMMENTS = st.sampled_from(["", "", " # tag: 1", "   # 'quote", " #", ' # "'])
SCALARS = st.sampled_from(
    ["26.6.1", '"26.6.1"', "'26.6.1'", '""', "''", "~", "true", "0x1F", '"a\\tb"', "'it''s'", "*anchor", "é"]
)
BETWEEN = st.sampled_from(["", "", "", "\n", "# note\n", "   # tag: 2\n\n"])
VALUES = st.sampled_from(
    ["26.6.2", "w.2026.18", "tickets-DM-1", "main", "26.10", "https://x/y?a=b#c", "a'b\"c\\d"]
)


@dataclass(frozen=True)
class Document:
    text: str
    path: tuple[str, ...]
    start: int
    end: int


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """Write a document with one anchor on top and mark one of its scalars."""
    lines = ["anchor: &anchor shared\n"]
    places: list[tuple[tuple[str, ...], int, int]] = []

    def block(path: tuple[str, ...], indent: str, depth: int) -> None:
        for key in draw(st.lists(KEYS, min_size=1, max_size=3, unique=True)):
            lines.append(draw(BETWEEN))
            kind = draw(st.integers(0, 4)) if depth < 3 else 0
            if kind >= 3:
                lines.append(f"{indent}{key}:{draw(COMMENTS)}\n")
                block((*path, key), indent + draw(st.sampled_from(["  ", "    "])), depth + 1)
            elif kind == 2:
                lines.append(f"{indent}{key}: {{a: 1, ")
                leaf((*path, key, "tag"), "tag: ", "}", indent="")
            else:
                leaf((*path, key), f"{key}: ", "", indent=indent)

    def leaf(path: tuple[str, ...], before: str, after: str, *, indent: str) -> None:
        lines.append(indent + before)
        start = sum(map(len, lines))
        lines.append(draw(SCALARS))
        places.append((path, start, sum(map(len, lines))))
        lines.append(f"{after}{draw(COMMENTS)}\n")

    block((), "", 0)
    text = "".join(lines)
    path, start, end = draw(st.sampled_from(places))
    if draw(st.booleans()):
        start += text.count("\n", 0, start)
        end += text.count("\n", 0, end)
        text = text.replace("\n", "\r\n")
    return Document(text.rstrip("\r\n") if draw(st.booleans()) else text, path, start, end)


def plain(text: str) -> object:
    """Read a document as text only, by other means."""
    return yaml.load(text, Loader=yaml.BaseLoader)


@given(documents(), VALUES)
def test_r3_every_other_byte_stays(document: Document, value: str) -> None:
    text = document.text
    assume(document.path[0] != "anchor")
    changed = set_scalar(text, document.path, value, place="f")
    assert changed[: document.start] == text[: document.start]
    assert changed.endswith(text[document.end :])
    expected = plain(text)
    node = expected
    for part in document.path[:-1]:
        assert isinstance(node, dict)
        node = node[part]
    assert isinstance(node, dict)
    node[document.path[-1]] = value
    assert plain(changed) == expected
    assert parse_values(changed.replace("~", "''"), place="f") == plain(changed.replace("~", "''"))
    assert set_scalar(changed, document.path, value, place="f") == changed


@given(documents())
def test_r3_a_line_in_and_out_leaves_no_trace(document: Document) -> None:
    text, path = document.text, (*document.path[:-1], "new")
    try:
        longer = insert_scalar(text, path, "Always", after=document.path[-1], place="f")
    except InputError:
        line = text[text.rfind("\n", 0, document.start) + 1 :].splitlines()[0]
        assert "{" in line, "only mappings on one line let no line in"
        return
    assert len(longer.splitlines()) == len(text.splitlines()) + 1
    back = remove_scalar(longer, path, place="f")
    assert back == text or back.rstrip("\r\n") == text
