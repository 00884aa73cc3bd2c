"""Input of the steps of a runbook; the upgrade step, preparation, test stands, deployments, final steps."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from consdb_actions.approval.facts import DEFAULT_POLICY as APPROVALS
from consdb_actions.deploy.model import DeployPolicy
from consdb_actions.process import runbook_sql as sql
from consdb_actions.process.evidence import ticket_image
from consdb_actions.process.facts import branch_of
from consdb_actions.process.runbook_change import Needs, SectionChange
from consdb_actions.process.runbook_steps import Account, Block, RunbookStep
from consdb_actions.process.sites import Session, Site, Sites
from consdb_actions.schema.model import Name

Direction = Literal["upgrade", "downgrade"]

_MOST = 60  # Columns that are looked for by name; the others are counted

_TITLES = {"upgrade": "Upgrade", "downgrade": "Downgrade"}


def upgrade_step(
    site: Site,
    changes: Sequence[SectionChange],
    sites: Sites,
    direction: Direction,
    failure: str = "",
) -> RunbookStep:
    """Return the step that upgrades sections of a database."""
    sections = ", ".join(change.section for change in changes)
    evidence = f"{site.id}-{direction}.json"
    return RunbookStep(
        f"{site.id}-{direction}",
        f"{_TITLES[direction]} {site.title}: {sections}",
        (
            Block(direction, site.id, apply_command(site, changes, direction, evidence)),
            Block("by-hand", site.id, by_hand(changes, sites, direction), note=_connect(site)),
            *upgrade_checks(site, changes),
        ),
        _locks(changes),
        "Exit code 1 or 3: nothing was changed; the message says why. Exit code 5: the database was "
        f"changed; follow “When an upgrade fails half way”. {failure}",
        site=site.id,
        who=f"ConsDB team, as {site.user}",
        minutes=10,
    )


def _locks(changes: Sequence[SectionChange]) -> str:
    names = [str(name) for change in changes for name in change.forward.locked]
    if not names:
        return ""
    return f"Locked meanwhile, other sessions wait: {', '.join(names)}."


def apply_command(
    site: Site, changes: Sequence[SectionChange], direction: Direction, evidence: str, *extra: str
) -> str:
    """Write the command that checks, confirms, upgrades and verifies."""
    first = f"{_address(site)}consdb-actions migrations apply --site {shlex.quote(site.id)} --consdb ."
    sections = [f"--section {shlex.quote(change.range)}" for change in changes]
    options = [*(["--downgrade"] if direction == "downgrade" else []), *extra]
    last = " ".join([sections[-1], *options, f"--evidence {shlex.quote(evidence)}"])
    lines = [first, *sections[:-1], last]
    short = " ".join(lines)
    return short if len(short) <= 150 else " \\\n    ".join(lines)


def _address(site: Site) -> str:
    return "" if site.url else f': "${{CONSDB_URL:?is the address of the {site.title}}}"\n'


def _connect(site: Site) -> str:
    if not site.url:
        return f"With `CONSDB_URL` of the {site.title}."
    return f"After `export CONSDB_URL={shlex.quote(site.url)}`."


def by_hand(changes: Sequence[SectionChange], sites: Sites, direction: Direction) -> str:
    """Write the equivalent commands of plain alembic."""
    timeouts = f"-c lock_timeout={sites.lock_timeout} -c statement_timeout={sites.statement_timeout}"
    lines = [f"export PGOPTIONS='{timeouts}'"]
    lines += [f"alembic -n {shlex.quote(change.section)} {direction} {change.end}" for change in changes]
    return "\n".join(lines)


def upgrade_checks(site: Site, changes: Sequence[SectionChange]) -> tuple[Block, ...]:
    """Return the queries that verify a database."""
    blocks = [
        Block("check", site.id, sql.revision_of(change), answer=change.end)
        for change in changes
        if change.end != "base"
    ]
    there: list[tuple[Name, str]] = []
    gone: list[tuple[Name, str]] = []
    counted: dict[Name, int] = {}
    grants: list[tuple[Name, str, str]] = []
    for change in changes:
        effects = change.forward
        known = dict(change.columns_after)
        there += [(c.table, c.column) for c in effects.columns if c.kind in ("added", "renamed")]
        gone += [(c.table, c.column) for c in effects.columns if c.kind == "dropped"]
        gone += [(c.table, c.old) for c in effects.columns if c.kind == "renamed"]
        touched = {*effects.new_tables, *effects.new_views, *effects.remade_views}
        counted.update({name: len(known[name]) for name in sorted(touched) if name in known})
        grants += list(effects.grants)
    still = [pair for pair in gone if pair not in set(there)]
    questions = (
        (counted, sql.columns_counted(counted.items())),
        (there, sql.columns_there(there[:_MOST], missing=True)),
        (still, sql.columns_there(still[:_MOST])),
        (grants, sql.grants_there(grants)),
    )
    blocks += [Block("check", site.id, text, answer="0") for some, text in questions if some]
    return tuple(blocks)


SOON = 60  # Seconds in which a connection comes or goes


@dataclass(frozen=True, slots=True)
class RunbookPlan:
    """Input of the steps."""

    sites: Sites
    publisher: Site
    replica: Site
    published: tuple[SectionChange, ...]  # Sections in the publisher
    local: tuple[SectionChange, ...]  # Sections only in the replica
    needs: Needs  # Of the published sections
    direction: Direction = "upgrade"
    prefix: str = ""  # Of step ids: ``back-`` of the rollback, ``cancel-`` of an abort before the upgrade

    @property
    def first(self) -> Site:
        """The site that is upgraded first."""
        return self.publisher if self.published else self.replica

    @property
    def places(self) -> str:
        """The titles of the upgraded sites."""
        return " and ".join(site.title for site, _ in self.upgrades)

    @property
    def upgrades(self) -> list[tuple[Site, tuple[SectionChange, ...]]]:
        """The sites to upgrade in order, with their changes."""
        pairs = ((self.publisher, self.published), (self.replica, self.at_replica))
        return [(site, changes) for site, changes in pairs if changes]

    @property
    def leave(self) -> str:
        """Say how to stop while the publisher is not changed."""
        if self.direction == "upgrade":
            return "To stop here: follow “Abort before anything is changed”."
        text = "“Enable the subscription…” and the steps after it" if self.needs.pause else "the last steps"
        return f"To stop here: continue with {text}."

    @property
    def at_replica(self) -> tuple[SectionChange, ...]:
        """All changes for the replica."""
        return (*self.published, *self.local)

    @property
    def enable(self) -> str:
        """The statement that enables the subscription."""
        return sql.subscription(self.sites.replication, "ENABLE")


def run(site: Site, text: str, account: Account = "owner", note: str = "") -> Block:
    """Return a block with statements to run."""
    return Block("sql", site.id, text, account, note=note)


def ask(site: Site, text: str, answer: str, account: Account = "owner") -> Block:
    """Return a block with a query and its required result."""
    return Block("check", site.id, text, account, answer)


def tables_of(names: Sequence[Name]) -> str:
    """Write a table's name, or the number of tables."""
    return str(names[0]) if len(names) == 1 else f"{len(names)} tables"


