"""Process the steps of one pull request until GitHub shows what its facts require."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from consdb_actions.adapters.config_file import load_config, parse_config
from consdb_actions.adapters.files import write_all
from consdb_actions.adapters.github import GitHub
from consdb_actions.adapters.github.approvals import Gatherer
from consdb_actions.adapters.github.contents import ApiContents, CloneContents, ContentSource
from consdb_actions.adapters.github.process import ProcessGatherer, ProcessPublisher
from consdb_actions.adapters.github.process_facts import Settings
from consdb_actions.adapters.runner import Runner
from consdb_actions.approval.policy import Policy
from consdb_actions.commands.terminal import show
from consdb_actions.config import DEFAULT_CONFIG, Config
from consdb_actions.errors import InputError
from consdb_actions.forms import as_json
from consdb_actions.process.facts import ProcessFacts
from consdb_actions.process.plan import CommentRequests, ProcessPlan, ProcessReport, make_plan, requests_of
from consdb_actions.process.states import Progress, progress_of
from consdb_actions.process.summary import readiness
from consdb_actions.report.process import render_comment, render_text
from consdb_actions.schema.findings import ViewOf

__all__ = ["ProcessResult", "make_gatherer", "settings_of", "show_results", "sync_pull"]

PASSES = 4  # How often a run looks again whether something changed while it wrote


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """Facts and progress at the end of a run, and what was published for one pull request."""

    facts: ProcessFacts
    progress: Progress
    plan: ProcessPlan  # From the first pass
    requests: CommentRequests  # Requests in comments for the next migration
    warnings: tuple[str, ...] = ()  # Failures that do not fail the run

    @classmethod
    def of(cls, facts: ProcessFacts) -> ProcessResult:
        """Derive progress from facts, and plan."""
        progress = progress_of(facts)
        plan = make_plan(facts, progress, render_comment(facts, progress))
        return cls(facts, progress, plan, requests_of(facts, progress))


def settings_of(config: Config) -> Settings:
    """Read the settings of the process from the configuration."""
    views = {view.name: ViewOf(view.table, dict(view.rename)) for view in config.views}
    sites = config.sites
    return Settings(config.process_policy, views, sites.sources, sites.checklists, config.severities)


def make_gatherer(
    github: GitHub, repository: str, *, config: Path | None = None, clone: Path | None = None
) -> ProcessGatherer:
    """Create the reader of facts."""
    contents: ContentSource = ApiContents(github, repository)
    if clone is not None:
        contents = CloneContents(clone, contents)
    policy, settings = None, None
    if config is not None:
        given = load_config(config)
        policy = (given.approvals, str(config))
        settings = (settings_of(given), str(config))
    approvals = Gatherer(github, repository, contents, _approval_policy, policy)
    return ProcessGatherer(github, repository, contents, approvals, _settings, settings)


def sync_pull(
    gatherer: ProcessGatherer,
    publisher: ProcessPublisher | None,
    number: int,
    now: datetime,
    request: Callable[[ProcessResult], None] = lambda result: None,
) -> ProcessResult:
    """Gather, decide and publish, until nothing is left to change: the last of two parallel runs decides."""
    warnings: list[str] = []
    first: ProcessResult | None = None
    regenerate = False
    for _ in range(PASSES):
        result = ProcessResult.of(gatherer.gather(number, now))
        first = first or result
        if result.requests.regenerate and result.facts.pull.state == "open":
            regenerate = True
            request(result)
        if result.facts.pull.state != "open" and result.facts.pull.merged_at is None:
            warnings.append(f"pull request {number} is closed without a merge; nothing is published")
            break
        plan = result.plan
        if publisher is not None and publisher.silent:
            plan = ProcessPlan(plan.number, plan.status)
        if publisher is None or plan.empty:
            break
        publisher.publish(plan, result.facts.identity)
        gatherer.identity = publisher.identity
    else:
        warnings.append(f"pull request {number} kept changing during the run; the next run continues")
    warnings.extend(publisher.warnings if publisher is not None else ())
    asked = first or result
    requests = CommentRequests(result.requests.answers, regenerate)
    return ProcessResult(result.facts, result.progress, asked.plan, requests, tuple(warnings))


def show_results(results: Sequence[ProcessResult], options: Mapping[str, Any]) -> None:
    """Print the results, write the facts, and tell the runner."""
    if options["dump_facts"] is not None:
        if len(results) != 1:
            raise InputError(
                f"--dump-facts writes one pull request, and there are {len(results)}",
                remedy="Name one with --pr.",
            )
        text = json.dumps(as_json(results[0].facts, sparse=True), indent=1) + "\n"
        write_all({options["dump_facts"]: text}, overwrite=True)
    rendered = [as_json(ProcessReport(result.facts, result.progress)) for result in results]
    if options["output_format"] == "json":
        click.echo(json.dumps(rendered[0] if len(rendered) == 1 else rendered, indent=2))
    for result in results:
        if options["output_format"] == "text":
            show(render_text(result.facts, result.progress))
        elif options["output_format"] == "markdown":
            click.echo(render_comment(result.facts, result.progress))
    if not results and options["output_format"] == "text":
        click.echo("There is no pull request to process.")
    runner = Runner.from_environ(os.environ)
    runner.output("count", str(len(results)))
    if len(results) == 1:
        verdict = readiness(results[0].facts, results[0].progress)
        runner.output("state", verdict.state)
        runner.output("description", verdict.description)
        runner.output("next", " ".join(item.step.id for item in results[0].progress.actionable))
    for result in results:
        runner.summary(render_comment(result.facts, result.progress))


def _approval_policy(data: bytes | None, place: str) -> Policy:
    """Make the policy of the approvals of the base branch's configuration file."""
    if data is None:
        return DEFAULT_CONFIG.approvals
    return parse_config(data, source=place).approvals


def _settings(data: bytes | None, place: str) -> Settings:
    if data is None:
        return settings_of(DEFAULT_CONFIG)
    return settings_of(parse_config(data, source=place))
