"""``consdb-actions process runbook`` and ``process rehearse``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from consdb_actions.commands.options import (
    FILE,
    config_option,
    consdb_option,
    early_server,
    environment_schemas_option,
    examples,
    format_option,
    option,
    ranges_options,
    report_option,
)
from consdb_actions.commands.terminal import paint, present, progress_display
from consdb_actions.errors import InputError
from consdb_actions.forms import as_json

if TYPE_CHECKING:
    from consdb_actions.adapters.postgres_server import StartingServer
    from consdb_actions.adapters.revision_path import RevisionRange
    from consdb_actions.adapters.tree import Section, Tree
    from consdb_actions.process.runbook_change import SectionChange
    from consdb_actions.process.sites import Sites

_RELEASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}", re.ASCII)


def _git(tree: Tree, *arguments: str) -> bool:
    from consdb_actions.adapters.shell import run

    git = ["git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-C", str(tree.root)]
    return run([*git, *arguments], check=False).returncode == 0


def _check_tag(tree: Tree, release: str) -> None:
    """Check that a release exists; without a checkout this is unknown."""
    if not _RELEASE.fullmatch(release):
        raise InputError(f'"{release[:60]}" is not a tag', place="--tag", remedy="Write it like 26.6.2.")
    if not _git(tree, "rev-parse", f"refs/tags/{release}") and _git(tree, "rev-parse", "HEAD"):
        raise InputError(
            f'there is no tag "{release}" in this checkout',
            place="--tag",
            remedy="Run `git fetch --tags`, or omit --tag while there is no release.",
        )


def _check_release(tree: Tree, release: str, ranges: Sequence[RevisionRange]) -> None:
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
        f"The tree's env.py cannot run section {name} ({error.splitlines()[-1]}): "
        "every upgrade stops there. Fix it first."
        for name, error in errors.items()
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


@click.command(
    "runbook",
    epilog=examples(
        "process runbook --consdb . --ticket DM-12345 --since 26.6.1 --tag 26.6.2 --output runbook.md",
        "process runbook --consdb . --ticket DM-12345 --section latiss:0123abc..4567def",
    ),
)
@consdb_option
@option("--ticket", metavar="KEY", required=True, help="The ticket, such as DM-12345.")
@ranges_options
@option("--tag", metavar="TAG", default="", help="The release of consdb that contains the revisions.")
@option("--when", metavar="WORDS", default="", help="When it is planned, for the texts to send.")
@config_option
@option("--output", type=FILE, metavar="FILE.md", help="Write the runbook to this file, as Markdown.")
@format_option()
def runbook_command(
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
    with early_server(consdb) as prestarted:
        from consdb_actions.adapters.files import check_targets, write_all
        from consdb_actions.adapters.tree import read_tree
        from consdb_actions.adapters.typed_files import load_config
        from consdb_actions.process.runbook import make_runbook
        from consdb_actions.report.runbook import render_runbook_markdown, render_runbook_text

        check_targets([output] if output else [])
        settings = load_config(config)
        settings.check_ticket(ticket)
        with progress_display(output_format) as progress:
            tree = read_tree(consdb)
            if tag:
                _check_tag(tree, tag)
            changes, warnings = chosen_changes(
                tree, settings.sites, sections, revisions, since, prestarted, progress, tag
            )
    waived = datetime.now(UTC).date() + timedelta(days=settings.deploy.longest_waiver)
    runbook = make_runbook(
        changes,
        settings.sites,
        ticket=ticket,
        release=tag,
        when=when,
        deploy=settings.deploy,
        waive_until=str(waived),
    )
    runbook = replace(runbook, warnings=(*runbook.warnings, *warnings))
    markdown = render_runbook_markdown(runbook)
    if output is not None:
        write_all({output: markdown}, overwrite=True)
    result = f"Written to {output}" if output else "Full text: --output FILE.md"
    present(output_format, runbook, lambda: f"{render_runbook_text(runbook)}\n\n{result}", markdown)
    return 1 if runbook.warnings else 0


_POSTGRES = click.Choice(["auto", "system", "embedded"])


@click.command(
    "rehearse",
    epilog=examples(
        "process rehearse --consdb . --sdm-schemas ../sdm_schemas --runbook runbook.md",
        "process rehearse --consdb . --section latiss:0123abc..4567def --act migrate",
    ),
)
@consdb_option
@option("--runbook", "runbook_file", type=FILE, metavar="FILE.md", help="The runbook; generated by default.")
@ranges_options
@option(
    "--act",
    "acts",
    multiple=True,
    type=click.Choice(["cancel", "migrate", "back"]),
    help="Phase to rehearse: an aborted start, the migration, the rollback. May be repeated; all by default.",
)
@environment_schemas_option
@option("--by-hand", is_flag=True, help="Use the manual alembic commands of the runbook.")
@option("--rows", type=click.IntRange(1, 50), default=8, help="Rows that each table begins with.")
@option("--publisher-postgres", type=_POSTGRES, default="auto", help="Postgres to use there.")
@option("--replica-postgres", type=_POSTGRES, default="auto", help="Postgres to use there.")
@config_option
@report_option
@format_option()
def rehearse_command(
    consdb: Path,
    runbook_file: Path | None,
    sections: tuple[str, ...],
    revisions: tuple[str, ...],
    since: str | None,
    acts: tuple[str, ...],
    sdm_schemas: Path | None,
    by_hand: bool,
    rows: int,
    publisher_postgres: str,
    replica_postgres: str,
    config: Path | None,
    report: Path | None,
    output_format: str,
) -> int:
    """Execute a runbook on two replicating servers, while rows are written.

    It starts two Postgres servers on this machine, which stand in for the runbook's sites, and connects to no
    others. They start with the tables before the migration, rows, a publication and a subscription, and a
    writer runs all the time. The steps are read from the runbook's Markdown and executed in three phases:
    aborted start, migration, rollback. After each phase, all rows must be equal at both sites, and
    replication must be without errors. Exit code 1 if the runbook does not work. Both servers are removed at
    the end.
    """
    from consdb_actions.adapters.files import check_targets, read_text, write_all
    from consdb_actions.adapters.rehearsal import rehearse
    from consdb_actions.adapters.tree import read_tree
    from consdb_actions.adapters.typed_files import load_config
    from consdb_actions.process.runbook import make_runbook
    from consdb_actions.process.runbook_steps import read_runbook, unrestored_in
    from consdb_actions.report.runbook import (
        render_rehearsal_markdown,
        render_rehearsal_text,
        render_runbook_markdown,
    )

    check_targets([report] if report else [])
    sites = load_config(config).sites
    tree = read_tree(consdb)
    if runbook_file is not None:
        if sections or revisions or since:
            raise InputError(
                "the runbook names the revisions to apply",
                place="--runbook",
                remedy="Omit --section, --revision and --since.",
            )
        markdown = read_text(runbook_file)
    else:
        with progress_display(output_format) as progress:
            changes, _ = chosen_changes(tree, sites, sections, revisions, since, None, progress)
        markdown = render_runbook_markdown(make_runbook(changes, sites, ticket="rehearsal"))
    with progress_display(output_format) as progress:
        result = rehearse(
            tree,
            sites,
            read_runbook(markdown),
            rows=rows,
            acts=tuple(name for name in ("cancel", "migrate", "back") if not acts or name in acts),
            by_hand=by_hand,
            schemas=sdm_schemas,
            unrestored=unrestored_in(markdown),
            publisher=publisher_postgres,  # type: ignore[arg-type]
            replica=replica_postgres,  # type: ignore[arg-type]
            progress=progress,
        )
    if report is not None:
        text = json.dumps(as_json(result), indent=2, ensure_ascii=False) + "\n"
        write_all({report: text}, overwrite=True)
    shown = render_rehearsal_text(result, paint)
    markdown = render_rehearsal_markdown(result)
    present(output_format, result, lambda: shown, markdown, result="\n".join(shown.splitlines()[-2:]))
    return 0 if result.passed else 1
