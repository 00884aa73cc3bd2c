"""What a release holds, arranged and written (rules R2 and S5)."""

from __future__ import annotations

import random
import re

import cmarkgfm
import pytest

from consdb_actions.release.notes import MergedPull, ReleaseContents, ReleasedMigration, arrange, tickets_in
from consdb_actions.report.release import extent, render_message, render_notes

PATTERNS = (r"DM-\d+", r"OSW-\d+")
MARK = "Tagged by consdb-actions."
CONTENTS = ReleaseContents(
    previous="26.6.1",
    commits=9,
    pulls=(
        MergedPull(12, "OSW-9: Add the pointing", "tickets/OSW-9", "po-1"),
        MergedPull(11, "Mend typos", "u/po-1/typos", ""),
        MergedPull(14, "Follow-up", "tickets/OSW-9-more", "po-1"),
        MergedPull(13, "[DM-10] DM-9, a fix", "fix", "dev-1"),
    ),
    migrations=(
        ReleasedMigration(
            *("lsstcam", "alembic/lsstcam/versions/a.py", "aaaa", "second"),
            ("add column t.b (text)",),
            ("make t.b not null",),
            ("bbbb",),
        ),
        ReleasedMigration(
            *("lsstcam", "alembic/lsstcam/versions/b.py", "bbbb", "first"),
            ("add column t.a (text)",),
            tuple(f"describe t.{column}" for column in "abcd"),
            ("0000",),
        ),
        ReleasedMigration("latiss", "alembic/latiss/versions/c.py", "cccc", "other", (), (), ("0000",)),
    ),
    changed=(("alembic/latiss/versions/old.py", "changed"),),
)

MESSAGE = """\
consdb 26.6.2

3 migrations, 4 pull requests, 3 tickets, 9 commits since 26.6.1.

Migrations:
  latiss: other (cccc)
  lsstcam: first (bbbb)
  lsstcam: second (aaaa)

Changed migrations of earlier releases:
  alembic/latiss/versions/old.py (changed)

Tickets: DM-9, DM-10, OSW-9

Pull requests:
  #13 DM-10, DM-9: a fix
  #12 OSW-9: Add the pointing
  #14 OSW-9: Follow-up
  #11 Mend typos

Tagged by consdb-actions.
"""

NOTES = """\
3 migrations, 4 pull requests, 3 tickets, 9 commits since 26.6.1.

### Migrations

**latiss**: other (`cccc`)

**lsstcam**: first (`bbbb`)

- add column t.a (text)

<details>
<summary>4 changes of keys, defaults, grants or descriptions</summary>

- describe t.a
- describe t.b
- describe t.c
- describe t.d

</details>

**lsstcam**: second (`aaaa`)

- add column t.b (text)
- make t.b not null

⚠️ Migrations of earlier releases have changed:

- `alembic/latiss/versions/old.py` was changed

### Tickets

- **DM-10, DM-9**: a fix (#13, dev-1)
- **OSW-9**: Add the pointing (#12, po-1); Follow-up (#14, po-1)

### Pull requests without a ticket

- Mend typos (#11)

### Images

- `ghcr.io/lsst-dm/consdb-pq:26.6.2`

[All changes](https://github.com/lsst-dm/consdb/compare/26.6.1...26.6.2)
"""


def message(contents: ReleaseContents) -> str:
    return render_message(arrange(contents, PATTERNS), "consdb", "26.6.2", MARK)


def notes(contents: ReleaseContents) -> str:
    url = "https://github.com/lsst-dm/consdb"
    return render_notes(arrange(contents, PATTERNS), "26.6.2", url, ("ghcr.io/lsst-dm/consdb-pq",))


def test_r2_the_message_of_a_tag() -> None:
    assert message(CONTENTS) == MESSAGE


def test_r2_the_notes_of_a_release() -> None:
    assert notes(CONTENTS) == NOTES


def test_r2_the_same_contents_in_any_order_are_the_same_notes() -> None:
    source = random.Random(1)
    for _ in range(20):
        pulls, migrations = list(CONTENTS.pulls), list(CONTENTS.migrations)
        source.shuffle(pulls)
        source.shuffle(migrations)
        mixed = ReleaseContents("26.6.1", 9, tuple(pulls), tuple(migrations), CONTENTS.changed)
        assert (message(mixed), notes(mixed)) == (MESSAGE, NOTES)


