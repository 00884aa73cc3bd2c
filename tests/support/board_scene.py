"""A scene for the board: a dozen changes in every state, drift of every severity, releases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

from consdb_actions.deploy.drift import ComponentTag, Since, TagDrift, find_drift
from consdb_actions.deploy.model import DeployPolicy, read_tag
from consdb_actions.process.board import (
    Board,
    ConsdbRelease,
    Environments,
    Releases,
    UnreadablePull,
    make_board,
)
from consdb_actions.process.facts import (
    EfdFile,
    FactSource,
    ProcessFacts,
    PullLink,
    SchemaChange,
    SourceFailure,
)
from consdb_actions.process.plan import progress_of
from consdb_actions.release.notes import MergedPull, ReleaseContents, ReleasedMigration, arrange
from consdb_actions.report.process import render_comment
from tests.support.process_facts import at, facts_at, migration, person, push, remembered, say

NOW = datetime(2026, 3, 20, 15, 30, tzinfo=UTC)
REPOSITORY = "lsst/sdm_schemas"
WEB = "https://github.com/lsst-dm/consdb"
PATTERNS = (r"DM-\d+", r"OSW-\d+")
HOSTILE = (
    "DM-66: </h3><script>alert(1)</script><img src=x onerror=alert(2)> \"quotes\" 'and' & \u202etxet "
    "[x](javascript:alert(3)) `/consdb` {{7*7}}"
)
LONG = (
    "OSW-2553: Add the wavefront residuals, the guider centroids with their covariances, and the corrected "
    "zero points per amplifier to the quick-look tables of LSSTCam, "
    "with psf_sigma_tangential_covariance_per_amplifier_and_wavelength_band"
)


def renamed(
    known: ProcessFacts, number: int, title: str, *, branch: str = "", author: str = "author"
) -> ProcessFacts:
    """Rename the pull request of facts everywhere."""
    branch = branch or f"tickets/{title.partition(':')[0]}"
    url = f"https://github.com/{REPOSITORY}/pull/{number}"
    pull = replace(known.pull, number=number, title=title, branch=branch, url=url, author=person(author))
    comments = tuple(
        replace(item, url=item.url.replace("/pull/12#", f"/pull/{number}#")) for item in known.comments
    )
    moved = tuple(
        replace(item, number=item.number + number, url=f"{WEB}/pull/{item.number + number}")
        for item in known.migrations
    )
    image = branch.replace("/", "-")
    deployed = tuple(
        replace(
            item,
            history=tuple(
                replace(setting, tag=image) if setting.tag == "tickets-DM-1" else setting
                for setting in item.history
            ),
        )
        for item in known.deployments
    )
    return replace(known, pull=pull, comments=comments, migrations=moved, deployments=deployed)


def _shifted(known: ProcessFacts, title: str, number: int, *schemas: tuple[str, str]) -> ProcessFacts:
    """Name another pull request that changes other schemas, each with a new table or none."""
    changes = tuple(
        SchemaChange(f"python/lsst/sdm/schemas/{name}.yaml", name, (table,) if table else ())
        for name, table in schemas
    )
    return replace(renamed(known, number, title), schemas=changes)


def facts() -> list[ProcessFacts]:
    """Return facts of a dozen changes, one without a schema change, and a finished one."""
    tested = facts_at("tested")
    pushed = push(remembered(tested, render_comment(tested, progress_of(tested))), 5)
    early = facts_at("tagged", say("uma", "/consdb done usdf", 6))
    ahead = facts_at("generated", say("carl", "/consdb done bts looks fine, 4 rows", 1.5))
    draft = renamed(facts_at("opened"), 214, "DM-53111: Rename the seeing columns")
    unread = facts_at(
        "approved",
        troubles=(SourceFailure(FactSource.CONSDB, "lsst-dm/consdb could not be read: Forbidden (403)"),),
    )
    efd = facts_at("approved", migrations=(migration(link=PullLink.EFD, source=""),))
    nameless = renamed(
        facts_at("opened"), 216, "Better descriptions of the visit tables", branch="u/kim/texts"
    )
    nobody = facts_at(
        "usdf migrated", policy=replace(facts_at().policy, tap_environments=("usdfdev", "usdfint"))
    )
    return [
        _shifted(
            facts_at("restarted"),
            "DM-52001: Add the quick-look table of LATISS",
            181,
            ("cdb_latiss", "exposure_quicklook"),
        ),
        _shifted(
            early, "OSW-1617: Split the guider ROI size into columns and rows", 187, ("cdb_lsstcam", "")
        ),
        _shifted(pushed, LONG, 190, ("cdb_lsstcam", f"ccdexposure_{'wavefront_' * 6}quicklook")),
        _shifted(
            ahead,
            "DM-52440: Add the dome temperatures",
            195,
            ("cdb_lsstcam", "dome_temperature"),
            ("cdb_latiss", ""),
        ),
        renamed(facts_at("half deployed"), 198, "OSW-2134: Widen the observation reason"),
        renamed(unread, 201, "DM-52877: Correct the units of the airmass rate"),
        replace(
            _shifted(efd, "DM-53007: Aggregate the hexapod telemetry", 203, ("efd_lsstcam", "")),
            efd_files=(EfdFile("efd_lsstcam", "1" * 40, "2" * 40, f"{WEB}/blob/main/x.yaml"),),
        ),
        renamed(facts_at("published"), 205, "DM-53050: Add psf_trace_radius_delta"),
        renamed(nobody, 207, "OSW-2601: Star tracker exposures get a day of observation"),
        renamed(facts_at("merged"), 171, "DM-51800: Describe the flags of the calibration"),
        replace(draft, pull=replace(draft.pull, draft=True)),
        nameless,
        renamed(facts_at("generated"), 218, HOSTILE, branch="tickets/DM-66", author="author"),
        renamed(facts_at("opened", schemas=()), 219, "DM-1: Another catalog's schema"),
        renamed(facts_at("repinned"), 160, "DM-51700: Done"),
    ]


def drift() -> TagDrift:
    rows = {
        "base": "26.3.1 2026-03-08 | 26.3.1 2026-03-08 | tickets-DM-52440 2026-02-12",
        "tucson-teststand": "25.11.2 2025-11-28 | 25.11.2 2025-11-28 | main 2024-04-05",
        "summit": "26.3.1 2026-03-09 | tickets-OSW-1617-guider-roi 2025-11-19 | 26.3.1 2026-03-09",
        "usdfdev": "-26.2.1 2026-02-03 | -26.2.1 2026-02-03 | 26.3.1 2026-03-09"
        " | w.2026.10 2026-03-10 | w.2026.10 2026-03-10",
        "usdfint": "-25.8.2 2025-09-01 | -25.8.2 2025-09-01 | 26.2.1 2026-02-03"
        " | tickets-DM-52001 2026-03-14 | w.2026.5 2026-02-03",
        "usdfprod": "-25.8.2 2025-09-01 | -25.8.2 2025-09-01 | 26.2.1 2026-02-03 |  | w.2026.5 2026-02-03",
    }
    names = (
        ("consdb", "hinfo.latiss"),
        ("consdb", "hinfo.lsstcam"),
        ("consdb", "pq"),
        ("consdbtap", "tap-schema"),
        ("consdbtap", "datalink"),
    )
    seen = []
    for environment, cells in rows.items():
        for (app, component), cell in zip(names, cells.split(" | "), strict=False):
            tag, _, day = cell.lstrip("-").partition(" ")
            since = Since("9" * 40, date.fromisoformat(day)) if day else None
            enabled = not cell.startswith("-")
            seen.append(ComponentTag(app, environment, component, read_tag(tag), enabled, since, "Always"))
    seen.sort(key=lambda item: item.app)
    return find_drift(DeployPolicy(), seen, NOW.date(), read_tag("26.3.1"))


def environments() -> Environments:
    return Environments(drift(), "lsst-sqre/phalanx at 650a0ef2", "https://github.com/lsst-sqre/phalanx")


def releases() -> Releases:
    """Return three releases: a large one, one without a migration, and a lightweight one."""
    pulls = (
        MergedPull(140, "DM-52001: Migrate schema changes", "tickets/DM-52001-migration", "bot[bot]"),
        MergedPull(143, "OSW-2134: hinfo writes the reason", "tickets/OSW-2134", "carl"),
        MergedPull(144, "Mend typos <b>everywhere</b>", "u/po-1/typos", "po-1"),
    )
    migrations = (
        ReleasedMigration(
            "latiss",
            "alembic/latiss/versions/0a1b2c3d4e5f_dm_52001.py",
            "0a1b2c3d4e5f",
            "DM-52001: Add the quick-look table",
            (
                "creates the table `exposure_quicklook` with 12 columns",
                "grants SELECT on it to usdf and oods",
            ),
        ),
        ReleasedMigration(
            "lsstcam",
            "alembic/lsstcam/versions/1a1b2c3d4e5f_dm_52001.py",
            "1a1b2c3d4e5f",
            "OSW-2134: Widen the observation reason",
            (
                f"adds the column `{'very_' * 20}long`",
                *(f"makes `ccdvisit1_quicklook.column_{n}` a varchar(64)" for n in range(9)),
            ),
        ),
    )
    rich = ReleaseContents("26.2.1", 23, pulls, migrations)
    plain = ReleaseContents(
        "25.11.2", 4, (MergedPull(131, "DM-51700: Restart less often", "tickets/DM-51700", "cleo"),)
    )
    touched = ReleaseContents(
        "25.11.1",
        9,
        (MergedPull(120, "OSW-1617: Guider", "tickets/OSW-1617", "carl"),),
        (),
        (("alembic/lsstcam/versions/9f9f9f9f9f9f_osw_1500.py", "changed"),),
    )
    items = (
        ConsdbRelease("26.3.1", f"{WEB}/releases/tag/26.3.1", at(5), notes=arrange(rich, PATTERNS)),
        ConsdbRelease("26.2.1", f"{WEB}/releases/tag/26.2.1", at(-27), notes=arrange(plain, PATTERNS)),
        ConsdbRelease(
            "25.11.2",
            f"{WEB}/tree/25.11.2",
            at(-100),
            of_commit=True,
            annotated=False,
            notes=arrange(touched, PATTERNS),
        ),
        ConsdbRelease("25.11.1", f"{WEB}/tree/25.11.1", None, trouble="GitHub answered 502, four times"),
    )
    return Releases(items, 31, WEB)


def board() -> Board:
    unread = [
        UnreadablePull(
            "#209",
            "GitHub answered 404: Not Found",
            "DM-53060: Remove the old seeing columns",
            f"https://github.com/{REPOSITORY}/pull/209",
        )
    ]
    return make_board(REPOSITORY, NOW, facts(), unread, environments(), releases())
