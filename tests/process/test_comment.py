"""The comment at each stage, read by a person; and what nobody can slip into it (rules P2 and S5)."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from consdb_actions.approval.facts import Team
from consdb_actions.approval.plan import SECTION_ROOM, Part
from consdb_actions.migration.duplicates import ColumnRelation
from consdb_actions.process.comment_commands import FINISHED, read_answers, recall
from consdb_actions.process.facts import (
    FactSource,
    ProcessFacts,
    SchemaChange,
    SourceFailure,
)
from consdb_actions.process.plan import CONTEXT, ProcessReport, make_plan, progress_of, requests_of
from consdb_actions.process.sites import Checklist
from consdb_actions.report.process import ANSWERS, render_comment, render_text
from consdb_actions.schema.findings import DataSource, TableSource
from tests.support.configuration import through_json
from tests.support.goldens import Golden
from tests.support.process_facts import STAGES, at, facts_at, person, policy, push, remembered, say
from tests.support.reports import checked

NASTY = "@everyone | <!-- x --> <b>\n| a | b |\n\n# big `code` [x](javascript:alert) ![i](//e) #1 -->"


def html(text: str) -> str:
    return str(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))


def comment(known: ProcessFacts) -> str:
    return render_comment(known, progress_of(known))


def bare(text: str) -> str:
    """Take the code spans out of a comment: nothing in them is looked at by GitHub."""
    return re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", text)


SCENES = {
    **{stage: facts_at(stage) for stage in STAGES},
    "stale after a push": push(remembered(facts_at("tested"), comment(facts_at("tested"))), 3.5),
    "out of order": facts_at(
        "generated",
        say("carl", "/consdb done bts", 1.5),
        say("mallory", "/consdb done summit", 1.6),
        say("carl", "/consdb done btss", 1.7),
        say("carl", "/consdb undo usdf", 1.8),
    ),
    "help": facts_at("opened", say("mallory", "/consdb help", 1)),
    "not applicable": facts_at("opened", schemas=()),
    "unreadable": facts_at(
        "approved",
        troubles=(SourceFailure(FactSource.PHALANX, "lsst-sqre/phalanx could not be read: HTTP 403"),),
    ),
    "merged too early": replace(
        facts_at("tested"),
        pull=replace(facts_at("merged").pull, merged_at=at(3.5)),
    ),
}


@pytest.mark.parametrize("scene", SCENES)
def test_p2_the_comment_at_every_stage_is_as_it_was_read(scene: str, golden: Golden) -> None:
    known = SCENES[scene]
    golden(f"process/{scene.replace(' ', '-')}.md", comment(known))
    golden(f"process/{scene.replace(' ', '-')}.txt", render_text(known, progress_of(known)))


@pytest.mark.parametrize("scene", SCENES)
def test_json_is_as_its_schema_says(scene: str) -> None:
    known = SCENES[scene]
    checked(ProcessReport(known, progress_of(known)))


def test_p2_the_next_step_stands_on_top_with_owner_and_since_when() -> None:
    lines = comment(facts_at("published")).splitlines()
    assert lines[0] == "### ▶️ Next: migrate the USDF database"
    assert lines[2].startswith("**USDF** ([uma](https://github.com/uma)), since 2026-03-11.")
    assert "uma writes `/consdb done usdf` in a comment" in lines[2]


def test_p2_nobody_is_mentioned() -> None:
    known = facts_at("repinned", say("mallory", "/consdb done bts @lsst/everybody", 1))
    assert "@" not in bare(comment(known))


def test_p2_no_comment_is_started_where_nothing_is_to_be_said() -> None:
    known = facts_at("opened", schemas=())
    plan = make_plan(known, progress_of(known), comment(known))
    assert plan.comment is None
    assert plan.status is not None
    assert (plan.status.context, plan.status.state) == (CONTEXT, "success")
    asked = facts_at("opened", say("carl", "/consdb help", 1), schemas=())
    assert make_plan(asked, progress_of(asked), comment(asked)).comment is not None


def test_a_change_that_was_closed_is_left_alone() -> None:
    known = facts_at("opened")
    known = replace(known, pull=replace(known.pull, state="closed"))
    assert make_plan(known, progress_of(known), comment(known)).empty
    assert "Closed without a merge" in comment(known)


def test_p3_the_status_of_a_merged_change_stays_as_it_was() -> None:
    known = facts_at("merged")
    plan = make_plan(known, progress_of(known), comment(known))
    assert plan.status is None
    assert plan.comment is not None


def test_only_the_last_comment_says_that_all_is_done() -> None:
    assert [stage for stage in STAGES if FINISHED in comment(facts_at(stage))] == ["repinned"]


def test_reactions_acknowledge_what_was_read_once() -> None:
    known = facts_at(
        "approved",
        say("carl", "/consdb done bts", 3, number=1),
        say("mallory", "/consdb done bts", 3, number=2),
        say("carl", "/consdb nonsense", 3, number=3),
        say("mallory", "/consdb help", 3, number=4),
        say("mallory", "we said /consdb done bts", 3, number=5),
    )
    plan = make_plan(known, progress_of(known), comment(known))
    assert [(item.comment, item.content) for item in plan.reactions] == [
        (1, "+1"),
        (2, "confused"),
        (3, "confused"),
        (4, "+1"),
    ]
    after = remembered(known, comment(known))
    assert make_plan(after, progress_of(after), comment(after)).reactions == ()
    assert "react to the comment 2 with confused" in plan.lines


def test_a_reaction_follows_a_change_of_mind() -> None:
    known = facts_at("approved", say("uma", "/consdb done bts", 3, number=1))
    after = remembered(known, comment(known))
    trusted = replace(after, policy=facts_at("opened").policy)
    owners = tuple(
        replace(owner, people=("uma",)) if owner.id == "consdb" else owner for owner in trusted.policy.owners
    )
    trusted = replace(trusted, policy=replace(trusted.policy, owners=owners))
    (reaction,) = make_plan(trusted, progress_of(trusted), comment(trusted)).reactions
    assert (reaction.content, reaction.instead_of) == ("+1", "confused")


def test_what_people_want_of_the_next_migration() -> None:
    known = facts_at(
        "generated",
        say("author", "/consdb rename exposure.a=b", 1, number=1),
        say("carl", "/consdb rename exposure.a=c\n/consdb rename exposure.x=", 2, number=2),
        say("mallory", "/consdb rename exposure.m=n\n/consdb take head t.m\n/consdb regenerate", 2, number=3),
        say("carl", "/consdb take head t.a\n/consdb take head t.b -->", 3, number=4),
        say("carl", "/consdb take current t.a", 4, number=5),
    )
    requests = requests_of(known, progress_of(known))
    assert requests.answers == ("rename exposure.a=c", "rename exposure.x=", "take current t.a")
    assert read_answers(comment(known)) == requests.answers
    assert requests.regenerate
    after = remembered(known, comment(known))
    assert not requests_of(after, progress_of(after)).regenerate
    again = replace(after, comments=(*after.comments, say("carl", "/consdb regenerate", 4, number=6)))
    assert requests_of(again, progress_of(again)).regenerate
    team = policy(roles=[{"id": "consdb", "teams": ["lsst/consdb"]}])
    unread = facts_at("generated", say("tina", "/consdb regenerate", 2), policy=team)
    assert not requests_of(unread, progress_of(unread)).regenerate
    read = remembered(replace(unread, teams=(Team("lsst/consdb", (person("tina"),)),)), comment(unread))
    assert requests_of(read, progress_of(read)).regenerate
    forbidden = facts_at("generated", say("mallory", "/consdb regenerate", 2))
    assert not requests_of(forbidden, progress_of(forbidden)).regenerate


def test_a_crowd_of_answers_leaves_room_for_the_comment() -> None:
    texts = ["\n".join(f"/consdb take head t{n}.{'x' * 60}{i}" for i in range(20)) for n in range(60)]
    known = facts_at("opened", *(say("carl", text, 1, number=n) for n, text in enumerate(texts, 1)))
    assert len(comment(known)) <= SECTION_ROOM[Part.PROCESS]
    kept = read_answers(comment(known))
    assert len(kept) > 60
    assert kept[-1].startswith("take head t59.")


def test_only_the_newest_answers_are_shown() -> None:
    known = facts_at("opened", *(say("mallory", f"/consdb word{n}", 1, number=n) for n in range(1, 30)))
    text = comment(known)
    assert text.count("there is no command") == ANSWERS
    assert "word29" in text


def nasty(text: str) -> ProcessFacts:
    """Facts with a text in every place that somebody can write."""
    known = facts_at(
        "generated",
        say("mallory", f"/consdb done {text}", 1, number=1),
        say("carl", f"/consdb done bts {text}", 1.5, number=2),
        say("carl", f"/consdb rename {text}", 1.6, number=3),
        say("carl", f"/consdb undo bts {text}", 1.7, number=4),
    )
    approvals = replace(
        known.approvals,
        description=text,
        roles=tuple(replace(role, title=text, eligible=(text,)) for role in known.approvals.roles),
    )
    deployments = tuple(
        replace(item, environment=text, history=(replace(item.history[0], tag=text),))
        for item in known.deployments
    )
    return replace(
        known,
        pull=replace(known.pull, title=text, branch=f"tickets/DM-1-{text}"),
        approvals=approvals,
        deployments=deployments,
        schemas=(
            SchemaChange(
                "x/cdb_latiss.yaml",
                "cdb_latiss",
                (text,),
                (TableSource(text, DataSource("*", text, text)), TableSource(text, None)),
                (f"`{text}`: the column comes from {text}",),
                (ColumnRelation(text, text, (text,), (text, "a.b")),),
            ),
        ),
        checklists=(Checklist("de", (text, text)), Checklist(text, ("x",))),
        policy_source=text,
        newest_release=text,
        troubles=(SourceFailure(FactSource.PHALANX, text),),
    )


def test_s5_hostile_text_mentions_nobody_hides_nothing_and_breaks_no_table() -> None:
    text = comment(nasty(NASTY))
    shown = html(text)
    clean = html(comment(facts_at("generated")))
    assert "@everyone" not in bare(text)
    for word in ("<b>", "<img", "javascript:alert</a>", "<h1>"):
        assert word not in shown
    assert re.findall(r"<h\d", shown) == re.findall(r"<h\d", clean)
    for row in re.findall(r"<tr>(.*?)</tr>", shown.split("</table>")[0], re.DOTALL)[1:]:
        assert row.count("<td") == 2
    assert re.findall(r"<!-- [a-z-]+:[a-z-]+", text) == re.findall(
        r"<!-- [a-z-]+:[a-z-]+", comment(facts_at("generated"))
    )
    assert "\n" not in ProcessReport(nasty(NASTY), progress_of(nasty(NASTY))).readiness.description


@example("\t")
@given(st.text(max_size=120))
def test_s5_no_text_breaks_the_comment_or_its_memory(text: str) -> None:
    known = nasty(text)
    body = comment(known)
    assert body.count("<details") == body.count("</details>")
    assert not re.search(r"(?<![\w.])@\w", bare(body))
    # The memory is read back whole: nothing that was written has ended it early.
    assert set(recall(remembered(known, body))) >= {1, 3}
    lines = render_text(known, progress_of(known)).split("\n")
    assert not any(unicodedata.category(sign) == "Cc" for line in lines for sign in line)


def test_a_comment_that_would_be_too_long_leaves_whole_parts_out() -> None:
    known = facts_at(
        "generated", *(say("carl", f"/consdb done bts {'x' * 290}", 1, number=n) for n in range(400))
    )
    text = comment(known)
    assert len(text) <= SECTION_ROOM[Part.PROCESS]
    assert "parts were omitted" in text


def test_p7_a_reviewer_sees_sources_near_duplicates_and_the_checklists_of_those_who_have_to_approve() -> None:
    known = facts_at("opened")
    change = replace(
        known.schemas[0],
        sources=(TableSource("exposure", DataSource("*", "hinfo", "the team")), TableSource("new", None)),
        source_findings=("`new`: the data source of the new table is unknown",),
    )
    known = replace(known, schemas=(change,), checklists=(Checklist("po", ("Useful?",)), Checklist("de", ())))
    text = comment(known)
    for words in (
        "`cdb_latiss.exposure`: hinfo (the team)",
        "`cdb_latiss.new`: not declared",
        "`new`: the data source of the new table is unknown",
        "`cdb_latiss.exposure_quicklook.temp_air`: `exposure.air_temp`",
        "**ConsDB Product Owner**\n\n- Useful?",
    ):
        assert words in text.replace("\\", ""), words
    assert "**Data Engineering**\n" not in text
    approved = comment(replace(known, approvals=facts_at("approved").approvals))
    assert "Useful?" not in approved
    many = replace(change, sources=tuple(TableSource(f"t{n}", None) for n in range(30)))
    assert "<summary>Data sources (31)</summary>" in comment(replace(known, schemas=(many,)))


def test_facts_of_reviewers_survive_json() -> None:
    known = facts_at("opened")
    assert known.schemas[0].relations
    assert through_json(known) == known
