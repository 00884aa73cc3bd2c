"""What a deployment changes and what is refused (rules R3 to R6), on made-up values files."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from consdb_actions.deploy.model import (
    DeployPlan,
    DeployPolicy,
    DeployRequest,
    Stage,
    TagKind,
    check_tag,
    datalink_tag,
    read_tag,
    short_names,
)
from consdb_actions.deploy.plan import make_plan, with_found
from consdb_actions.errors import InputError
from tests.support.configuration import section
from tests.support.phalanx import consdb_file, files_of, tap_file, values_of

TODAY = date(2026, 6, 10)
POLICY = DeployPolicy()


def plan(
    app: str = "consdb",
    tag: str = "26.6.2",
    stage: str = "",
    *environments: str,
    files: dict[str, str] | None = None,
    policy: DeployPolicy = POLICY,
    **values: Any,
) -> DeployPlan:
    request = DeployRequest(app, check_tag(tag), "DM-1", TODAY, stage, environments, **values)
    return make_plan(policy, request, values_of(app, files))


def done(*environments: str, tag: str = "26.6.2", **own: str) -> dict[str, str]:
    """Return files of which some environments are on the tag already."""
    return files_of(**{name.replace("-", "_"): consdb_file(name, tag) for name in environments}, **own)


def rules(found: DeployPlan) -> list[str]:
    return [refusal.rule for refusal in found.refusals]


def changes(found: DeployPlan) -> list[tuple[str, str, str, str, str]]:
    return [(c.environment, c.component, c.what, c.old, c.new) for c in found.changes]


def test_r3_only_what_was_asked_for_changes() -> None:
    found = plan("consdb", "26.6.2", "", "base", components=("pq",))
    assert changes(found) == [("base", "pq", "tag", "26.5.1", "26.6.2")]
    before = consdb_file("base", "26.5.1")
    after = consdb_file("base", "26.5.1", pq="26.6.2")
    assert found.files == {"applications/consdb/values-base.yaml": after}
    assert sum(a != b for a, b in zip(before.splitlines(), after.splitlines(), strict=True)) == 1
    assert found.branch == "tickets/DM-1-consdb-test-stands"


@pytest.mark.parametrize(
    ("components", "expected"),
    [
        ((), ["hinfo.latiss", "hinfo.lsstcam", "pq"]),
        (("hinfo",), ["hinfo.latiss", "hinfo.lsstcam"]),
        (("hinfo.lsstcam",), ["hinfo.lsstcam"]),
        (("pq", "hinfo.latiss"), ["hinfo.latiss", "pq"]),
    ],
)
def test_r3_components_by_name(components: tuple[str, ...], expected: list[str]) -> None:
    found = plan("consdb", "26.6.2", "", "base", components=components)
    assert [change.component for change in found.changes] == expected


def test_r3_a_stage_is_all_of_its_environments_that_have_the_application() -> None:
    assert plan(stage="test-stands").environments == ("base", "tucson-teststand")
    files = files_of()
    del files["applications/consdb/values-tucson-teststand.yaml"]
    assert plan(stage="test-stands", files=files).environments == ("base",)
    with pytest.raises(InputError, match="does not run in the stage summit"):
        plan("consdbtap", "w.2026.23", "summit")


def test_r3_an_empty_difference_is_no_deployment() -> None:
    found = plan(stage="summit", tag="26.5.1")
    assert (found.changes, found.files, found.refusals, found.images) == ((), {}, (), ())


def test_r3_disabled_instruments_move_along_and_are_told() -> None:
    found = plan(stage="usdf", files=done("base", "tucson-teststand", "summit"))
    assert {(c.component, c.enabled) for c in found.changes} == {
        ("hinfo.latiss", False),
        ("hinfo.lsstcam", False),
        ("pq", True),
    }
    assert found.refusals == ()


def test_r3_two_stages_at_once_are_refused() -> None:
    found = plan("consdb", "26.6.2", "", "summit", "base", force_order=True)
    assert rules(found)[0] == "R3"
    assert "summit and test-stands" in found.refusals[0].cause
    assert found.environments == ("base", "summit"), "in the order of the stages"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"stage": "nosuch"}, "no stage"),
        ({"environments": ("nosuch",)}, "no environment"),
        ({"environments": ("base; rm -rf /",)}, "no environment"),
        ({"stage": "summit", "environments": ("summit",)}, "either a stage"),
        ({}, "either a stage"),
        ({"stage": "summit", "components": ("tap-schema",)}, "has no component tap-schema at summit"),
        (
            {"stage": "summit", "components": ("pq", "hinfo.nosuch")},
            "has no component hinfo.nosuch at summit",
        ),
        ({"stage": "summit", "components": ("hinfo\n",)}, "is not a component"),
        ({"stage": "summit", "components": ("../pq",)}, "is not a component"),
    ],
)
def test_r3_what_does_not_exist_is_said(values: dict[str, Any], words: str) -> None:
    request = replace(DeployRequest("consdb", read_tag("26.6.2"), "DM-1", TODAY), **values)
    with pytest.raises(InputError, match=words):
        make_plan(POLICY, request, values_of())


def test_r3_an_environment_without_the_application_is_said() -> None:
    with pytest.raises(InputError, match="no values file for base"):
        plan("consdbtap", "w.2026.23", "", "base")


def test_r3_what_stays_behind_is_known() -> None:
    found = plan("consdb", "26.6.2", "", "base", components=("pq",))
    here = {(item.component, item.tag) for item in found.left if not item.later}
    assert here == {("hinfo.latiss", "26.5.1"), ("hinfo.lsstcam", "26.5.1")}
    later = {(item.environment, item.component) for item in found.left if item.later}
    assert later == {
        *(("summit", name) for name in ("hinfo.latiss", "hinfo.lsstcam", "pq")),
        *((name, "pq") for name in ("usdfdev", "usdfint", "usdfprod")),
    }, "disabled instruments are not waited for"


# Branch images, pull policies, datalink


def test_r3_a_branch_image_is_set_and_replaced_by_the_same_command() -> None:
    found = plan("consdb", "tickets-DM-12345", "test-stands")
    assert found.refusals == ()
    assert all(change.what == "tag" for change in found.changes), "the chart says Always already"
    files = done("base", "tucson-teststand", tag="tickets-DM-12345")
    assert {c.old for c in plan(stage="test-stands", files=files).changes} == {"tickets-DM-12345"}


def test_r3_a_branch_image_gets_the_pull_policy_that_it_needs_and_loses_it_again() -> None:
    week = tap_file("usdfdev", "w.2026.18", "w.2026.18")
    found = plan("consdbtap", "tickets-OSW-1", "", "usdfdev")
    branch = tap_file("usdfdev", "tickets-OSW-1", "w.2026.18", always=True)
    assert list(found.files.values()) == [branch]
    assert changes(found) == [
        ("usdfdev", "tap-schema", "tag", "w.2026.18", "tickets-OSW-1"),
        ("usdfdev", "tap-schema", "pull policy", "IfNotPresent", "Always"),
    ]
    back = plan("consdbtap", "w.2026.18", "", "usdfdev", files=files_of(tap_usdfdev=branch))
    assert list(back.files.values()) == [week]
    assert changes(back)[-1] == ("usdfdev", "tap-schema", "pull policy", "Always", "IfNotPresent")


def test_r3_a_pull_policy_that_somebody_wants_with_a_release_stays() -> None:
    own = tap_file("usdfdev", "w.2026.18", "w.2026.18", always=True)
    found = plan("consdbtap", "w.2026.23", "", "usdfdev", files=files_of(tap_usdfdev=own))
    assert {change.what for change in found.changes} == {"tag", "datalink"}


def test_r3_a_pull_policy_that_is_shared_stays_while_one_of_the_tags_can_move() -> None:
    own = consdb_file("base", "tickets-DM-1").replace(
        "hinfo:\n", 'hinfo:\n  image:\n    pullPolicy: "Always"\n    x: 1\n'
    )
    files = files_of(base=own)
    files["applications/consdb/values.yaml"] = "pq: {}\n"
    one = plan("consdb", "26.6.2", "", "base", components=("hinfo.latiss",), files=files)
    assert [change.what for change in one.changes] == ["tag"]
    both = plan("consdb", "26.6.2", "", "base", components=("hinfo",), files=files)
    assert [change.what for change in both.changes] == ["tag", "tag", "pull policy"]


def test_r3_the_datalink_snippets_go_with_a_week_and_not_with_a_branch() -> None:
    found = plan("consdbtap", "w.2026.23", "", "usdfdev")
    assert [change.component for change in found.changes] == ["tap-schema", "datalink"]
    assert found.datalink.endswith("/lsst/sdm_schemas/releases/download/w.2026.23/datalink-snippets.zip")
    assert tap_file("usdfdev", "w.2026.23", "w.2026.23") in found.files.values()
    with pytest.raises(InputError, match="no datalink snippets for tickets-DM-1"):
        plan("consdbtap", "tickets-DM-1", "", "usdfdev", components=("datalink",))


def test_r3_a_missing_datalink_address_is_written_in() -> None:
    own = tap_file("usdfdev", "main", "x")
    own = own[: own.index("    datalink")] + "    pg:\n      host: h\n"
    found = plan("consdbtap", "w.2026.23", "", "usdfdev", files=files_of(tap_usdfdev=own))
    (text,) = found.files.values()
    assert '  config:\n    datalinkPayloadUrl: "https://github.com/lsst/sdm_schemas/' in text
    assert ("usdfdev", "datalink", "datalink", "", "w.2026.23") in changes(found)


# R4


def test_r4_images_are_those_that_the_environments_use() -> None:
    found = plan("consdbtap", "w.2026.23", "usdf")
    assert found.images == (
        ("lsstsqre/tap-schema-usdf-dev-cdb", "w.2026.23"),
        ("lsstsqre/tap-schema-usdf-prod-cdb", "w.2026.23"),
    )
    consdb = plan("consdb", "26.6.2", "test-stands")
    assert consdb.images == (
        ("ghcr.io/lsst-dm/consdb-hinfo", "26.6.2"),
        ("ghcr.io/lsst-dm/consdb-pq", "26.6.2"),
    )


def test_r4_what_is_missing_is_refused_by_name() -> None:
    found = plan("consdbtap", "w.2026.23", "usdf")
    refused = with_found(found, (found.images[0],), datalink=False)
    assert rules(refused) == ["R4", "R4"]
    assert refused.refusals[0].cause == "there is no image lsstsqre/tap-schema-usdf-dev-cdb:w.2026.23"
    assert "datalink-snippets.zip" in refused.refusals[1].cause
    assert with_found(found, ()).refusals == ()


# R5


@pytest.mark.parametrize("tag", ["tickets-DM-1", "main", "latest", "u-somebody"])
@pytest.mark.parametrize(
    ("until", "allowed"),
    [
        (None, False),
        (date(2026, 6, 9), False),
        (date(2026, 6, 10), True),
        (date(2026, 7, 10), True),
        (date(2026, 7, 11), False),
    ],
)
def test_r5_only_releases_run_at_the_summit_unless_waived_with_an_end(
    tag: str, until: date | None, allowed: bool
) -> None:
    files = done("base", "tucson-teststand", tag=tag)
    found = plan("consdb", tag, "summit", files=files, waive_until=until)
    assert rules(found) == ([] if allowed else ["R5"])
    assert found.waived == (("summit",) if allowed else ())
    if not allowed:
        assert "--waive-until" in found.refusals[0].remedy


def test_r5_comes_first_and_a_mapping_is_made_where_the_chart_needs_one() -> None:
    chart = "applications/consdb/values.yaml"
    files = files_of()
    files[chart] = files[chart].replace("Always", "IfNotPresent")
    assert rules(plan("consdb", "tickets-DM-1", "summit", files=files)) == ["R5"]
    branch = plan("consdb", "tickets-DM-1", "", "base", files=files)
    assert branch.refusals == ()
    text = branch.files["applications/consdb/values-base.yaml"]
    assert 'hinfo:\n  image:\n    pullPolicy: "Always"\n  latiss:' in text
    files["applications/consdb/values-base.yaml"] = text
    back = plan("consdb", "26.5.1", "", "base", files=files)
    assert (
        back.files["applications/consdb/values-base.yaml"]
        == files_of()["applications/consdb/values-base.yaml"]
    )


def test_r5_comes_first_where_a_file_cannot_be_changed() -> None:
    files = files_of(summit="hinfo: &all\n  latiss: {enable: true, tag: a}\n")
    assert rules(plan("consdb", "tickets-DM-1", "summit", files=files)) == ["R5"]
    with pytest.raises(InputError):
        plan("consdb", "26.6.2", "summit", files=files)


@pytest.mark.parametrize("environment", ["base", "tucson-teststand", "usdfdev", "usdfint"])
def test_r5_test_stands_and_development_take_branches(environment: str) -> None:
    found = plan("consdb", "tickets-DM-1", "", environment)
    assert found.refusals == ()
    assert found.waiting == (), "a test has no order"


def test_r5_an_unneeded_waiver_is_none() -> None:
    files = done("base", "tucson-teststand")
    found = plan("consdb", "26.6.2", "summit", files=files, waive_until=date(2026, 6, 20))
    assert (found.refusals, found.waived) == ((), ())


# R6


def test_r6_production_before_the_test_stand_is_refused() -> None:
    found = plan(stage="prod")
    assert rules(found) == ["R6"]
    (refusal,) = found.refusals
    assert refusal.cause == (
        "prod comes after test-stands, and test-stands is not finished: "
        "base and tucson-teststand have pq 26.5.1"
    ), "instruments are disabled there, and not waited for"
    assert "--stage test-stands" in refusal.remedy
    assert "--force-order" in refusal.remedy
    assert {item.stage for item in found.waiting} == {"test-stands", "summit", "usdf"}


def test_r6_going_past_an_unfinished_stage_is_recorded() -> None:
    found = plan(stage="prod", force_order=True)
    assert found.refusals == ()
    assert found.waiting != ()


@pytest.mark.parametrize(
    ("files", "finished"),
    [
        (done("base", "tucson-teststand"), True),
        (done("base"), False),
        (done("base", "tucson-teststand", tag="26.7.1"), True),
        (done("base", "tucson-teststand", tag="26.06.2"), True),
        (done("base", "tucson-teststand", tag="26.6.1"), False),
        (done("base", "tucson-teststand", tag="26.10.1"), True),
        (done("base", "tucson-teststand", tag="tickets-DM-1"), False),
        (done("base", "tucson-teststand", tag="main"), False),
        (done("base", "tucson-teststand", tag=""), False),
        (done("base", "tucson-teststand", tag="3.0.0"), False),
    ],
)
def test_r6_a_stage_is_finished_when_all_of_it_has_the_tag_or_a_later_one(
    files: dict[str, str], finished: bool
) -> None:
    assert (rules(plan(stage="summit", files=files)) == []) is finished


def test_r6_only_the_components_that_move_are_waited_for() -> None:
    files = files_of(
        base=consdb_file("base", "26.5.1", pq="26.6.2"),
        tucson_teststand=consdb_file("tucson-teststand", "26.5.1", pq="26.6.2"),
    )
    assert rules(plan(stage="summit", files=files, components=("pq",))) == []
    assert rules(plan(stage="summit", files=files)) == ["R6"]


def test_r6_a_stage_can_be_finished_by_any_of_its_environments() -> None:
    policy = replace(
        POLICY, stages=(Stage("test-stands", ("base", "tucson-teststand"), "any"), *POLICY.stages[1:])
    )
    assert rules(plan(stage="summit", files=done("base"), policy=policy)) == []
    assert rules(plan(stage="summit", policy=policy)) == ["R6"]


def test_r6_going_back_needs_no_order() -> None:
    found = plan(stage="summit", tag="26.4.1")
    assert found.refusals == ()
    assert all(change.goes_back for change in found.changes)


def test_r6_weeks_have_the_same_order() -> None:
    assert rules(plan("consdbtap", "w.2026.23", "prod")) == ["R6"]
    files = files_of(
        tap_usdfdev=tap_file("usdfdev", "w.2026.23", "w.2026.23"),
        tap_usdfint=tap_file("usdfint", "w.2026.30", "w.2026.30"),
    )
    assert rules(plan("consdbtap", "w.2026.23", "prod", files=files)) == []


def test_all_refusals_are_told_at_once() -> None:
    found = plan("consdb", "tickets-DM-1", "", "summit", "usdfprod", waive_until=date(2020, 1, 1))
    assert rules(found) == ["R3", "R5"]


# Tags and policy


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("26.6.2", TagKind.RELEASE),
        ("26.06.2", TagKind.RELEASE),
        ("24.10.1", TagKind.RELEASE),
        ("3.0.0", TagKind.RELEASE),
        ("w.2026.18", TagKind.WEEKLY),
        ("tickets-DM-12345", TagKind.TICKET),
        ("tickets-OSW-1-more", TagKind.TICKET),
        ("main", TagKind.MAIN),
        ("", TagKind.EMPTY),
        ("latest", TagKind.OTHER),
        ("w.2026", TagKind.OTHER),
        ("26.6.2rc1", TagKind.OTHER),
        ("26.6.2\n", TagKind.OTHER),
    ],
)
def test_kinds_of_tags(text: str, kind: TagKind) -> None:
    assert read_tag(text).kind is kind


def test_tags_are_in_order_within_their_kind() -> None:
    order = ["3.0.0", "24.10.3", "25.2.1", "25.11.2", "26.6.1", "26.6.2", "26.6.10", "26.10.1"]
    for first, second in itertools.pairwise(order):
        assert read_tag(first).is_older_than(read_tag(second))
        assert not read_tag(second).is_older_than(read_tag(first))
        assert read_tag(second).is_at_least(read_tag(first))
    assert read_tag("w.2025.50").is_older_than(read_tag("w.2026.01"))
    assert not read_tag("26.6.2").is_older_than(read_tag("w.2026.18"))
    assert not read_tag("main").is_older_than(read_tag("26.6.2"))
    assert read_tag("main").is_at_least(read_tag("main"))
    assert read_tag("26.06.2").is_at_least(read_tag("26.6.2"))


@pytest.mark.parametrize(
    "text", ["", " ", "-rf", "a b", "26.6.2\n", "a/b", "$(id)", "a" * 129, "é", "x:y", "..", "`x`", "a;b"]
)
def test_s1_no_other_tag_is_taken(text: str) -> None:
    with pytest.raises(InputError, match="is not a tag"):
        check_tag(text)


def test_names_are_short_where_all_of_it_is_meant() -> None:
    everything = ["hinfo.latiss", "hinfo.lsstcam", "pq"]
    assert short_names(["pq", "hinfo.latiss", "hinfo.lsstcam"], everything) == ["pq", "hinfo"]
    assert short_names(["hinfo.latiss"], everything) == ["hinfo.latiss"]
    assert datalink_tag("https://example.org/x.zip") == "https://example.org/x.zip"


def test_the_policy_comes_from_the_configuration() -> None:
    policy = section(
        "deploy",
        {
            "stages": [
                {"name": "one", "environments": ["base"], "finished": "any"},
                {"name": "two", "environments": ["summit", "new"]},
            ],
            "labels": ["consdb"],
            "longest_waiver": 7,
        },
    )
    assert policy.environments == ("base", "summit", "new")
    assert policy.strict == ("summit",), "usdfprod is in no stage here"
    assert [stage.finished for stage in policy.stages] == ["any", "all"]
    assert (policy.labels, policy.longest_waiver, policy.repository) == (("consdb",), 7, "lsst-sqre/phalanx")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"stages": [{"name": "a", "environments": ["x"]}, {"name": "b", "environments": ["x"]}]},
            "x is defined twice",
        ),
        (
            {"stages": [{"name": "a", "environments": ["x"]}, {"name": "a", "environments": ["y"]}]},
            "a is defined twice",
        ),
        ({"strict": ["nosuch"]}, "nosuch is in no stage"),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        section("deploy", values)
