"""``consdb-actions process``: steps of schema changes, their board, and copies of EFD schemas."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consdb_actions.commands.options import (
    FILE,
    FOLDER,
    LazyGroup,
    PullNumber,
    event_options,
    examples,
    facts_option,
    format_option,
    github_session,
    max_calls_option,
    option,
    parse_moment,
    pull_options,
    repository_name,
)
from consdb_actions.commands.terminal import present
from consdb_actions.errors import CheckFailed, ConsdbActionsError, ExternalError, InputError

if TYPE_CHECKING:
    from consdb_actions.adapters.github import GitHub
    from consdb_actions.adapters.runner import Runner
    from consdb_actions.commands.pull_requests import Flow
    from consdb_actions.config import Config
    from consdb_actions.process.board import Board, Environments, Releases
    from consdb_actions.process.facts import EfdCopy, EfdSource, ProcessFacts
    from consdb_actions.process.plan import Progress
    from consdb_actions.proposal import ProposalOutcome

SUBCOMMANDS = {
    "status": ("process:status", "Show the steps of a schema change."),
    "sync": ("process:sync", "Publish the steps of schema changes: comment, status, reactions."),
    "runbook": ("runbook:runbook_command", "Write the runbook of one migration."),
    "rehearse": ("runbook:rehearse_command", "Execute a runbook on two replicating databases."),
    "board": ("process:board_command", "Write a page of all changes and environments."),
    "efd-sync": ("process:efd_sync_command", "Copy changed EFD schemas from consdb into a pull request."),
}


def process_flow() -> Flow[ProcessFacts, Progress]:
    """Return how the steps are decided, shown and published."""
    from consdb_actions.adapters.github.process import ProcessReader
    from consdb_actions.commands.pull_requests import Flow
    from consdb_actions.forms import as_json
    from consdb_actions.process.facts import ProcessFacts
    from consdb_actions.process.plan import CONTEXT, ProcessReport, make_plan, progress_of, readiness
    from consdb_actions.report.process import render_comment, render_text

    def verdict(facts: ProcessFacts, progress: Progress) -> tuple[str, str]:
        return astuple(readiness(facts, progress))

    return Flow(
        facts=ProcessFacts,
        reader=ProcessReader,
        decide=progress_of,
        plan=lambda facts, progress: make_plan(facts, progress, render_comment(facts, progress)),
        context=CONTEXT,
        verdict=verdict,
        text=render_text,
        comment=render_comment,
        json=lambda facts, progress: as_json(ProcessReport(facts, progress)),
        after_merge=True,
    )


@click.group(name="process", cls=LazyGroup, listed=SUBCOMMANDS)
def group() -> None:
    """Show the steps of schema changes, and what to do next.

    The policy is the section "process" of .github/consdb-actions.yaml on the pull request's base branch. The
    token is taken from GITHUB_TOKEN, the server from GITHUB_API_URL.
    """


@click.command(
    "status",
    epilog=examples(
        "process status --repo lsst/sdm_schemas --pr 123",
        "process status --facts facts.json",
    ),
)
@facts_option
@pull_options
def status(facts: Path | None, **options: Any) -> int:
    """Show the steps of a schema change, and what is next. Nothing is changed.

    Exit code 1 if a step is stale, was done out of order, or could not be read.
    """
    from consdb_actions.commands import pull_requests

    flow = process_flow()
    result = pull_requests.status(flow, facts, options)
    runner = pull_requests.show_results(flow, [result], options)
    _tell_next(runner, result.decision)
    return 1 if result.decision.troubled else 0


@click.command(
    "sync",
    epilog=examples(
        "process sync --repo lsst/sdm_schemas --pr 123 --dry-run",
        "process sync --repo lsst/sdm_schemas",
    ),
)
@event_options
@pull_options
def sync(event: Path | None, event_name: str | None, **options: Any) -> int:
    """Publish the comment, the status consdb/ready-to-merge, and reactions to commands.

    All facts are read from GitHub on each run. The exit code is 0 once the state is published, even if
    approvals or steps are missing. Without --pr and --event, all open pull requests are processed, and merged
    ones with steps to do.
    """
    from consdb_actions.adapters.github.events import process_target
    from consdb_actions.adapters.runner import Runner
    from consdb_actions.commands import pull_requests

    target = pull_requests.target_of(event, event_name, options, process_target)
    flow, requests = process_flow(), _Requests(Runner.from_environ(os.environ))
    # What cannot be remembered would be done in every run.
    results, failures = pull_requests.sync(flow, target, options, requests.see, requests.drop)
    runner = pull_requests.show_results(flow, results, options)
    if len(results) == 1:
        _tell_next(runner, results[0].decision)
    if failures:
        raise failures[0]
    return 0


def _tell_next(runner: Runner, progress: Progress) -> None:
    runner.output("next", " ".join(item.step.id for item in progress.actionable))


class _Requests:
    """Requested migrations, passed to the workflow as soon as they are known."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._heads: dict[int, str] = {}
        self._tell()

    def see(self, facts: ProcessFacts, progress: Progress) -> None:
        """Add what the comments of a pull request ask for."""
        from consdb_actions.process.plan import requests_of

        if requests_of(facts, progress).regenerate:
            self._heads[facts.pull.number] = facts.pull.head
            self._tell()

    def drop(self, number: int) -> None:
        """Withdraw the requests of a pull request."""
        if self._heads.pop(number, None):
            self._tell()

    def _tell(self) -> None:
        # Of an output that is set several times the last value counts.
        wanted = [{"number": number, "sha": sha} for number, sha in self._heads.items()]
        self._runner.output("regenerate", "true" if wanted else "false")
        self._runner.output("requests", json.dumps(wanted))


