"""``consdb-actions approvals``: who has approved a schema change, and what is still missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consdb_actions.commands.options import event_options, examples, facts_option, option, pull_options

if TYPE_CHECKING:
    from consdb_actions.approval.evaluate import Decision
    from consdb_actions.approval.facts import ApprovalFacts
    from consdb_actions.commands.pull_requests import Flow, PullResult


def approvals_flow() -> Flow[ApprovalFacts, Decision]:
    """Return how approvals are decided, shown and published."""
    from consdb_actions.adapters.github.pull_requests import ApprovalReader
    from consdb_actions.approval.evaluate import ApprovalReport, evaluate, fit
    from consdb_actions.approval.facts import ApprovalFacts
    from consdb_actions.approval.plan import CONTEXT, make_plan
    from consdb_actions.commands.pull_requests import Flow
    from consdb_actions.forms import as_json
    from consdb_actions.report.approvals import render_comment, render_text

    return Flow(
        facts=ApprovalFacts,
        reader=ApprovalReader,
        decide=evaluate,
        plan=lambda facts, decision: make_plan(facts, decision, render_comment(facts, decision)),
        context=CONTEXT,
        verdict=lambda facts, decision: (decision.state.value, fit((decision.description,))),
        text=render_text,
        comment=render_comment,
        json=lambda facts, decision: as_json(ApprovalReport(facts, decision)),
    )


@click.group()
def group() -> None:
    """Show and publish who has approved a schema change.

    The policy is the section "approvals" of .github/consdb-actions.yaml on the pull request's base branch.
    The token is taken from GITHUB_TOKEN, the server from GITHUB_API_URL.
    """


@group.command(
    short_help="Show what is approved and what is missing.",
    epilog=examples(
        "approvals status --repo lsst/sdm_schemas --pr 123",
        "approvals status --facts facts.json --explain",
    ),
)
@facts_option
@pull_options
@option("--explain", is_flag=True, help="Print the tree of verdicts.")
def status(facts: Path | None, **options: Any) -> int:
    """Show what is approved and what is missing; exit 1 while a role is missing. Nothing is changed."""
    from consdb_actions.commands import pull_requests

    result = pull_requests.status(approvals_flow(), facts, options)
    _show([result], options)
    return 0 if result.decision.approved else 1


@group.command(
    short_help="Publish status, labels and comment.",
    epilog=examples(
        "approvals sync --repo lsst/sdm_schemas --pr 123 --dry-run",
    ),
)
@event_options
@pull_options
@option("--explain", is_flag=True, help="Print the tree of verdicts.")
def sync(event: Path | None, event_name: str | None, **options: Any) -> int:
    """Publish the status consdb/approvals, the role labels and the comment.

    All facts are read from GitHub on each run. The exit code is 0 once the state is published, even if
    approvals or steps are missing. Without --pr and --event, all open pull requests are processed.
    """
    from consdb_actions.adapters.github import target_of_event
    from consdb_actions.commands import pull_requests

    target = pull_requests.target_of(
        event,
        event_name,
        options,
        lambda payload, name, _, place: target_of_event(payload, name, place=place),
    )
    results, failures = pull_requests.sync(approvals_flow(), target, options)
    _show(results, options)
    if failures:
        raise failures[0]
    return 0


def _show(results: Sequence[PullResult[ApprovalFacts, Decision]], options: dict[str, Any]) -> None:
    from consdb_actions.commands.pull_requests import show_results
    from consdb_actions.report.approvals import render_tree

    show_results(approvals_flow(), results, options)
    if options["explain"] and options["output_format"] != "json":
        for result in results:
            click.echo(render_tree(result.decision))
