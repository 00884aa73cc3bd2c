"""``consdb-actions process sync``: publish the steps of schema changes."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consdb_actions.commands.options import examples, option
from consdb_actions.commands.process_options import common
from consdb_actions.errors import ConsdbActionsError

if TYPE_CHECKING:
    from consdb_actions.adapters.github import EventTarget, GitHub
    from consdb_actions.adapters.github.process import ProcessGatherer
    from consdb_actions.adapters.runner import Runner
    from consdb_actions.commands.process_run import ProcessResult

__all__ = ["command"]


@click.command(
    "sync",
    short_help="Publish the steps of schema changes.",
    epilog=examples(
        "process sync --repo lsst/sdm_schemas --pr 123 --dry-run",
        "process sync --repo lsst/sdm_schemas",
    ),
)
@option(
    "--event",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Payload of the event that started the workflow (GITHUB_EVENT_PATH), which selects the pull "
    "requests.",
)
@option("--event-name", help="Name of that event; GITHUB_EVENT_NAME by default.")
@option("--dry-run", is_flag=True, help="Print the changes without making them.")
@common
def command(event: Path | None, event_name: str | None, dry_run: bool, **options: Any) -> int:
    """Publish the comment, the status consdb/ready-to-merge, and reactions to commands.

    All facts are read from GitHub on each run. The exit code is 0 once the state is published, even if
    approvals or steps are missing. Without --pr and --event, all open pull requests are processed, and merged
    ones with steps to do.
    """
    from consdb_actions.adapters.files import check_targets, read_json
    from consdb_actions.adapters.github import EventTarget
    from consdb_actions.adapters.github.events import process_target
    from consdb_actions.adapters.github.process import ProcessPublisher
    from consdb_actions.approval.evaluate import fit
    from consdb_actions.commands.connection import github_session, moment_or_now, repository_name
    from consdb_actions.commands.process_run import make_gatherer, show_results
    from consdb_actions.process.plan import CONTEXT
    from consdb_actions.process.summary import readiness
    from consdb_actions.report.process import render_plan

    target = EventTarget(everything=True)
    if options["pr"] is not None:
        target = EventTarget(numbers=(options["pr"],))
    elif event is not None:
        name = event_name or os.environ.get("GITHUB_EVENT_NAME", "")
        target = process_target(read_json(event), name, options["repo"] or "", place=str(event))
    repository = repository_name(options["repo"] or target.repository)
    now = moment_or_now(options["now"])
    check_targets([options["dump_facts"]] if options["dump_facts"] else [])
    with github_session(options["max_calls"]) as github:
        gatherer = make_gatherer(github, repository, config=options["config"], clone=options["sdm_schemas"])
        numbers = _numbers(github, repository, target, now, gatherer)
        results, failures = _run(github, repository, numbers, now, dry_run, gatherer)
        if target.group is not None and not dry_run:
            found = [(readiness(item.facts, item.progress), item.facts.pull.url) for item in results]
            verdicts = [(verdict.state, verdict.description, url) for verdict, url in found]
            verdicts += [
                ("error", fit((f"Could not be processed: {error.cause}",)), "") for error in failures
            ]
            ProcessPublisher(github, repository).set_group_status(target.group[1], CONTEXT, verdicts)
    show_results(results, options)
    if dry_run:
        for result in results:
            click.echo(render_plan(result.plan))
    if failures:
        raise failures[0]
    return 0


def _numbers(
    github: GitHub, repository: str, target: EventTarget, now: datetime, gatherer: ProcessGatherer
) -> list[int]:
    from consdb_actions.adapters.github.approvals import open_pulls, pulls_of_commit, pulls_of_group
    from consdb_actions.adapters.github.events import followed_pulls

    if target.group is not None:
        return pulls_of_group(github, repository, target.group, target.numbers)
    if target.numbers:
        return list(target.numbers)
    if target.commit:
        return pulls_of_commit(github, repository, target.commit)
    days = gatherer.follow_days()
    return [*open_pulls(github, repository), *followed_pulls(github, repository, now - timedelta(days=days))]


def _run(
    github: GitHub,
    repository: str,
    numbers: Sequence[int],
    now: datetime,
    dry_run: bool,
    gatherer: ProcessGatherer,
) -> tuple[list[ProcessResult], list[ConsdbActionsError]]:
    from consdb_actions.adapters.github.process import ProcessPublisher
    from consdb_actions.adapters.runner import Runner
    from consdb_actions.commands.connection import look_at_each
    from consdb_actions.commands.process_run import sync_pull

    runner = Runner.from_environ(os.environ)
    requests = _Requests(runner)

    def look(number: int) -> ProcessResult:
        publisher = None if dry_run else ProcessPublisher(github, repository)
        result = sync_pull(gatherer, publisher, number, now, requests.add)
        if publisher is not None and publisher.silent:
            requests.drop(number)  # What cannot be remembered would be done in every run.
        for warning in result.warnings:
            click.echo(f"Warning: {warning}", err=True)
            runner.annotation("warning", warning)
        return result

    return look_at_each(github, numbers, look)


class _Requests:
    """Requested migrations, passed to the workflow as soon as they are known."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._heads: dict[int, str] = {}
        self._tell()

    def add(self, result: ProcessResult) -> None:
        self._heads[result.facts.pull.number] = result.facts.pull.head
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
