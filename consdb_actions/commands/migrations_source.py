"""``consdb-actions migrations source``."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click

from consdb_actions.commands.options import examples, format_option, option
from consdb_actions.commands.terminal import present
from consdb_actions.errors import InputError
from consdb_actions.forms import Public, as_json
from consdb_actions.publication.source import RequestAction

if TYPE_CHECKING:
    from consdb_actions.adapters.github import GitHub
    from consdb_actions.publication.source import RequestedMigration, SchemaSource

LABEL = "consdb: migrate"
SOURCE = "lsst/sdm_schemas"
TARGET = "lsst-dm/consdb"


def source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that select a schema change."""
    options = (
        option(
            "--repo",
            metavar="OWNER/NAME",
            default=SOURCE,
            show_default=True,
            help="Repository of the schemas.",
        ),
        option("--pr", metavar="N", help="Number of its pull request."),
        option("--branch", metavar="NAME", help="Branch of it, where there is no pull request."),
        option("--commit", metavar="SHA", help="Newest commit of that branch or pull request."),
        option(
            "--event",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Payload of the event that started the workflow (GITHUB_EVENT_PATH), instead of these.",
        ),
        option("--event-name", metavar="NAME", help="Name of that event; GITHUB_EVENT_NAME by default."),
        option(
            "--label",
            default=LABEL,
            show_default=True,
            metavar="NAME",
            help="Label that requests a migration.",
        ),
        option(
            "--regenerate",
            is_flag=True,
            help="Regenerate it because its inputs changed; closed pull requests stay closed.",
        ),
    )
    for add in reversed(options):
        command = add(command)
    return command


def target_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option that names the repository of migrations."""
    return option(
        "--target",
        default=TARGET,
        show_default=True,
        metavar="OWNER/NAME",
        help="Repository of the migrations.",
    )(command)


def asked_for(
    number: str | None,
    branch: str | None,
    commit: str | None,
    event: Path | None,
    event_name: str | None,
    *,
    regenerate: bool = False,
) -> RequestedMigration:
    """Read the request from options, or else from an event."""
    from consdb_actions.adapters.files import read_json
    from consdb_actions.adapters.github.events import asked, asked_of_event
    from consdb_actions.publication.source import REGENERATE

    if number or branch:
        found = asked(number, branch, commit, place="--pr" if number else "--branch")
        return replace(found, action=REGENERATE) if regenerate else found
    if event is None:
        raise InputError(
            "no schema change is given",
            remedy="Give --pr, or --branch with --commit, or --event.",
        )
    name = event_name or os.environ.get("GITHUB_EVENT_NAME", "")
    payload = read_json(event)
    return asked_of_event(payload, name, place=str(event))


_DIRECTIVE = re.compile(r"[^\n]*\bconsdb:[^\n]{0,500}", re.IGNORECASE)
MAX_DIRECTIVES = 200


@dataclass(frozen=True)
class SourceReport(Public):
    """The schema change of an event; what is for another action is empty."""

    FORMAT: ClassVar[str] = "consdb-actions/migration-source/1"

    action: RequestAction
    reason: str  # as a sentence
    publish: bool  # whether the result may be published; that of a fork's event may not
    repository: str  # of the schemas
    source: str  # owner/name#12, or owner/name@branch
    commit: str  # newest commit of the change
    ticket: str = ""
    message: str = ""  # of the revisions
    merge: str = ""  # commit of the schemas after the change, merged into its base branch
    base: str = ""  # commit of the schemas before the change
    target: str = ""  # newest commit of the target's default branch
    date: str = ""  # of the newest commit
    directives: str = ""  # lines of the pull request's text, and answers in its comments


@click.command(
    name="source",
    epilog=examples(
        "migrations source --pr 123",
        "migrations source --branch tickets/DM-12345 --commit 0123abc",
    ),
)
@source_options
@target_option
@format_option()
def command(
    repo: str | None,
    pr: str | None,
    branch: str | None,
    commit: str | None,
    event: Path | None,
    event_name: str | None,
    label: str,
    regenerate: bool,
    target: str,
    output_format: str,
) -> int:
    """Determine the schema change of an event, and the requested action. Nothing is changed.

    On a runner these are outputs of the step: action (generate, withdraw, conflict, held or nothing),
    publish, repository and commit. For generate there are also merge and base (the commits of the schemas to
    compare), target (the commit of the migrations to generate on), message, date and directives. The exit
    code is 1 for a conflict that no publishing job will report.
    """
    from consdb_actions.adapters.github.migration_source import (
        config_of,
        date_of,
        read_answers_on,
        read_inputs,
        read_source,
        read_stack,
    )
    from consdb_actions.adapters.runner import Runner
    from consdb_actions.commands.connection import github_session, repository_name
    from consdb_actions.publication.source import Inputs, decide_request, name_migration
    from consdb_actions.report.publication import render_request_markdown

    asked = asked_for(pr, branch, commit, event, event_name, regenerate=regenerate)
    with github_session(variable="CONSDB_SOURCE_TOKEN") as github:
        source = read_source(github, repository_name(repo), asked)
        request = decide_request(asked, source, label, read_stack(github, source, label).holder)
        inputs = read_inputs(github, source) if request.action == "generate" else Inputs(source.commit)
        if inputs.conflict:
            request = replace(request, action="conflict", reason=inputs.conflict)
        title = source.pull.title if source.pull else ""
        report = SourceReport(
            request.action,
            request.reason,
            request.publish,
            source.repository,
            source.reference,
            source.commit,
        )
        if request.action in ("generate", "conflict"):
            report = replace(report, target=_tip(github, repository_name(target, option="--target")))
        if request.action == "generate":
            patterns = config_of(github, source).ticket_patterns
            names = name_migration(source.branch, title, patterns, place=source.reference)
            report = replace(
                report,
                ticket=names.ticket,
                message=names.message,
                merge=inputs.merge,
                base=inputs.base,
                date=date_of(github, source),
                directives=_directives(source, read_answers_on(github, source)),
            )
    words = f"{source.reference} at {source.commit[:12]}: {request.action}. {request.reason}"
    outputs = {
        name: str(value).lower() if isinstance(value, bool) else value for name, value in vars(report).items()
    }
    markdown = render_request_markdown(request.reason)
    present(output_format, lambda: words, lambda: as_json(report), markdown, outputs)
    runner = Runner.from_environ(os.environ)
    runner.annotation("notice", request.reason, title=f"Migration: {request.action}")
    return 1 if request.action == "conflict" and not request.publish else 0


def _tip(github: GitHub, repository: str) -> str:
    from consdb_actions.adapters.github.migration_source import TargetRepository

    target = TargetRepository(github, repository)
    return target.tip(target.default_branch())


def _directives(source: SchemaSource, answers: Sequence[str]) -> str:
    """Return the ``consdb:`` lines of a pull request's text, and the answers in comments."""
    found = _DIRECTIVE.findall(source.pull.body if source.pull else "")
    lines = [line.strip() for line in found[:MAX_DIRECTIVES]]
    return "\n".join([*lines, *(f"consdb: {answer}" for answer in answers)])
