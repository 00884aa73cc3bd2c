"""The page of the board: what it says, that nothing of it runs or loads, and that everybody can read it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consdb_actions.forms import as_json
from consdb_actions.process.board import Board, Environments, Releases, UnreadablePull, make_board
from consdb_actions.process.facts import ProcessFacts
from consdb_actions.report.board import (
    POLICY,
    STYLE,
    page_environment,
    render_html,
    render_markdown,
    render_text,
)
from tests.support.board_scene import HOSTILE, NOW, REPOSITORY, board, environments, releases, renamed
from tests.support.page import Node, parse
from tests.support.process_facts import facts_at, say
from tests.support.reports import checked

LIGHT, DARK = (
    dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", part))
    for part in STYLE.split("*, *::before")[0].split("@media")
)

# Which colours text has on which ground.
READ = {
    "page": ("text", "muted", "link"),
    "sheet": ("text", "muted", "link", "good", "now", "warn", "bad"),
    "now-wash": ("text", "muted", "link", "now"),
    "warn-wash": ("text", "muted", "link", "warn"),
    "bad-wash": ("text", "muted", "link", "bad"),
    "quiet-wash": ("text", "muted", "link"),
}

PIECES = (
    *("<script>", "</title>", "</style>", "<!--", "-->", "]]>", "&", "&lt;", '"', "'", "`", "``", "\\"),
    *("javascript:", "\u202e", "\x00", "\x1b[31m", "\n", "\u2028", "<img src=x onerror=x>", "é", "=", "{{"),
)
HOSTILE_TEXT = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=8).map("".join)


@pytest.fixture(scope="module")
def scene() -> Board:
    return board()


@pytest.fixture(scope="module")
def page(scene: Board) -> Node:
    return parse(render_html(scene))


def structure(node: Node) -> list[tuple[str, tuple[str, ...]]]:
    """Return the elements with the names of their attributes, without any text."""
    return [(item.name, tuple(item.attributes)) for item in node.walk()]


def small(known: ProcessFacts, **values: Any) -> Board:
    return make_board(REPOSITORY, NOW, [known], [], environments(), replace(releases(), **values))


def test_every_change_has_a_bar_of_its_progress(page: Node, scene: Board) -> None:
    bars = [(node.attributes["value"], node.attributes["max"]) for node in page.all("progress")]
    assert bars == [(str(change.done), str(len(change.steps))) for change in scene.changes]


# Nothing runs, nothing is loaded


def test_s5_the_page_loads_nothing_and_runs_nothing(page: Node) -> None:
    names = {node.name for node in page.walk()}
    assert names.isdisjoint(
        {"script", "img", "iframe", "object", "embed", "link", "form", "input", "base", "svg"}
    )
    attributes = {name for node in page.walk() for name in node.attributes}
    assert not {name for name in attributes if name.startswith("on")}
    assert attributes.isdisjoint({"src", "srcset", "style", "action", "background", "ping"})
    for node in page.all("a"):
        assert re.match(r"https://|#|board\.json$", node.attributes["href"] or ""), node.attributes
    assert "url(" not in STYLE
    assert "@import" not in STYLE


def test_s5_the_page_forbids_what_it_does_not_need(page: Node) -> None:
    metas = [node.attributes for node in page.all("meta")]
    policy = next(item["content"] for item in metas if item.get("http-equiv") == "Content-Security-Policy")
    assert policy == POLICY
    assert (policy or "").startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert {"name": "referrer", "content": "no-referrer"} in metas


def test_s5_a_hostile_title_is_shown_as_it_is(page: Node) -> None:
    shown = HOSTILE.replace("\u202e", "\ufffd")
    (article,) = [node for node in page.all("article") if node.attributes.get("id") == "change-218"]
    assert article.all("h3")[0].text == f"#218 {shown}"
    (row,) = [node for node in page.all("tr") if "#218 " in node.text]
    assert shown in row.text


def small_page(title: str, login: str, note: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return what a page is made of, in which three texts stand at many places."""
    said = say("carl", f"/consdb done bts {' '.join(note.split())}", 3.5)
    known = renamed(facts_at("tested", said), 7, f"DM-1: {title}", branch="tickets/DM-1", author=f"a{login}")
    changes = tuple(replace(item, schema=f"cdb_{title}", new_tables=("t",)) for item in known.schemas)
    unread = UnreadablePull(f"n{title}", f"w{note}", f"t{login}", "https://github.com/x")
    where = Environments(None, trouble=f"w{title}")
    made = make_board(REPOSITORY, NOW, [replace(known, schemas=changes)], [unread], where, Releases())
    # Backquotes in a sentence make code, and nothing else.
    return [item for item in structure(parse(render_html(made))) if item[0] != "code"]


