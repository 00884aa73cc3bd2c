"""Process pull requests until GitHub shows what their facts require."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import click

from consdb_actions.adapters.files import check_targets, read_json, write_all
from consdb_actions.adapters.github import EventTarget, GitHub, GitHubError
from consdb_actions.adapters.github.client import RateLimitError, expected_form
from consdb_actions.adapters.github.pull_requests import (
    PullPublisher,
    open_pulls,
    pulls_of_commit,
    pulls_of_group,
)
from consdb_actions.adapters.runner import Runner
from consdb_actions.adapters.typed_files import load_config, load_facts
from consdb_actions.approval.evaluate import fit
from consdb_actions.approval.facts import Account, PullFacts
from consdb_actions.approval.plan import PullPlan
from consdb_actions.commands.options import github_session, moment_or_now, repository_name
from consdb_actions.commands.terminal import show
from consdb_actions.errors import ConsdbActionsError, ExternalError, InputError
from consdb_actions.forms import as_json

F = TypeVar("F", bound=PullFacts)
F_co = TypeVar("F_co", bound=PullFacts, covariant=True)
D = TypeVar("D")

PASSES = 4  # How often a run looks again whether something changed while it wrote


class Reader(Protocol[F_co]):
    """Reads the facts of a pull request."""

    identity: Account | None

    def followed(self, now: datetime) -> list[int]:
        """List the merged pull requests that are still of interest."""

    def read(self, number: int, now: datetime) -> F_co:
        """Read one pull request."""


@dataclass(frozen=True)
class Flow(Generic[F, D]):
    """What is decided about a pull request, and how it is shown and published."""

    facts: type[F]
    reader: Callable[..., Reader[F]]  # of GitHub, a repository, and a configuration with its source
    decide: Callable[[F], D]
    plan: Callable[[F, D], PullPlan]
    context: str  # of the commit status
    verdict: Callable[[F, D], tuple[str, str]]  # its state and description
    text: Callable[[F, D], str]
    comment: Callable[[F, D], str]
    json: Callable[[F, D], dict[str, Any]]
    after_merge: bool = False  # whether a merged pull request is followed

    def result(self, facts: F) -> PullResult[F, D]:
        """Decide and plan."""
        decision = self.decide(facts)
        return PullResult(facts, decision, self.plan(facts, decision))


@dataclass(frozen=True)
class PullResult(Generic[F, D]):
    """Facts and decision at the end of a run, and what was published for one pull request."""

    facts: F
    decision: D
    plan: PullPlan  # From the first pass
    warnings: tuple[str, ...] = ()  # Failures that do not fail the run


def sync_pull(
    flow: Flow[F, D],
    reader: Reader[F],
    publisher: PullPublisher | None,
    number: int,
    now: datetime,
    seen: Callable[[F, D], None] = lambda facts, decision: None,
) -> PullResult[F, D]:
    """Read, decide and publish, until nothing is left to change (rule A10); each decision is given to `seen`.

    The last of two parallel runs decides.
    """
    warnings: list[str] = []
    first: PullPlan | None = None
    for _ in range(PASSES):
        result = flow.result(reader.read(number, now))
        pull, plan = result.facts.pull, result.plan
        seen(result.facts, result.decision)
        if pull.state != "open" and not (flow.after_merge and pull.merged_at is not None):
            first = PullPlan(number)
            unmerged = " without a merge" if flow.after_merge else ""
            warnings.append(f"pull request {number} is closed{unmerged}; nothing is published")
            break
        plan = publisher.possible(plan) if publisher is not None else plan
        first = first or plan
        if publisher is None or plan.empty:
            break
        publisher.publish(plan, result.facts.identity)
        reader.identity = publisher.identity
    else:
        warnings.append(f"pull request {number} kept changing during the run; the next run continues")
    warnings.extend(publisher.warnings if publisher is not None else ())
    return PullResult(result.facts, result.decision, first or plan, tuple(dict.fromkeys(warnings)))


def configuration(path: Path | None) -> tuple[Any, str] | None:
    """Load a configuration that replaces the one of the base branch."""
    return None if path is None else (load_config(path), str(path))


@contextmanager
def _reader_session(flow: Flow[F, D], options: Mapping[str, Any]) -> Iterator[tuple[GitHub, str, Any]]:
    """Connect to GitHub; return the connection, the repository and a reader."""
    repository = repository_name(options["repo"])
    check_targets([options["dump_facts"]] if options["dump_facts"] else [])
    with github_session(options["max_calls"]) as github:
        yield github, repository, flow.reader(github, repository, configuration(options["config"]))


def target_of(
    event: Path | None, name: str | None, options: Mapping[str, Any], read: Callable[..., EventTarget]
) -> EventTarget:
    """Return the pull request that an option names, those of an event, or all."""
    if options["pr"] is not None:
        return EventTarget(numbers=(options["pr"],))
    if event is None:
        return EventTarget(everything=True)
    name = name or os.environ.get("GITHUB_EVENT_NAME", "")
    return read(read_json(event), name, options["repo"] or "", place=str(event))


def status(flow: Flow[F, D], facts: Path | None, options: Mapping[str, Any]) -> PullResult[F, D]:
    """Decide on the facts of a file, or of GitHub; nothing is changed."""
    if facts is not None:
        return flow.result(load_facts(flow.facts, facts))
    if options["pr"] is None:
        raise InputError("no pull request is given", remedy="Name one with --pr, or give --facts FILE.")
    now = moment_or_now(options["now"])
    with _reader_session(flow, options) as (_, _, reader):
        result = sync_pull(flow, reader, None, options["pr"], now)
    _warn(result)
    return result


def sync(
    flow: Flow[F, D],
    target: EventTarget,
    options: Mapping[str, Any],
    seen: Callable[[F, D], None] = lambda facts, decision: None,
    silent: Callable[[int], None] = lambda number: None,
) -> tuple[list[PullResult[F, D]], list[ConsdbActionsError]]:
    """Process all requested pull requests; return the errors of those that failed, worst first (rule A10).

    `silent` is given the number of a pull request that takes no comment.
    """
    now, dry_run = moment_or_now(options["now"]), options["dry_run"]
    results: list[PullResult[F, D]] = []
    failures: list[ConsdbActionsError] = []
    with _reader_session(flow, {**options, "repo": options["repo"] or target.repository}) as session:
        github, repository, reader = session
        numbers = _numbers(github, repository, target, reader, now)
        for number in numbers:
            publisher = None if dry_run else PullPublisher(github, repository)
            try:
                with expected_form(github.budget):
                    results.append(sync_pull(flow, reader, publisher, number, now, seen))
            except ConsdbActionsError as raised:
                error = _failure(raised, number, alone=len(numbers) == 1)
                failures.append(error)
                # No further call can succeed if the token is refused, or the rate limit is reached.
                if isinstance(error, ExternalError) and (
                    not isinstance(error, GitHubError)
                    or error.status == 401
                    or isinstance(error, RateLimitError)
                ):
                    break
                continue
            if publisher is not None and publisher.silent:
                silent(number)
            _warn(results[-1])
        failures.sort(key=lambda error: error.exit_code, reverse=True)
        if target.group is not None and not dry_run:
            verdicts = [(*flow.verdict(item.facts, item.decision), item.facts.pull.url) for item in results]
            verdicts += [("error", fit((f"Could not be processed: {item.cause}",)), "") for item in failures]
            PullPublisher(github, repository).set_group_status(target.group[1], flow.context, verdicts)
    return results, failures


def _numbers(
    github: GitHub, repository: str, target: EventTarget, reader: Reader[F], now: datetime
) -> Sequence[int]:
    """List the pull requests that are meant: all open and followed ones, unless the target names some."""
    if target.group is not None:
        return pulls_of_group(github, repository, target.group, target.numbers)
    if target.numbers:
        return target.numbers
    if target.commit:
        return pulls_of_commit(github, repository, target.commit)
    return [*open_pulls(github, repository), *reader.followed(now)]


def _warn(result: PullResult[F, D]) -> None:
    for warning in result.warnings:
        click.echo(f"Warning: {warning}", err=True)
        Runner.from_environ(os.environ).annotation("warning", warning)


def _failure(raised: ConsdbActionsError, number: int, *, alone: bool) -> ConsdbActionsError:
    """Report that one of several pull requests could not be processed."""
    if alone:
        return raised
    # Nobody gave these numbers: that one is missing is not a wrong input.
    error = raised.__cause__ if isinstance(raised.__cause__, GitHubError) else raised
    runner = Runner.from_environ(os.environ)
    text = f"Pull request {number} could not be processed: {error.cause}"
    click.echo(runner.inert(text), err=True)
    runner.annotation("error", text)
    return error


def show_results(flow: Flow[F, D], results: Sequence[PullResult[F, D]], options: Mapping[str, Any]) -> Runner:
    """Print the results, write the facts, and tell the runner."""
    if options["dump_facts"] is not None:
        if len(results) != 1:
            raise InputError(
                f"--dump-facts writes one pull request, and there are {len(results)}",
                remedy="Name one with --pr.",
            )
        text = json.dumps(as_json(results[0].facts, sparse=True), indent=1) + "\n"
        write_all({options["dump_facts"]: text}, overwrite=True)
    if options["output_format"] == "json":
        rendered = [flow.json(result.facts, result.decision) for result in results]
        click.echo(json.dumps(rendered[0] if len(rendered) == 1 else rendered, indent=2))
    for result in results:
        if options["output_format"] == "text":
            show(flow.text(result.facts, result.decision))
        elif options["output_format"] == "markdown":
            click.echo(flow.comment(result.facts, result.decision))
        if options.get("dry_run"):
            click.echo("\n".join(f"would {line}" for line in result.plan.lines) or "nothing would change")
    if not results and options["output_format"] == "text":
        click.echo("There is no pull request to process.")
    runner = Runner.from_environ(os.environ)
    runner.output("count", str(len(results)))
    if len(results) == 1:
        state, description = flow.verdict(results[0].facts, results[0].decision)
        runner.output("state", state)
        runner.output("description", description)
    for result in results:
        runner.summary(flow.comment(result.facts, result.decision))
    return runner