def listed(text: Iterable[str], most: int = 8) -> str:
    """Join words with commas; count those that are too many."""
    found = list(text)
    shown = found[:most]
    if len(found) > most:
        shown.append(f"{len(found) - most} more")
    return ", ".join(shown[:-1]) + (" and " if len(shown) > 1 else "") + shown[-1] if shown else ""


_OBSERVER = "test image operator"
_LOGS = (
    "The logs must show no `Traceback`, no `ERROR` and no missing column or table. If they do: stop, and "
    "do not continue with the next site."
)


@dataclass(frozen=True, slots=True)
class RunbookRelease:
    """The release and its deployment."""

    ticket: str
    tag: str  # ``RELEASE`` while there is none
    policy: DeployPolicy
    waive_until: str
    efd: bool  # Whether the schema comes from the transformed EFD alone

    @property
    def schema_branch(self) -> str:
        """The branch of sdm_schemas; copies of the transformed EFD have their own."""
        return branch_of(self.ticket) if self.efd else f"tickets/{self.ticket}"


def deploy_command(release: RunbookRelease, where: str, tag: str, *extra: str) -> str:
    """Write the command that opens the pull request of a deployment."""
    lines = [f"consdb-actions deploy open {where}", f"--tag {tag} --ticket {release.ticket}", *extra]
    short = " ".join(lines)
    return short if len(short) <= 120 else " \\\n    ".join(lines)


