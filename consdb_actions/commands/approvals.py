"""``consdb-actions approvals``: who has approved a schema change, and what is still missing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from consdb_actions.commands.options import PullNumber, examples, format_option, option
from consdb_actions.commands.terminal import show
from consdb_actions.errors import ConsdbActionsError, InputError

if TYPE_CHECKING:
    from consdb_actions.adapters.github import EventTarget
    from consdb_actions.adapters.github.contents import ContentSource
    from consdb_actions.approval.facts import ApprovalFacts
    from consdb_actions.approval.policy import Policy
    from consdb_actions.commands.approvals_run import ApprovalsResult

__all__ = ["group"]


def _common(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that both commands have."""
    options = (
        option("--repo", metavar="OWNER/NAME", help="Repository; GITHUB_REPOSITORY by default."),
        option("--pr", type=PullNumber(), metavar="N", help="Number of the pull request."),
        option(
            "--config",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Configuration to use instead of the one on the base branch.",
        ),
        option("--now", metavar="ISO", help="Time at which designations are evaluated; now by default."),
        option(
            "--sdm-schemas",
            type=click.Path(path_type=Path, file_okay=False),
            help="Clone to read schema files from; without it they are read over the API.",
        ),
        option(
            "--dump-facts",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Write the facts to this file, to replay them with status --facts.",
        ),
        option(
            "--max-calls",
            type=click.IntRange(min=1),
            default=2000,
            show_default=True,
            help="Maximum number of calls to GitHub.",
        ),
        option("--explain", is_flag=True, help="Print the tree of verdicts."),
        format_option(),
    )
    for add in reversed(options):
        command = add(command)
    return command


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
@option(
    "--facts",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Replay facts that --dump-facts wrote; nothing else is read, and no token is needed.",
)
@_common
def status(facts: Path | None, **options: Any) -> int:
    """Show what is approved and what is missing; exit 1 while a role is missing. Nothing is changed."""
    from consdb_actions.adapters.typed_files import load_facts
    from consdb_actions.approval.evaluate import evaluate
    from consdb_actions.approval.facts import ApprovalFacts
    from consdb_actions.commands.approvals_run import ApprovalsResult

    if facts is not None:
        seen = load_facts(ApprovalFacts, facts)
        result = ApprovalsResult.of(seen, evaluate(seen))
    else:
        with _Session(options) as session:
            if options["pr"] is None:
                raise InputError(
                    "no pull request is given", remedy="Name one with --pr, or give --facts FILE."
                )
            result = session.run(options["pr"], dry_run=True)
    _show([result], options)
    return 0 if result.decision.approved else 1


