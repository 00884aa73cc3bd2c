"""Check revisions for dangers."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from consdb_actions.commands.options import (
    checked_config,
    config_option,
    consdb_option,
    early_server,
    examples,
    fail_on_option,
    fails,
    format_option,
    option,
    sections_option,
)
from consdb_actions.commands.terminal import paint, present, progress_display
from consdb_actions.errors import InputError

if TYPE_CHECKING:
    from consdb_actions.adapters.postgres_server import StartingServer
    from consdb_actions.adapters.revisions import Changes
    from consdb_actions.adapters.tree import Section, Tree
    from consdb_actions.config import Config
    from consdb_actions.lint.finding import CheckedRevision, LintFinding, LintResult

    Found = list[tuple[CheckedRevision, tuple[LintFinding, ...]]]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which revisions to check."""

    sections: tuple[str, ...] = ()  # Names of sections or schemas; all when empty
    revisions: tuple[str, ...] = ()  # Files, ids or their beginnings; when empty, ``everything`` decides
    base: str | None = None  # Commit or branch against which a revision is new; None: the default branch
    everything: bool | None = None  # False: new revisions; None: new ones or else heads


def lint_tree(
    tree: Tree,
    selection: Selection,
    config: Config,
    prestarted: StartingServer | None = None,
    progress: Callable[[str, str], None] = lambda *_: None,
) -> LintResult:
    """Check revisions of a tree on a scratch server of our own."""
    from consdb_actions.adapters.lint_replay import load, quiet, replay_section
    from consdb_actions.adapters.pool import processors, run_in_pool
    from consdb_actions.adapters.postgres import scratch_server
    from consdb_actions.adapters.revisions import revision_changes
    from consdb_actions.lint.finding import CheckedRevision, LintResult
    from consdb_actions.lint.rules import judge

    sections = [tree.section(name) for name in selection.sections] or list(tree.sections)
    changes = revision_changes(tree.root, [s.versions for s in sections], selection.base)
    named = [_named(tree, sections, text) for text in selection.revisions]
    scope = _selection(selection, changes)
    notes = (f"Which revisions are new or edited is not known: {changes.note}.",) if changes.note else ()
    chosen = [section for section in sections if _concerned(section, selection, changes, named)]
    results: list[Found] = []
    if chosen:
        with ExitStack() as stack:
            stack.enter_context(tree.importable())
            roles = sorted({role for section in chosen for role in config.grants_for(section.schema)})
            server = stack.enter_context(scratch_server(roles=roles, prestarted=prestarted))

            def work(section: Section, tell: Callable[[str, str], None]) -> Found:
                tell(section.name, "replaying its history")
                with quiet():
                    load(section)
                    wanted = _wanted(section, selection, changes, named)
                    return [
                        (
                            CheckedRevision(section.name, script.revision, script.file),
                            judge(script, source, config.severities),
                        )
                        for script, source in replay_section(
                            server,
                            tree.root,
                            section,
                            wanted,
                            roles=config.grants_for(section.schema),
                            changes=changes,
                        )
                    ]

            results = run_in_pool(work, chosen, processors(), progress)
    found = [one for result in results for one in result]
    return LintResult(tuple(r for r, _ in found), tuple(f for _, fs in found for f in fs), scope, notes)


def _concerned(
    section: Section, selection: Selection, changes: Changes, named: Sequence[frozenset[Path]]
) -> bool:
    """Tell whether a section can have revisions to check, without reading them."""
    if not selection.revisions and (selection.everything or _heads_only(selection, changes)):
        return True
    files = frozenset().union(*named) if selection.revisions else changes.new | changes.edited
    gone = () if selection.revisions else changes.removed
    return any(path.parent == section.versions.resolve() for path in (*files, *gone))


def _heads_only(selection: Selection, changes: Changes) -> bool:
    return selection.everything is None and not _something_new(changes)


def _selection(selection: Selection, changes: Changes) -> str:
    if selection.revisions:
        return "as named"
    if selection.everything:
        return "the whole history"
    if selection.everything is False and not changes.base:
        raise InputError(
            f"the new revisions are unknown: {changes.note}",
            remedy="Run it in a git checkout with its default branch, or omit --new-only.",
        )
    if selection.everything is False or _something_new(changes):
        return f"new or edited since {changes.base[:12]}"
    return "heads"


def _something_new(changes: Changes) -> bool:
    return bool(changes.new or changes.edited or changes.removed)