PLAIN_PAGE = small_page("plain", "plain", "plain")


@given(HOSTILE_TEXT, HOSTILE_TEXT, HOSTILE_TEXT)
def test_s5_no_text_of_others_changes_what_the_page_is_made_of(title: str, login: str, note: str) -> None:
    assert small_page(title, login, note) == PLAIN_PAGE


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil.example",
        "https://user@evil.example/",
        "https://github.com/ x",
        'https://github.com/"onclick="x',
        "https://github.com/<x>",
        "",
    ],
)
def test_s5_an_address_that_is_none_is_no_link(address: str) -> None:
    template = page_environment().from_string("{{ text is address }}")
    assert template.render(text=address) == "False"


def test_every_text_is_escaped_and_printable() -> None:
    template = page_environment().from_string('<p title="{{ text }}">{{ text }}{{ text | prose }}</p>')
    made = template.render(text='a<b `"c"`\u202e')
    assert made == (
        '<p title="a&lt;b `&#34;c&#34;`\ufffd">a&lt;b `&#34;c&#34;`\ufffd'
        "a&lt;b <code>&#34;c&#34;</code>\ufffd</p>"
    )


# Everybody can read it


def test_the_page_says_its_language_and_fits_the_screen(page: Node) -> None:
    assert page.only("html").attributes["lang"] == "en"
    metas = [node.attributes for node in page.all("meta")]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in metas
    assert {"charset": "utf-8"} in metas
    assert page.only("title").text == "ConsDB schema changes, lsst/sdm_schemas"


def test_the_page_has_its_landmarks_and_headings_in_order(page: Node) -> None:
    for name in ("header", "nav", "main", "footer", "h1"):
        page.only(name)
    levels = [int(node.name[1]) for node in page.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert [node.text for node in page.only("main").all("h2")] == [
        "What is next",
        "Open changes",
        "What runs where",
        "Releases of consdb",
    ]


def test_whatever_is_referred_to_is_there_once(page: Node) -> None:
    ids = [node.attributes["id"] for node in page.walk() if "id" in node.attributes]
    assert len(set(ids)) == len(ids)
    wanted = [node.attributes.get("aria-labelledby") for node in page.walk()]
    wanted += [(node.attributes.get("href") or "") for node in page.all("a")]
    assert {item.removeprefix("#") for item in wanted if item and not re.match("https:|board", item)} <= set(
        ids
    )


def test_tables_have_captions_and_headers_with_their_scope(page: Node) -> None:
    tables = page.all("table")
    assert len(tables) >= 15
    for node in tables:
        assert node.only("caption").text
        heads = node.only("thead").all("th")
        assert heads
        assert all(head.text for head in heads)
        assert {head.attributes["scope"] for head in heads} <= {"col", "colgroup"}
        for row in node.only("tbody").all("tr"):
            (first,) = row.all("th")
            assert first.attributes["scope"] == "row"
            assert first.text


def test_rows_of_tables_are_as_long_as_their_head(page: Node) -> None:
    for node in page.all("table"):
        rows = node.only("thead").all("tr")
        width = sum(int(cell.attributes.get("colspan") or 1) for cell in rows[0].all("th"))
        assert {len(row.all("th", "td")) for row in node.only("tbody").all("tr")} == {width}


def test_tables_that_fold_keep_their_roles_and_name_their_cells(page: Node) -> None:
    folding = [node for node in page.all("table") if "cards" in (node.attributes["class"] or "")]
    assert folding
    for node in folding:
        assert node.attributes["role"] == "table"
        assert {item.attributes.get("role") for item in node.all("tr", "td", "th", "tbody", "thead")} == {
            *("row", "cell", "rowheader", "columnheader", "rowgroup")
        }
        heads = [head.text for head in node.only("thead").all("th")]
        for row in node.only("tbody").all("tr"):
            for name, cell in zip(heads[1:], row.all("td"), strict=True):
                labels = [
                    "".join(map(str, item.children))
                    for item in cell.all("span")
                    if item.attributes.get("class") == "label"
                ]
                assert labels == ([name] if cell.children else [])


def test_what_scrolls_can_be_reached_without_a_mouse(page: Node) -> None:
    (region,) = [node for node in page.walk() if "scroll" in (node.attributes.get("class") or "").split()]
    assert (region.attributes["tabindex"], region.attributes["role"]) == ("0", "region")
    assert region.attributes["aria-label"]


def test_no_mark_says_something_by_its_colour_alone(page: Node) -> None:
    marks = [node for node in page.walk() if "mark" in (node.attributes.get("class") or "").split()]
    words = {re.sub(r"^i |[^a-z]", "", node.text) for node in marks if node.name == "span"}
    assert words == {
        *("done", "next", "waiting", "stale", "outoforder", "unknown"),
        *("error", "warning", "note", "draft", "merged", "off", "lightweighttag"),
    }
    for node in marks:
        if node.name == "li":
            assert re.fullmatch(r"\S [a-z-]+: [a-z ]+", node.text)


# Colours


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, as WCAG 2 defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_computed_as_wcag_does() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=0.001)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("ground", "ink"), [(ground, ink) for ground, inks in READ.items() for ink in inks])
def test_text_stands_out_from_its_ground(palette: dict[str, str], ground: str, ink: str) -> None:
    assert contrast(palette[ground], palette[ink]) >= 4.5


