"""Databases of the sites and their replication: the section ``sites`` of the configuration."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from typing import Any, Literal

from consdb_actions.errors import InputError
from consdb_actions.schema.sources import DataSource, source_of_table

__all__ = [
    "DEFAULT_SITES",
    "Checklist",
    "Part",
    "Replication",
    "QueueScript",
    "Session",
    "Site",
    "Sites",
    "WriterService",
    "sites_from_mapping",
]

Part = Literal["test", "publisher", "replica", "development"]
"""Purpose of a database; development is at the replica."""


@dataclass(frozen=True, slots=True)
class Site:
    """A database."""

    id: str  # such as ``summit``
    title: str
    part: Part
    schemas: tuple[str, ...] = ("cdb_*",)  # patterns
    host: str = ""  # empty if not public
    database: str = "exposurelog"
    user: str = "oods"  # role of the owner
    environments: tuple[str, ...] = ()  # of Phalanx whose services read it
    attest: str = ""  # step that its migration completes, as in ``/consdb done STEP``; empty for none
    # for announcements
    channel: str = "#consolidated-database"
    administrators: str = "the database administrators"  # who may do what the owner's role may not

    @property
    def url(self) -> str:
        """Return the database URL without password; empty if the host is unknown."""
        return f"postgresql://{self.user}@{self.host}/{self.database}" if self.host else ""

    def holds(self, schema: str) -> bool:
        """Tell whether the database has a schema."""
        return any(fnmatchcase(schema, pattern) for pattern in self.schemas)


@dataclass(frozen=True, slots=True)
class Replication:
    """The logical replication from publisher to replica."""

    publication: str = "usdfpub"
    subscription: str = "usdf_exposurelog"  # also the name of the slot at the publisher
    role: str = "replicauser"  # of the replica at the publisher
    schemas: tuple[str, ...] = ("cdb_*",)  # patterns of the published schemas
    ticket: str = "the IT project in Jira"  # where to ask the administrators of the publisher
    # location of the publication's SQL
    files: str = "slaclab/rubin-usdf-summit-db-replica-deploy, overlays/prod-logical-replication/summit-sql"
    # location of the list of tables to truncate when the replica is rebuilt
    rebuild: str = "lsst/df-ops, docs/usdf-applications/qa/summit-db-replica/procedures.rst"
    credentials: str = "Summit IT"  # who has the password of the role
    # command that shows the replica's log
    logs: str = "kubectl --namespace summitdb-logical-replica logs --selector role=primary --since=10m"

    def covers(self, schema: str) -> bool:
        """Tell whether tables of a schema are published."""
        return any(fnmatchcase(schema, pattern) for pattern in self.schemas)


@dataclass(frozen=True, slots=True)
class WriterService:
    """A service that writes to tables, and how to stop and start it."""

    tables: str  # pattern of ``schema.table``
    name: str
    part: Part = "publisher"  # kind of site at which it runs
    stop: str = ""  # command; empty if people must be asked
    start: str = ""  # command; empty if people must be asked


@dataclass(frozen=True, slots=True)
class QueueScript:
    """A script of the script queue; its configuration may be empty."""

    name: str
    configuration: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """How to take a test image at a test stand."""

    section: str  # of the instrument
    camera: str
    scripts: tuple[QueueScript, ...]  # in order
    standby: QueueScript  # script at the end


@dataclass(frozen=True, slots=True)
class Checklist:
    """A role's checklist for approval; `role` is its id."""

    role: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sites:
    """All databases and further configuration of the runbook."""

    databases: tuple[Site, ...]  # in the order in which a change reaches them
    replication: Replication
    writers: tuple[WriterService, ...]  # all that match a table write to it
    restart: str  # command that restarts pqserver in an environment
    lock_timeout: str  # of upgrades, in Postgres syntax
    statement_timeout: str  # of upgrades, in Postgres syntax
    install: str = "pip install consdb-actions"  # command that installs this program
    hosts: tuple[tuple[str, str], ...] = ()  # host name of each environment
    argocd: str = "https://{host}/argo-cd/applications/consdb"  # URL with ``{host}``
    love: str = "https://{host}/love"  # URL with ``{host}``
    # command that shows the logs of ``{deployment}``
    logs: str = "kubectl --namespace consdb logs deployment/{deployment} --since=10m"
    sessions: tuple[Session, ...] = ()
    sources: tuple[DataSource, ...] = ()  # of the data in tables and columns
    announce: tuple[str, ...] = ()  # further recipients besides the sites' channels
    checklists: tuple[Checklist, ...] = ()  # of the approvals

    def address(self, template: str, environment: str) -> str:
        """Return a URL of an environment; empty if its host is unknown."""
        host = dict(self.hosts).get(environment, "")
        return template.replace("{host}", host) if host else ""

    def source(self, table: str) -> DataSource | None:
        """Return the source of a table, given as ``schema.table``."""
        return source_of_table(self.sources, table)

    def site(self, name: str) -> Site:
        """Return a site by id or by its step, or raise `InputError`."""
        for site in self.databases:
            if name in (site.id, site.attest):
                return site
        raise InputError(
            f'there is no site "{name[:100]}"',
            place="--site",
            remedy="Sites: " + ", ".join(site.id for site in self.databases) + ".",
        )

    def of(self, part: Part) -> tuple[Site, ...]:
        """Return the sites of one purpose."""
        return tuple(site for site in self.databases if site.part == part)

    def writing(self, tables: Iterable[str], part: Part) -> tuple[WriterService, ...]:
        """Return the writers of tables, given as ``schema.table``, at one kind of site."""
        found = [
            writer
            for table in tables
            for writer in self.writers
            if writer.part == part and fnmatchcase(table, writer.tables)
        ]
        return tuple(dict.fromkeys(found))