def _wanted(
    section: Section, selection: Selection, changes: Changes, named: Sequence[frozenset[Path]]
) -> frozenset[str]:
    if not selection.revisions and selection.everything:
        return frozenset(r.revision for r in section.revisions())
    if not selection.revisions and _heads_only(selection, changes):
        return frozenset(section.scripts.get_heads())
    files = frozenset().union(*named) if selection.revisions else changes.new | changes.edited
    folder = section.versions.resolve()
    mine = {path for path in files if path.parent == folder}
    gone = any(path.parent == folder for path in changes.removed) and not selection.revisions
    heads = frozenset(section.scripts.get_heads()) if gone else frozenset()
    return heads | {r.revision for r in section.revisions() if Path(r.path).resolve() in mine}


def _named(tree: Tree, sections: Sequence[Section], text: str) -> frozenset[Path]:
    from consdb_actions.adapters.revisions import revision_id

    for path in (Path(text), tree.root / text):
        if path.is_file():
            resolved = path.resolve()
            if any(resolved.parent == section.versions.resolve() for section in sections):
                return frozenset({resolved})
            raise InputError(
                "this file is not a revision of the chosen sections",
                place=text,
                remedy="A revision is in the versions folder of its section: "
                + ", ".join(s.name for s in sections)
                + ".",
            )
    found = {}
    for section in sections:
        for path in sorted(section.versions.glob("*.py")):
            source = path.read_text(encoding="utf-8", errors="replace")
            if text in source and revision_id(source).startswith(text):
                found[path.resolve()] = revision_id(source)
    if text and len(set(found.values())) > 1:
        raise InputError(
            f"{text} is the beginning of several revisions: {', '.join(sorted(set(found.values())))}",
            remedy="Give more characters of it, or the file.",
        )
    if not found or not text:
        raise InputError(
            f"there is no revision {text!r}",
            place=str(tree.root),
            remedy="Name the id in the file (`revision = ...`), or the file.",
        )
    return frozenset(found)


@click.command(
    "lint",
    epilog=examples(
        "migrations lint --consdb .",
        "migrations lint --consdb . --section latiss --all --fail-on warning",
    ),
)
@consdb_option
@sections_option
@option(
    "--revision",
    "revisions",
    multiple=True,
    metavar="ID|FILE",
    help="Only this revision, by its id or its file. May be repeated.",
)
@option(
    "--base",
    metavar="GITREV",
    help="Branch or commit against which revisions are new; the default branch by default.",
)
@option(
    "--new-only/--all",
    "new_only",
    default=None,
    help="Only new and edited revisions, or the whole history; by default what is new, or else the heads.",
)
@fail_on_option
@config_option
@format_option()
def command(
    consdb: Path,
    sections: tuple[str, ...],
    revisions: tuple[str, ...],
    base: str | None,
    new_only: bool | None,
    fail_on: str,
    config: Path | None,
    output_format: str,
) -> int:
    """Check revisions for data loss, locks, rewrites and other dangers.

    The history is replayed on a temporary Postgres, and the catalog is compared before and after each
    statement; squawk checks the SQL. No other database is needed. A comment in the revision acknowledges a
    finding, on the line of the statement or before it:

    \b
      # consdb: ack data-loss: DM-12345, never filled

    Revisions are Python and are run, as alembic itself runs them, without network and connections of their
    own: use it in jobs without a token that can write.
    """  # noqa: D301  (click wants the control character, not a backslash)
    with early_server(consdb) as prestarted:
        from consdb_actions.adapters.runner import Runner
        from consdb_actions.adapters.tree import read_tree
        from consdb_actions.report.lint import render_markdown, render_text

        settings = checked_config(config)
        tree = read_tree(consdb)
        everything = None if new_only is None else not new_only
        with progress_display(output_format) as progress:
            selection = Selection(sections, revisions, base, everything)
            result = lint_tree(tree, selection, settings, prestarted, progress)
    runner = Runner.from_environ(os.environ)
    for finding in result.open:
        if finding.severity != "info":
            message = f"{finding.message}\n{finding.remedy}"
            place = tree.root / finding.file
            runner.annotation(finding.severity, message, file=place, line=finding.line, title=finding.rule)
    errors, warnings = result.count("error"), result.count("warning")
    root, here = tree.root, Path.cwd()
    shown = root.relative_to(here) if root.is_relative_to(here) else root
    prefix = "" if shown == Path() else f"{shown.as_posix()}/"
    present(
        output_format,
        result,
        lambda: render_text(result, prefix, paint),
        render_markdown(result),
        {"errors": str(errors), "warnings": str(warnings)},
    )
    return fails(fail_on, errors, warnings)