def test_the_style_uses_the_colours_that_are_looked_at() -> None:
    style = STYLE
    assert set(LIGHT) == set(DARK)
    used = set(re.findall(r"var\(--([a-z-]+)\)", style))
    assert used == set(LIGHT)
    rules = style.split("*, *::before")[1]
    assert not re.findall(r"#[0-9a-f]{3,8}\b|rgb|hsl", rules), "a colour outside of the palettes"
    inks = set(re.findall(r"(?<![-a-z])color: var\(--([a-z-]+)\)", rules))
    grounds = set(re.findall(r"background: var\(--([a-z-]+)\)", rules))
    assert inks == {ink for names in READ.values() for ink in names}
    assert grounds == set(READ)


def test_the_reader_has_the_scheme_of_the_system_and_paper_is_light() -> None:
    style = STYLE
    assert f"--page: {LIGHT['page']}" in style.partition("@media")[0]
    assert "@media screen and (prefers-color-scheme: dark)" in style


# What it says


def test_the_same_board_gives_the_same_bytes(scene: Board) -> None:
    assert render_html(scene) == render_html(board())


def test_p2_each_change_says_what_is_next_whose_it_is_and_since_when(page: Node) -> None:
    (article,) = [node for node in page.all("article") if node.attributes.get("id") == "change-205"]
    assert "Next: migrate the USDF database. USDF (uma), since 2026-03-11 (9 days)." in article.text
    (row,) = [node for node in page.all("tr") if "#205 " in node.text]
    assert [cell.text for cell in row.all("td")] == [
        "migrate the USDF database",
        "USDF",
        "2026-03-11 (9 days)",
        "9 of 14",
    ]


def test_every_step_is_there_with_its_evidence(page: Node, scene: Board) -> None:
    change = next(item for item in scene.changes if item.facts.pull.number == 171)
    (article,) = [node for node in page.all("article") if node.attributes.get("id") == "change-171"]
    rows = article.only("tbody").all("tr")
    assert [row.all("th")[0].text for row in rows] == [item.step.title for item in change.steps]
    usdf = next(row for row in rows if row.all("th")[0].text == "USDF database migrated")
    assert [cell.text for cell in usdf.all("td")][:2] == ["✓ done", "USDF"]
    assert "by uma for cccccccc" in usdf.text
    links = [node.attributes["href"] for node in usdf.all("a")]
    assert links[0] == "https://github.com/lsst/sdm_schemas/pull/171#issuecomment-2000"


def test_one_that_could_not_be_looked_at_is_told_beside_the_others(page: Node) -> None:
    (alert,) = [node for node in page.all("li") if "could not be looked at" in node.text]
    assert alert.text == (
        "#209 DM-53060: Remove the old seeing columns could not be looked at: GitHub answered 404: Not Found."
    )
    assert len(page.all("article")) >= 13