def _hinfo(instrument: str) -> WriterService:
    scale = f"kubectl --namespace consdb scale deployment/consdb-hinfo-{instrument} --replicas="
    return WriterService(
        f"cdb_{instrument}.*", f"hinfo for {instrument}", "publisher", f"{scale}0", f"{scale}1"
    )


def _session(section: str, camera: str, csc: str, enable: str, take: str) -> Session:
    def state(name: str) -> QueueScript:
        pairs = f"data:\n- [{csc}HeaderService, {name}]\n- [{csc}Camera, {name}]"
        return QueueScript("set_summary_state.py", pairs)

    image = QueueScript(take, "nimages: 1\nimage_type: BIAS")
    return Session(section, camera, (state("ENABLED"), QueueScript(enable), image), state("STANDBY"))


_CHECKLISTS = (
    Checklist(
        "de",
        (
            "The YAML is valid, and names follow the rules of sdm_schemas.",
            "Every description says what the value is, and units and UCDs are there.",
        ),
    ),
    Checklist(
        "po",
        (
            "The columns are useful to science users.",
            "None of them is redundant with an existing column.",
        ),
    ),
    Checklist(
        "consdb",
        (
            "The table's name means something to science users.",
            "The table is filled by one source, and the columns agree with what it delivers.",
            "It can be maintained.",
        ),
    ),
)

DEFAULT_SITES = Sites(
    databases=(
        Site(
            "bts",
            "Base Test Stand",
            "test",
            host="postgresdb01.ls.lsst.org",
            database="butler",
            environments=("base",),
            attest="bts",
            channel="#rubinobs-test-planning",
        ),
        Site("tts", "Tucson Test Stand", "test", environments=("tucson-teststand",)),
        Site(
            "usdf-dev",
            "USDF development database",
            "development",
            schemas=("cdb_*", "efd_*"),
            attest="dev",
        ),
        Site(
            "summit",
            "Summit",
            "publisher",
            host="postgresdb01.cp.lsst.org",
            environments=("summit",),
            attest="summit",
            channel="#summit-announce",
            administrators="Summit IT",
        ),
        Site(
            "usdf",
            "USDF",
            "replica",
            schemas=("cdb_*", "efd_*"),
            host="usdf-summitdb-logical-replica-tx.sdf.slac.stanford.edu",
            environments=("usdfdev", "usdfint", "usdfprod"),
            attest="usdf",
            administrators="the USDF database administrators",
        ),
    ),
    replication=Replication(),
    writers=(
        _hinfo("latiss"),
        _hinfo("lsstcomcam"),
        _hinfo("lsstcam"),
        WriterService("cdb_*.*quicklook", "Rapid Analysis"),
        WriterService("efd_*.*", "the Transformed EFD job", "replica"),
    ),
    restart="kubectl --namespace consdb rollout restart deployment/consdb-pq",
    lock_timeout="500ms",
    statement_timeout="15min",
    hosts=(
        ("base", "base-lsp.lsst.codes"),
        ("tucson-teststand", "tucson-teststand.lsst.codes"),
        ("summit", "summit-lsp.lsst.codes"),
        ("usdfdev", "usdf-rsp-dev.slac.stanford.edu"),
        ("usdfint", "usdf-rsp-int.slac.stanford.edu"),
        ("usdfprod", "usdf-rsp.slac.stanford.edu"),
    ),
    sessions=(
        _session("latiss", "LATISS", "AT", "enable_latiss.py", "take_image_latiss.py"),
        _session("lsstcam", "LSSTCam", "MT", "enable_lsstcam.py", "take_image_lsstcam.py"),
    ),
    sources=(
        DataSource("cdb_*.*quicklook", "Rapid Analysis", "the Rapid Analysis team"),
        DataSource("efd_*.*", "the transformed EFD", "the ConsDB team"),
        # Tables by name, so that a new table is asked about; the star trackers are unknown here.
        *(
            DataSource(f"cdb_l*.{tables}", "hinfo", "the ConsDB team")
            for tables in ("exposure", "ccdexposure", "*exposure_flexdata*", "ccdexposure_camera")
        ),
    ),
    announce=("the announcement list of the US Data Facility",),
    checklists=_CHECKLISTS,
)


