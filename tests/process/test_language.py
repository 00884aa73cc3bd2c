"""The language of comments: what is a command, what is a mistake, and what is neither."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consdb_actions.process.comment_commands import (
    MOST,
    NOTE,
    Command,
    Verb,
    commands_in,
    mentions_commands,
)

DONE = Command(Verb.DONE, "/consdb done bts", "bts")


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("/consdb done bts", DONE),
        ("   /consdb done bts   ", DONE),
        ("/CONSDB Done BTS", Command(Verb.DONE, "/consdb Done BTS", "bts")),
        ("/consdb done bts.", Command(Verb.DONE, "/consdb done bts.", "bts")),
        ("/consdb done base", Command(Verb.DONE, "/consdb done base", "bts")),
        ("/consdb\tdone\tbts", Command(Verb.DONE, "/consdb done\tbts", "bts")),
        (
            "/consdb done bts  all rows  there",
            Command(Verb.DONE, "/consdb done bts  all rows  there", "bts", "all rows there"),
        ),
        ("/consdb undo summit", Command(Verb.UNDO, "/consdb undo summit", "summit")),
        ("/consdb help", Command(Verb.HELP, "/consdb help")),
        ("/consdb", Command(Verb.HELP, "/consdb")),
        ("/consdb regenerate", Command(Verb.REGENERATE, "/consdb regenerate")),
        (
            "/consdb rename exposure.old = new",
            Command(Verb.RENAME, "/consdb rename exposure.old = new", declaration="exposure.old=new"),
        ),
        (
            "/consdb rename `exposure.gone=`",
            Command(Verb.RENAME, "/consdb rename `exposure.gone=`", declaration="exposure.gone="),
        ),
        (
            "/consdb take HEAD exposure.ra",
            Command(Verb.TAKE, "/consdb take HEAD exposure.ra", declaration="head exposure.ra"),
        ),
        (
            "/consdb take `current exposure.un_exposure day`",
            Command(
                Verb.TAKE,
                "/consdb take `current exposure.un_exposure day`",
                declaration="current exposure.un_exposure day",
            ),
        ),
        ("Thanks!\n\n/consdb done bts\n\nBye.", DONE),
        ("Thanks!\r\n/consdb done bts\r\nBye.", DONE),
        ("> quoted\n\n/consdb done bts", DONE),
        ("```\ncode\n```\n/consdb done bts", DONE),
        ("<!-- hidden -->\n/consdb done bts", DONE),
        ("<pre>\ncode\n</pre>\n/consdb done bts", DONE),
    ],
)
def test_a_command_is_understood(body: str, wanted: Command) -> None:
    assert commands_in(body) == (wanted,)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("/consdb don bts", 'no command "don"; did you mean done? The commands are done, undo, rename'),
        ("/consdb frobnicate", 'no command "frobnicate"; the commands are done'),
        ("/consdb done btss", 'no step "btss"; did you mean bts? The steps are bts, dev, summit'),
        ("/consdb done everything", 'no step "everything"; the steps are bts'),
        ("/consdb done", "the step is missing, one of: bts, dev"),
        ("/consdb undo", "the step is missing"),
        ("/consdb done b\u200bts", "no step"),
        ("/consdb done tap", "tap needs no comment; it is done when the environments in phalanx"),
        ("/consdb done approve", "approve needs no comment"),
        ("/consdb undo merge-sdm", "needs no comment"),
        ("/consdb help me", "help has no arguments"),
        ("/consdb regenerate now", "regenerate has no arguments"),
        ("/consdb rename", "TABLE.OLD=NEW is missing"),
        ("/consdb rename exposure", "'exposure' does not declare a rename. The forms are TABLE.OLD=NEW"),
        ("/consdb rename a=a", "renames a table to itself"),
        ("/consdb take", "a side with an element is missing"),
        ("/consdb take head t." + "x" * 500, "it has more than 300 characters"),
        ("/consdb rename t.a=" + "x" * 500, "it has more than 300 characters"),
        ("/consdb take exposure.ra", "'exposure.ra' does not take a side. The forms are head TABLE.ELEMENT"),
        ("/consdb tkae head a.b", 'no command "tkae"; did you mean take?'),
        ("/consdb " + "x" * 500, "there is no command"),
    ],
)
def test_a_mistake_gets_a_helpful_answer(body: str, words: str) -> None:
    (found,) = commands_in(body)
    assert found.verb is None
    assert words in found.mistake
    assert len(found.mistake) < 400


@pytest.mark.parametrize(
    "body",
    [
        "",
        "Let us write /consdb done bts then.",
        "`/consdb done bts`",
        "- /consdb done bts",
        "    /consdb done bts",
        "\t/consdb done bts",
        "> /consdb done bts",
        "> so he said\n/consdb done bts",
        "```\n/consdb done bts\n```",
        "```\n/consdb done bts",
        "````\n```\n/consdb done bts\n```\n````",
        "~~~text\n/consdb done bts\n~~~",
        "  ```sh\n/consdb done bts\n  ```",
        "<!-- /consdb done bts -->",
        "<!--\n/consdb done bts\n-->",
        "<!-- x --> /consdb done bts",
        "<!--\n/consdb done bts",
        "<pre>\n/consdb done bts\n</pre>",
        "<code>/consdb done bts</code>",
        "/consdbdone bts",
        "/consdb-actions done bts",
        "consdb: rename exposure.a=b",
        "/ consdb done bts",
    ],
)
def test_what_is_quoted_hidden_or_code_is_no_command(body: str) -> None:
    assert commands_in(body) == ()


def test_several_commands_in_one_comment_stay_in_order() -> None:
    found = commands_in("/consdb done bts\ntext\n/consdb undo bts\n/consdb nonsense")
    assert [item.verb for item in found] == [Verb.DONE, Verb.UNDO, None]


def test_a_comment_full_of_commands_is_cut_off_with_a_word() -> None:
    found = commands_in("/consdb help\n" * 500)
    assert len(found) == MOST + 1
    assert found[-1].verb is None
    assert "has 500 commands" in found[-1].mistake


def test_a_long_note_is_cut_off() -> None:
    (found,) = commands_in("/consdb done bts " + "x" * 5000)
    assert isinstance(found, Command)
    assert len(found.note) == NOTE


PIECES = st.sampled_from(
    [
        *(
            "/consdb",
            " ",
            "\n",
            "done",
            "bts",
            "undo",
            "help",
            "```",
            "~~~",
            ">",
            "<!--",
            "-->",
            "<pre>",
            "`",
        ),
        *(
            "</pre>",
            "\r\n",
            "\t",
            "\u200b",
            "rename",
            "a.b=c",
            "take",
            "head",
            "\x00",
            "é",
            "@x",
            "|",
            "    ",
        ),
    ]
)


@given(st.lists(PIECES, max_size=40).map("".join) | st.text(max_size=200))
def test_nothing_that_anyone_can_write_breaks_the_reading(body: str) -> None:
    found = commands_in(body)
    assert len(found) <= MOST + 1
    assert all(mentions_commands(body) for _ in found)
    assert all("\n" not in item.text for item in found)


@given(st.lists(PIECES, max_size=20).map("".join))
def test_what_stands_in_a_quotation_is_never_a_command(body: str) -> None:
    quoted = "\n".join(f"> {line}" for line in body.replace("\r", "").split("\n"))
    assert commands_in(quoted) == ()


@given(st.lists(PIECES, max_size=20).map("".join))
def test_what_stands_in_a_fence_is_never_a_command(body: str) -> None:
    inside = body.replace("~~~", "")
    assert commands_in(f"~~~~\n{inside}\n~~~~") == ()