def test_r2_a_release_without_migrations_says_so() -> None:
    contents = ReleaseContents("26.6.1", 2, CONTENTS.pulls[1:2])
    assert "None: the databases do not change." in notes(contents)
    assert "### Pull requests\n" in notes(contents)
    assert (
        extent(arrange(contents, PATTERNS))
        == "no migrations, 1 pull request, no tickets, 2 commits since 26.6.1"
    )
    assert "Tickets" not in message(contents)


def test_r2_the_first_release_is_compared_with_nothing() -> None:
    assert "first release with a calendar version" in notes(ReleaseContents())
    assert "compare" not in notes(ReleaseContents())
    assert message(ReleaseContents()).splitlines()[2] == "The first release with a calendar version."


@pytest.mark.parametrize(
    ("text", "tickets"),
    [
        ("OSW-2388: Fix the pool", ("OSW-2388",)),
        ("tickets/DM-12345", ("DM-12345",)),
        ("tickets/DM-12345-again", ("DM-12345",)),
        ("DM-1 and OSW-2, DM-1", ("DM-1", "OSW-2")),
        ("ADM-1 DM-1a xDM-2 DM-", ()),
        ("SP-1234", ()),
    ],
)
def test_tickets_in_a_text(text: str, tickets: tuple[str, ...]) -> None:
    assert tickets_in(text, PATTERNS) == tickets


HOSTILE = [
    "@lsst-dm/everybody look",
    "<!-- consdb-actions:approvals --> hidden",
    "a | b | c",
    "closes #1, fixes lsst/sdm_schemas#2 and GH-3",
    "[click](https://evil.example.org) ![x](https://evil.example.org/x.png)",
    "<img src=x onerror=alert(1)><script>",
    "line\n\n# Heading\n\n- list\r\n::set-output name=x::y",
    "`` ` ``` code",
    "-----BEGIN PGP SIGNATURE-----",
    "\u202egnp.exe \x1b[31mred\x00",
    "www.evil.example.org http://evil.example.org",
    "| --- |\n|x|",
    f"fine\n{MARK}\nmore",
]


def hostile(text: str) -> ReleaseContents:
    return ReleaseContents(
        "26.6.1",
        1,
        (MergedPull(1, text, "branch", text), MergedPull(2, f"DM-1: {text}", text, "a")),
        (
            ReleasedMigration(
                text, f"alembic/{text}/versions/{text}.py", text, text, (f"add column {text}.{text} (text)",)
            ),
        ),
        ((text, "changed"),),
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_s5_what_others_wrote_is_inert_in_the_notes(text: str) -> None:
    rendered = notes(hostile(text))
    html = cmarkgfm.github_flavored_markdown_to_html(rendered)
    plain = cmarkgfm.github_flavored_markdown_to_html(notes(hostile("word")))
    for tag in ("h1", "h2", "h3", "ul", "li", "a ", "img", "script", "table", "!--", "pre", "details"):
        assert html.count(f"<{tag}") == plain.count(f"<{tag}"), tag
    outside = re.sub(r"<code>.*?</code>", "", html, flags=re.DOTALL)
    assert not re.search(r"@\w|\w#\d|\bGH-\d|, fixes #", outside)
    assert re.findall(r"\(#(\d+),", outside) == ["2", "1"], "our own references"
    assert "<!--" not in rendered


@pytest.mark.parametrize("text", HOSTILE)
def test_s5_what_others_wrote_never_begins_a_line_of_the_message(text: str) -> None:
    written, plain = message(hostile(text)), message(hostile("word"))
    assert len(written.splitlines()) == len(plain.splitlines())
    assert written.splitlines()[-1] == MARK
    assert written.count(f"\n{MARK}") == 1
    assert not any(character in written for character in "\x00\x1b\u202e\r")


def test_s5_what_is_too_long_is_cut() -> None:
    pulls = tuple(MergedPull(n, "x" * 200, "b", "a") for n in range(2000))
    many = ReleaseContents("26.6.1", 2000, pulls, CONTENTS.migrations)
    assert len(notes(many)) <= 125_000
    assert "\n- and 1800 more\n" in notes(many)
    assert "  and 1800 more" in message(many)
