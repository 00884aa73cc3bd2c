"""Rules P1, P3 and P5: where each step stands, and the words for what went wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consdb_actions.approval.facts import Account, CommitChange, Team
from consdb_actions.process.evidence import DERIVED
from consdb_actions.process.facts import (
    Comment,
    EfdFile,
    FactSource,
    ProcessFacts,
    PullLink,
    SchemaChange,
    SourceFailure,
)
from consdb_actions.process.plan import Progress, StepStatus, progress_of, readiness, routes_of
from consdb_actions.process.policy import BY_ID, MERGE, STEPS, Route, Scope
from consdb_actions.report.process import render_comment
from tests.support.process_facts import (
    HEAD,
    NEWER,
    OLD,
    STAGES,
    at,
    change,
    facts_at,
    migration,
    person,
    policy,
    push,
    remembered,
    say,
)


def status(known: ProcessFacts, step: str) -> StepStatus:
    return progress_of(known).state(step).status


def answers(known: ProcessFacts) -> list[str]:
    return [item.answer for item in progress_of(known).comments.commands if item.answer]


def later(known: ProcessFacts) -> ProcessFacts:
    """Return what the next run sees, after this one has written its comment."""
    return remembered(known, render_comment(known, progress_of(known)))


# The steps themselves


def test_every_step_that_leaves_a_trace_is_looked_up() -> None:
    assert set(DERIVED) == {step.id for step in STEPS if not step.attested}


def test_only_the_steps_that_leave_no_trace_are_attested() -> None:
    attested = [step.id for step in STEPS if step.attested]
    assert attested == ["bts", "dev", "summit", "publication", "usdf", "pqserver"]


def test_no_step_comes_before_one_that_must_come_before_it() -> None:
    ids = [step.id for step in STEPS]
    for step in STEPS:
        assert all(ids.index(name) < ids.index(step.id) for name in step.after)


def test_a_step_that_does_not_apply_is_replaced_by_what_comes_before_it() -> None:
    every = frozenset(step.id for step in STEPS)
    summit = Scope((Route.SUMMIT,), every - {"publication", "dev", "efd-sync"})
    assert summit.before(BY_ID["usdf"]) == ("tag", "summit")
    usdf = Scope((Route.USDF,), every - {"bts", "summit", "publication"})
    assert usdf.before(BY_ID["merge-consdb"]) == ("dev",)
    assert usdf.before(BY_ID["usdf"]) == ("tag",)


NEXT = {
    "opened": ("approve", "generate"),
    "generated": ("approve",),
    "approved": ("bts",),
    "tested": ("merge-consdb",),
    "merged in consdb": ("tag",),
    "tagged": ("deploy", "summit"),
    "half deployed": ("deploy", "summit"),
    "deployed": ("summit",),
    "summit migrated": ("publication",),
    "published": ("usdf",),
    "usdf migrated": ("pqserver", "tap"),
    "restarted": ("tap",),
    "tap deployed": ("merge-sdm",),
    "merged": ("repin",),
    "repinned": (),
}


@pytest.mark.parametrize("stage", STAGES)
def test_p1_every_stage_has_its_next_steps_and_nothing_is_wrong(stage: str) -> None:
    progress = progress_of(facts_at(stage))
    assert tuple(item.step.id for item in progress.actionable) == NEXT[stage]
    assert not progress.troubled
    assert all(item.owner for item in progress.actionable)
    assert all(item.since is not None for item in progress.actionable)


@pytest.mark.parametrize("stage", STAGES)
def test_p3_ready_to_merge_is_success_only_when_all_before_the_merge_is_done(stage: str) -> None:
    known = facts_at(stage)
    verdict = readiness(known, progress_of(known))
    assert verdict.ready == (STAGES.index(stage) >= STAGES.index("tap deployed"))
    assert len(verdict.description) <= 140


@pytest.mark.parametrize("step", [step.id for step in STEPS[: [s.id for s in STEPS].index(MERGE)]])
def test_p3_each_single_step_before_the_merge_keeps_it_from_being_ready(step: str) -> None:
    known = facts_at("tap deployed")
    undone = {
        "gather": replace(known, pull=replace(known.pull, branch="u/author/x", title="No ticket")),
        "approve": replace(known, approvals=facts_at("opened").approvals),
        "generate": replace(known, migrations=()),
        "merge-consdb": replace(known, migrations=(migration(),)),
        "tag": replace(known, releases=()),
        "deploy": replace(known, deployments=facts_at("half deployed").deployments),
        "tap": replace(known, deployments=facts_at("restarted").deployments),
    }
    for name in ("bts", "summit", "publication", "usdf", "pqserver"):
        undone[name] = replace(
            known, comments=tuple(item for item in known.comments if f"done {name}" not in item.body)
        )
    if step in ("efd-sync", "dev"):
        assert status(known, step) is StepStatus.NOT_APPLICABLE
        return
    assert progress_of(undone[step]).state(step).open
    assert not readiness(undone[step], progress_of(undone[step])).ready


def test_p3_a_draft_is_never_ready() -> None:
    known = facts_at("tap deployed")
    draft = replace(known, pull=replace(known.pull, draft=True))
    verdict = readiness(draft, progress_of(draft))
    assert (verdict.state, verdict.description) == ("pending", "Draft; all steps before the merge are done")


def test_a_change_of_no_schema_needs_no_step() -> None:
    known = facts_at("opened", schemas=())
    verdict = readiness(known, progress_of(known))
    assert (verdict.state, verdict.description) == ("success", "Not applicable: no ConsDB schema is changed")


def test_a_change_that_cannot_be_read_is_never_ready() -> None:
    known = facts_at("opened", schemas=(), troubles=(SourceFailure(FactSource.SCHEMAS, "commit is gone"),))
    verdict = readiness(known, progress_of(known))
    assert (verdict.state, verdict.description) == ("error", "Unknown: the schema change could not be read")


# Routes


def efd(known: ProcessFacts, *, here: str = "x", consdb: str = "x") -> ProcessFacts:
    path = "python/lsst/sdm/schemas/efd_latiss.yaml"
    return replace(
        known,
        schemas=(SchemaChange(path, "efd_latiss", ("exposure_efd",)),),
        efd_files=(EfdFile("efd_latiss", consdb, here),),
    )


def test_the_route_follows_the_source_of_the_data() -> None:
    known = facts_at("opened")
    assert routes_of(known) == (Route.SUMMIT,)
    assert routes_of(efd(known)) == (Route.USDF,)
    both = replace(known, schemas=(*known.schemas, *efd(known).schemas))
    assert routes_of(both) == (Route.SUMMIT, Route.USDF)


def test_on_the_usdf_route_the_test_is_on_the_dev_database_and_nothing_is_published() -> None:
    progress = progress_of(efd(facts_at("approved")))
    missing = {item.step.id: item.text for item in progress.steps if item.status is StepStatus.NOT_APPLICABLE}
    assert missing == dict.fromkeys(("bts", "summit", "publication"), "the data come from USDF")
    assert [item.step.id for item in progress.actionable] == ["dev"]


def test_both_routes_ask_for_both_tests() -> None:
    known = facts_at("approved")
    both = replace(known, schemas=(*known.schemas, *efd(known).schemas), efd_files=efd(known).efd_files)
    assert [item.step.id for item in progress_of(both).actionable] == ["bts", "dev"]


def test_on_the_usdf_route_the_migration_may_be_merged_before_the_copy_is_approved() -> None:
    known = efd(facts_at("merged in consdb", say("carl", "/consdb done dev", 3.5)))
    known = replace(known, approvals=facts_at("opened").approvals)
    assert status(known, "merge-consdb") is StepStatus.DONE
    assert status(known, "approve") is StepStatus.NEXT


@pytest.mark.parametrize(
    ("here", "consdb", "wanted", "words"),
    [
        ("x", "x", StepStatus.DONE, "equal to consdb"),
        ("x", "y", StepStatus.NEXT, "efd_latiss.yaml differs from consdb"),
    ],
)
def test_the_copied_schema_is_compared_with_consdb(
    here: str, consdb: str, wanted: StepStatus, words: str
) -> None:
    state = progress_of(efd(facts_at("opened"), here=here, consdb=consdb)).state("efd-sync")
    assert state.status is wanted
    assert words in state.text


def test_without_a_new_table_nothing_is_published() -> None:
    known = facts_at("deployed")
    known = replace(known, schemas=(replace(known.schemas[0], new_tables=()),))
    state = progress_of(known).state("publication")
    assert (state.status, state.text) == (StepStatus.NOT_APPLICABLE, "there is no new table")


def test_tables_that_cannot_be_read_keep_the_publication() -> None:
    known = facts_at("deployed", troubles=(SourceFailure(FactSource.SCHEMAS, "not a valid schema"),))
    known = replace(known, schemas=(replace(known.schemas[0], new_tables=()),))
    assert status(known, "publication") is StepStatus.WAITING


# P1: attestations


def test_p1_an_attestation_has_actor_time_and_commit() -> None:
    state = progress_of(facts_at("tested")).state("bts")
    assert (state.done, state.by, state.at, state.commit) == (True, "carl", at(3), HEAD)
    assert state.note == "test image 2026030300012 has its rows"


@pytest.mark.parametrize(
    ("login", "step", "day", "counts"),
    [
        ("carl", "bts", 3, True),
        ("CARL", "bts", 3, True),
        ("uma", "usdf", 3, True),
        ("dora", "usdf", 3, True),
        ("dora", "usdf", 9, False),
        ("uma", "bts", 3, False),
        ("carl", "usdf", 3, False),
        ("mallory", "bts", 3, False),
        ("author", "bts", 3, False),
        ("olga", "bts", 3, False),
    ],
)
def test_p1_only_people_on_the_roster_of_a_step_attest_to_it(
    login: str, step: str, day: int, counts: bool
) -> None:
    known = facts_at("approved", say(login, f"/consdb done {step}", day))
    assert progress_of(known).state(step).done == counts
    if not counts:
        assert answers(known)[0].startswith(f"{login} may not attest to {step}. Those who may: ")


def test_p1_who_may_is_named_and_nobody_is_named_when_there_is_nobody() -> None:
    known = facts_at("approved", say("mallory", "/consdb done bts", 3))
    assert answers(known) == ["mallory may not attest to bts. Those who may: carl, cleo"]
    nobody = replace(known, policy=policy(roles=[]))
    assert answers(nobody) == [
        "mallory may not attest to bts. Those who may: nobody, until the configuration names people"
    ]


def test_p1_bots_and_accounts_that_are_gone_attest_to_nothing() -> None:
    bot = replace(say("carl", "/consdb done bts", 3), author=Account("carl", 1, bot=True))
    for comment in (bot, say(None, "/consdb done bts", 3)):
        known = facts_at("approved", comment)
        assert not progress_of(known).state("bts").done
        assert not progress_of(known).comments.commands


def test_p1_a_team_that_cannot_be_read_decides_nothing() -> None:
    known = facts_at("approved", say("tina", "/consdb done bts", 3))
    teams = policy(roles=[{"id": "consdb", "teams": ["lsst/consdb"]}])
    unread = replace(known, policy=teams, teams=(Team("lsst/consdb", problem="HTTP 403"),))
    assert answers(unread) == ["it cannot be determined who may attest to bts: lsst/consdb: HTTP 403"]
    assert progress_of(unread).comments.states[0].reaction == ""
    read = replace(unread, teams=(Team("lsst/consdb", (person("tina"),)),))
    assert progress_of(read).state("bts").done


def test_p1_a_step_of_another_route_cannot_be_attested() -> None:
    assert answers(facts_at("approved", say("carl", "/consdb done dev", 3))) == [
        "dev is not a step of this change"
    ]


def test_p1_done_twice_keeps_the_first_and_says_so() -> None:
    known = facts_at("tested", say("cleo", "/consdb done bts", 3.5))
    state = progress_of(known).state("bts")
    assert (state.by, state.at) == ("carl", at(3))
    assert answers(known) == ["carl already attested to it on 2026-03-05; nothing changes"]


def test_p1_undone_opens_the_step_again_with_the_reason() -> None:
    known = facts_at("tested", say("cleo", "/consdb undo bts rows are missing", 3.5))
    state = progress_of(known).state("bts")
    assert (state.status, state.text) == (
        StepStatus.NEXT,
        "undone by cleo on 2026-03-05: rows are missing",
    )
    again = facts_at("tested", say("cleo", "/consdb undo bts", 3.5), say("cleo", "/consdb done bts", 3.7))
    assert progress_of(again).state("bts").by == "cleo"


def test_p1_undo_of_what_was_not_done_changes_nothing_and_says_so() -> None:
    known = facts_at("approved", say("carl", "/consdb undo bts", 3))
    assert answers(known) == ["bts was not done, so nothing changes"]
    assert status(known, "bts") is StepStatus.NEXT


def test_p1_undo_by_somebody_else_does_not_count() -> None:
    assert progress_of(facts_at("tested", say("mallory", "/consdb undo bts", 3.5))).state("bts").done


def test_p1_an_attestation_for_another_commit_is_stale() -> None:
    known = push(later(facts_at("tested")), 3.5)
    state = progress_of(known).state("bts")
    assert state.status is StepStatus.STALE
    assert state.text == "the schema change is different since (eeeeeeee)"
    assert readiness(known, progress_of(known)).state == "failure"
    again = replace(known, comments=(*known.comments, say("cleo", "/consdb done bts", 4)))
    again = replace(again, migrations=(migration(source=NEWER, digest="d2", committed_at=at(3.7)),))
    assert (progress_of(again).state("bts").by, progress_of(again).state("bts").commit) == ("cleo", NEWER)


def test_p1_a_push_that_leaves_the_change_as_it_is_keeps_the_attestation() -> None:
    known = push(later(facts_at("tested")), 3.5, same=True)
    assert progress_of(known).state("bts").done
    assert progress_of(known).state("generate").text == "from cccccccc, which makes the same change"


def test_p1_an_attestation_holds_no_longer_when_the_migration_is_another() -> None:
    known = later(facts_at("tested"))
    known = replace(known, migrations=(migration(digest="d2", committed_at=at(3.5)),))
    assert progress_of(known).state("bts").text == ("the migration has changed since")


def test_p1_an_attestation_holds_while_the_regenerated_migration_is_the_same() -> None:
    known = push(later(facts_at("tested")), 3.5)
    known = replace(known, migrations=(migration(source=NEWER),))
    assert progress_of(known).state("bts").done


def test_p1_what_a_first_run_reads_after_a_push_is_about_nothing_certain() -> None:
    known = push(facts_at("tested"), 3.5)
    assert not progress_of(known).state("bts").done
    words = (
        "a push came at about the same time, so the commit that this refers to is uncertain; repeat "
        "the comment"
    )
    assert answers(known) == [words]
    # And it stays so, when the next run knows no more.
    assert answers(later(known)) == [words]


def test_p1_a_comment_before_the_last_change_of_the_migration_is_about_nothing_certain() -> None:
    known = facts_at("tested", migrations=(migration(committed_at=at(3.5)),))
    assert not progress_of(known).state("bts").done


def test_p1_without_a_date_of_the_newest_commit_nothing_is_certain() -> None:
    known = facts_at("tested")
    known = replace(known, pull=replace(known.pull, pushed_at=None, committed_at=None))
    assert not progress_of(known).state("bts").done


def test_p1_while_the_migration_cannot_be_read_nothing_is_bound_and_nothing_remembered() -> None:
    known = facts_at("tested", troubles=(SourceFailure(FactSource.CONSDB, "consdb: HTTP 403"),))
    assert answers(known) == ["the commit that this refers to cannot be determined: consdb: HTTP 403"]
    assert progress_of(known).comments.states == ()
    read = replace(later(known), troubles=())
    assert progress_of(read).state("bts").done
    # What was bound before stays so.
    bound = replace(later(facts_at("tested")), troubles=known.troubles)
    assert progress_of(bound).comments.states != ()
    assert answers(bound) == []


def edited(known: ProcessFacts, body: str) -> ProcessFacts:
    """Edit the attestation of the test stand."""
    first = known.comments[0]
    changed = replace(first, body=body, updated_at=at(3.9))
    return replace(known, comments=(changed, *known.comments[1:]))


def test_p1_an_edit_after_the_reading_changes_nothing() -> None:
    known = edited(later(facts_at("tested")), "/consdb done summit")
    assert progress_of(known).state("bts").done
    assert not progress_of(known).state("summit").done
    assert answers(known) == [
        "this comment was edited after it was read, which changes nothing; write a new one"
    ]
    gone = edited(later(facts_at("tested")), "Never mind. /consdb")
    assert progress_of(gone).state("bts").done


def test_p1_an_undo_that_is_edited_away_stays_an_undo() -> None:
    known = later(
        facts_at("approved", say("carl", "/consdb done bts", 3), say("cleo", "/consdb undo bts", 3.5))
    )
    changed = replace(known.comments[1], body="/consdb help", updated_at=at(4))
    assert not progress_of(replace(known, comments=(known.comments[0], changed))).state("bts").done


def test_p1_an_undo_that_is_removed_stays_an_undo_and_a_later_word_counts() -> None:
    said = (say("carl", "/consdb done bts", 3, number=1), say("cleo", "/consdb undo bts", 3.5, number=2))
    known = later(facts_at("approved", *said))
    removed = replace(known, comments=said[:1])
    assert not progress_of(removed).state("bts").done
    assert not progress_of(replace(later(removed), comments=said[:1])).state("bts").done
    again = replace(removed, comments=(said[0], say("carl", "/consdb done bts", 4, number=3)))
    assert progress_of(again).state("bts").at == at(4)


def test_p1_an_edit_before_the_reading_counts_for_nothing_now_and_later() -> None:
    known = edited(facts_at("tested"), "/consdb done bts")
    words = ["this comment was edited before it was read; write a new one"]
    assert answers(known) == words
    assert answers(later(known)) == words
    assert not progress_of(later(known)).state("bts").done


def test_p1_a_comment_that_is_removed_was_never_said() -> None:
    known = later(facts_at("tested"))
    assert not progress_of(replace(known, comments=())).state("bts").done


def test_p1_a_memory_that_somebody_spoiled_is_none() -> None:
    known = facts_at("tested")
    body = render_comment(known, progress_of(known))
    for spoiled in (
        body.replace('"+1"', '"rocket"'),
        body.replace('["', "[", 1),
        body.partition("<!-- consdb-actions:process-memory")[0],
        body.replace(HEAD, "zz"),
    ):
        moved = push(remembered(known, spoiled), 3.5)
        assert not progress_of(moved).state("bts").done


def test_p1_a_memory_in_somebody_elses_comment_is_none() -> None:
    known = later(facts_at("tested"))
    forged = replace(known, marked=(replace(known.marked[0], author=person("mallory")),))
    assert not progress_of(push(forged, 3.5)).state("bts").done


# P5: migrations


@pytest.mark.parametrize(
    ("source", "then", "wanted", "words"),
    [
        (HEAD, None, True, "from cccccccc"),
        (OLD, change(OLD), True, "from aaaaaaaa, which makes the same change"),
        (
            OLD,
            change(OLD, "s0"),
            False,
            "generated from aaaaaaaa, and cccccccc differs in cdb_latiss.yaml (structure); "
            "`/consdb regenerate` regenerates it and keeps edited files",
        ),
        (
            OLD,
            change(OLD, text="t0"),
            False,
            "generated from aaaaaaaa, and cccccccc differs in cdb_latiss.yaml (text); "
            "`/consdb regenerate` regenerates it and keeps edited files",
        ),
        (
            OLD,
            CommitChange(OLD, problem="gone"),
            False,
            "generated from aaaaaaaa, and commit aaaaaaaa can no longer be read to compare it with cccccccc; "
            "`/consdb regenerate` regenerates it and keeps edited files",
        ),
        ("", None, True, "found by its branch; its source commit is unknown"),
    ],
)
def test_p5_a_migration_from_an_older_commit_is_stale_with_the_way_out(
    source: str, then: CommitChange | None, wanted: bool, words: str
) -> None:
    known = facts_at("generated", migrations=(migration(source=source),))
    known = replace(known, changes=(*known.changes, *([then] if then else [])))
    state = progress_of(known).state("generate")
    assert (state.done, state.text) == (wanted, words)
    assert state.status is (StepStatus.DONE if wanted else StepStatus.STALE)


def test_p5_what_is_merged_from_an_older_commit_is_stale_too() -> None:
    known = push(later(facts_at("merged in consdb")), 5)
    state = progress_of(known).state("merge-consdb")
    assert (state.status, state.text) == (
        StepStatus.STALE,
        "the merged migration is that of an older commit",
    )
    assert [item.step.id for item in progress_of(known).actionable] == ["generate"]


def test_a_migration_that_was_closed_is_none() -> None:
    known = facts_at("generated", migrations=(migration(state="closed"),))
    assert (
        progress_of(known)
        .state("generate")
        .text.startswith(
            "no pull request in consdb contains its migration, after one that was closed without a merge"
        )
    )


def test_of_several_migrations_all_must_be_merged() -> None:
    second = migration(number=131, created_at=at(4.5), digest="d2")
    known = facts_at("tagged")
    known = replace(known, migrations=(*known.migrations, second), releases=())
    state = progress_of(known).state("merge-consdb")
    assert (state.done, state.text) == (False, "consdb#131 is a draft")


# Order


def disorders(known: ProcessFacts) -> dict[str, list[str]]:
    return {
        item.step.id: [disorder.text for disorder in item.order]
        for item in progress_of(known).steps
        if item.order
    }


def without(stage: str, *names: str) -> ProcessFacts:
    known = facts_at(stage)
    kept = [item for item in known.comments if not any(f"done {name}" in item.body for name in names)]
    return replace(known, comments=tuple(kept))


@pytest.mark.parametrize(
    ("known", "wanted"),
    [
        (
            without("merged in consdb", "bts"),
            {
                "merge-consdb": [
                    "done although nobody has attested to “Applied and tested at the Base Test Stand”"
                ]
            },
        ),
        (
            facts_at("generated", say("carl", "/consdb done bts", 1.5)),
            {"bts": ["done although “Approval by all roles” is not done"]},
        ),
        (
            facts_at("approved", say("carl", "/consdb done bts", 1.5)),
            {"bts": ["done before “Approval by all roles” (12 hours later)"]},
        ),
        (
            facts_at("tested", say("cleo", "/consdb done summit", 3.5)),
            {"summit": ["done although “Release tagged” is not done"]},
        ),
        (
            without("usdf migrated", "summit", "publication"),
            {"usdf": ["done although nobody has attested to “New tables added to the publication”"]},
        ),
        (
            without("published", "summit"),
            {"publication": ["done although nobody has attested to “Summit database migrated”"]},
        ),
    ],
)
def test_steps_out_of_order_are_named_with_what_should_have_come_before(
    known: ProcessFacts, wanted: dict[str, list[str]]
) -> None:
    assert disorders(known) == wanted
    assert progress_of(known).troubled


def test_the_merge_is_held_against_every_step_before_it() -> None:
    known = facts_at("restarted")
    merged = replace(
        known, pull=replace(known.pull, state="closed", merged_at=at(4.5), merge_commit="3" * 40)
    )
    assert disorders(merged) == {
        "merge-sdm": [
            "done before “Release tagged” (12 hours later), “Release deployed by stages” (2 days later), "
            "“Summit database migrated” (3 days later), “New tables added to the publication” (4 days "
            "later), “USDF database migrated” (5 days later) and “pqserver restarted in all environments” "
            "(6 days later)",
            "done although “TAP_SCHEMA of this change deployed” is not done",
        ]
    }


def test_what_was_done_too_early_is_a_failure_only_while_it_still_is() -> None:
    early = facts_at("generated", say("carl", "/consdb done bts", 1.5))
    verdict = readiness(early, progress_of(early))
    assert verdict.state == "failure"
    assert verdict.description == "Done too early: Applied and tested at the Base Test Stand"
    caught_up = facts_at("approved", say("carl", "/consdb done bts", 1.5))
    assert readiness(caught_up, progress_of(caught_up)).state == "pending"


def test_an_unknown_moment_accuses_nobody() -> None:
    known = facts_at("deployed")
    release = replace(known.releases[0], at=None)
    assert not disorders(replace(known, releases=(release,)))


# What cannot be read


@pytest.mark.parametrize(
    ("source", "steps"),
    [
        (FactSource.CONSDB, {"generate", "merge-consdb", "tag", "deploy"}),
        (FactSource.PHALANX, {"deploy", "tap"}),
    ],
)
def test_p1_what_cannot_be_read_is_unknown_and_not_done(source: FactSource, steps: set[str]) -> None:
    known = facts_at("tap deployed", troubles=(SourceFailure(source, "lsst/x could not be read: HTTP 403"),))
    progress = progress_of(known)
    assert {item.step.id for item in progress.steps if item.status is StepStatus.UNKNOWN} == steps
    verdict = readiness(known, progress)
    assert verdict.state == "error"
    assert "could not be read" in render_comment(known, progress)
    assert progress.troubled


def test_an_unreadable_weekly_tag_leaves_the_last_step_unknown() -> None:
    known = facts_at("repinned", troubles=(SourceFailure(FactSource.TAGS, "HTTP 403"),))
    assert status(known, "repin") is StepStatus.UNKNOWN


# Deployments


def test_only_the_components_whose_images_hold_the_change_have_to_be_deployed() -> None:
    known = facts_at("deployed")
    old = tuple(
        replace(item, history=(replace(item.history[0], tag="26.2.1"),))
        if item.component.startswith("hinfo")
        else item
        for item in known.deployments
    )
    assert progress_of(replace(known, deployments=old)).state("deploy").done
    hinfo = migration(
        state="closed", merged_at=at(4), merge_commit="2" * 40, files=("python/lsst/consdb/hinfo.py",)
    )
    state = progress_of(replace(known, deployments=old, migrations=(hinfo,))).state("deploy")
    assert not state.done
    assert "base and summit have hinfo 26.2.1" in state.text


def test_an_environment_without_the_component_is_told() -> None:
    known = facts_at("deployed")
    some = tuple(item for item in known.deployments if item.environment != "summit")
    words = progress_of(replace(known, deployments=some)).state("deploy").text
    assert "summit has no component" in words


def test_since_is_when_the_last_environment_got_a_tag_that_holds_the_change_for_good() -> None:
    known = facts_at("deployed")
    states = []
    for item in known.deployments:
        if (item.environment, item.component) == ("base", "pq"):
            first, last = item.history
            back = replace(first, at=at(6.5))
            item = replace(item, history=(first, last, back, replace(last, at=at(9))))
        states.append(item)
    assert progress_of(replace(known, deployments=tuple(states))).state("deploy").at == at(9)


def test_a_ticket_image_is_no_release_and_a_weekly_one_without_the_merge_no_pin() -> None:
    known = facts_at("merged")
    assert progress_of(known).state("repin").status is StepStatus.NEXT
    assert progress_of(replace(facts_at("repinned"), weeklies=())).state("repin").open


def test_the_order_of_comments_in_the_facts_does_not_matter() -> None:
    known = facts_at("repinned", say("uma", "/consdb undo usdf", 10.5), say("cleo", "/consdb done bts", 12.5))
    turned = replace(known, comments=tuple(reversed(known.comments)))
    assert progress_of(turned) == progress_of(known)


def by_branch(known: ProcessFacts) -> Progress:
    return progress_of(replace(known, migrations=(migration(source="", link=PullLink.BRANCH),)))


def test_a_hand_made_migration_is_found_by_its_branch_and_says_so() -> None:
    state = by_branch(facts_at("generated")).state("generate")
    assert state.done
    assert "its source commit is unknown" in state.text


def test_a_comment_of_ours_is_never_a_command() -> None:
    known = facts_at("approved")
    ours: Comment = replace(say("carl", "/consdb done bts", 3), author=known.identity)
    assert not progress_of(replace(known, comments=(ours,))).comments.commands
