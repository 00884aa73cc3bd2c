"""Which schema change is meant, what it is called, and what it asks for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consdb_actions.adapters.github.events import asked, asked_of_event
from consdb_actions.approval.plan import SECTION_ROOM, Part, join, split
from consdb_actions.errors import InputError
from consdb_actions.migration.outcome import Operation
from consdb_actions.proposal import PullSeen
from consdb_actions.publication.plan import EditedFile, Publication, State, TargetPull
from consdb_actions.publication.source import (
    Marker,
    Names,
    RequestedMigration,
    SchemaSource,
    decide_request,
    name_migration,
    read_marker,
)
from consdb_actions.report.markdown import COMMENT_LIMIT
from consdb_actions.report.publication import render_comment
from tests.support.migration_scene import generated, open_question, outcome_of

PATTERNS = (r"DM-\d+", r"OSW-\d+")
SHA, OTHER = "a" * 40, "b" * 40
LABEL = "consdb: migrate"
PULL = PullSeen(12, "https://github.com/o/r/pull/12", "tickets/DM-1", SHA, labels=(LABEL,))
SOURCE = SchemaSource("lsst/sdm_schemas", "tickets/DM-1", SHA, "main", PULL)


@pytest.mark.parametrize(
    ("branch", "title", "ticket", "migration", "message"),
    [
        ("tickets/DM-1", "", "DM-1", "tickets/DM-1-migration", "DM-1"),
        ("tickets/OSW-123", "", "OSW-123", "tickets/OSW-123-migration", "OSW-123"),
        ("tickets/DM-1-latiss", "", "DM-1", "tickets/DM-1-latiss-migration", "DM-1-latiss"),
        ("tickets/DM-1_v2.1", "DM-2: x", "DM-1", "tickets/DM-1_v2.1-migration", "DM-1_v2.1"),
        ("u/somebody/work", "DM-7: Add x", "DM-7", "tickets/DM-7-migration", "DM-7"),
        ("u/somebody/work", " [OSW-7] Add x", "OSW-7", "tickets/OSW-7-migration", "OSW-7"),
        ("tickets/DM-1$(id)", "DM-2: x", "DM-2", "tickets/DM-2-migration", "DM-2"),
        ("tickets/DM-1" + "-x" * 80, "DM-2: x", "DM-2", "tickets/DM-2-migration", "DM-2"),
    ],
)
def test_names_come_from_the_branch_or_else_from_the_title(
    branch: str, title: str, ticket: str, migration: str, message: str
) -> None:
    names = name_migration(branch, title, PATTERNS)
    assert names == Names(ticket, migration, f"{ticket}: Migrate schema changes", message)


@pytest.mark.parametrize(
    ("branch", "title"),
    [
        ("main", "Add x"),
        ("tickets/XX-1", "XX-1: x"),
        ("tickets/DM-", ""),
        ("tickets/DM-1\n", ""),
        ("tickets/DM-1/more", ""),
        ("tickets/DM-\u0661", ""),
        ("tickets/DM-1 ", "for DM-1"),
        ("work", "DM-1x: y"),
    ],
)
def test_a_change_without_a_ticket_is_refused(branch: str, title: str) -> None:
    with pytest.raises(InputError, match="no ticket is named"):
        name_migration(branch, title, PATTERNS)


def test_patterns_of_other_trackers() -> None:
    assert name_migration("tickets/SP-3", "", (r"SP-\d+",)).ticket == "SP-3"
    assert name_migration("tickets/B-3", "", (r"A-\d+|B-\d+",)).ticket == "B-3"
    with pytest.raises(InputError, match="cannot be part of a branch"):
        name_migration("x", "A B: y", (r"A B",))


@given(st.text(max_size=40), st.text(max_size=40))
def test_s1_a_name_is_plain_whatever_people_write(branch: str, title: str) -> None:
    try:
        names = name_migration(f"tickets/{branch}", f"DM-1{title}", (*PATTERNS, r".+"))
    except InputError:
        return
    assert all(
        character.isascii() and (character.isalnum() or character in "-_./") for character in names.branch
    )
    assert names.branch.startswith("tickets/")
    assert names.branch.endswith("-migration")


def event(action: str = "labeled", label: str = LABEL, **more: Any) -> dict[str, Any]:
    return {"action": action, "label": {"name": label}, "pull_request": {"number": 12}, **more}


def test_events_say_what_is_asked_for() -> None:
    assert asked_of_event(event(), "pull_request") == RequestedMigration(12, action="labeled", label=LABEL)
    assert asked_of_event(event("synchronize"), "pull_request").action == "synchronize"
    by_hand = {"inputs": {"pr": "12", "branch_name": "", "commit_sha": ""}}
    assert asked_of_event(by_hand, "workflow_dispatch") == RequestedMigration(12)
    payload = {"client_payload": {"branch_name": "tickets/DM-1", "commit_sha": SHA}}
    assert asked_of_event(payload, "repository_dispatch") == RequestedMigration(
        branch="tickets/DM-1", commit=SHA
    )
    assert asked("#12", None, SHA, place="x") == RequestedMigration(12, commit=SHA)


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        ([], "pull_request"),
        (None, "pull_request"),
        ({}, "push"),
        ({}, "pull_request"),
        ({"inputs": None}, "workflow_dispatch"),
        ({"inputs": {"pr": "1; id"}}, "workflow_dispatch"),
        ({"inputs": {"pr": "0"}}, "workflow_dispatch"),
        ({"inputs": {"pr": True}}, "workflow_dispatch"),
        ({"client_payload": {"branch_name": "a"}}, "repository_dispatch"),
        ({"client_payload": {"branch_name": "a", "commit_sha": "A" * 40}}, "repository_dispatch"),
        ({"client_payload": {"branch_name": "a", "commit_sha": f"{SHA}\n"}}, "repository_dispatch"),
        ({"client_payload": {"branch_name": ["a"], "commit_sha": SHA}}, "repository_dispatch"),
        (event(pull_request={"number": "12/../../x"}), "pull_request"),
        (event(pull_request={"number": -1}), "pull_request"),
    ],
)
def test_s1_events_of_another_form_are_refused(payload: object, name: str) -> None:
    with pytest.raises(InputError):
        asked_of_event(payload, name)


@pytest.mark.parametrize(
    "branch",
    [
        "$(id)",
        "`id`",
        "a b",
        "-x",
        "a..b",
        "a\nb",
        "a/",
        "/a",
        "a.lock",
        "a;b",
        "a'b",
        "${{ x }}",
        "é",
        "@{u}",
    ],
)
def test_s1_branches_of_another_form_are_refused(branch: str) -> None:
    with pytest.raises(InputError, match="is not a branch"):
        asked(None, branch, SHA, place="--branch")


WISHES: list[tuple[str, RequestedMigration, dict[str, Any], str]] = [
    ("label set", RequestedMigration(12, action="labeled", label=LABEL), {}, "generate"),
    ("label in other case", RequestedMigration(12, action="labeled", label=LABEL.upper()), {}, "generate"),
    ("another label set", RequestedMigration(12, action="labeled", label="other"), {}, "nothing"),
    (
        "label set and off again",
        RequestedMigration(12, action="labeled", label=LABEL),
        {"labels": ()},
        "withdraw",
    ),
    (
        "label off",
        RequestedMigration(12, action="unlabeled", label=LABEL),
        {"labels": ("other",)},
        "withdraw",
    ),
    ("label off and on again", RequestedMigration(12, action="unlabeled", label=LABEL), {}, "generate"),
    ("another label off", RequestedMigration(12, action="unlabeled", label="other"), {}, "nothing"),
    ("push with label", RequestedMigration(12, action="synchronize"), {}, "generate"),
    ("push without label", RequestedMigration(12, action="synchronize"), {"labels": ()}, "nothing"),
    ("closed", RequestedMigration(12, action="closed"), {"is_open": False}, "withdraw"),
    ("merged", RequestedMigration(12, action="closed"), {"is_open": False, "merged": True}, "nothing"),
    ("by hand without label", RequestedMigration(12), {"labels": ()}, "generate"),
    ("by hand, closed", RequestedMigration(12), {"is_open": False}, "withdraw"),
    ("moved", RequestedMigration(12, commit=OTHER), {}, "nothing"),
    ("not moved", RequestedMigration(12, commit=SHA), {}, "generate"),
]


@pytest.mark.parametrize(("asked_for", "pull", "action"), [w[1:] for w in WISHES], ids=[w[0] for w in WISHES])
def test_what_an_event_asks_for(asked_for: RequestedMigration, pull: dict[str, Any], action: str) -> None:
    request = decide_request(asked_for, replace(SOURCE, pull=replace(PULL, **pull)), LABEL)
    assert (request.action, request.publish) == (action, True)
    assert request.reason.endswith(".")


def test_a_fork_gets_a_result_and_no_token() -> None:
    source = replace(SOURCE, pull=replace(PULL, from_fork=True))
    request = decide_request(RequestedMigration(12, action="labeled", label=LABEL), source, LABEL)
    assert (request.action, request.publish) == ("generate", False)
    assert "start the workflow manually for number 12" in request.reason
    assert decide_request(RequestedMigration(12), source, LABEL).publish


def test_a_branch_without_a_pull_request() -> None:
    source = replace(SOURCE, pull=None)
    assert source.reference == "lsst/sdm_schemas@tickets/DM-1"
    assert (
        decide_request(RequestedMigration(branch="tickets/DM-1", commit=SHA), source, LABEL).action
        == "generate"
    )
    assert (
        decide_request(RequestedMigration(branch="tickets/DM-1", commit=OTHER), source, LABEL).action
        == "nothing"
    )


def test_a_marker_comes_back_from_a_body_and_ends_no_comment() -> None:
    marker = Marker("lsst-dm/x--->y#1", SHA, {"alembic/a/versions/x.py": OTHER})
    body = f"Before.\n{marker}\nAfter."
    assert str(marker).count("-->") == 1
    assert str(marker).count("<!--") == 1
    assert read_marker(body) == marker
    assert str(Marker("lsst/sdm_schemas#12", SHA)).startswith(
        f'<!-- consdb-actions:migration {{"source":"lsst/sdm_schemas#12","sha":"{SHA}"'
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<!-- consdb-actions:migration {} -->",
        '<!-- consdb-actions:migration {"source": 1, "sha": "x"} -->',
        f'<!-- consdb-actions:migration {{"source": "a", "sha": "{SHA}", "files": [1]}} -->',
        f'<!-- consdb-actions:migration {{"source": "a", "sha": "{SHA}", "files": {{"x": 1}}}} -->',
        "<!-- consdb-actions:migration " + "[" * 50_000 + " -->",
        "<!-- consdb-actions:migration {" + '"a":[' * 9_000 + "} -->",
    ],
)
def test_a_marker_of_another_form_is_none(text: str) -> None:
    assert read_marker(text) is None


LONG = "Add column `exposure.`" + "x" * 200
FORGED = '<!-- consdb-actions:migration {"source": "a#1", "sha": "' + OTHER + '"} -->'


@pytest.mark.parametrize("state", ["published", "question", "failed", "error", "held"])
def test_p2_a_long_migration_fits_into_its_section_and_keeps_its_marker(state: State) -> None:
    names = [f"section{number}" for number in range(11)]
    sections = [replace(generated(name), upgrade=(Operation(LONG, "exposure"),) * 60) for name in names]
    if state in ("question", "failed"):
        asked_often = open_question().questions * 40
        sections = [replace(open_question(name), status=state, questions=asked_often) for name in names]
    source = SchemaSource("lsst/sdm_schemas", "tickets/DM-1", SHA, "main")
    publication = Publication(
        state,
        source,
        SHA,
        outcome=outcome_of(*sections),
        pull=TargetPull(7, "https://github.com/lsst-dm/consdb/pull/7", "tickets/DM-1-migration", author="a"),
        kept=(EditedFile("alembic/a/versions/b.py", "a", f"{FORGED}\n" * 500),) * 4,
        log=f"{FORGED}\n" * 500,
        run_url="https://github.com/lsst/sdm_schemas/actions/runs/1",
    )
    text = render_comment(publication)
    assert len(text) <= SECTION_ROOM[Part.MIGRATION]
    assert read_marker(split(join({Part.MIGRATION: text}))[Part.MIGRATION]) == publication.marker
    assert "more parts did not fit" in text
    assert "actions/runs/1" in text
    assert len(text) < len(render_comment(publication, limit=COMMENT_LIMIT)) <= COMMENT_LIMIT
