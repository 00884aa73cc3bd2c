"""``consdb-actions release``: show the next version, and tag it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from consdb_actions.commands.options import (
    FILE,
    commit_id,
    examples,
    format_option,
    github_session,
    moment_or_now,
    option,
    registry_option,
    repository_name,
)
from consdb_actions.commands.terminal import present
from consdb_actions.errors import ExternalError, InputError

if TYPE_CHECKING:
    from consdb_actions.adapters.github import Clock
    from consdb_actions.adapters.github.releases import Releaser, ReleaseReader
    from consdb_actions.adapters.registry import ImageManifest, Registry
    from consdb_actions.config import Config
    from consdb_actions.release.versions import ReleasePolicy
    from consdb_actions.report.release import ReleaseOutcome


AGAIN = 3  # How often the tags are read again when one of the same name has appeared (rule R2)
ACTIONS = "github-actions[bot]"
BETWEEN_LOOKS = 15.0  # Seconds between two looks for the images


def make_release(
    reader: ReleaseReader,
    releaser: Releaser | None,
    repository: str,
    policy: ReleasePolicy,
    tickets: Sequence[str],
    now: datetime,
    commit: str | None = None,
    expected: str | None = None,
) -> ReleaseOutcome:
    """Tag a commit, by default the newest, and make the GitHub release, unless they exist."""
    from consdb_actions.adapters.github.releases import MARK, TagTakenError
    from consdb_actions.release.notes import arrange
    from consdb_actions.release.versions import decide
    from consdb_actions.report.release import ReleaseOutcome, render_message, render_notes

    for left in reversed(range(AGAIN + 1)):
        plan = decide(reader.facts(commit, now), policy, expected)
        plan.check()
        notes = arrange(reader.contents(plan.previous, plan.commit, policy), tickets)
        message = render_message(notes, repository.partition("/")[2], plan.tag, MARK)
        markdown = render_notes(notes, plan.tag, reader.html_url, policy.images)
        created = False
        if releaser is not None and plan.action == "create":
            try:
                releaser.tag(plan.tag, plan.commit, message, now)
            except TagTakenError:
                if not left:
                    raise
                continue
            created = True
        break
    url, released = f"{reader.html_url}/releases/tag/{plan.tag}", False
    warnings = list(plan.remarks)
    if releaser is not None and plan.action != "nothing":
        url, released = releaser.release(plan.tag, markdown)
        if created and policy.images and releaser.identity() == ACTIONS:
            warnings.append(
                "the tag was made with the workflow's own token, for which GitHub starts no workflow: "
                "if the images are built on new tags, start that build by hand, or use the token of an app"
            )
    dry_run = releaser is None
    return ReleaseOutcome(
        repository, plan, created, released, dry_run, url, notes, message, markdown, tuple(warnings)
    )


def wait_for_images(
    registry: Registry,
    images: Sequence[str],
    tag: str,
    seconds: float,
    clock: Clock,
) -> Mapping[str, ImageManifest | None]:
    """Look up images until all exist, or until the time-out."""
    found: dict[str, ImageManifest | None] = dict.fromkeys(images)
    start = clock.time()
    while True:
        for image in images:
            if found[image] is None and (there := registry.find(image, tag)) is not None:
                found[image] = there
                click.echo(f"{image}:{tag} is there, {there.digest[:19]}", err=True)
        missing = [image for image, there in found.items() if there is None]
        waited = clock.time() - start
        if not missing or waited >= seconds:
            return found
        click.echo(f"after {waited:.0f} of {seconds:.0f} s: waiting for {', '.join(missing)}", err=True)
        clock.sleep(min(BETWEEN_LOOKS, seconds - waited))


@click.group()
def group() -> None:
    """Name and tag releases.

    The policy is the section "release" of .github/consdb-actions.yaml on the repository's default branch.
    The token is taken from GITHUB_TOKEN, the server from GITHUB_API_URL.
    """


_repo = option("--repo", metavar="OWNER/NAME", help="Repository; GITHUB_REPOSITORY by default.")
_config = option("--config", type=FILE, help="Configuration to use instead of the one on the default branch.")
_now = option("--now", metavar="ISO", help="Time of tagging; now by default. Only its month in UTC matters.")


@group.command("next", short_help="Show the next version.", epilog=examples("release next --git ."))
@_repo
@option(
    "--git",
    "git_dir",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Clone to read the tags from; no token is needed.",
)
@_config
@_now
@format_option()
def next_command(
    repo: str | None, git_dir: Path | None, config: Path | None, now: str | None, output_format: str
) -> int:
    """Show the next calendar version, YY.M.N, from the existing tags. Nothing is changed.

    The version alone goes to standard output, for scripts; the reason goes to standard error.
    """
    from consdb_actions.adapters.github.releases import ReleaseReader
    from consdb_actions.release.versions import next_version
    from consdb_actions.report.release import next_markdown

    moment = moment_or_now(now)
    if git_dir is not None:
        source, (names, settings) = str(git_dir), _of_clone(git_dir, config)
    else:
        source = repository_name(repo)
        with github_session() as github:
            reader = ReleaseReader(github, source)
            settings = _settings(reader, config)
            names = [tag.name for tag in reader.tags()]
    policy = settings.release
    found = replace(next_version(names, moment, padded=policy.padded, skip=policy.skip), source=source)
    present(
        output_format,
        found,
        lambda: str(found.version),
        next_markdown(found),
        {"version": str(found.version)},
    )
    if output_format == "text":
        click.echo(found.reason, err=True)
    return 0


@group.command(
    "tag",
    short_help="Tag a release.",
    epilog=examples(
        "release tag --repo lsst-dm/consdb --dry-run",
        "release tag --repo lsst-dm/consdb --tag 26.7.1",
    ),
)
@_repo
@option("--commit", metavar="SHA", help="Commit to tag; the newest of the default branch by default.")
@option("--tag", "expected", metavar="TAG", help="Expected tag; stop if the next version is different.")
@_config
@_now
@option("--dry-run", is_flag=True, help="Show the tag and its texts without creating them.")
@option(
    "--wait-images",
    type=click.IntRange(min=0, max=21600),
    metavar="SECONDS",
    help="Seconds to wait for the images of the tag; 0 checks once.",
)
@registry_option
@format_option()
def tag_command(
    repo: str | None,
    commit: str | None,
    expected: str | None,
    config: Path | None,
    now: str | None,
    dry_run: bool,
    wait_images: int | None,
    registry_url: str | None,
    output_format: str,
) -> int:
    """Tag a commit of the default branch with the next version, and make the GitHub release.

    The tag is annotated: its message lists the pull requests, tickets and migrations since the last release.
    All checks of the commit must be green. A tagged commit is not tagged again, so the command can be
    repeated after any failure. Tags are never moved.
    """
    from consdb_actions.adapters.github.client import SYSTEM_CLOCK
    from consdb_actions.adapters.github.releases import Releaser, ReleaseReader
    from consdb_actions.adapters.registry import Registry

    if commit is not None:
        commit_id(commit, "--commit")
    repository, moment = repository_name(repo), moment_or_now(now)
    with github_session() as github, Registry(registry_url) as registry:
        reader = ReleaseReader(github, repository, run=os.environ.get("GITHUB_RUN_ID", ""))
        settings = _settings(reader, config)
        policy = settings.release
        releaser = None if dry_run else Releaser(github, repository)
        tickets = settings.ticket_patterns
        outcome = make_release(reader, releaser, repository, policy, tickets, moment, commit, expected)
        found: Mapping[str, ImageManifest | None] | None = None
        failure: ExternalError | None = None
        if wait_images is not None and not dry_run:
            try:
                found = wait_for_images(registry, policy.images, outcome.plan.tag, wait_images, SYSTEM_CLOCK)
            except ExternalError as error:
                failure = error
    _show(outcome, found, output_format)
    if failure is not None:
        raise failure
    missing = [f"{name}:{outcome.plan.tag}" for name, there in (found or {}).items() if there is None]
    if missing:
        raise ExternalError(
            f"missing after {wait_images} s: {', '.join(missing)}",
            place="registry",
            remedy=f"The tag {outcome.plan.tag} exists. Check why its images are not built, and run the "
            f"command again.",
        )
    return 0


def _settings(reader: ReleaseReader, config: Path | None) -> Config:
    from consdb_actions.adapters.typed_files import load_config

    return reader.config() if config is None else load_config(config)


def _of_clone(git_dir: Path, config: Path | None) -> tuple[list[str], Config]:
    """Read the tags of a clone, and its configuration at HEAD."""
    from consdb_actions.adapters.git_read import GitReader
    from consdb_actions.adapters.typed_files import load_config, parse_config
    from consdb_actions.config import CONFIG_PATH, DEFAULT_CONFIG

    reader = GitReader(git_dir)
    try:
        head = reader.commit("HEAD")
    except InputError as error:
        remedy = "Give --git the folder of a clone that has the tags."
        raise InputError(error.cause, place=str(git_dir), remedy=remedy) from error
    names = reader.tags()
    if config is not None:
        return names, load_config(config)
    files = {path: blob for path, blob in reader.files(head, [CONFIG_PATH]).items() if path == CONFIG_PATH}
    for data in reader.read(files, limit=1_000_000).values():
        return names, parse_config(data, source=f"{CONFIG_PATH} at {head[:12]}")
    return names, DEFAULT_CONFIG


def _show(
    outcome: ReleaseOutcome, found: Mapping[str, ImageManifest | None] | None, output_format: str
) -> None:
    from consdb_actions.adapters.runner import Runner
    from consdb_actions.report.release import release_markdown, release_text

    plan, runner = outcome.plan, Runner.from_environ(os.environ)
    if found is not None:
        digests = {name: there.digest if there is not None else None for name, there in found.items()}
        outcome = replace(outcome, images=digests)
    present(
        output_format,
        outcome,
        lambda: release_text(outcome),
        release_markdown(outcome),
        {
            "tag": plan.tag,
            "sha": plan.commit,
            "created": "true" if outcome.created else "false",
            "url": outcome.url,
        },
    )
    for warning in outcome.warnings:
        click.echo(f"Warning: {warning}", err=True)
        runner.annotation("warning", warning)
