"""The pull request of a deployment as its reviewer reads it (rules R3 and S5)."""

from __future__ import annotations

from datetime import date
from typing import Any

import cmarkgfm
import pytest

from consdb_actions.deploy.drift import component_tags, find_drift
from consdb_actions.deploy.model import DeployPlan, DeployPolicy, DeployRequest, read_tag
from consdb_actions.deploy.plan import TagContents, make_plan, replaced_by
from consdb_actions.release.notes import MergedPull, ReleaseContents, ReleasedMigration, arrange
from consdb_actions.report.deploy import (
    changes_table,
    pull_body,
    pull_message,
    pull_title,
    render_drift_markdown,
)
from tests.support.phalanx import consdb_file, files_of, tap_file, values_of

TODAY = date(2026, 6, 10)
EVIL = "@everyone closes #1 <script>alert(1)</script> | `x` [a](https://evil.example) <!-- ![](x)"


def plan(
    app: str = "consdb", tag: str = "26.6.2", files: dict[str, str] | None = None, **values: Any
) -> DeployPlan:
    where = {} if "environments" in values else {"stage": values.pop("stage", "test-stands")}
    request = DeployRequest(app, read_tag(tag), "DM-1", TODAY, **where, **values)
    return make_plan(DeployPolicy(), request, values_of(app, files))


@pytest.mark.parametrize(
    ("values", "title"),
    [
        ({}, "DM-1: consdb 26.6.2 at base and tucson-teststand"),
        ({"environments": ("base",)}, "DM-1: consdb 26.6.2 at base"),
        ({"environments": ("base",), "components": ("pq",)}, "DM-1: consdb pq 26.6.2 at base"),
        ({"components": ("hinfo",)}, "DM-1: consdb hinfo 26.6.2 at base and tucson-teststand"),
        (
            {"environments": ("base",), "components": ("hinfo.latiss",)},
            "DM-1: consdb hinfo.latiss 26.6.2 at base",
        ),
        (
            {"files": files_of(base=consdb_file("base", "26.6.2"))},
            "DM-1: consdb 26.6.2 at tucson-teststand",
        ),
        (
            {"app": "consdbtap", "tag": "tickets-OSW-7", "environments": ("usdfdev",)},
            "DM-1: consdbtap tickets-OSW-7 at usdfdev",
        ),
        (
            {"app": "consdbtap", "tag": "w.2026.23", "stage": "usdf"},
            "DM-1: consdbtap w.2026.23 at usdfdev and usdfint",
        ),
    ],
)
def test_r3_the_title_is_made_from_the_difference(values: dict[str, Any], title: str) -> None:
    assert pull_title(plan(**values)) == title


def test_r3_the_table_has_each_change_once() -> None:
    off = consdb_file("base", "26.5.1", pq="26.6.1").replace("enable: true", "enable: false", 1)
    assert changes_table(plan(files=files_of(base=off))).splitlines()[2:] == [
        "| base | hinfo (lsstcam; disabled: latiss) | `26.5.1` | `26.6.2` |",
        "| base | pq | `26.6.1` | `26.6.2` |",
        "| tucson-teststand | hinfo (latiss, lsstcam), pq | `26.5.1` | `26.6.2` |",
    ]
    found = plan("consdbtap", "tickets-OSW-7", environments=("usdfdev",))
    assert changes_table(found).splitlines()[2:] == [
        "| usdfdev | tap-schema | `w.2026.18` | `tickets-OSW-7` |",
        "| usdfdev | tap-schema, pull policy | `IfNotPresent` | `Always` |",
    ]


def test_r5_the_waiver_is_in_the_commit() -> None:
    files = files_of(
        **{name: consdb_file(name.replace("_", "-"), "main") for name in ("base", "tucson_teststand")}
    )
    found = plan(tag="main", stage="summit", waive_until=date(2026, 6, 20), files=files)
    assert pull_message(found).splitlines()[-1] == "Consdb-Actions-Waiver: summit until 2026-06-20"
    assert pull_message(plan()) == pull_title(plan())


def holds() -> TagContents:
    pulls = tuple(MergedPull(number, f"DM-9: {EVIL}", "tickets/DM-9", "author") for number in range(3))
    migration = ReleasedMigration(
        "lsstcam", "alembic/lsstcam/versions/1.py", "abc", EVIL, (EVIL, "add `a.b`")
    )
    contents = ReleaseContents("26.5.1", 5, pulls, (migration,))
    return TagContents("lsst-dm/consdb", "26.5.1", arrange(contents, (r"DM-\d+",)))


def test_s5_what_others_wrote_is_inert() -> None:
    body = pull_body(plan(), holds(), {("ghcr.io/x", "26.6.2"): "sha256:" + "0" * 64})
    html = cmarkgfm.github_flavored_markdown_to_html(body)
    assert "<script>" not in html
    assert "evil.example" not in html.replace("&quot;", "").split("href=", 1)[0]
    assert 'href="https://evil' not in html
    assert "@everyone" not in body
    assert "<!--" not in body
    assert html.count("<table>") == 1
    assert html.index("<table>") < html.index("<h3>"), "the table comes first"
    assert html.count('type="checkbox"') == 3


def test_the_body_fits_however_much_a_release_holds() -> None:
    many = tuple(
        ReleasedMigration("lsstcam", f"alembic/lsstcam/versions/{n}.py", str(n), "x" * 200, ("y" * 300,) * 20)
        for n in range(100)
    )
    found = TagContents(
        "lsst-dm/consdb", "26.5.1", arrange(ReleaseContents("26.5.1", 5, (), many), (r"DM-\d+",))
    )
    body = pull_body(plan(), found, {})
    assert len(body) <= 60_000
    assert "did not fit" in body
    assert "### Checks" in body
    assert body.startswith("| Environment |")


@pytest.mark.parametrize(
    ("values", "since"),
    [
        ({}, "26.5.1"),
        ({"files": files_of(base=consdb_file("base", "26.4.1"))}, "26.4.1"),
        ({"files": files_of("main")}, "26.6.1"),
        ({"tag": "26.4.1"}, None),
        ({"tag": "tickets-DM-1"}, None),
    ],
)
def test_what_a_deployment_is_compared_with(values: dict[str, Any], since: str | None) -> None:
    found = replaced_by(plan(**values), ["26.6.1", "26.6.2", "26.5.1", "3.0.0", "w.2026.01"])
    assert (found.text if found else None) == since


def test_a_repinned_schema_is_compared_with_the_week_of_its_datalink_snippets() -> None:
    files = files_of(tap_usdfdev=tap_file("usdfdev", "tickets-OSW-7", "w.2026.18"))
    found = plan("consdbtap", "w.2026.23", files, environments=("usdfdev",))
    since = replaced_by(found)
    assert since is not None
    assert since.text == "w.2026.18"


def test_the_drift_report_is_one_page_of_markdown() -> None:
    files = files_of(summit=consdb_file("summit", "main"), usdfprod=consdb_file("usdfprod", "26.4.1"))
    seen = [s for app in ("consdb", "consdbtap") for s in component_tags(app, values_of(app, files), {})]
    html = cmarkgfm.github_flavored_markdown_to_html(
        render_drift_markdown(find_drift(DeployPolicy(), seen, TODAY, source="phalanx"))
    )
    assert html.count("<table>") == 4, "one for each application, one for what is wrong, one for notes"
    assert "❌" in html
