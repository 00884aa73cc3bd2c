"""Databases of the sites and their replication: the section ``sites`` of the configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from consdb_actions.errors import InputError
from consdb_actions.forms import Form, Id, Line, WrongValueError, unique
from consdb_actions.schema.findings import DataSource, source_of_table

# Purpose of a database; development is at the replica.
Part = Annotated[Literal["test", "publisher", "replica", "development"], Form("What a database is for.")]

Patterns = Annotated[
    tuple[Annotated[str, Form(min_length=1, max_length=63)], ...],
    Form("Patterns of schema names.", min_length=1),
]

_SqlName = Annotated[str, Form("A plain name in Postgres.", pattern="^[a-z_][a-z0-9_]{0,62}$")]

_Interval = Annotated[
    str, Form("A time as Postgres writes it, such as 5s or 15min.", pattern="^[0-9]{1,7}(ms|s|min|h)$")
]


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


_Host = Annotated[
    str,
    Form(
        "Host, and a port where it is not the usual one.", pattern="^([A-Za-z0-9._-]{1,253}(:[0-9]{1,5})?)?$"
    ),
]


@dataclass(frozen=True, slots=True)
class SiteEntry:
    """A database in the configuration; what is left out is as in the default of that name."""

    title: Annotated[Line | None, Form("Name for people.")] = None
    part: Annotated[Part | None, Form("What the database is for.")] = None
    schemas: Annotated[Patterns | None, Form("Patterns of the schemas in it.")] = None
    host: Annotated[_Host | None, Form("Host, and a port where it is not the usual one.")] = None
    database: Annotated[str | None, Form("Name of the database.", pattern="^[A-Za-z0-9_-]{1,63}$")] = None
    user: Annotated[str | None, Form("The role that owns the tables.", pattern="^[A-Za-z0-9_-]{1,63}$")] = (
        None
    )
    environments: Annotated[
        tuple[
            Annotated[
                str,
                Form(
                    "Lower-case letters, digits and dashes, a letter first.", pattern="^[a-z][a-z0-9-]{0,49}$"
                ),
            ],
            ...,
        ]
        | None,
        Form("Environments of Phalanx whose services read this database.", then=unique),
    ] = None
    attest: Annotated[
        str | None,
        Form(
            "The step of the process that is done when this database is migrated.",
            pattern="^([a-z][a-z0-9-]{0,29})?$",
        ),
    ] = None
    channel: Annotated[Line | None, Form("Where it is announced.")] = None
    administrators: Annotated[Line | None, Form("Who may do what the role of the owner may not.")] = None


@dataclass(frozen=True, slots=True)
class Replication:
    """The logical replication from publisher to replica."""

    publication: _SqlName = "usdfpub"
    subscription: _SqlName = "usdf_exposurelog"  # also the name of the slot at the publisher
    role: _SqlName = "replicauser"  # of the replica at the publisher
    schemas: Patterns = ("cdb_*",)  # that are published
    ticket: Line = "the IT project in Jira"  # where to ask the administrators of the publisher
    # location of the publication's SQL
    files: Line = "slaclab/rubin-usdf-summit-db-replica-deploy, overlays/prod-logical-replication/summit-sql"
    # location of the list of tables to truncate when the replica is rebuilt
    rebuild: Line = "lsst/df-ops, docs/usdf-applications/qa/summit-db-replica/procedures.rst"
    credentials: Line = "Summit IT"  # who has the password of the role
    # command that shows the replica's log
    logs: Line = "kubectl --namespace summitdb-logical-replica logs --selector role=primary --since=10m"

    def covers(self, schema: str) -> bool:
        """Tell whether tables of a schema are published."""
        return any(fnmatchcase(schema, pattern) for pattern in self.schemas)


@dataclass(frozen=True, slots=True)
class WriterService:
    """A service that writes to tables, and how to stop and start it."""

    tables: Annotated[str, Form("Pattern of schema.table.", min_length=1, max_length=200)]
    name: Line
    part: Part = "publisher"  # kind of site at which it runs
    stop: Line = ""  # command; empty if people must be asked
    start: Line = ""  # command; empty if people must be asked


@dataclass(frozen=True, slots=True)
class QueueScript:
    """A script of the script queue; its configuration may be empty."""

    name: Line
    configuration: Annotated[str, Form(max_length=2000)] = ""


@dataclass(frozen=True, slots=True)
class Session:
    """How to take a test image at a test stand."""

    section: Line  # of the instrument
    camera: Line
    scripts: tuple[QueueScript, ...]  # in order
    standby: QueueScript  # script at the end


@dataclass(frozen=True, slots=True)
class Checklist:
    """A role's checklist for approval; `role` is its id."""

    role: str
    items: tuple[str, ...]


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

_DATABASES = (
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
)

