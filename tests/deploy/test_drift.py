"""Where environments have drifted (rule R7), on made-up values files and histories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from consdb_actions.deploy.drift import (
    DriftFinding,
    Severity,
    Since,
    TagDrift,
    ValuesVersion,
    component_tags,
    find_drift,
    since,
    waiver_trailer,
    waivers,
)
from consdb_actions.deploy.model import DeployPolicy, read_tag, slots
from consdb_actions.deploy.plan import candidates
from tests.support.phalanx import consdb_file, files_of, tap_file, values_of

TODAY = date(2026, 6, 30)
POLICY = DeployPolicy()


def history(name: str, *versions: tuple[str, str, str]) -> list[ValuesVersion]:
    """Write the versions of a file of consdb, newest first: day, tag, message."""
    return [
        ValuesVersion(
            f"{number:040x}",
            message,
            date.fromisoformat(day),
            values_of("consdb", files_of(**{name: consdb_file(name, tag)}))[name],
        )
        for number, (day, tag, message) in enumerate(versions)
    ]


def drift(
    files: Mapping[str, str] | None = None,
    past: Mapping[str, Sequence[ValuesVersion] | None] | None = None,
    release: str | None = None,
    policy: DeployPolicy = POLICY,
) -> TagDrift:
    seen = [
        item
        for app in ("consdb", "consdbtap")
        for item in component_tags(app, values_of(app, files), past or {})
    ]
    return find_drift(policy, seen, TODAY, read_tag(release) if release else None)


def found(drifted: TagDrift, **wanted: Any) -> list[DriftFinding]:
    return [item for item in drifted.findings if all(getattr(item, k) == v for k, v in wanted.items())]


def test_r7_nothing_has_drifted_where_all_is_the_same() -> None:
    assert drift().findings == ()
    assert {app: tag.text for app, tag in drift().newest.items()} == {
        "consdb": "26.5.1",
        "consdbtap": "w.2026.18",
    }


def test_r7_an_environment_behind_the_newest_release() -> None:
    drifted = drift(files_of("26.6.2", usdfprod=consdb_file("usdfprod", "26.5.1")))
    (running,) = found(drifted, severity=Severity.WARNING)
    assert (running.kind, running.environment, running.components) == ("behind", "usdfprod", ("pq",))
    assert running.text == "newest in use 26.6.2, environment 26.5.1"
    (disabled,) = found(drifted, severity=Severity.INFO)
    assert disabled.components == ("hinfo",)
    assert disabled.text == "newest in use 26.6.2, environment 26.5.1; disabled"


def test_r7_the_newest_release_can_be_told() -> None:
    drifted = drift(release="26.7.1")
    assert {item.environment for item in found(drifted, kind="behind")} == set(POLICY.environments)
    assert drifted.newest_text("consdb") == "newest release 26.7.1"
    assert drifted.newest_text("consdbtap") == "newest in use w.2026.18"
    assert all(item.text.startswith("newest release 26.7.1, ") for item in found(drifted, kind="behind"))


def test_r7_an_environment_that_a_later_stage_has_passed() -> None:
    drifted = drift(files_of(summit=consdb_file("summit", "26.6.2")))
    texts = {item.environment: item.text for item in found(drifted, kind="behind") if item.severity}
    assert texts["base"].endswith("; a later stage is ahead")
    assert "later stage" not in texts["usdfprod"]


@pytest.mark.parametrize("tag", ["main", "tickets-DM-1", "latest"])
def test_r7_branch_tags_are_errors_where_only_releases_run(tag: str) -> None:
    drifted = drift(files_of(**{name: consdb_file(name, tag) for name in ("summit", "usdfprod", "base")}))
    errors = {(item.environment, item.components) for item in drifted.at_least(Severity.ERROR)}
    assert errors == {("summit", ("hinfo", "pq")), ("usdfprod", ("pq",))}
    (base,) = found(drifted, environment="base")
    assert (base.severity, base.kind) == (Severity.WARNING, "branch-tag"), "for how long is not known"


@pytest.mark.parametrize(
    ("day", "severity"), [("2026-06-16", Severity.INFO), ("2026-06-15", Severity.WARNING)]
)
def test_r7_a_test_is_drift_when_it_lasts(day: str, severity: Severity) -> None:
    files = files_of(base=consdb_file("base", "tickets-DM-1"))
    past = {"base": history("base", (day, "tickets-DM-1", "x"), ("2026-01-01", "26.5.1", "y"))}
    (finding,) = found(drift(files, past), environment="base")
    assert finding.severity is severity
    assert finding.text.startswith(f"on the ticket image tickets-DM-1 since {day} (")
    always = replace(POLICY, test_days=100)
    assert found(drift(files, past, policy=always), environment="base")[0].severity is Severity.INFO


def test_r7_empty_tags() -> None:
    files = files_of(summit=consdb_file("summit", "26.5.1", pq=""), base=consdb_file("base", "", pq="26.5.1"))
    drifted = drift(files)
    (summit,) = found(drifted, environment="summit")
    assert (summit.severity, summit.kind, summit.components) == (Severity.ERROR, "empty-tag", ("pq",))
    (base,) = found(drifted, environment="base")
    assert (base.severity, base.components) == (Severity.WARNING, ("hinfo",))


def test_r7_a_disabled_instrument_left_behind_is_told() -> None:
    text = consdb_file("base", "26.5.1", latiss="tickets-DM-1").replace("enable: true", "enable: false", 1)
    (finding,) = found(drift(files_of(base=text)), environment="base")
    assert finding.severity is Severity.INFO
    assert finding.text == "disabled, left on the ticket image tickets-DM-1"


@pytest.mark.parametrize(
    ("tag", "week", "severity"),
    [
        ("w.2026.18", "w.2026.17", Severity.WARNING),
        ("tickets-OSW-7", "w.2026.18", Severity.INFO),
        ("w.2026.18", "w.2026.18", None),
    ],
)
def test_r7_the_tap_schema_against_the_datalink_week(tag: str, week: str, severity: Severity | None) -> None:
    drifted = drift(files_of(tap_usdfdev=tap_file("usdfdev", tag, week, always=True)))
    findings = found(drifted, kind="datalink")
    assert [item.severity for item in findings] == ([] if severity is None else [severity])
    if severity is not None:
        assert findings[0].text == f"TAP schema {tag}, datalink {week}"


def test_r7_a_branch_image_that_is_not_pulled_again() -> None:
    drifted = drift(files_of(tap_usdfprod=tap_file("usdfprod", "tickets-OSW-7", "w.2026.18")))
    (finding,) = found(drifted, kind="pull-policy")
    assert (finding.severity, finding.environment) == (Severity.WARNING, "usdfprod")
    fine = drift(files_of(tap_usdfprod=tap_file("usdfprod", "tickets-OSW-7", "w.2026.18", always=True)))
    assert found(fine, kind="pull-policy") == []


def test_r7_weeks_are_compared_with_one_another() -> None:
    drifted = drift(files_of(tap_usdfprod=tap_file("usdfprod", "w.2026.09", "w.2026.09")))
    (finding,) = drifted.findings
    assert (finding.app, finding.text) == ("consdbtap", "newest in use w.2026.18, environment w.2026.09")


@pytest.mark.parametrize(
    ("message", "severity", "words"),
    [
        ("x", Severity.ERROR, "(9 days)"),
        ("x\n\nConsdb-Actions-Waiver: summit until 2026-06-30", Severity.INFO, "waived until 2026-06-30"),
        ("x\n\nConsdb-Actions-Waiver: summit until 2026-06-29", Severity.ERROR, "waiver ended on 2026-06-29"),
        ("x\n\nConsdb-Actions-Waiver: usdfprod until 2026-06-30", Severity.ERROR, "(9 days)"),
        ("x\n\nConsdb-Actions-Waiver: summit until 2026-99-99", Severity.ERROR, "(9 days)"),
        ("x\n\nnot Consdb-Actions-Waiver: summit until 2026-06-30", Severity.ERROR, "(9 days)"),
    ],
)
def test_r5_a_waiver_holds_until_its_day(message: str, severity: Severity, words: str) -> None:
    files = files_of(summit=consdb_file("summit", "main"))
    past = {"summit": history("summit", ("2026-06-21", "main", message), ("2026-01-01", "26.5.1", ""))}
    (finding,) = found(drift(files, past), environment="summit")
    assert finding.severity is severity
    assert words in finding.text


def test_r5_a_waiver_can_be_prolonged_and_ends_with_the_tag() -> None:
    def line(day: str) -> str:
        return f"x\n\n{waiver_trailer(['summit'], date.fromisoformat(day))}"

    pq = slots("consdb", values_of()["summit"])[-1]
    versions = history(
        "summit",
        ("2026-06-20", "main", line("2026-08-01")),
        ("2026-06-10", "main", line("2026-07-01")),
        ("2026-06-01", "26.5.1", line("2026-12-31")),
        ("2026-05-01", "main", line("2027-01-01")),
    )
    assert since(versions, pq) == Since(versions[1].commit, date(2026, 6, 10), {"summit": date(2026, 8, 1)})
    assert waivers("a\n  Consdb-Actions-Waiver: base until 2026-01-02 \n") == {"base": date(2026, 1, 2)}


@pytest.mark.parametrize(
    ("versions", "day"),
    [
        ("06-01 main, 05-01 main, 04-01 26.5.1, 03-01 main", "2026-05-01"),
        ("06-01 main, 05-01 main", "2026-05-01"),
        ("06-01 main", "2026-06-01"),
        ("", None),
    ],
)
def test_r7_since_is_the_commit_that_brought_the_tag(versions: str, day: str | None) -> None:
    pq = slots("consdb", values_of()["base"])[-1]
    rows = [(f"2026-{words[0]}", words[1], "") for words in map(str.split, versions.split(", ")) if words]
    got = since(history("base", *rows), pq)
    assert (None if got is None else str(got.day)) == day
    assert since(None, pq) is None


def test_r7_a_version_that_cannot_be_read_ends_the_history() -> None:
    pq = slots("consdb", values_of()["base"])[-1]
    versions = history("base", ("2026-06-01", "main", ""), ("2026-05-01", "main", ""))
    broken: list[Any] = [versions[0], replace(versions[1], values=None)]
    assert since(broken, pq) == Since(versions[0].commit, date(2026, 6, 1))


def test_the_worst_comes_first_in_the_order_of_the_stages() -> None:
    files = files_of("26.6.2", base=consdb_file("base", "26.5.1"), summit=consdb_file("summit", "main"))
    drifted = drift(files)
    assert [(item.severity, item.environment, item.components) for item in drifted.findings] == [
        (Severity.ERROR, "summit", ("hinfo", "pq")),
        (Severity.WARNING, "base", ("hinfo",)),
        (Severity.WARNING, "base", ("pq",)),
    ], "a later stage is ahead with pq alone"
    assert [len(drifted.at_least(level)) for level in Severity] == [3, 3, 1]


@pytest.mark.parametrize(
    ("merged", "expected"),
    [
        (date(2026, 3, 4), ("w.2026.09", "w.2026.10", "w.2026.11")),
        (date(2026, 1, 2), ("w.2025.52", "w.2026.01", "w.2026.09", "w.2026.10", "w.2026.11")),
        (date(2026, 3, 25), ()),
    ],
)
def test_weeks_that_can_hold_a_merge(merged: date, expected: tuple[str, ...]) -> None:
    tags = ["w.2026.11", "w.2026.10", "w.2025.40", "w.2026.09", "w.2026.01", "w.2025.52", "1.2.3", "w.2026.x"]
    assert candidates(tags, merged) == expected