@group.command(
    short_help="Publish status, labels and comment.",
    epilog=examples(
        "approvals sync --repo lsst/sdm_schemas --pr 123 --dry-run",
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
@_common
def sync(event: Path | None, event_name: str | None, dry_run: bool, **options: Any) -> int:
    """Publish the status consdb/approvals, the role labels and the comment.

    All facts are read from GitHub on each run. The exit code is 0 once the state is published, even if
    approvals or steps are missing. Without --pr and --event, all open pull requests are processed.
    """
    from consdb_actions.adapters.files import read_json
    from consdb_actions.adapters.github import EventTarget, target_of_event
    from consdb_actions.report.approvals import render_plan

    target = EventTarget(everything=True)
    if options["pr"] is not None:
        target = EventTarget(numbers=(options["pr"],))
    elif event is not None:
        name = event_name or os.environ.get("GITHUB_EVENT_NAME", "")
        target = target_of_event(read_json(event), name, place=str(event))
    options["repo"] = options["repo"] or target.repository
    with _Session(options) as session:
        results, failures = session.run_all(target, dry_run=dry_run)
        if target.group is not None and not dry_run:
            session.show_group(target.group[1], results, failures)
    _show(results, options)
    if dry_run:
        for result in results:
            click.echo(render_plan(result.plan))
    if failures:
        raise failures[0]
    return 0


class _Session:
    def __init__(self, options: dict[str, Any]) -> None:
        from consdb_actions.adapters.config_file import load_config
        from consdb_actions.adapters.files import check_targets
        from consdb_actions.adapters.github.approvals import Gatherer
        from consdb_actions.adapters.github.contents import ApiContents, CloneContents
        from consdb_actions.adapters.runner import Runner
        from consdb_actions.commands.connection import github_session, moment_or_now, repository_name

        self._repository = repository_name(options["repo"])
        self._now = moment_or_now(options["now"])
        check_targets([options["dump_facts"]] if options["dump_facts"] else [])
        self._runner = Runner.from_environ(os.environ)
        self._session = github_session(options["max_calls"])
        self._github = self._session.__enter__()
        contents: ContentSource = ApiContents(self._github, self._repository)
        if options["sdm_schemas"] is not None:
            contents = CloneContents(options["sdm_schemas"], contents)
        policy = None
        if options["config"] is not None:
            config = load_config(options["config"])
            policy = (config.approvals, str(options["config"]))
        self._gatherer = Gatherer(self._github, self._repository, contents, _read_policy, policy)

    def __enter__(self) -> _Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._session.__exit__(kind, error, trace)

    def numbers(self, target: EventTarget) -> list[int]:
        from consdb_actions.adapters.github.approvals import open_pulls, pulls_of_commit, pulls_of_group

        if target.group is not None:
            return pulls_of_group(self._github, self._repository, target.group, target.numbers)
        if target.numbers:
            return list(target.numbers)
        if target.commit:
            return pulls_of_commit(self._github, self._repository, target.commit)
        return open_pulls(self._github, self._repository)

    def show_group(
        self, sha: str, results: list[ApprovalsResult], failures: list[ConsdbActionsError]
    ) -> None:
        """Publish the status of a group in the merge queue."""
        from consdb_actions.adapters.github.approvals import ApprovalPublisher
        from consdb_actions.approval.evaluate import fit
        from consdb_actions.approval.plan import CONTEXT

        verdicts = [
            (result.decision.state.value, fit((result.decision.description,)), result.facts.pull.url)
            for result in results
        ]
        verdicts += [("error", fit((f"Could not be processed: {error.cause}",)), "") for error in failures]
        ApprovalPublisher(self._github, self._repository).set_group_status(sha, CONTEXT, verdicts)

    def run(self, number: int, *, dry_run: bool) -> ApprovalsResult:
        from consdb_actions.adapters.github.approvals import ApprovalPublisher
        from consdb_actions.commands.approvals_run import sync_pull

        publisher = None if dry_run else ApprovalPublisher(self._github, self._repository)
        result = sync_pull(self._gatherer, publisher, number, self._now)
        for warning in result.warnings:
            click.echo(f"Warning: {warning}", err=True)
            self._runner.annotation("warning", warning)
        return result

    def run_all(
        self, target: EventTarget, *, dry_run: bool
    ) -> tuple[list[ApprovalsResult], list[ConsdbActionsError]]:
        """Process all requested pull requests; a failure does not stop the others."""
        from consdb_actions.commands.connection import look_at_each

        return look_at_each(
            self._github, self.numbers(target), lambda number: self.run(number, dry_run=dry_run)
        )


def _show(results: list[ApprovalsResult], options: dict[str, Any]) -> None:
    from consdb_actions.adapters.runner import Runner
    from consdb_actions.approval.evaluate import ApprovalReport
    from consdb_actions.forms import as_json
    from consdb_actions.report.approvals import render_comment, render_text, render_tree

    if options["dump_facts"] is not None:
        _dump(options["dump_facts"], [result.facts for result in results])
    if options["output_format"] == "json":
        rendered = [as_json(ApprovalReport(result.facts, result.decision)) for result in results]
        click.echo(json.dumps(rendered[0] if len(rendered) == 1 else rendered, indent=2))
    for result in results:
        if options["output_format"] == "text":
            show(render_text(result.facts, result.decision))
        elif options["output_format"] == "markdown":
            click.echo(render_comment(result.facts, result.decision))
        if options["explain"] and options["output_format"] != "json":
            click.echo(render_tree(result.decision))
    if not results and options["output_format"] == "text":
        click.echo("There is no open pull request to process.")
    runner = Runner.from_environ(os.environ)
    runner.output("count", str(len(results)))
    if len(results) == 1:
        runner.output("state", results[0].decision.state.value)
        runner.output("description", results[0].decision.description)
    for result in results:
        runner.summary(render_comment(result.facts, result.decision))


def _dump(path: Path, facts: list[ApprovalFacts]) -> None:
    """Write the facts of one pull request; a file holds one."""
    from consdb_actions.adapters.files import write_all
    from consdb_actions.forms import as_json

    if len(facts) != 1:
        raise InputError(
            f"--dump-facts writes one pull request, and there are {len(facts)}", remedy="Name one with --pr."
        )
    write_all({path: json.dumps(as_json(facts[0], sparse=True), indent=1) + "\n"}, overwrite=True)


def _read_policy(data: bytes | None, place: str) -> Policy:
    from consdb_actions.adapters.config_file import parse_config
    from consdb_actions.approval.policy import DEFAULT_POLICY

    if data is None:
        return DEFAULT_POLICY
    return parse_config(data, source=place).approvals