def prepare_steps(plan: RunbookPlan, release: RunbookRelease) -> Iterator[RunbookStep]:
    """Yield the steps before the day."""
    sources = []
    for name in (name for change in plan.at_replica for name in _tables(change)):
        source = plan.sites.source(str(name))
        sources.append(f"{name}: {source.name if source else 'NOT KNOWN, write it into sites.sources'}")
    if sources:
        yield RunbookStep(
            "sources",
            "Check that each table has a single source",
            (Block("paste", "", "\n".join(sources)),),
            "A table must have a single source; a source can fill several tables.",
            "A column comes from another source: move it to a table of that source.",
            who="contributor",
        )
    titles = {role.id: role.title for role in APPROVALS.roles}
    lists = [(titles.get(one.role, one.role), one.items) for one in plan.sites.checklists]
    if lists:
        yield RunbookStep(
            "checklists",
            "Review the pull request in sdm_schemas",
            tuple(
                Block("paste", "", "\n".join(f"- {item}" for item in items), note=f"{role}:")
                for role, items in lists
            ),
            "Each role approves before the Summit is upgraded.",
            "An item is not met: request changes in the review.",
            who=", ".join(role for role, _ in lists),
            minutes=15,
        )
    yield RunbookStep(
        "install",
        "Install consdb-actions and check out the release",
        (
            Block("command", "", plan.sites.install),
            Block("command", "", _checkout(release)),
        ),
        "Passwords come from `~/.pgpass` or the variable `PGPASSWORD`; this page contains none.",
        "It cannot be installed there: use the folded commands of each step.",
        minutes=10,
    )
    yield RunbookStep(
        "rehearse",
        "Rehearse this runbook on two local servers",
        (
            Block(
                "command",
                "",
                "consdb-actions process rehearse --consdb . --runbook runbook.md "
                "--sdm-schemas ../sdm_schemas",
            ),
        ),
        "It must end with “The runbook works” and 0 lost rows.",
        "Anything else: do not begin. Fix the migration, and regenerate this runbook.",
    )


def _checkout(release: RunbookRelease) -> str:
    reference = f"tickets/{release.ticket}" if release.tag == "RELEASE" else release.tag
    return "\n".join(
        [
            "git clone https://github.com/lsst-dm/consdb && cd consdb",
            f"git checkout {reference}",
            "git clone https://github.com/lsst/sdm_schemas ../sdm_schemas",
            f"git -C ../sdm_schemas checkout {release.schema_branch}",
            "export SDM_SCHEMAS_DIR=$PWD/../sdm_schemas",
        ]
    )


def _tables(change: SectionChange) -> list[Name]:
    effects = change.forward
    return sorted({*effects.new_tables, *(column.table for column in effects.columns)})


def schema_steps(site: Site, changes: Sequence[SectionChange], sites: Sites) -> Iterator[RunbookStep]:
    """Yield the step that creates new schemas."""
    new = [change for change in changes if change.start == "base"]
    if not new:
        return
    owner = site.user
    lines = []
    for change in new:
        schemas = dict.fromkeys((change.version_table.partition(".")[0], change.schema))
        lines += [f"CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {owner};" for schema in schemas]
        lines.append(f"GRANT USAGE ON SCHEMA {change.schema} TO usdf, oods;")
    yield RunbookStep(
        f"{site.id}-schema",
        f"Create the schema {listed([change.schema for change in new])} at {site.title}",
        (Block("sql", site.id, "\n".join(lines), "administrator"),),
        "The owner of the tables has no privilege to create a schema.",
        '"permission denied": only an administrator of the database can do this.',
        site=site.id,
        who=site.administrators,
    )