_HOSTS = (
    ("base", "base-lsp.lsst.codes"),
    ("tucson-teststand", "tucson-teststand.lsst.codes"),
    ("summit", "summit-lsp.lsst.codes"),
    ("usdfdev", "usdf-rsp-dev.slac.stanford.edu"),
    ("usdfint", "usdf-rsp-int.slac.stanford.edu"),
    ("usdfprod", "usdf-rsp.slac.stanford.edu"),
)


def _databases(given: Mapping[str, SiteEntry | Literal[False]]) -> tuple[Site, ...]:
    """Build the databases; one with the id of a default takes from it what it leaves out."""
    known = {site.id: site for site in _DATABASES}
    for name, entry in given.items():
        if entry is False:
            known.pop(name, None)
            continue
        values = {item.name: getattr(entry, item.name) for item in fields(entry)}
        site = known.get(name, Site(name, name, "test"))
        known[name] = replace(site, **{key: value for key, value in values.items() if value is not None})
    return tuple(known.values())


def _hosts(given: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple({**dict(_HOSTS), **given}.items())


def _checklists(given: Mapping[str, tuple[str, ...]]) -> tuple[Checklist, ...]:
    lists = {**{one.role: one.items for one in _CHECKLISTS}, **given}
    return tuple(Checklist(role, items) for role, items in lists.items())


@dataclass(frozen=True, slots=True)
class Sites:
    """All databases and further configuration of the runbook."""

    databases: Annotated[
        tuple[Site, ...],
        Form(
            "Databases by name, in the order in which a change reaches them. One with the name of a default "
            "(bts, usdf-dev, summit, usdf) takes from it what it leaves out; false takes a default away.",
            kind=Mapping[Id, SiteEntry | Literal[False]],
            then=_databases,
        ),
    ] = _DATABASES
    replication: Annotated[
        Replication, Form("The logical replication from the publisher to the replica.")
    ] = Replication()
    writers: Annotated[
        tuple[WriterService, ...], Form("What writes to tables, and how it is stopped and started.")
    ] = (
        _hinfo("latiss"),
        _hinfo("lsstcomcam"),
        _hinfo("lsstcam"),
        WriterService("cdb_*.*quicklook", "Rapid Analysis"),
        WriterService("efd_*.*", "the Transformed EFD job", "replica"),
    )
    restart: Annotated[Line, Form("Command that restarts pqserver in an environment.")] = (
        "kubectl --namespace consdb rollout restart deployment/consdb-pq"
    )
    lock_timeout: _Interval = "500ms"
    statement_timeout: _Interval = "15min"
    install: Annotated[Line, Form("Command that installs this program.")] = "pip install consdb-actions"
    hosts: Annotated[
        tuple[tuple[str, str], ...],
        Form("Host name of each environment.", kind=Mapping[str, Line], then=_hosts),
    ] = _HOSTS
    argocd: Annotated[Line, Form("Address of the application in Argo CD, with {host}.")] = (
        "https://{host}/argo-cd/applications/consdb"
    )
    love: Annotated[Line, Form("Address of LOVE at a test stand, with {host}.")] = "https://{host}/love"
    logs: Annotated[Line, Form("Command that shows the logs of a deployment, with {deployment}.")] = (
        "kubectl --namespace consdb logs deployment/{deployment} --since=10m"
    )
    sessions: Annotated[
        tuple[Session, ...], Form("How a test image of each instrument is taken at a test stand.")
    ] = (
        _session("latiss", "LATISS", "AT", "enable_latiss.py", "take_image_latiss.py"),
        _session("lsstcam", "LSSTCam", "MT", "enable_lsstcam.py", "take_image_lsstcam.py"),
    )
    sources: Annotated[
        tuple[DataSource, ...],
        Form(
            "What fills the tables, and with columns, where single columns come from; "
            "the first pattern of schema.table that matches counts."
        ),
    ] = (
        DataSource("cdb_*.*quicklook", "Rapid Analysis", "the Rapid Analysis team"),
        DataSource("efd_*.*", "the transformed EFD", "the ConsDB team"),
        # Tables by name, so that a new table is asked about; the star trackers are unknown here.
        *(
            DataSource(f"cdb_l*.{tables}", "hinfo", "the ConsDB team")
            for tables in ("exposure", "ccdexposure", "*exposure_flexdata*", "ccdexposure_camera")
        ),
    )
    announce: Annotated[tuple[Line, ...], Form("Who is told besides the channels of the sites.")] = (
        "the announcement list of the US Data Facility",
    )
    checklists: Annotated[
        tuple[Checklist, ...],
        Form(
            "What each role looks at before it approves, by the role's id in approvals.",
            kind=Mapping[str, tuple[Line, ...]],
            then=_checklists,
        ),
    ] = _CHECKLISTS

    def __post_init__(self) -> None:
        for part in ("publisher", "replica"):
            if len(found := self.of(part)) != 1:
                names = ", ".join(site.id for site in found) or "none"
                raise WrongValueError(
                    f"one database must be the {part}, and here it is {names}",
                    f"Write `part: {part}` for one of them.",
                    ("databases",),
                )

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


DEFAULT_SITES = Sites()
