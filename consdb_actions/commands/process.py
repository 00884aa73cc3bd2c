"""``consdb-actions process``: steps of schema changes, and what to do next."""

from __future__ import annotations

import json
import os
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consdb_actions.commands.options import LazyGroup, event_options, examples, facts_option, pull_options

if TYPE_CHECKING:
    from consdb_actions.adapters.runner import Runner
    from consdb_actions.commands.pull_requests import Flow
    from consdb_actions.process.facts import ProcessFacts
    from consdb_actions.process.plan import Progress

SUBCOMMANDS = {
    "status": "Show the steps of a schema change.",
    "sync": "Publish the steps of schema changes: comment, status, reactions.",
    "runbook": "Write the runbook of one migration.",
    "rehearse": "Execute a runbook on two replicating databases.",
    "board": "Write a page of all changes and environments.",
    "efd-sync": "Copy changed EFD schemas from consdb into a pull request.",
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


@click.group(name="process", cls=LazyGroup, listed=SUBCOMMANDS, prefix="process_")
def group() -> None:
    """Show the steps of schema changes, and what to do next.

    The policy is the section "process" of .github/consdb-actions.yaml on the pull request's base branch. The
    token is taken from GITHUB_TOKEN, the server from GITHUB_API_URL.
    """


@group.command(
    short_help="Show the steps of a schema change.",
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


@group.command(
    short_help="Publish the steps of schema changes.",
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