def preflight_step(plan: RunbookPlan) -> RunbookStep:
    """Return the step with all checks at all sites, before replication is disabled (rule O5)."""
    blocks = [
        Block(
            "preflight",
            site.id,
            apply_command(site, changes, plan.direction, f"{site.id}-ahead.json", "--ahead"),
        )
        for site, changes in plan.upgrades
    ]
    return RunbookStep(
        f"{plan.prefix}preflight",
        "Run all checks of the upgrade at all sites",
        tuple(blocks),
        "Nothing is switched off yet. “still to do” lists what later steps will do; no check may be refused.",
        "`refused`, or an exit code other than 0: do not begin. Each check says what to do.",
        site=plan.first.id,
    )


def test_steps(
    site: Site, changes: tuple[SectionChange, ...], plan: RunbookPlan, release: RunbookRelease
) -> Iterator[RunbookStep]:
    """Yield the test at one test stand, or at the development database."""
    yield from schema_steps(site, changes, plan.sites)
    back = " and ".join(f"`alembic -n {c.section} downgrade {c.start}`" for c in reversed(changes))
    yield upgrade_step(site, changes, plan.sites, "upgrade", f"To roll back: {back}.")
    sessions = [s for s in plan.sites.sessions if s.section in {change.section for change in changes}]
    for environment in site.environments:
        yield _stand_deploy(site, environment, plan, release)
    if site.environments:
        yield _restart(site, plan.sites)
    if site.part == "development":
        yield _development(site, changes)
    elif site.attest and sessions:
        for session in sessions:
            yield from _session(site, session, plan)
    elif site.attest:
        sources = sorted({s.name for c in changes for n in _tables(c) if (s := plan.sites.source(str(n)))})
        yield RunbookStep(
            f"{site.id}-integrated",
            f"Run the integrated test of {listed(sources) or 'the source'} at {site.title}",
            _queries(site, changes),
            "No test image is configured for this instrument: the source must write with its new version.",
            "No rows arrive, or the new columns are empty: do not continue.",
            site=site.id,
            minutes=30,
        )


def _stand_deploy(site: Site, environment: str, plan: RunbookPlan, release: RunbookRelease) -> RunbookStep:
    stage = release.policy.stage_of(environment).name if environment in release.policy.environments else ""
    tag = f"tickets-{release.ticket}"
    branch = f"tickets/{release.ticket}-consdb-{stage}"
    # The branch belongs to the stage: what is asked for last replaces what was asked for before.
    so_far = [name for one in plan.sites.of(site.part) for name in one.environments]
    so_far = so_far[: so_far.index(environment) + 1]
    address = plan.sites.address(plan.sites.argocd, environment)
    deployments = [f"consdb-hinfo-{change.section}" for change in plan.published] or ["consdb-pq"]
    logs = [plan.sites.logs.replace("{deployment}", name) for name in deployments]
    return RunbookStep(
        f"{site.id}-deploy-{environment}",
        f"Deploy the branch of {release.ticket} in {environment}, if it changes hinfo",
        (
            Block(
                "command", site.id, deploy_command(release, " ".join(f"--env {name}" for name in so_far), tag)
            ),
            Block(
                "paste",
                site.id,
                f"Target revision: {branch}\nApplication:     "
                f"{address or 'consdb in Argo CD of ' + environment}",
                note="In Argo CD: set the target revision of the application, Refresh, Sync.",
            ),
            Block("command", site.id, "\n".join(logs), note="Look at the logs of the pods."),
        ),
        "Skip this step if consdb's pull request changes only the migration.",
        _LOGS,
        site=site.id,
        minutes=10,
    )


