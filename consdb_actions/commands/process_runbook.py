"""Write the runbook of a migration."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from consdb_actions.commands.options import examples, format_option, option
from consdb_actions.commands.terminal import progress_display, show
from consdb_actions.errors import InputError

if TYPE_CHECKING:
    from consdb_actions.adapters.postgres_server import StartingServer
    from consdb_actions.adapters.revision_path import RevisionRange
    from consdb_actions.adapters.tree import Section, Tree
    from consdb_actions.config import Config
    from consdb_actions.process.runbook_change import SectionChange
    from consdb_actions.process.runbook_steps import Runbook
    from consdb_actions.process.sites import Sites

__all__ = ["chosen_changes", "command", "load_sites", "prepare_runbook"]

_RELEASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}", re.ASCII)


def load_sites(config: Path | None) -> tuple[Config, Sites]:
    """Read the configuration, and the sites in it."""
    from consdb_actions.adapters.typed_files import load_config

    settings = load_config(config)
    return settings, settings.sites


def prepare_runbook(
    tree: Tree,
    settings: Config,
    sites: Sites,
    *,
    sections: Sequence[str],
    revisions: Sequence[str],
    since: str | None,
    ticket: str,
    release: str,
    when: str,
    today: date,
    prestarted: StartingServer | None = None,
    progress: Callable[[str, str], None] = lambda *_: None,
) -> Runbook:
    """Make the runbook of selected revisions of a tree."""
    from consdb_actions.process.runbook import make_runbook

    if not settings.is_ticket(ticket):
        raise InputError(
            f'"{ticket[:60]}" is not a ticket',
            place="--ticket",
            remedy=f"Tickets look like {settings.ticket_examples}.",
        )
    if release and not _RELEASE.fullmatch(release):
        raise InputError(f'"{release[:60]}" is not a tag', place="--tag", remedy="Write it like 26.6.2.")
    if release:
        _check_tag(tree, release)
    changes, warnings = chosen_changes(tree, sites, sections, revisions, since, prestarted, progress, release)
    policy = settings.deploy
    made = make_runbook(
        changes,
        sites,
        ticket=ticket,
        release=release,
        when=when,
        deploy=policy,
        waive_until=str(today + timedelta(days=policy.longest_waiver)),
    )
    return replace(made, warnings=(*made.warnings, *warnings))


def _git(tree: Tree, *arguments: str) -> bool:
    from consdb_actions.adapters.shell import run

    git = ["git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-C", str(tree.root)]
    return run([*git, *arguments], check=False).returncode == 0


def _check_tag(tree: Tree, release: str) -> None:
    """Check that a release exists; without a checkout this is unknown."""
    if not _git(tree, "rev-parse", f"refs/tags/{release}") and _git(tree, "rev-parse", "HEAD"):
        raise InputError(
            f'there is no tag "{release}" in this checkout',
            place="--tag",
            remedy="Run `git fetch --tags`, or omit --tag while there is no release.",
        )


def _check_release(tree: Tree, release: str, ranges: Sequence[RevisionRange]) -> None:
    """Check that a release contains the revisions."""
    from consdb_actions.adapters.revision_path import file_of, revisions_of

    found = [one for span in ranges for one in revisions_of(tree.section(span.section), span)]
    names = [f"refs/tags/{release}:./{file_of(tree, revision)}" for revision in found]
    if _git(tree, "rev-parse", *names) or not _git(tree, "rev-parse", "HEAD"):
        return
    for revision, name in zip(found, names, strict=True):
        if not _git(tree, "cat-file", "-e", name):
            raise InputError(
                f"release {release} does not contain revision {revision.revision}",
                place=file_of(tree, revision),
                remedy="Name the release that contains it, or omit --tag while there is none.",
            )


def chosen_changes(
    tree: Tree,
    sites: Sites,
    sections: Sequence[str],
    revisions: Sequence[str],
    since: str | None,
    prestarted: StartingServer | None = None,
    progress: Callable[[str, str], None] = lambda *_: None,
    release: str = "",
) -> tuple[list[SectionChange], list[str]]:
    """Return the changes to apply (given ranges, given revisions, or new ones), and warnings (rule M16).

    A given `release` must contain their revisions.
    """
    from consdb_actions.adapters.apply import environment_errors
    from consdb_actions.adapters.pool import processors, run_in_pool
    from consdb_actions.adapters.postgres import scratch_server
    from consdb_actions.adapters.revision_path import parse_range, read_change, resolve

    owner = sites.of("replica")[0].user
    with tree.importable():
        ranges = _ranges(tree, [parse_range(text) for text in sections], revisions, since)
        names = [s.name for s in tree.sections if s.name in {span.section for span in ranges}]
        if release:
            _check_release(tree, release, ranges)
    if not ranges:
        raise InputError(
            "there is no new revision",
            place=str(tree.root),
            remedy="Name the revisions to apply: --section NAME:FROM..TO, --revision, or --since.",
        )

    def work(name: str, tell: Callable[[str, str], None]) -> tuple[list[SectionChange], dict[str, str]]:
        if not name:
            return [], environment_errors(tree, names)
        section = tree.section(name)
        tell(name, "running its revisions on a scratch server")
        changes = []
        with tree.importable():
            for span in (span for span in ranges if span.section == name):
                start, end = resolve(section, span.start), resolve(section, span.end)
                changes.append(read_change(tree, section, start, end, server, owner))
        return changes, {}

    with scratch_server(roles=sorted({"usdf", "oods", owner}), prestarted=prestarted) as server:
        (_, errors), *found = run_in_pool(work, ["", *names], processors(), progress)
    warnings = [
        f"The tree's env.py cannot run section {name} ({words.splitlines()[-1]}): "
        "every upgrade stops there. Fix it first."
        for name, words in errors.items()
    ]
    return [change for changes, _ in found for change in changes], warnings


def _ranges(
    tree: Tree, ranges: list[RevisionRange], revisions: Sequence[str], since: str | None
) -> list[RevisionRange]:
    from consdb_actions.adapters.revision_path import new_ranges

    ranges = [replace(span, section=tree.section(span.section).name) for span in ranges]
    if revisions:
        return _around(tree, [span.section for span in ranges], revisions)
    asked = [span.section for span in ranges if not span.start]
    if ranges and not asked:
        return ranges
    new = new_ranges(tree, asked, since)
    if missing := [name for name in asked if name not in {span.section for span in new}]:
        raise InputError(
            f"section {', '.join(missing)} has no new revision",
            place="--section",
            remedy="Omit it, or name the revisions: --section NAME:FROM..TO.",
        )
    return [span for span in ranges if span.start] + new


def _around(tree: Tree, sections: Sequence[str], revisions: Sequence[str]) -> list[RevisionRange]:
    from consdb_actions.adapters.revision_path import RevisionRange

    chosen = [tree.section(name) for name in sections] or list(tree.sections)
    found: dict[str, set[str]] = {}
    for text in revisions:
        section, identifier = _find(chosen, text, tree)
        found.setdefault(section.name, set()).add(identifier)
    ranges = []
    for name, wanted in found.items():
        history = [r for r in tree.section(name).revisions() if r.revision in wanted]
        down = history[0].down_revision
        start = down if isinstance(down, str) else str(down[0]) if down else "base"
        ranges.append(RevisionRange(name, start, history[-1].revision))
    return ranges


def _find(sections: Sequence[Section], text: str, tree: Tree) -> tuple[Section, str]:
    """Return the section and id of a revision, given its id, a prefix of it, or its file."""
    from consdb_actions.adapters.revisions import revision_id

    path = next((p for p in (Path(text), tree.root / text) if p.is_file()), None)
    identifier = revision_id(path.read_text(encoding="utf-8", errors="replace")) if path else text
    matches = [
        (section, str(revision.revision))
        for section in sections
        for revision in section.revisions()
        if identifier and revision.revision.startswith(identifier)
    ]
    if len(matches) != 1:
        cause = "several revisions start with" if matches else "there is no revision"
        raise InputError(
            f'{cause} "{text[:100]}"',
            place=str(tree.root),
            remedy="Name the id in the file (`revision = ...`), or the file.",
        )
    return matches[0]


_DIRECTORY = click.Path(path_type=Path, file_okay=False)

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(
    name="runbook",
    epilog=examples(
        "process runbook --consdb . --ticket DM-12345 --since 26.6.1 --tag 26.6.2 --output runbook.md",
        "process runbook --consdb . --ticket DM-12345 --section latiss:0123abc..4567def",
    ),
)
@option(
    "--consdb", type=_DIRECTORY, required=True, help="Checkout of lsst-dm/consdb, or a tree of that shape."
)
@option("--ticket", metavar="KEY", required=True, help="The ticket, such as DM-12345.")
@option(
    "--section",
    "sections",
    multiple=True,
    metavar="NAME[:FROM..TO]",
    help="Section, with its start and target revision; may be repeated.",
)
@option(
    "--revision",
    "revisions",
    multiple=True,
    metavar="ID|FILE",
    help="A revision to apply; may be repeated.",
)
@option(
    "--since",
    metavar="GITREV",
    help="Apply revisions that are not in this branch, tag or commit; the default branch by default.",
)
@option("--tag", metavar="TAG", default="", help="The release of consdb that contains the revisions.")
@option("--when", metavar="WORDS", default="", help="When it is planned, for the texts to send.")
@option("--config", type=_FILE, help="Configuration; .github/consdb-actions.yaml by default.")
@option("--output", type=_FILE, metavar="FILE.md", help="Write the runbook to this file, as Markdown.")
@format_option()
def command(
    consdb: Path,
    ticket: str,
    sections: tuple[str, ...],
    revisions: tuple[str, ...],
    since: str | None,
    tag: str,
    when: str,
    config: Path | None,
    output: Path | None,
    output_format: str,
) -> int:
    """Write the runbook of a migration, from its operations and the configured sites.

    It holds the exact commands and SQL in their order, with checks, what to do when a step fails, the
    rollback, and the texts for the IT ticket, the announcements and the truncate list. The text on standard
    output is an overview; --output and --format markdown give the whole. `process rehearse` executes it on
    two local servers. Exit code 1 if there are warnings.
    """
    from consdb_actions.adapters.postgres_server import prestarted_server

    with ExitStack() as stack:
        prestarted = stack.enter_context(prestarted_server()) if (consdb / "alembic.ini").is_file() else None
        # Imported only now: it takes as long as the server to start.
        from consdb_actions.adapters.files import check_targets, write_all
        from consdb_actions.adapters.runner import Runner
        from consdb_actions.adapters.tree import read_tree
        from consdb_actions.forms import as_json
        from consdb_actions.report.runbook import render_markdown, render_text

        check_targets([output] if output else [])
        runner = Runner.from_environ(os.environ)
        settings, sites = load_sites(config)
        quiet = output_format == "json" or runner.on_runner
        progress = stack.enter_context(progress_display(quiet=quiet))
        runbook = prepare_runbook(
            read_tree(consdb),
            settings,
            sites,
            sections=sections,
            revisions=revisions,
            since=since,
            ticket=ticket,
            release=tag,
            when=when,
            today=datetime.now(UTC).date(),
            prestarted=prestarted,
            progress=progress,
        )
    markdown = render_markdown(runbook)
    if output is not None:
        write_all({output: markdown}, overwrite=True)
    if output_format == "json":
        click.echo(json.dumps(as_json(runbook), indent=2, ensure_ascii=False))
    elif output_format == "markdown":
        click.echo(runner.inert(markdown), nl=False)
    else:
        result = f"Written to {output}" if output else "Full text: --output FILE.md"
        show(runner.inert(f"{render_text(runbook)}\n\n{result}"))
    return 1 if runbook.warnings else 0
