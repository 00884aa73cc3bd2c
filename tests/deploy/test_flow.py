"""Deployments from the question to the pull request, at a site of three repositories and a registry."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from consdb_actions.adapters.registry import RegistryError
from consdb_actions.deploy.drift import waivers
from consdb_actions.errors import CheckFailed, InputError
from tests.deploy.flow import MakeSite, deploy
from tests.support.phalanx import Site, consdb_file, files_of, tap_file


def refused(shown: Any) -> list[str]:
    assert shown.action == "refused"
    return [refusal.rule for refusal in shown.plan.refusals]


def branch(stage: str, app: str = "consdb", ticket: str = "DM-1") -> str:
    return f"tickets/{ticket}-{app}-{stage}"


def changed_files(site: Site, name: str) -> list[str]:
    return site.repo.store.git("diff", "--name-only", f"main...{name}").decode().split()


def test_r3_one_pull_request_with_title_and_body_from_the_difference(make_site: MakeSite) -> None:
    site, double = make_site()
    shown = deploy(site, double)
    (pull,) = site.repo.pulls.values()
    assert (shown.action, shown.number) == ("opened", 1)
    assert pull.title == "DM-1: consdb 26.6.2 at base and tucson-teststand"
    assert pull.branch == branch("test-stands")
    assert pull.labels == ["consdb"]
    assert changed_files(site, pull.branch) == [
        "applications/consdb/values-base.yaml",
        "applications/consdb/values-tucson-teststand.yaml",
    ]
    for name in ("base", "tucson-teststand"):
        assert site.values("consdb", name, pull.branch) == consdb_file(name, "26.6.2")
    assert pull.body is not None
    lines = pull.body.splitlines()
    assert lines[1:4] == [
        "| Environment | Component | From | To |",
        "| --- | --- | --- | --- |",
        "| base | hinfo (latiss, lsstcam), pq | `26.5.1` | `26.6.2` |",
    ]
    assert "add column exposure.dome\\_temp" in pull.body
    assert "@everyone" not in pull.body, "what others wrote mentions nobody"
    assert "<brings>" not in pull.body
    writes = [call for call in double.log if call.writes]
    assert deploy(site, double).action == "unchanged"
    assert [call for call in double.log if call.writes] == writes


def test_r3_the_branch_image_and_then_the_release_are_one_pull_request(make_site: MakeSite) -> None:
    site, double = make_site()
    site.images("tickets-DM-1")
    assert deploy(site, double, tag="tickets-DM-1").action == "opened"
    assert "test of the branch" in (site.repo.pulls[1].body or "")
    shown = deploy(site, double)
    assert (shown.action, shown.number) == ("updated", 1)
    assert site.repo.pulls[1].title == "DM-1: consdb 26.6.2 at base and tucson-teststand"
    assert "`26.5.1` | `26.6.2`" in (site.repo.pulls[1].body or "")
    assert site.values("consdb", "base", branch("test-stands")) == consdb_file("base", "26.6.2")


@pytest.mark.slow
def test_r3_a_merged_branch_image_is_replaced_with_its_pull_policy(make_site: MakeSite) -> None:
    site, double = make_site()
    site.tap_images("tickets-OSW-7")
    deploy(site, double, app="consdbtap", tag="tickets-OSW-7", environments=("usdfdev",))
    site.world.merge(site.repo, site.repo.pulls[1])
    merged = tap_file("usdfdev", "tickets-OSW-7", "w.2026.18", always=True)
    assert site.values("consdbtap", "usdfdev") == merged
    shown = deploy(site, double, app="consdbtap", tag="w.2026.23", environments=("usdfdev",))
    assert (shown.action, shown.number) == ("opened", 2)
    expected = tap_file("usdfdev", "w.2026.23", "w.2026.23")
    assert site.values("consdbtap", "usdfdev", branch("usdf", "consdbtap")) == expected


def test_r3_an_empty_difference_opens_nothing(make_site: MakeSite) -> None:
    site, double = make_site()
    shown = deploy(site, double, tag="26.5.1")
    assert (shown.action, shown.number) == ("nothing", None)
    assert not any(call.writes for call in double.log)


@pytest.mark.slow
def test_r3_a_pull_request_that_changes_nothing_any_more_is_told(make_site: MakeSite) -> None:
    site, double = make_site()
    deploy(site, double, environments=("base",))
    text = consdb_file("base", "26.6.2")
    site.world.commit(site.repo, "main", {"applications/consdb/values-base.yaml": text}, author="po-1")
    shown = deploy(site, double, environments=("base",))
    assert (shown.action, shown.number) == ("nothing", 1)
    assert "pull request 1 is still open and changes nothing any more" in shown.text


def test_r3_a_hand_edit_on_the_branch_stops_and_is_shown(make_site: MakeSite) -> None:
    site, double = make_site()
    deploy(site, double)
    path = "applications/consdb/values-base.yaml"
    edited = consdb_file("base", "26.6.2").replace("resources: {}", "resources: {cpu: 1}")
    site.world.commit(site.repo, branch("test-stands"), {path: edited}, author="po-1")
    for write in (True, False):
        with pytest.raises(CheckFailed, match="by po-1") as caught:
            deploy(site, double, tag="26.6.1", write=write)
        assert "+resources: {cpu: 1}" in caught.value.cause
    assert site.values("consdb", "base", branch("test-stands")) == edited


def test_r3_a_pull_request_closed_unmerged_is_not_opened_again_unasked(make_site: MakeSite) -> None:
    site, double = make_site()
    deploy(site, double)
    site.repo.pulls[1].state = "closed"
    with pytest.raises(CheckFailed, match="closed without merging"):
        deploy(site, double)
    assert deploy(site, double, reopen=True).number == 2


def test_r3_a_base_that_moved_is_taken_in(make_site: MakeSite) -> None:
    site, double = make_site()
    deploy(site, double)
    path = "applications/consdb/values-base.yaml"
    moved = consdb_file("base", "26.5.1").replace("resources: {}", "resources: {cpu: 2}")
    site.world.commit(site.repo, "main", {path: moved, "other.txt": "x\n"}, author="po-1")
    assert deploy(site, double).action == "updated"
    assert changed_files(site, branch("test-stands")) == [path, path.replace("base", "tucson-teststand")]
    expected = consdb_file("base", "26.6.2").replace("resources: {}", "resources: {cpu: 2}")
    assert site.values("consdb", "base", branch("test-stands")) == expected


def test_r3_what_others_merge_meanwhile_is_not_undone(make_site: MakeSite) -> None:
    """The files are made from one commit of the base, and proposed against that one."""
    site, double = make_site()
    path = "applications/consdb/values-base.yaml"

    def meanwhile(method: str, target: str) -> None:
        if method == "POST" and target.endswith("/git/trees"):
            double.before = None
            text = consdb_file("base", "26.5.1").replace("resources: {}", "resources: {cpu: 2}")
            site.world.commit(site.repo, "main", {path: text}, author="po-1")

    double.before = meanwhile
    deploy(site, double)
    assert double.before is None
    merged = (
        site.repo.store.git("merge-tree", "--write-tree", "main", branch("test-stands")).decode().split()[0]
    )
    text = site.repo.store.git("show", f"{merged}:{path}").decode()
    assert text == consdb_file("base", "26.6.2").replace("resources: {}", "resources: {cpu: 2}")


@pytest.mark.slow
def test_r3_stages_have_pull_requests_of_their_own(make_site: MakeSite) -> None:
    site, double = make_site()
    deploy(site, double)
    site.world.merge(site.repo, site.repo.pulls[1])
    assert deploy(site, double, stage="summit").number == 2
    assert {pull.branch for pull in site.repo.pulls.values()} == {branch("test-stands"), branch("summit")}
    assert deploy(site, double, stage="summit", ticket="DM-2").number == 3


def test_r3_two_stages_at_once_are_refused(make_site: MakeSite) -> None:
    site, double = make_site()
    assert "R3" in refused(deploy(site, double, environments=("base", "summit"), force_order=True))
    assert site.repo.pulls == {}


def test_r4_an_image_that_does_not_exist_is_not_named(make_site: MakeSite) -> None:
    site, double = make_site()
    assert site.registry is not None
    site.registry.push("lsst-dm/consdb-pq", "26.7.1")
    shown = deploy(site, double, tag="26.7.1")
    assert refused(shown) == ["R4"]
    assert "ghcr.io/lsst-dm/consdb-hinfo:26.7.1" in shown.plan.refusals[0].cause  # type: ignore[union-attr]
    assert not any(call.writes for call in double.log)


@pytest.mark.slow
def test_r4_the_tap_image_is_looked_up_where_the_environment_gets_it(make_site: MakeSite) -> None:
    site, double = make_site()
    site.tap_images("w.2026.30", "dev")
    site.snippets("w.2026.30", there=True)
    asked: dict[str, Any] = {"app": "consdbtap", "tag": "w.2026.30"}
    assert deploy(site, double, environments=("usdfdev",), **asked).action == "opened"
    assert refused(deploy(site, double, environments=("usdfint",), **asked)) == ["R4"]


@pytest.mark.slow
def test_r4_datalink_snippets_that_do_not_exist_are_not_named(make_site: MakeSite) -> None:
    site, double = make_site()
    site.week("w.2026.30", snippets=False)
    asked: dict[str, Any] = {"app": "consdbtap", "tag": "w.2026.30", "environments": ("usdfdev",)}
    assert refused(deploy(site, double, **asked)) == ["R4"]
    assert deploy(site, double, components=("tap-schema",), **asked).action == "opened"


def test_r4_a_registry_that_cannot_be_asked_is_an_error_and_no_answer(make_site: MakeSite) -> None:
    site, double = make_site(
        files={
            path: text.replace("ghcr.io/lsst-dm/consdb-pq", "ghcr.io/lsst-dm/private")
            for path, text in files_of().items()
        }
    )
    with pytest.raises(RegistryError, match="private"):
        deploy(site, double)
    assert site.repo.pulls == {}


def test_r5_a_waiver_is_in_the_body_and_in_the_commit(make_site: MakeSite) -> None:
    files = files_of(
        base=consdb_file("base", "tickets-DM-1"),
        tucson_teststand=consdb_file("tucson-teststand", "tickets-DM-1"),
    )
    site, double = make_site(files=files)
    site.images("tickets-DM-1")
    assert refused(deploy(site, double, stage="summit", tag="tickets-DM-1")) == ["R5"]
    until = date(2026, 6, 30)
    shown = deploy(site, double, stage="summit", tag="tickets-DM-1", waive_until=until)
    assert shown.action == "opened"
    assert "until **2026-06-30**" in (site.repo.pulls[1].body or "")
    message = site.repo.store.info(site.repo.tip(branch("summit"))).message
    assert waivers(message) == {"summit": until}


def test_r6_production_before_the_test_stand_is_refused_and_a_forced_order_recorded(
    make_site: MakeSite,
) -> None:
    site, double = make_site()
    assert refused(deploy(site, double, stage="prod")) == ["R6"]
    assert deploy(site, double, stage="prod", force_order=True).action == "opened"
    body = site.repo.pulls[1].body or ""
    assert "with `--force-order`" in body
    assert "base, tucson-teststand, summit, usdfdev and usdfint have pq 26.5.1" in body


def test_a_plan_writes_nothing_and_says_what_would_be_done(make_site: MakeSite) -> None:
    site, double = make_site()
    shown = deploy(site, double, write=False)
    assert (shown.action, shown.done) == ("opened", False)
    assert not any(call.writes for call in double.log)
    deploy(site, double)
    assert deploy(site, double, write=False).text == "the pull request is up to date already"


@pytest.mark.slow
def test_a_tag_that_consdb_does_not_have_is_no_reason_to_stop(make_site: MakeSite) -> None:
    site, double = make_site()
    site.images("26.7.1")
    deploy(site, double, tag="26.7.1")
    assert "Not shown: lsst-dm/consdb has no tag 26.7.1." in (site.repo.pulls[1].body or "")


@pytest.mark.slow
def test_going_back_says_so(make_site: MakeSite) -> None:
    site, double = make_site(files=files_of("26.6.2"))
    deploy(site, double, tag="26.6.1")
    assert "`26.6.1` (goes back)" in (site.repo.pulls[1].body or "")


@pytest.mark.slow
@pytest.mark.parametrize("app", ["consdb", "consdbtap"])
def test_a_repository_without_the_application_is_said(make_site: MakeSite, app: str) -> None:
    site, double = make_site(files={"README.md": "x\n"})
    with pytest.raises(InputError, match=f"no values files were found for {app}"):
        deploy(site, double, app=app)


# Repinning


TICKET = "tickets-OSW-7"


def repin_site(make_site: MakeSite, **own: str) -> tuple[Site, Any]:
    on_ticket = {
        f"tap_{name}": tap_file(name, TICKET, "w.2026.18", always=name != "usdfprod")
        for name in ("usdfdev", "usdfint", "usdfprod")
    }
    site, double = make_site(files=files_of(**{**on_ticket, **own}))
    site.world.commit(
        site.sdm,
        "tickets/OSW-7",
        {"python/lsst/sdm/schemas/cdb_latiss.yaml": "# new\n"},
        onto=site.sdm.tip("main"),
    )
    site.world.open_pull(site.sdm, "tickets/OSW-7", title="OSW-7: columns")
    return site, double


def test_repin_takes_the_first_week_that_holds_the_merge(make_site: MakeSite) -> None:
    site, double = repin_site(make_site)
    site.week("w.2026.09")  # Tagged before the merge.
    site.world.merge(site.sdm, site.sdm.pulls[1])
    for week in ("w.2026.10", "w.2026.11"):
        site.week(week)
    shown = deploy(site, double, app="consdbtap", repin=True)
    assert shown.title == "OSW-7: consdbtap w.2026.10 at usdfdev and usdfint"
    name = branch("usdf", "consdbtap", "OSW-7")
    for environment in ("usdfdev", "usdfint"):
        expected = tap_file(environment, "w.2026.10", "w.2026.10")
        assert site.values("consdbtap", environment, name) == expected
    site.world.merge(site.repo, site.repo.pulls[1])
    following = deploy(site, double, app="consdbtap", repin=True)
    assert following.title == "OSW-7: consdbtap w.2026.10 at usdfprod"
    site.world.merge(site.repo, site.repo.pulls[2])
    done = deploy(site, double, app="consdbtap", repin=True)
    assert (done.action, done.plan) == ("nothing", None)


def test_repin_waits_for_the_merge_and_for_the_week(make_site: MakeSite) -> None:
    site, double = repin_site(make_site)
    with pytest.raises(CheckFailed, match="is not merged: pull request 1 is open"):
        deploy(site, double, app="consdbtap", repin=True)
    site.world.merge(site.sdm, site.sdm.pulls[1])
    with pytest.raises(CheckFailed, match=r"no week of lsst/sdm_schemas holds pull request 1 yet"):
        deploy(site, double, app="consdbtap", repin=True)
    site.sdm.pulls[1].merged_at = None
    with pytest.raises(CheckFailed, match="no merged pull request"):
        deploy(site, double, app="consdbtap", repin=True)


@pytest.mark.slow
def test_repin_refuses_what_is_not_built(make_site: MakeSite) -> None:
    site, double = repin_site(make_site)
    site.world.merge(site.sdm, site.sdm.pulls[1])
    site.sdm.store.set_ref("refs/tags/w.2026.10", site.sdm.tip("main"))
    assert refused(deploy(site, double, app="consdbtap", repin=True)) == ["R4", "R4", "R4"]


@pytest.mark.slow
def test_repin_keeps_to_the_order(make_site: MakeSite) -> None:
    site, double = repin_site(make_site)
    site.world.merge(site.sdm, site.sdm.pulls[1])
    site.week("w.2026.10")
    assert refused(deploy(site, double, app="consdbtap", repin=True, stage="prod")) == ["R6"]


@pytest.mark.slow
def test_repin_of_different_ticket_images_is_a_question(make_site: MakeSite) -> None:
    other = tap_file("usdfint", "tickets-DM-8", "w.2026.18")
    site, double = repin_site(make_site, tap_usdfint=other)
    with pytest.raises(CheckFailed, match="usdfdev: tickets-OSW-7; usdfint: tickets-DM-8"):
        deploy(site, double, app="consdbtap", repin=True)