def _restart(site: Site, sites: Sites) -> RunbookStep:
    names = listed(site.environments)
    logs = sites.logs.replace("{deployment}", "consdb-pq")
    return RunbookStep(
        f"{site.id}-restart",
        f"Restart pqserver in {names}",
        (Block("restart", site.id, sites.restart), Block("command", site.id, logs)),
        "Until then it uses the old schema.",
        _LOGS,
        site=site.id,
        minutes=2,
    )


def _development(site: Site, changes: Sequence[SectionChange]) -> RunbookStep:
    return RunbookStep(
        f"{site.id}-try",
        "Query the new columns in usdf-rsp-int",
        _queries(site, changes),
        "In a notebook of the environment usdf-rsp-int, against this database. Each query must return a "
        "result.",
        "A query fails: do not continue. Fix the migration, and restart this part.",
        site=site.id,
        minutes=10,
    )


def _session(site: Site, session: Session, plan: RunbookPlan) -> Iterator[RunbookStep]:
    prefix = f"{site.id}-{session.section}"
    environment = site.environments[0] if site.environments else ""
    love = plan.sites.address(plan.sites.love, environment) or f"LOVE of {site.title}"
    yield RunbookStep(
        f"{prefix}-queue",
        f"Open the script queue of {site.title} for {session.camera}",
        (Block("paste", site.id, love),),
        "Note the current configuration of the scripts below, to restore it at the end.",
        "It cannot be opened: ask in the channel of the test stand who is using it.",
        site=site.id,
        who=_OBSERVER,
    )
    yield RunbookStep(
        f"{prefix}-scripts",
        f"Run {listed([script.name for script in session.scripts])}",
        tuple(
            Block("paste", site.id, script.configuration or "(no configuration)", note=f"{script.name}:")
            for script in session.scripts
        ),
        "One after the other, each with its configuration. The queue must show each as done.",
        (
            "A script fails: see its log in the queue. If a component is in FAULT, ask in the channel of the "
            "test stand."
        ),
        site=site.id,
        who=_OBSERVER,
        minutes=10,
    )
    changes = tuple(change for change in plan.published if change.section == session.section)
    logs = plan.sites.logs.replace("{deployment}", f"consdb-hinfo-{session.section}")
    yield RunbookStep(
        f"{prefix}-rows",
        f"Check the rows of the {session.camera} image",
        (Block("command", site.id, logs), *_queries(site, changes)),
        "The image must be the newest row, with the expected values.",
        (
            "No row, or an error in the log: do not continue with the Summit. Fix the cause, and test the "
            "branch again."
        ),
        site=site.id,
    )
    yield RunbookStep(
        f"{prefix}-standby",
        f"Return {session.camera} to STANDBY, and restore the configuration of the scripts",
        (Block("paste", site.id, session.standby.configuration, note=f"{session.standby.name}:"),),
        failure="A component does not leave FAULT: report it in the channel of the test stand.",
        site=site.id,
        who=_OBSERVER,
        minutes=3,
    )


def _queries(site: Site, changes: Sequence[SectionChange]) -> tuple[Block, ...]:
    blocks = []
    for change in changes:
        known = dict(change.columns_after)
        for table in _tables(change):
            columns = known.get(table, ())
            new = [c.column for c in change.forward.columns if c.table == table and c.kind != "dropped"]
            blocks.append(Block("look", site.id, sql.newest_rows(table, columns, new)))
        if not blocks and (name := Name(change.schema, "exposure")) in known:
            blocks.append(Block("look", site.id, sql.newest_rows(name, known[name], ())))
    return tuple(blocks)


