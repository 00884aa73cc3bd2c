"""``consdb-actions migrations publish``."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import click

from consdb_actions.adapters.runner import Runner
from consdb_actions.commands.connection import github_session, repository_name
from consdb_actions.commands.migration_options import asked_for, source_options, target_option
from consdb_actions.commands.options import examples, format_option, option
from consdb_actions.commands.publish_run import Publisher
from consdb_actions.commands.terminal import show
from consdb_actions.errors import InputError
from consdb_actions.publication.plan import Publication
from consdb_actions.publication.source import Inputs
from consdb_actions.report.publication import (
    render_comment,
    render_publication_json,
    render_publication_text,
)

__all__ = ["command"]

_EXIT = {"question": 1, "failed": 1, "error": 1, "conflict": 1}


@click.command(
    name="publish",
    epilog=examples(
        "migrations publish --pr 123 --result result --generated-for 0123abc",
    ),
)
@source_options
@option(
    "--generated-for",
    required=True,
    metavar="SHA",
    help="Commit of the change for which the result was generated.",
)
@option(
    "--result",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder with report.json and the files, or with such folders; without it only withdrawing is done.",
)
@option(
    "--schemas-base",
    default="",
    metavar="SHA",
    help="Commit of the schemas that the change was compared with.",
)
@option(
    "--target-commit",
    default="",
    metavar="SHA",
    help="Commit of the target on which it was generated: with a newer revision nothing is published.",
)
@target_option
@option(
    "--target-label",
    default="migration",
    show_default=True,
    metavar="NAME",
    help="Label of the pull request with the migration.",
)
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
    generated_for: str,
    schemas_base: str,
    target_commit: str,
    result: Path | None,
    target: str,
    target_label: str,
    output_format: str,
) -> int:
    """Open or update the draft pull request with generated migrations, or withdraw it.

    Nothing of the result is run. It must hold revisions of the target's sections that are plain operations,
    and reports that tell of just these. CONSDB_TARGET_TOKEN is the token for the repository of migrations,
    CONSDB_SOURCE_TOKEN the one for the repository of schemas; each is GITHUB_TOKEN where it is not set.
    """
    inputs = Inputs(
        _sha(generated_for, "--generated-for"),
        base=_sha(schemas_base, "--schemas-base") if schemas_base else "",
        target=_sha(target_commit, "--target-commit") if target_commit else "",
    )
    asked = asked_for(pr, branch, commit, event, event_name, regenerate=regenerate)
    runner = Runner.from_environ(os.environ)
    if runner.on_runner and not os.environ.get("CONSDB_TARGET_TOKEN", "").strip():
        # The workflow's own token is good for the repository in which it runs, and starts no checks there.
        raise InputError(
            f"there is no token for {target[:150]}",
            remedy="Give the workflow an app (CONSDB_APP_CLIENT_ID and CONSDB_APP_PRIVATE_KEY) or "
            "CONSDB_TARGET_TOKEN; docs/adopt.md says with which permissions.",
        )
    with (
        github_session(variable="CONSDB_SOURCE_TOKEN") as schemas,
        github_session(variable="CONSDB_TARGET_TOKEN") as migrations,
    ):
        done = Publisher(
            schemas,
            migrations,
            repository_name(repo),
            repository_name(target, option="--target"),
            label,
            target_label,
            _run_url(),
        ).run(asked, inputs, result)
    _show(done, output_format, runner)
    return _EXIT.get(done.state, 0)


def _sha(text: str, place: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{40}", text, re.ASCII):
        raise InputError(
            f"{text[:100]!r} is no commit", place=place, remedy="Give all 40 hexadecimal digits of its SHA."
        )
    return text


def _show(done: Publication, output_format: str, runner: Runner) -> None:
    markdown = render_comment(done)
    if output_format == "json":
        click.echo(json.dumps(render_publication_json(done), indent=2, ensure_ascii=False))
    else:
        text = render_publication_text(done) if output_format == "text" else markdown
        show(runner.inert(text))
    runner.summary(markdown)
    level = "warning" if done.words or done.kept else "notice"
    if done.state in _EXIT:
        level = "error"
    runner.annotation(level, render_publication_text(done), title="Migration")  # type: ignore[arg-type]
    runner.output("state", done.state)
    runner.output("pull-request", str(done.pull.number) if done.pull is not None else "")
    runner.output("url", done.pull.url if done.pull is not None else "")


def _run_url() -> str:
    """Return the page of this run; empty where there is none."""
    server, repository = os.environ.get("GITHUB_SERVER_URL", ""), os.environ.get("GITHUB_REPOSITORY", "")
    run = os.environ.get("GITHUB_RUN_ID", "")
    if not re.fullmatch(r"https://[a-z0-9.-]+", server) or not run.isdigit() or "/" not in repository:
        return ""
    return f"{server}/{repository}/actions/runs/{run}"