WEB = "https://github.com"


@dataclass(frozen=True, slots=True)
class BoardOptions:
    """Content and sources of the board."""

    repository: str  # ``owner/name`` of the schemas; empty for that of the facts
    now: datetime | None = None  # None: the present, or the time of the newest facts
    config: Path | None = None
    phalanx: Path | None = None  # Clone to read instead of the API
    count: int = 8  # Number of releases shown


def board_of_github(github: GitHub, wanted: BoardOptions) -> Board:
    """Read all facts through the API, or what runs where from a clone."""
    from consdb_actions.adapters.github.process import ProcessReader
    from consdb_actions.adapters.github.pull_requests import open_pulls
    from consdb_actions.adapters.typed_files import load_config
    from consdb_actions.commands.pull_requests import configuration
    from consdb_actions.process.board import UnreadablePull, make_board

    settings = load_config(wanted.config)
    now = wanted.now or datetime.now(UTC)
    reader = ProcessReader(github, wanted.repository, configuration(wanted.config))
    numbers = [*open_pulls(github, wanted.repository), *reader.followed(now)]
    known: list[ProcessFacts] = []
    failed: dict[int, ConsdbActionsError] = {}
    for number in numbers:
        try:
            known.append(reader.read(number, now))
        except (ExternalError, InputError) as error:
            failed[number] = error
    if failed and not known:
        first = next(iter(failed.values()))
        # GitHub listed these numbers, nobody gave them: that one is missing is not a wrong input.
        raise first.__cause__ if isinstance(first.__cause__, ExternalError) else first
    web = known[0].html_url if known else f"{WEB}/{wanted.repository}"
    unread = [
        UnreadablePull(f"#{number}", _cause(error), url=f"{web}/pull/{number}")
        for number, error in failed.items()
    ]
    releases = _releases(github, wanted, settings)
    environments = _environments(wanted.phalanx or github, settings, now.astimezone(UTC).date(), releases)
    return make_board(wanted.repository, now, known, unread, environments, releases)


def board_of_files(paths: Sequence[Path], wanted: BoardOptions) -> Board:
    """Read facts of ``process status --dump-facts`` and a clone, without network access."""
    from consdb_actions.adapters.typed_files import load_config, load_facts
    from consdb_actions.process.board import (
        Environments,
        Releases,
        UnreadablePull,
        drift_of_facts,
        make_board,
        releases_of_facts,
    )
    from consdb_actions.process.facts import ProcessFacts

    settings = load_config(wanted.config)
    known: list[ProcessFacts] = []
    unread: list[UnreadablePull] = []
    first: InputError | None = None
    for path in paths:
        try:
            known.append(load_facts(ProcessFacts, path))
        except InputError as error:
            first = first or error
            unread.append(UnreadablePull(path.name, _cause(error)))
    if first is not None and not known:
        raise first
    now = wanted.now or max(facts.now for facts in known)
    today = now.astimezone(UTC).date()
    found = releases_of_facts(known)
    text = "" if found else "the facts name none"
    web = f"{WEB}/{settings.deploy.consdb}"
    releases = Releases(found[: wanted.count], max(len(found) - wanted.count, 0), web, text)
    if wanted.phalanx is not None:
        environments = _environments(wanted.phalanx, settings, today, releases)
    else:
        drift = drift_of_facts(known, settings.deploy, today)
        text = "" if drift else "the facts do not say; --phalanx reads it from a clone"
        environments = Environments(drift, "the facts of the pull requests" if drift else "", trouble=text)
    repository = wanted.repository or known[0].repository
    return make_board(repository, now, known, unread, environments, releases)