def release_steps(plan: RunbookPlan, release: RunbookRelease) -> Iterator[RunbookStep]:
    """Yield merge, tag, and the deployment of the release at the test stands."""
    tag = "" if release.tag == "RELEASE" else f" --tag {release.tag}"
    yield RunbookStep(
        "tag",
        "Merge the pull request in consdb, and tag the release",
        (Block("command", "", f"consdb-actions release tag --repo {release.policy.consdb}{tag}"),),
        "Only if every test has passed.",
        (
            "A check has not passed: wait for it. The next tag would be another one: regenerate this runbook "
            "with that tag."
        ),
        minutes=20,
    )
    stage = _stage(plan, release, "test")
    if stage:
        yield RunbookStep(
            "deploy-test-stands",
            f"Deploy the release to {stage}",
            (Block("command", "", deploy_command(release, f"--stage {stage}", release.tag)),),
            "It replaces the tag of the branch. Merge the pull request; in Argo CD, reset the target "
            "revision, Refresh and Sync. You may take the test image again.",
            (
                "An image is missing: the workflows of the tag are still running. Wait, and run the command "
                "again."
            ),
            minutes=10,
        )


def _stage(plan: RunbookPlan, release: RunbookRelease, part: str) -> str:
    """Return the stage of the environments of some sites."""
    names = [e for site in plan.sites.databases if site.part == part for e in site.environments]
    known = [name for name in names if name in release.policy.environments]
    return release.policy.stage_of(known[0]).name if known else ""


def summit_deploy_step(plan: RunbookPlan, release: RunbookRelease) -> Iterator[RunbookStep]:
    """Yield the deployment of the release at the publisher, before its writers are restarted."""
    stage = _stage(plan, release, "publisher")
    if not stage or plan.direction == "downgrade":
        return
    site = plan.publisher
    logs = [plan.sites.logs.replace("{deployment}", f"consdb-hinfo-{c.section}") for c in plan.published]
    yield RunbookStep(
        f"deploy-{stage}",
        f"Deploy the release at {site.title}",
        (
            Block("command", site.id, deploy_command(release, f"--stage {stage}", release.tag)),
            Block("command", site.id, "\n".join(logs), note="When it is merged and synced in Argo CD:"),
        ),
        "Writers with the old image leave the new columns empty, and fail if a new column is NOT NULL.",
        f"{_LOGS} It is refused because the previous stage is not finished: finish that stage, or use "
        "--force-order, which is recorded.",
        site=site.id,
        minutes=15,
    )


def after_steps(plan: RunbookPlan, release: RunbookRelease) -> Iterator[RunbookStep]:
    """Yield the steps after the upgrade of both sites."""
    done = {_stage(plan, release, "test"), _stage(plan, release, "publisher"), ""}
    if not plan.published:
        done = {_stage(plan, release, "test"), ""}
    used = {e for site in plan.sites.databases for e in site.environments}
    stages = [s for s in release.policy.stages if s.name not in done and used & set(s.environments)]
    if stages:
        yield RunbookStep(
            f"deploy-{stages[0].name}",
            f"Deploy the release in {', then in '.join(listed(stage.environments) for stage in stages)}",
            tuple(
                Block("command", "", deploy_command(release, f"--stage {stage.name}", release.tag))
                for stage in stages
            ),
            failure=_LOGS,
            minutes=10 * len(stages),
        )
    environments = [
        environment
        for site in plan.sites.databases
        for environment in site.environments
        if any(site.holds(change.schema) for change in plan.at_replica)
    ]
    if environments:
        yield RunbookStep(
            "restart",
            f"Restart pqserver in {', '.join(environments)}",
            (Block("restart", "", plan.sites.restart),),
            f"In each of these {len(environments)} environments, or with Restart of deployment consdb-pq in "
            "Argo CD. Until then it uses the old schema.",
            _LOGS,
            minutes=10,
        )
    yield from _backfill(plan)
    yield from _taps(plan, release)
    yield from _end(release)


