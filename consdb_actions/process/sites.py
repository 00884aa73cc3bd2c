"""The databases of the sites and the replication between them: the section ``sites`` of the configuration."""

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
    "Script",
    "Session",
    "Site",
    "Sites",
    "Writer",
    "sites_from_mapping",
]

Part = Literal["test", "publisher", "replica", "development"]
"""What a database is for: tests, the one that is written to, its replica, or development at the replica."""


@dataclass(frozen=True, slots=True)
class Site:
    """One database.

    Attributes
    ----------
    id
        Its name in commands, such as ``summit``.
    title
        Its name for people.
    part
        What it is for.
    schemas
        Patterns of the schemas that it holds.
    host, database, user
        How its owner's role reaches it; no host where that is not known to everybody.
    environments
        Environments of Phalanx whose services read it.
    attest
        The step that its migration completes, as in ``/consdb done STEP``; empty for none.
    channel
        Where work on it is announced.
    administrators
        Who may do what the owner's role may not.
    """

    id: str
    title: str
    part: Part
    schemas: tuple[str, ...] = ("cdb_*",)
    host: str = ""
    database: str = "exposurelog"
    user: str = "oods"
    environments: tuple[str, ...] = ()
    attest: str = ""
    channel: str = "#consolidated-database"
    administrators: str = "the database administrators"

    @property
    def url(self) -> str:
        """Address of the database, without a password; empty where the host is not known."""
        return f"postgresql://{self.user}@{self.host}/{self.database}" if self.host else ""

    def holds(self, schema: str) -> bool:
        """Tell whether it has a schema."""
        return any(fnmatchcase(schema, pattern) for pattern in self.schemas)


@dataclass(frozen=True, slots=True)
class Replication:
    """The logical replication from the publisher to the replica.

    Attributes
    ----------
    publication, subscription
        Their names. The slot at the publisher is called like the subscription.
    role
        The role with which the replica reads the publisher.
    schemas
        Patterns of the schemas whose tables are published.
    ticket
        Where administrators of the publisher are asked.
    files
        Where the SQL of the publication is kept.
    rebuild
        Where the list stands of tables to truncate when the replica is built anew.
    credentials
        Who has the password of the role.
    logs
        The command that shows the replica's log.
    """

    publication: str = "usdfpub"
    subscription: str = "usdf_exposurelog"
    role: str = "replicauser"
    schemas: tuple[str, ...] = ("cdb_*",)
    ticket: str = "the IT project in Jira"
    files: str = "slaclab/rubin-usdf-summit-db-replica-deploy, overlays/prod-logical-replication/summit-sql"
    rebuild: str = "lsst/df-ops, docs/usdf-applications/qa/summit-db-replica/procedures.rst"
    credentials: str = "Summit IT"
    logs: str = "kubectl --namespace summitdb-logical-replica logs --selector role=primary --since=10m"

    def covers(self, schema: str) -> bool:
        """Tell whether tables of a schema are published."""
        return any(fnmatchcase(schema, pattern) for pattern in self.schemas)


@dataclass(frozen=True, slots=True)
class Writer:
    """What writes to tables, and how it is stopped and started.

    Attributes
    ----------
    tables
        Pattern of ``schema.table``.
    name
        What it is called.
    part
        At which kind of site it runs.
    stop, start
        Commands; empty where people have to be asked.
    """

    tables: str
    name: str
    part: Part = "publisher"
    stop: str = ""
    start: str = ""


@dataclass(frozen=True, slots=True)
class Script:
    """A script of the script queue, with its configuration; empty for none."""

    name: str
    configuration: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """How a test image of one instrument is taken at a test stand.

    Attributes
    ----------
    section
        Section of the instrument.
    camera
        The camera's name.
    scripts
        What is run, in order.
    standby
        What is run at the end.
    """

    section: str
    camera: str
    scripts: tuple[Script, ...]
    standby: Script