def _releases(github: GitHub, wanted: BoardOptions, settings: Config) -> Releases:
    from consdb_actions.adapters.github.releases import read_releases
    from consdb_actions.process.board import Releases

    try:
        return read_releases(
            github, settings.deploy.consdb, settings.release, settings.ticket_patterns, wanted.count
        )
    except (ExternalError, InputError) as error:
        return Releases(web=f"{WEB}/{settings.deploy.consdb}", trouble=_cause(error))


def _environments(where: Path | GitHub, settings: Config, today: date, releases: Releases) -> Environments:
    from consdb_actions.commands.deployment import look
    from consdb_actions.deploy.model import read_tag
    from consdb_actions.process.board import Environments

    newest = read_tag(releases.items[0].tag) if releases.items else None
    web = f"{WEB}/{settings.deploy.repository}"
    try:
        drift, source = look(where, settings.deploy, None, today, newest)
    except (ExternalError, InputError) as error:
        if isinstance(where, Path):
            raise
        click.echo(f"What runs where could not be read: {error.cause}", err=True)
        return Environments(None, settings.deploy.repository, web, _cause(error))
    # Where a clone lies on this machine is nobody's business.
    shown = f"{settings.deploy.repository} at {source.rpartition(' at ')[2]}" if " at " in source else ""
    return Environments(drift, shown or f"a checkout of {settings.deploy.repository}", web)


def _cause(error: ConsdbActionsError) -> str:
    return " ".join(error.cause.split())[:300]


PAGE, DATA = "index.html", "board.json"


@click.command(
    "board",
    epilog=examples(
        "process board --repo lsst/sdm_schemas --output site",
        "process board --facts facts.json --phalanx ../phalanx --output site",
    ),
)
@option("--repo", metavar="OWNER/NAME", help="Repository of the schemas; GITHUB_REPOSITORY by default.")
@option(
    "--facts",
    "facts",
    type=FILE,
    multiple=True,
    metavar="FILE",
    help="Facts that process status --dump-facts wrote; may be repeated. Nothing is read over the network.",
)
@option("--phalanx", type=FOLDER, help="Clone of the values files; without it they are read over the API.")
@option("--config", type=FILE, help="Configuration to use instead of the one on the base branch.")
@option(
    "--releases", "count", type=click.IntRange(min=1, max=100), default=8, help="Number of releases to show."
)
@option("--now", metavar="ISO", help="Time that the page shows; now, or that of the facts, by default.")
@max_calls_option(4000)
@option("--output", type=FOLDER, required=True, metavar="DIR", help="Folder for index.html and board.json.")
@format_option()
def board_command(
    repo: str | None,
    facts: tuple[Path, ...],
    phalanx: Path | None,
    config: Path | None,
    count: int,
    now: str | None,
    max_calls: int,
    output: Path,
    output_format: str,
) -> int:
    """Write a page that shows the steps of every open change, what runs where, and the content of releases.

    It is one file without a script, which loads nothing: open it, print it, or put it on GitHub Pages. The
    same is written as data beside it. All open pull requests that change a schema are on it, and merged ones
    that process sync still follows. What cannot be read is reported on the page and on standard error; the
    exit code stays 0 if there is something to show. The same facts give the same bytes.
    """
    from consdb_actions.adapters.files import check_targets, write_all
    from consdb_actions.adapters.runner import Runner
    from consdb_actions.forms import as_json
    from consdb_actions.report.board import render_html, render_markdown, render_text

    page, data = output / PAGE, output / DATA
    check_targets([page, data], own_folder=True)
    moment = parse_moment(now, "--now")
    if facts:
        name = repository_name(repo) if repo else ""
        board = board_of_files(facts, BoardOptions(name, moment, config, phalanx, count))
    else:
        wanted = BoardOptions(repository_name(repo), moment, config, phalanx, count)
        if phalanx is not None and not phalanx.is_dir():
            raise InputError("there is no such directory", place=str(phalanx), remedy="Check the path.")
        with github_session(max_calls) as github, github.moment():
            board = board_of_github(github, wanted)
    rendered = as_json(board)
    write_all(
        {page: render_html(board), data: json.dumps(rendered, indent=1, ensure_ascii=False) + "\n"},
        overwrite=True,
    )
    runner = Runner.from_environ(os.environ)
    for item in board.unread:
        text = f"{item.name} could not be looked at: {item.text}"
        click.echo(f"Warning: {text}", err=True)
        runner.annotation("warning", text)
    present(
        output_format,
        rendered,
        lambda: f"{render_text(board)}\nWritten to {page} and {data}",
        render_markdown(board),
        {
            "changes": str(len(board.changes)),
            "attention": str(sum(change.needs_attention for change in board.changes)),
            "unread": str(len(board.unread)),
        },
    )
    return 0


