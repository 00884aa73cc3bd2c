from __future__ import annotations

import html
import re

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options
from hypothesis import given
from hypothesis import strategies as st

from consdb_actions.report import markdown

PIECES = [
    "@everyone",
    "@org/team",
    "#12",
    "GH-3",
    "<!-- x -->",
    "-->",
    "|",
    "`",
    "``",
    "\n",
    "\r\n",
    "\t",
    "</details>",
    "<img src=x>",
    "[a](b)",
    "https://x.y",
    "www.x.y",
    "*b*",
    "_i_",
    "~~s~~",
    "&lt",
    "",
    "$x$",
    "\\",
    "word",
    " ",
    "é",
    "# h",
    "- l",
    "1. n",
    "+ l",
    "===",
    "---",
    "\u202e",
    "\x00",
    "![i](u)",
    "a@b.c",
]
HOSTILE = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=12).map("".join)

BREAK = "\u200b"


def visible(text: str) -> str:
    """Undo what escaping adds, to see what a reader sees."""
    text = text.replace("<span>$</span>", "$").replace(BREAK, "")
    text = re.sub(r"\\([\\`*_\[\]|~#+=-])", r"\1", text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def one_line(text: str) -> str:
    """Return what a text looks like on one line, without what escaping takes out."""
    text = re.sub(r"[ \t\r\n\f\v\u0085\u2028\u2029]+", " ", text.replace(BREAK, ""))
    return re.sub("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]", "\ufffd", text)


@given(HOSTILE)
def test_s5_nothing_of_a_text_is_markdown(text: str) -> None:
    shown = markdown.escape(text)
    assert "\n" not in shown
    assert not re.search(r"@[\w-]", shown)
    assert not re.search(r"(?<![&\\])#(?!\u200b)\w|#\d", shown.replace(BREAK, "~"))
    assert not re.search(r"<(?!/?span>)", shown)
    assert "://" not in shown
    assert not re.search(r"(?<!\\)(\\\\)*[|`*_\[\]]", shown)
    assert not re.match(r"([-+=#]|\d+[.)])(\s|$)", shown)


@given(HOSTILE)
def test_the_reader_sees_the_same_words(text: str) -> None:
    assert visible(markdown.escape(text)).split() == one_line(text).split()


def rendered(text: str) -> str:
    """Return what GitHub's renderer makes of Markdown, with all HTML let through."""
    page: str = cmarkgfm.github_flavored_markdown_to_html(text, options=Options.CMARK_OPT_UNSAFE)
    return page


def words(page: str) -> str:
    """Return the words of a page, whose only markup may be our own."""
    bare = re.sub(r"</?(?:span|p|ul|li|table|thead|tbody|tr|th|td|code|h3)>", " ", page)
    assert "<" not in bare
    return re.sub(r"\s+", "", html.unescape(bare).replace(BREAK, ""))


@given(HOSTILE)
def test_s5_github_renders_the_text_as_it_is(text: str) -> None:
    expected = re.sub(r"\s+", "", one_line(text))
    shown = markdown.escape(text)
    assert words(rendered(f"{shown}\n")) == expected
    assert words(rendered(f"- {shown}\n")) == expected
    assert words(rendered(f"### {shown}\n")) == expected
    page = rendered(markdown.table(["h"], [[shown], [markdown.code(text, in_table=True)]]))
    assert page.count("<td>") == 2
    assert words(page) == f"h{expected}{expected or '“”'}"


@given(HOSTILE)
def test_s5_github_renders_code_as_it_is(text: str) -> None:
    expected = re.sub(r"\s+", "", one_line(text)) or "“”"
    assert words(rendered(f"a {markdown.code(text)} b")) == f"a{expected}b"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain words, nothing (else): 50 %", "plain words, nothing (else): 50 %"),
        ("@everyone", f"@{BREAK}everyone"),
        ("fixes #12 and lsst/x#3", rf"fixes \#{BREAK}12 and lsst/x\#{BREAK}3"),
        ("a | b", r"a \| b"),
        ("<!-- x -->", "&lt;!-- x --&gt;"),
        ("- item", r"\- item"),
        ("1. item", f"1{BREAK}. item"),
        ("1.5 mm", "1.5 mm"),
        ("-0.5 to +0.5", "-0.5 to +0.5"),
        ("# head", r"\# head"),
        ("a\n\nb", "a b"),
        ("s_ra", r"s\_ra"),
        ("&nbsp;", "&amp;nbsp;"),
        ("$x$", "<span>$</span>x<span>$</span>"),
        ("see https://a.b", f"see https:{BREAK}//a.b"),
        ("", ""),
    ],
)
def test_escape(text: str, shown: str) -> None:
    assert markdown.escape(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("s_ra", "`s_ra`"),
        ("a`b", "``a`b``"),
        ("`a``b`", "``` `a``b` ```"),
        ("a\nb", "`a b`"),
        ("", "“”"),
        ("<!-- m -->", f"`<{BREAK}!-- m -->`"),
        ("a|b", "`a|b`"),
    ],
)
def test_code(text: str, shown: str) -> None:
    assert markdown.code(text) == shown