def sites_from_mapping(values: Mapping[str, Any], *, place: str = "sites") -> Sites:
    """Build the sites from their validated configuration section.

    A database with the id of a default one inherits its missing keys, and ``false`` removes it; writers
    replace the default ones as a whole. Raises `InputError` unless there is exactly one publisher and one
    replica, and for a name or a time that is unsafe in SQL.
    """
    default = DEFAULT_SITES
    known = {site.id: site for site in default.databases}
    for identifier, given in values.get("databases", {}).items():
        if given is False:
            known.pop(identifier, None)
            continue
        base = known.get(identifier, Site(identifier, identifier, given.get("part", "test")))
        known[identifier] = replace(base, **_fields(given))
    sites = Sites(
        databases=tuple(known.values()),
        replication=replace(default.replication, **_fields(values.get("replication", {}))),
        writers=tuple(WriterService(**writer) for writer in values["writers"])
        if "writers" in values
        else default.writers,
        **{
            name: str(values.get(name, getattr(default, name)))
            for name in ("restart", "lock_timeout", "statement_timeout", "install", "argocd", "love", "logs")
        },
        hosts=tuple({**dict(default.hosts), **values.get("hosts", {})}.items()),
        sessions=tuple(_given_session(one) for one in values["sessions"])
        if "sessions" in values
        else default.sessions,
        sources=tuple(DataSource(**_fields(one)) for one in values["sources"])
        if "sources" in values
        else default.sources,
        announce=tuple(values.get("announce", default.announce)),
        checklists=tuple(
            Checklist(role, tuple(items))
            for role, items in {
                **{one.role: one.items for one in default.checklists},
                **values.get("checklists", {}),
            }.items()
        ),
    )
    for part in ("publisher", "replica"):
        if len(found := sites.of(part)) != 1:
            names = ", ".join(site.id for site in found) or "none"
            raise InputError(
                f"one database must be the {part}, and here it is {names}",
                place=f"{place}.databases",
                remedy=f"Write `part: {part}` for one of them.",
            )
    _check(sites, place)
    return sites


def _given_session(given: Mapping[str, Any]) -> Session:
    scripts = tuple(QueueScript(**one) for one in given["scripts"])
    return Session(given["section"], given["camera"], scripts, QueueScript(**given["standby"]))


def _check(sites: Sites, place: str) -> None:
    """Refuse values that are unsafe in commands or SQL."""
    for name in ("lock_timeout", "statement_timeout"):
        if not re.fullmatch(r"\d{1,7}(ms|s|min|h)", getattr(sites, name)):
            raise InputError(
                f'"{getattr(sites, name)}" is not a time as Postgres writes it',
                place=f"{place}.{name}",
                remedy="Write it like 5s or 15min.",
            )
    for field in fields(Replication)[:3]:
        if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", value := getattr(sites.replication, field.name)):
            raise InputError(
                f'"{value}" is not a plain name in Postgres',
                place=f"{place}.replication.{field.name}",
                remedy="Names here are lower-case letters, digits and underscores.",
            )


def _fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Convert lists to tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