def _backfill(plan: RunbookPlan) -> Iterator[RunbookStep]:
    blocks = []
    owners: dict[str, None] = {}
    for change in plan.at_replica:
        known = dict(change.columns_after)
        for column in change.forward.changes("added"):
            columns = known.get(column.table, ())
            query = (
                sql.empty_days(column.table, column.column)
                if "day_obs" in columns
                else sql.empty_rows(column.table, column.column)
            )
            blocks.append(Block("look", plan.replica.id, query))
            source = plan.sites.source(str(column.table))
            owners[source.contact or source.name if source else "the contributor"] = None
        for name in change.forward.new_tables:
            blocks.append(Block("look", plan.replica.id, sql.rows_of(name)))
            source = plan.sites.source(str(name))
            owners[source.contact or source.name if source else "the contributor"] = None
    if blocks:
        yield RunbookStep(
            "back-fill",
            "Find rows without values, and fill them if needed",
            tuple(blocks),
            "New exposures must have values. Earlier days stay empty until they are filled from the source.",
            "New exposures have no values: the writer runs an old image. See the logs of its pod.",
            site=plan.replica.id,
            who=listed(list(owners)),
            minutes=30,
        )


def _taps(plan: RunbookPlan, release: RunbookRelease) -> Iterator[RunbookStep]:
    tag = ticket_image(release.schema_branch)
    blocks, names = [], []
    for stage in release.policy.stages:
        taps = [name for name in plan.replica.environments if name in stage.environments]
        if not taps:
            continue
        where = "--app consdbtap " + " ".join(f"--env {name}" for name in taps)
        strict = any(name in release.policy.strict for name in taps)
        waiver = (f"--waive-until {release.waive_until}",) if strict else ()
        blocks.append(Block("command", "", deploy_command(release, where, tag, *waiver)))
        names += taps
    if blocks:
        yield RunbookStep(
            "tap",
            f"Deploy the TAP_SCHEMA of {release.ticket} to {', '.join(names)}",
            tuple(blocks),
            f"The image tap-schema of the branch {release.schema_branch} of sdm_schemas must exist; "
            "the command checks it.",
            "The image is missing: see the workflow of the pull request in sdm_schemas.",
            minutes=10 * len(blocks),
        )


def _end(release: RunbookRelease) -> Iterator[RunbookStep]:
    yield RunbookStep(
        "merge-schemas",
        "Merge the pull request in sdm_schemas, last",
        (Block("paste", "", f"https://github.com/{release.policy.sdm_schemas}/pulls?q={release.ticket}"),),
        "The status `consdb/ready-to-merge` must be green.",
        "It is not green: its text names the missing step.",
        minutes=2,
    )
    yield RunbookStep(
        "repin",
        "Return consdbtap to a weekly tag",
        (Block("command", "", "consdb-actions deploy open --app consdbtap --repin"),),
        "When a weekly tag of sdm_schemas contains the merge. Repeat for each stage.",
        "No weekly tag contains the merge yet: try again next week.",
        minutes=10,
    )


def halfway_steps(plan: RunbookPlan) -> Iterator[RunbookStep]:
    """Yield the steps after an upgrade that was committed but failed (rule O1)."""
    blocks = [
        Block("look", site.id, sql.revision_of(change))
        for site, changes in plan.upgrades
        for change in changes
    ]
    rule = (
        "Do not change the subscription: rows in the old form must not wait for a site with the new schema, "
        "nor the other way round."
        if plan.needs.pause
        else "The subscription is not affected."
    )
    yield RunbookStep(
        "halfway-look",
        "Find the revision of each site",
        tuple(blocks),
        f"{rule} The evidence file of the command shows what is wrong (`verification`) or what was applied "
        "in part (`part`).",
        "Any other revision than these two: call the ConsDB team before doing anything else.",
        site=plan.first.id,
    )
    yield RunbookStep(
        "halfway-mend",
        "Fix what is wrong, and check again",
        tuple(
            Block(
                "preflight",
                site.id,
                apply_command(site, changes, "upgrade", f"{site.id}-again.json", "--ahead"),
            )
            for site, changes in plan.upgrades
        ),
        "Privileges and owners: run the statements that the check prints. Part of a revision: drop what "
        "`part` lists by hand. Then check again. If all checks pass, continue with the step that failed.",
        (
            "It cannot be fixed: roll back with the commands of the part “Rollback”, starting at the last "
            "upgraded site."
        ),
        site=plan.first.id,
        minutes=30,
    )