@click.command(
    "efd-sync",
    epilog=examples(
        "process efd-sync --repo lsst/sdm_schemas --consdb-pr 45 --dry-run",
    ),
)
@option("--repo", metavar="OWNER/NAME", help="Repository of the schemas; GITHUB_REPOSITORY by default.")
@option(
    "--consdb-pr",
    type=PullNumber(),
    metavar="N",
    help="Pull request in consdb that changes EFD schemas; by default the newest one that was merged.",
)
@option("--ticket", metavar="KEY", help="The ticket, where the pull request does not name it.")
@option("--config", type=FILE, help="Configuration to use instead of the one on the default branch.")
@option(
    "--reopen", is_flag=True, help="Open a new pull request where the last one was closed without merging."
)
@option("--dry-run", is_flag=True, help="Show the copy without making it.")
@max_calls_option()
@format_option()
def efd_sync_command(
    repo: str | None,
    consdb_pr: int | None,
    ticket: str | None,
    config: Path | None,
    reopen: bool,
    dry_run: bool,
    max_calls: int,
    output_format: str,
) -> int:
    """Copy the schemas of the transformed EFD that differ, from consdb into one pull request per ticket.

    Nothing is removed, and no branch is ever forced: if a copied schema was edited on the branch, the run
    stops and shows the difference. Exit code 0 if the pull request exists, or if nothing differs.
    """
    from consdb_actions.adapters.github.contents import read_config
    from consdb_actions.adapters.github.process import EfdReader
    from consdb_actions.adapters.github.proposals import Proposals
    from consdb_actions.adapters.typed_files import load_config
    from consdb_actions.process.facts import branch_of
    from consdb_actions.proposal import Proposal, ProposalOutcome
    from consdb_actions.report.publication import copy_body, copy_message, copy_title

    repository = repository_name(repo)
    given = load_config(config) if config is not None else None
    with github_session(max_calls) as github:
        base_name = github.default_branch(repository)
        base = github.tip(repository, base_name)
        settings = given or read_config(github, repository, base_name, base)
        if ticket:
            settings.check_ticket(ticket)
        policy = settings.process_policy
        reader = EfdReader(github, policy, repository)
        source, changed = reader.source(consdb_pr, ticket or "")
        copy = reader.copy(source, changed, base)
        if not copy.files:
            return _show_copy(source, copy, ProposalOutcome("nothing"), output_format)
        if not source.ticket:
            raise InputError(
                "no ticket is named", remedy="Give --ticket KEY, or --consdb-pr N for one that names it."
            )
        proposal = Proposal(
            repository=repository,
            base=base_name,
            branch=branch_of(source.ticket),
            files={path: _checked(path, reader.bytes_of(blob)) for path, blob in copy.files.items()},
            message=copy_message(source, copy),
            title=copy_title(source),
            body=copy_body(source, copy),
            labels=policy.efd.labels,
            keep=policy.efd.keep,
            reopen=reopen,
        )
        proposals = Proposals(github)
        if dry_run:
            return _show_copy(
                source, copy, ProposalOutcome(proposals.plan(proposal).action), output_format, done=False
            )
        return _show_copy(source, copy, proposals.publish(proposal), output_format)


def _checked(path: str, data: bytes) -> bytes:
    """Return the bytes of a file after parsing it as a schema."""
    from consdb_actions.adapters.schema_yaml import read_yaml

    try:
        read_yaml(data, source=path)
    except InputError as error:
        raise CheckFailed(
            f"it is not a valid schema, so it is not copied: {error.cause}",
            place=path,
            remedy="Correct it in consdb, and run this again.",
        ) from error
    return data


def _show_copy(
    source: EfdSource, copy: EfdCopy, outcome: ProposalOutcome, output_format: str, *, done: bool = True
) -> int:
    from consdb_actions.report.publication import EfdReport, render_copy_markdown, render_copy_text

    report = EfdReport(source, copy, outcome, done)
    present(
        output_format,
        report,
        lambda: render_copy_text(report),
        render_copy_markdown(report),
        {"action": outcome.action, "number": str(outcome.number or ""), "url": outcome.url},
    )
    return 0