@dataclass(frozen=True, slots=True)
class Checklist:
    """What a role looks at before it approves; the role is named by its id in the approvals."""

    role: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sites:
    """All databases, and what the runbook must know besides.

    Attributes
    ----------
    databases
        In the order in which a change reaches them.
    replication
        From the publisher to the replica.
    writers
        Who writes; of several that match a table, all do.
    restart
        The command that restarts pqserver in an environment.
    lock_timeout, statement_timeout
        For upgrades, as Postgres writes times.
    install
        The command that installs this program.
    hosts
        Host name of each environment, for the addresses below.
    argocd, love
        Addresses of the application in Argo CD, and of LOVE at a test stand, with ``{host}``.
    logs
        The command that shows the logs of a deployment, with ``{deployment}``.
    sessions
        How test images are taken.
    sources
        What fills the tables and columns.
    announce
        Who is told besides the channels of the sites.
    checklists
        What each role looks at before it approves.
    """

    databases: tuple[Site, ...]
    replication: Replication
    writers: tuple[Writer, ...]
    restart: str
    lock_timeout: str
    statement_timeout: str
    install: str = "pip install consdb-actions"
    hosts: tuple[tuple[str, str], ...] = ()
    argocd: str = "https://{host}/argo-cd/applications/consdb"
    love: str = "https://{host}/love"
    logs: str = "kubectl --namespace consdb logs deployment/{deployment} --since=10m"
    sessions: tuple[Session, ...] = ()
    sources: tuple[DataSource, ...] = ()
    announce: tuple[str, ...] = ()
    checklists: tuple[Checklist, ...] = ()

    def address(self, template: str, environment: str) -> str:
        """Write an address of an environment; empty where its host is not known."""
        host = dict(self.hosts).get(environment, "")
        return template.replace("{host}", host) if host else ""

    def source(self, table: str) -> DataSource | None:
        """Return what fills a table, given as ``schema.table``."""
        return source_of_table(self.sources, table)

    def site(self, name: str) -> Site:
        """Return a site by its id, or by the step that it attests.

        Raises
        ------
        InputError
            There is none.
        """
        for site in self.databases:
            if name in (site.id, site.attest):
                return site
        raise InputError(
            f'there is no site "{name[:100]}"',
            place="--site",
            remedy="Sites: " + ", ".join(site.id for site in self.databases) + ".",
        )

    def of(self, part: Part) -> tuple[Site, ...]:
        """Return the sites that are for one purpose."""
        return tuple(site for site in self.databases if site.part == part)

    def writing(self, tables: Iterable[str], part: Part) -> tuple[Writer, ...]:
        """Return who writes to some tables, given as ``schema.table``, at one kind of site."""
        found = [
            writer
            for table in tables
            for writer in self.writers
            if writer.part == part and fnmatchcase(table, writer.tables)
        ]
        return tuple(dict.fromkeys(found))


def _hinfo(instrument: str) -> Writer:
    scale = f"kubectl --namespace consdb scale deployment/consdb-hinfo-{instrument} --replicas="
    return Writer(f"cdb_{instrument}.*", f"hinfo for {instrument}", "publisher", f"{scale}0", f"{scale}1")


def _session(section: str, camera: str, csc: str, enable: str, take: str) -> Session:
    def state(name: str) -> Script:
        pairs = f"data:\n- [{csc}HeaderService, {name}]\n- [{csc}Camera, {name}]"
        return Script("set_summary_state.py", pairs)

    image = Script(take, "nimages: 1\nimage_type: BIAS")
    return Session(section, camera, (state("ENABLED"), Script(enable), image), state("STANDBY"))


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
        Writer("cdb_*.*quicklook", "Rapid Analysis"),
        Writer("efd_*.*", "the Transformed EFD job", "replica"),
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
        # Tables by name, so that a new table is asked about; nothing is known here of the star trackers.
        *(
            DataSource(f"cdb_l*.{tables}", "hinfo", "the ConsDB team")
            for tables in ("exposure", "ccdexposure", "*exposure_flexdata*", "ccdexposure_camera")
        ),
    ),
    announce=("the announcement list of the US Data Facility",),
    checklists=_CHECKLISTS,
)


def sites_from_mapping(values: Mapping[str, Any], *, place: str = "sites") -> Sites:
    """Build the sites from their section of the configuration.

    The section has been checked against the configuration's JSON Schema. A database with the id of a default
    one takes from it what it leaves out, and one that is ``false`` is left out; writers replace the default
    ones as a whole.

    Parameters
    ----------
    values
        The section; an empty one gives `DEFAULT_SITES`.
    place
        Where the section stands, for messages.

    Returns
    -------
    Sites
        The sites.

    Raises
    ------
    InputError
        There is no publisher or no replica, or more than one; or a name or a time cannot be written in SQL.
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
        writers=tuple(Writer(**writer) for writer in values["writers"])
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
    scripts = tuple(Script(**one) for one in given["scripts"])
    return Session(given["section"], given["camera"], scripts, Script(**given["standby"]))


def _check(sites: Sites, place: str) -> None:
    """Refuse what would be something else in a command or a statement."""
    for name in ("lock_timeout", "statement_timeout"):
        if not re.fullmatch(r"\d{1,7}(ms|s|min|h)", getattr(sites, name)):
            raise InputError(
                f'"{getattr(sites, name)}" is no time as Postgres writes it',
                place=f"{place}.{name}",
                remedy="Write it like 5s or 15min.",
            )
    for field in fields(Replication)[:3]:
        if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", value := getattr(sites.replication, field.name)):
            raise InputError(
                f'"{value}" is no plain name in Postgres',
                place=f"{place}.replication.{field.name}",
                remedy="Names here are lower-case letters, digits and underscores.",
            )


def _fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Take lists as tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
