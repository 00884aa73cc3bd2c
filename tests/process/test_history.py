"""Five tickets of the real ConsDB: the tracker says where the order was wrong, and where it was right."""

from __future__ import annotations

from pathlib import Path

import pytest

from consdb_actions.adapters.typed_files import load_facts
from consdb_actions.process.facts import ProcessFacts
from consdb_actions.process.plan import Progress, StepStatus, progress_of
from consdb_actions.process.policy import BY_ID, MERGE, Route

HISTORY = Path(__file__).parents[1] / "data" / "process" / "history"


def known(ticket: str) -> ProcessFacts:
    return load_facts(ProcessFacts, HISTORY / f"{ticket}.json")


def wrong(progress: Progress) -> dict[str, list[str]]:
    """Return what was wrong with the order of steps that leave a trace, by step."""
    found: dict[str, list[str]] = {}
    for item in progress.steps:
        for disorder in item.order:
            if not all(BY_ID[name].attested for name in disorder.steps):
                found.setdefault(item.step.id, []).append(disorder.text)
    return found


@pytest.mark.parametrize(
    ("ticket", "words"),
    [
        (
            "DM-47965",
            [
                "done before “Migration merged in consdb” (12 minutes later)",
                "done although “Release deployed by stages” and “TAP_SCHEMA of this change deployed” "
                "are not done",
            ],
        ),
        (
            "DM-52666",
            [
                "done before “Migration generated” (111 minutes later), “Migration merged in consdb” (3 days "
                "later), “Release tagged” (66 days later) and “TAP_SCHEMA of this change deployed” (18 days "
                "later)",
                "done although “Release deployed by stages” is not done",
            ],
        ),
        ("DM-51220", ["done although “Release deployed by stages” is not done"]),
        ("OSW-1617", []),
        (
            "DM-51362",
            [
                "done before “TAP_SCHEMA of this change deployed” (13 days later)",
                "done although “Release deployed by stages” is not done",
            ],
        ),
    ],
)
def test_the_merge_in_sdm_schemas_is_held_against_what_came_later(ticket: str, words: list[str]) -> None:
    found = wrong(progress_of(known(ticket)))
    assert found.get(MERGE, []) == words
    assert set(found) <= {MERGE}


def test_a_ticket_image_that_nobody_replaced_is_still_open() -> None:
    pinned = progress_of(known("DM-51220")).state("repin")
    assert (pinned.status, pinned.text) == (
        StepStatus.DONE,
        "usdfdev, usdfint and usdfprod at w.2025.24",
    )
    progress = progress_of(known("OSW-1617"))
    assert progress.state("repin").open
    assert progress.state("tap").text == "usdfdev, usdfint and usdfprod at tickets-OSW-1617"


def test_a_lightweight_tag_is_pointed_out() -> None:
    assert progress_of(known("OSW-1617")).state("tag").text.startswith("a lightweight tag")
    assert progress_of(known("DM-52666")).state("tag").text == ""


def test_the_transformed_efd_takes_the_route_of_usdf() -> None:
    progress = progress_of(known("DM-51362"))
    assert progress.scope.routes == (Route.USDF,)
    assert progress.state("efd-sync").text == "equal to consdb"
    assert progress.state("bts").status is StepStatus.NOT_APPLICABLE
    assert "base has pq main" in progress.state("deploy").text


@pytest.mark.parametrize("ticket", [path.stem for path in sorted(HISTORY.glob("*.json"))])
def test_what_nobody_could_attest_to_then_is_told_and_no_name_is_in_the_facts(ticket: str) -> None:
    facts = known(ticket)
    merge = progress_of(facts).state(MERGE)
    assert any(disorder.text.startswith("done although nobody has attested to") for disorder in merge.order)
    assert facts.pull.author is not None
    assert facts.pull.author.login == "contributor"
