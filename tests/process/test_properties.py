"""What holds for any comments, in any order, however often it is looked at."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consdb_actions.approval.plan import SECTION_ROOM, Part
from consdb_actions.forms import as_json
from consdb_actions.process.facts import Comment, ProcessFacts
from consdb_actions.process.plan import ProcessReport, make_plan, progress_of, readiness
from consdb_actions.report.process import render_comment, render_text
from tests.support.configuration import through_json
from tests.support.process_facts import STAGES, at, facts_at, push, remembered, say

WHO = st.sampled_from(["carl", "cleo", "uma", "dora", "mallory", "author", None])
STEP = st.sampled_from(["bts", "summit", "publication", "usdf", "pqserver", "dev", "tap", "nonsense"])
LINE = st.one_of(
    STEP.map(lambda step: f"/consdb done {step}"),
    STEP.map(lambda step: f"/consdb undo {step} because"),
    st.sampled_from(["/consdb help", "/consdb regenerate", "/consdb rename exposure.a=b", "text"]),
)
BODY = st.lists(LINE, min_size=1, max_size=3).map("\n".join)


@st.composite
def conversations(draw: st.DrawFn) -> ProcessFacts:
    """Facts with comments by anybody, at one of the stages, some edited, perhaps after a push."""
    known = facts_at(draw(st.sampled_from(STAGES)))
    comments: list[Comment] = []
    for number in range(draw(st.integers(0, 8))):
        day = draw(st.integers(0, 1500)) / 100
        edited = draw(st.none() | st.just(day + 0.5))
        comments.append(say(draw(WHO), draw(BODY), day, number=5000 + number, edited=edited))
    known = replace(known, comments=(*known.comments, *comments))
    return push(known, draw(st.integers(1, 14)), same=draw(st.booleans())) if draw(st.booleans()) else known


def shown(known: ProcessFacts) -> str:
    return render_comment(known, progress_of(known))


@given(conversations(), st.randoms())
def test_p1_the_order_in_which_comments_come_does_not_matter(known: ProcessFacts, random: object) -> None:
    comments = list(known.comments)
    random.shuffle(comments)  # type: ignore[attr-defined]
    assert shown(replace(known, comments=tuple(comments))) == shown(known)


@given(conversations())
def test_p2_a_second_look_changes_nothing(known: ProcessFacts) -> None:
    after = remembered(known, shown(known))
    if known.pull.merged_at is None:
        verdict = readiness(after, progress_of(after))
        first = make_plan(known, progress_of(known), shown(known)).status
        assert first is not None
        assert (first.state, first.description) == (verdict.state, verdict.description)
    plan = make_plan(after, progress_of(after), shown(after))
    assert (plan.comment, plan.reactions) == (None, ())


@given(conversations())
def test_p1_a_push_never_makes_an_attestation_count_that_did_not(known: ProcessFacts) -> None:
    before = {item.step.id for item in progress_of(known).steps if item.done and item.step.attested}
    moved = push(remembered(known, shown(known)), 16, sha="f" * 40)
    after = {item.step.id for item in progress_of(moved).steps if item.done and item.step.attested}
    assert after <= before


@given(conversations(), st.sampled_from(["mallory", "olga", "tina"]), BODY)
def test_p1_what_somebody_says_who_may_not_changes_no_state(
    known: ProcessFacts, login: str, body: str
) -> None:
    more = replace(known, comments=(*known.comments, say(login, body, 14.5, number=9000)))
    before, after = progress_of(known), progress_of(more)
    assert after.steps == before.steps
    assert readiness(more, after) == readiness(known, before)


@given(conversations(), st.permutations([("carl", "bts"), ("cleo", "summit"), ("uma", "usdf")]))
def test_p1_attestations_of_different_steps_commute(known: ProcessFacts, said: list[tuple[str, str]]) -> None:
    comments = [
        say(login, f"/consdb done {step}", 14.6, number=9100 + place)
        for place, (login, step) in enumerate(said)
    ]
    facts = replace(known, comments=(*known.comments, *comments))
    canonical = sorted(comments, key=lambda item: item.body)
    same = [replace(item, id=9100 + place) for place, item in enumerate(canonical)]
    other = replace(known, comments=(*known.comments, *same))

    def state(some: ProcessFacts) -> list[tuple[str, str, bool]]:
        return [(item.step.id, item.status.value, item.done) for item in progress_of(some).steps]

    assert state(facts) == state(other)


@given(conversations())
def test_facts_survive_their_way_through_json(known: ProcessFacts) -> None:
    again = through_json(known)
    assert again == known
    assert as_json(ProcessReport(again, progress_of(again))) == as_json(
        ProcessReport(known, progress_of(known))
    )


@given(conversations())
def test_s5_every_output_is_fit_to_be_shown(known: ProcessFacts) -> None:
    progress = progress_of(known)
    verdict = readiness(known, progress)
    assert len(verdict.description) <= 140
    assert "\n" not in verdict.description
    comment = render_comment(known, progress)
    assert len(comment) <= 65_536
    assert comment.count("<details") == comment.count("</details>")
    assert "@" not in comment
    assert all(line == line.rstrip() for line in render_text(known, progress).splitlines())
    assert progress.state("merge-sdm").done == (known.pull.merged_at is not None)


@pytest.mark.parametrize("crowd", [0, 50, 400])
def test_p1_no_crowd_makes_us_forget_an_attestation(crowd: int) -> None:
    noise = tuple(say("mallory", "/consdb done bts", 3.2, number=20_000 + number) for number in range(crowd))
    known = facts_at("tested", *noise)
    body = shown(known)
    assert len(body) <= SECTION_ROOM[Part.PROCESS]
    later = remembered(replace(known, now=at(5)), body)
    assert progress_of(later).state("bts").by == "carl"
    assert make_plan(later, progress_of(later), shown(later)).reactions == ()