def test_r7_the_matrix_says_tag_since_when_and_what_is_wrong(page: Node) -> None:
    (matrix,) = [node for node in page.all("table") if node.attributes["class"] == "matrix"]
    rows = {row.all("th")[0].text: row for row in matrix.only("tbody").all("tr")}
    assert list(rows) == ["base", "tucson-teststand", "summit", "usdfdev", "usdfint", "usdfprod"]
    cells = [cell.text for cell in rows["summit"].all("td")]
    assert cells == [
        "26.3.12026-03-09 (11 d)",
        "tickets-OSW-1617-guider-roi ✕error2025-11-19 (121 d)",
        "26.3.12026-03-09 (11 d)",
        "not there",
        "not there",
    ]
    assert rows["usdfdev"].all("td")[0].text == "26.2.1 off2026-02-03 (45 d)"
    (address,) = {node.attributes["href"] for node in rows["summit"].all("a")}
    assert address == f"https://github.com/lsst-sqre/phalanx/commit/{'9' * 40}"


def test_a_release_says_what_it_holds_where_it_runs_and_what_it_brings(page: Node) -> None:
    first, *others = [node for node in page.all("article") if "release" in (node.attributes["class"] or "")]
    assert "Runs at base (hinfo), summit (hinfo.latiss, pq), usdfdev." in first.text
    assert {node.attributes["href"] for node in first.all("a")} >= {
        "https://github.com/lsst-dm/consdb/releases/tag/26.3.1",
        "https://github.com/lsst-dm/consdb/pull/140",
        "#change-181",
    }
    assert [node.text for node in first.all("dt")] == ["latiss", "lsstcam"]
    assert first.all("summary")[0].text == "10 operations"
    texts = [node.text for node in others]
    assert "The databases do not change." in texts[0]
    assert "commit of 2025-11-22" in texts[1]
    assert "lightweight tag" in texts[1]
    assert "of an earlier release, was changed" in texts[1]
    assert "Its content is unknown: GitHub answered 502, four times." in texts[2]
    assert not any("Not deployed" in text for text in texts)


def test_what_is_not_known_is_told_and_hides_nothing_else() -> None:
    made = make_board(
        REPOSITORY,
        NOW,
        [facts_at("opened")],
        [],
        Environments(None, trouble="phalanx is away"),
        Releases(trouble="consdb is away"),
    )
    text = parse(render_html(made)).only("main").text
    assert "What runs where is not known: phalanx is away." in text
    assert "What is in the releases is not known: consdb is away." in text
    assert "Next: approve the change." in text
    assert "not known" in parse(render_html(made)).only("header").text


def test_a_board_without_anything_is_a_page_as_well() -> None:
    made = make_board(REPOSITORY, NOW, [], [], Environments(None), Releases())
    page = parse(render_html(made))
    assert "No schema change is open." in page.text
    assert "There is no release yet." in page.text
    assert [node.text for node in page.only("main").all("h2")] == [
        "What is next",
        "What runs where",
        "Releases of consdb",
    ]


def test_a_release_that_runs_nowhere_yet_is_told() -> None:
    items = (replace(releases().items[0], tag="26.4.1"), *releases().items)
    assert "Not deployed yet." in render_html(small(facts_at("opened"), items=items))


# As data and in brief


def test_the_data_keep_to_their_schema(scene: Board) -> None:
    checked(make_board(REPOSITORY, NOW, [], [], Environments(None, trouble="x"), Releases(trouble="y")))
    data = checked(scene)
    data["changes"][0]["steps"][0]["status"] = "perhaps"
    with pytest.raises(jsonschema.ValidationError):
        checked(json.dumps(data), Board)


def test_the_data_say_what_the_page_says(scene: Board) -> None:
    data = as_json(scene)
    assert [item["number"] for item in data["changes"]] == [item.facts.pull.number for item in scene.changes]
    assert (data["finished"], data["unaffected"]) == (1, 1)
    first = data["releases"]["items"][0]
    contents = first["notes"]
    pulls = [pull for topic in contents["topics"] for pull in topic["pulls"]] + contents["others"]
    assert sorted(item["number"] for item in pulls) == [140, 143, 144]
    assert [item["section"] for item in contents["migrations"]] == ["latiss", "lsstcam"]
    assert 181 in [item["number"] for item in data["changes"] if item["release"] == first["tag"]]


def test_text_and_markdown_name_every_change_and_stay_inert(scene: Board) -> None:
    text, markdown = render_text(scene), render_markdown(scene)
    for change in scene.changes:
        assert f"#{change.facts.pull.number} " in text
        assert f"[#{change.facts.pull.number}](https://github.com/" in markdown
    assert "4 need attention, 1 could not be looked at" in text
    assert "#209  could not be looked at" in text
    assert "2 errors and 6 warnings" in markdown
    assert "<script" not in markdown
    assert "\u202e" not in text + markdown
    assert max(map(len, text.splitlines())) < 220
