"""Facts of the process: one change, stage by stage."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from consdb_actions.approval.facts import Account, CommitChange, FileChange, MarkedComment, PullRequest
from consdb_actions.approval.plan import Part, join
from consdb_actions.migration.duplicates import ColumnRelation
from consdb_actions.process.facts import (
    Approvals,
    Comment,
    Deployment,
    MigrationPull,
    ProcessFacts,
    PullLink,
    RoleApproval,
    SchemaChange,
    TaggedRelease,
    TagSetting,
)
from consdb_actions.process.policy import ProcessPolicy
from consdb_actions.process.sites import DEFAULT_SITES
from consdb_actions.schema.findings import TableSource
from tests.support.configuration import section

HEAD, OLD, NEWER = "c" * 40, "a" * 40, "e" * 40
CONSDB_HEAD, CONSDB_MERGE, SDM_MERGE = "1" * 40, "2" * 40, "3" * 40
LATISS = "python/lsst/sdm/schemas/cdb_latiss.yaml"
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
BOT = Account("github-actions[bot]", 41898282, bot=True)
WEB = "https://github.com/lsst/sdm_schemas"
CONSDB = "https://github.com/lsst-dm/consdb"

STAGES = (
    "opened",
    "generated",
    "approved",
    "tested",
    "merged in consdb",
    "tagged",
    "half deployed",
    "deployed",
    "summit migrated",
    "published",
    "usdf migrated",
    "restarted",
    "tap deployed",
    "merged",
    "repinned",
)
"""Cumulative stages of a change, one day apart."""

SAID = {
    "tested": "/consdb done bts test image 2026030300012 has its rows",
    "summit migrated": "/consdb done summit",
    "published": "/consdb done publication IT-4711",
    "usdf migrated": "/consdb done usdf",
    "restarted": "/consdb done pqserver",
}


def at(day: float) -> datetime:
    """Return a time some days after the start."""
    return START + timedelta(days=day)


def person(login: str) -> Account:
    return Account(login, sum(map(ord, login)))


def policy(**values: Any) -> ProcessPolicy:
    """Return a policy: carl and cleo are the ConsDB team, uma works at USDF."""
    roles: list[dict[str, Any]] = [
        {"id": "consdb", "people": ["carl", "cleo"]},
        {"id": "usdf", "people": ["uma"], "designates": [{"login": "dora", "until": "2026-03-10"}]},
    ]
    made: ProcessPolicy = section("process", {"roles": roles, **values})
    return made


def change(sha: str, structure: str = "s1", text: str = "t1") -> CommitChange:
    return CommitChange(sha, (FileChange(LATISS, structure, text, "v"),))


def migration(**values: Any) -> MigrationPull:
    """Return the generated migration; by default open and a draft."""
    given: dict[str, Any] = {
        "number": 130,
        "url": f"{CONSDB}/pull/130",
        "title": "DM-1: Migrate schema changes",
        "branch": "tickets/DM-1-migration",
        "head": CONSDB_HEAD,
        "state": "open",
        "link": PullLink.MARKER,
        "created_at": at(1),
        "draft": True,
        "committed_at": at(1),
        "source": HEAD,
        "files": ("alembic/latiss/versions/abc_dm_1.py",),
        "digest": "d1",
    }
    return MigrationPull(**{**given, **values})


def deployments(stage: str) -> tuple[Deployment, ...]:
    """Return the deployed tags at a stage."""
    place = STAGES.index(stage)
    found = []
    for environment, since in (
        ("base", 6),
        ("tucson-teststand", 99),
        ("summit", 7),
        ("usdfdev", 7),
        ("usdfint", 7),
        ("usdfprod", 7),
    ):
        url = f"https://github.com/lsst-sqre/phalanx/blob/main/applications/consdb/values-{environment}.yaml"
        history = [TagSetting("26.2.1")]
        if place >= since:
            pull = f"https://github.com/lsst-sqre/phalanx/pull/60{since}"
            history.append(TagSetting("26.3.1", at(since), pull))
        for component in ("hinfo.latiss", "hinfo.lsstcam", "pq"):
            enabled = component == "pq" or not environment.startswith("usdf")
            found.append(Deployment("consdb", environment, component, tuple(history), enabled, url))
        if not environment.startswith("usdf"):
            continue
        tap, link = [TagSetting("w.2026.5")], [TagSetting("w.2026.5")]
        if place >= STAGES.index("tap deployed"):
            tap.append(TagSetting("tickets-DM-1", at(12), "https://github.com/lsst-sqre/phalanx/pull/612"))
        if place >= STAGES.index("repinned"):
            url = "https://github.com/lsst-sqre/phalanx/pull/614"
            tap.append(TagSetting("w.2026.12", at(14), url))
            link.append(TagSetting("w.2026.12", at(14), url))
        tap_url = url.replace("applications/consdb/", "applications/consdbtap/")
        found.append(Deployment("consdbtap", environment, "tap-schema", tuple(tap), url=tap_url))
        found.append(Deployment("consdbtap", environment, "datalink", tuple(link), url=tap_url))
    return tuple(found)


def approvals(*, done: bool) -> Approvals:
    if not done:
        titles = (("de", "Data Engineering", "dan"), ("po", "ConsDB Product Owner", "olga"))
        roles = tuple(
            RoleApproval(identifier, title, "missing", "nobody has approved yet", eligible=(login,))
            for identifier, title, login in titles
        )
        roles += (RoleApproval("consdb", "ConsDB team", "approved", "", "cleo", at(0.5)),)
        words = "Missing: Data Engineering, ConsDB Product Owner"
        return Approvals("pending", words, applicable=True, approved=False, roles=roles)
    roles = tuple(
        RoleApproval(
            identifier, title, "approved", "", login, at(2), f"{WEB}/pull/12#pullrequestreview-{number}"
        )
        for number, (identifier, title, login) in enumerate(
            (
                ("de", "Data Engineering", "dan"),
                ("po", "ConsDB Product Owner", "olga"),
                ("consdb", "ConsDB team", "cleo"),
            )
        )
    )
    return Approvals("success", "Approved", applicable=True, approved=True, roles=roles)


def say(login: str | None, body: str, day: float, *, number: int = 0, edited: float | None = None) -> Comment:
    """Return a comment; ids follow the time."""
    number = number or int(1000 + day * 100)
    return Comment(
        number,
        person(login) if login else None,
        at(day),
        at(day if edited is None else edited),
        body,
        f"{WEB}/pull/12#issuecomment-{number}",
    )


def facts_at(stage: str = "opened", *more: Comment, **values: Any) -> ProcessFacts:
    """Return the facts at a stage, with further comments.

    The change adds a table to cdb_latiss, so that every step of the Summit route is needed.
    """
    place = STAGES.index(stage)

    def has(name: str) -> bool:
        return place >= STAGES.index(name)

    merged = has("merged")
    pull = PullRequest(
        number=12,
        title="DM-1: Add the quick-look table",
        url=f"{WEB}/pull/12",
        author=person("author"),
        state="closed" if merged else "open",
        draft=False,
        branch="tickets/DM-1",
        head=HEAD,
        base_branch="main",
        base="b" * 40,
        created_at=at(0),
        merged_at=at(13) if merged else None,
        merge_commit=SDM_MERGE if merged else "",
        committed_at=at(-1),
        pushed_at=at(0.01),
    )
    migrations: tuple[MigrationPull, ...] = ()
    if has("generated"):
        migrations = (migration(),)
    if has("merged in consdb"):
        migrations = (migration(state="closed", draft=False, merged_at=at(4), merge_commit=CONSDB_MERGE),)
    releases: tuple[TaggedRelease, ...] = ()
    if has("tagged"):
        tag = "26.3.1"
        releases = (
            TaggedRelease(
                tag,
                CONSDB_MERGE,
                f"{CONSDB}/tree/{tag}",
                annotated=True,
                at=at(5),
                release_url=f"{CONSDB}/releases/tag/{tag}",
            ),
        )
    comments = []
    for name, body in SAID.items():
        if has(name):
            login = "uma" if "usdf" in body else "carl"
            comments.append(say(login, body, STAGES.index(name)))
    table = "exposure_quicklook"
    known = ProcessFacts(
        repository="lsst/sdm_schemas",
        html_url=WEB,
        now=at(place),
        identity=BOT,
        pull=pull,
        policy=policy(),
        policy_source=".github/consdb-actions.yaml of main",
        approvals=approvals(done=has("approved")),
        schemas=(
            SchemaChange(
                LATISS,
                "cdb_latiss",
                (table,),
                sources=(TableSource(table, DEFAULT_SITES.source(f"cdb_latiss.{table}")),),
                relations=(ColumnRelation(table, "temp_air", ("exposure.air_temp",)),),
            ),
        ),
        checklists=DEFAULT_SITES.checklists,
        changes=(change(HEAD),),
        migrations=migrations,
        releases=releases,
        newest_release="26.3.1" if has("tagged") else "26.2.1",
        deployments=deployments(stage),
        weeklies=("w.2026.12",) if has("repinned") else (),
        comments=(*comments, *more),
    )
    return replace(known, **values)


def push(known: ProcessFacts, day: float, *, same: bool = False, sha: str = NEWER) -> ProcessFacts:
    """Push another commit, with another schema change or the same."""
    pull = replace(known.pull, head=sha, committed_at=at(day), pushed_at=at(day + 0.01))
    structure = "s1" if same else f"s-{sha[:4]}"
    return replace(known, pull=pull, changes=(*known.changes, change(sha, structure)))


def remembered(known: ProcessFacts, body: str) -> ProcessFacts:
    """Return what a later run reads after ours has written its comment."""
    return replace(known, marked=(MarkedComment(900, BOT, at(0.1), join({Part.PROCESS: body})),))