def test_code_in_a_table() -> None:
    assert markdown.code("a|b", in_table=True) == r"`a\|b`"


@given(HOSTILE)
def test_s5_code_cannot_be_left(text: str) -> None:
    shown = markdown.code(text)
    if shown == "“”":
        return
    ticks = re.match(r"`+", shown)
    assert ticks is not None
    inner = shown[len(ticks[0]) : -len(ticks[0])]
    assert shown.endswith(ticks[0])
    assert ticks[0] not in re.findall(r"`+", inner)
    assert "<!--" not in shown
    assert "\n" not in shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("`a.b` is renamed to `c`: same @id.", f"`a.b` is renamed to `c`: same @{BREAK}id."),
        ("table `x` | `y` gone", r"table `x` \| `y` gone"),
        ("an odd ` here", r"an odd \` here"),
        ("- `a`", r"\- `a`"),
        ("`<b>` <b>", "`<b>` &lt;b&gt;"),
    ],
)
def test_prose(text: str, shown: str) -> None:
    assert markdown.prose(text) == shown


@given(HOSTILE)
def test_s5_prose_is_safe_outside_of_its_code(text: str) -> None:
    outside = re.sub(r"(?<!\\)(`+)(?!`).*?(?<!`)\1(?!`)", "", markdown.prose(text))
    assert not re.search(r"@[\w-]", outside)
    assert not re.search(r"<(?!/?span>)", outside)


@given(HOSTILE)
def test_s5_a_fence_cannot_be_left(text: str) -> None:
    lines = markdown.fence(text, "python").split("\n")
    ticks = lines[0].removesuffix("python")
    assert lines[-1] == ticks
    assert all(not line.lstrip().startswith(ticks) for line in lines[1:-1])


def test_a_table_keeps_its_shape() -> None:
    text = markdown.table(["a", "b"], [[markdown.escape("x|y\nz"), markdown.code("p|q", in_table=True)]])
    assert text == "| a | b |\n| --- | --- |\n| x\\|y z | `p\\|q` |"
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 3 for line in text.splitlines())


def test_details_and_bullets() -> None:
    assert markdown.details("More", markdown.bullets(["a", "b"])) == (
        "<details>\n<summary>More</summary>\n\n- a\n- b\n\n</details>"
    )
    assert markdown.details("More", "x", is_open=True).startswith("<details open>")


@given(st.lists(st.text("ab", max_size=30), max_size=8), st.integers(20, 120), st.booleans())
def test_a_comment_fits_and_says_what_is_left_out(blocks: list[str], limit: int, ranked: bool) -> None:
    ranks = list(range(len(blocks)))[::-1] if ranked else None
    text = markdown.fit(blocks, "{count} left out", limit=limit, ranks=ranks)
    whole = "\n\n".join(blocks)
    assert len(text) <= limit
    if len(whole) <= limit:
        assert text == whole
        return
    count = re.search(r"(\d+) left out$", text)
    assert count is not None
    assert 1 <= int(count[1]) <= len(blocks)
    rest = iter(blocks)
    for kept in text.split("\n\n")[:-1]:
        assert any(kept == block for block in rest)


def test_what_matters_most_is_kept() -> None:
    blocks = ["heading", "x" * 50, "question", "y" * 50, "finding"]
    text = markdown.fit(blocks, "{count} left out", limit=60, ranks=[0, 2, 1, 2, 1])
    assert text == "heading\n\nquestion\n\nfinding\n\n2 left out"


def test_the_limit_is_that_of_github() -> None:
    blocks = ["x" * 1000] * 100
    assert 64_000 < len(markdown.fit(blocks, "{count} parts left out")) <= 65_536
