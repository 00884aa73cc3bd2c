"""Choose the revisions that lint checks, replay them on the scratch server, and apply the rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from consdb_actions.adapters.forks import in_processes, processors
from consdb_actions.adapters.lint_replay import load, quiet, replay_section
from consdb_actions.adapters.merged_revisions import Changes, revision_changes, revision_id
from consdb_actions.adapters.postgres import scratch_server
from consdb_actions.adapters.postgres_ahead import Ahead
from consdb_actions.adapters.tree import Section, Tree
from consdb_actions.config import Config
from consdb_actions.errors import InputError
from consdb_actions.lint.finding import Finding, LintResult, Revision
from consdb_actions.lint.rules import judge

__all__ = ["Selection", "lint_tree"]

Found = list[tuple[Revision, tuple[Finding, ...]]]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which revisions to check.

    Attributes
    ----------
    sections
        Names of sections or schemas; all when empty.
    revisions
        Ids (or their beginnings) and files; those that ``everything`` says when empty.
    base
        Commit or branch against which a revision is new; the default branch when None.
    everything
        All revisions (true), only new ones (false), or new ones and, where there are none, heads (None).
    """

    sections: tuple[str, ...] = ()
    revisions: tuple[str, ...] = ()
    base: str | None = None
    everything: bool | None = None


def lint_tree(
    tree: Tree,
    selection: Selection,
    config: Config,
    ahead: Ahead | None = None,
    progress: Callable[[str, str], None] = lambda *_: None,
) -> LintResult:
    """Check revisions of a tree on a scratch server of our own."""
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
            server = stack.enter_context(scratch_server(roles=roles, ahead=ahead))

            def work(section: Section, tell: Callable[[str, str], None]) -> Found:
                tell(section.name, "replaying its history")
                with quiet():
                    load(section)
                    wanted = _wanted(section, selection, changes, named)
                    return [
                        (
                            Revision(section.name, script.revision, script.file),
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

            results = in_processes(work, chosen, processors(), progress)
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
            f"what is new cannot be told: {changes.note}",
            remedy="Run it in a git checkout with its default branch, or leave --new-only away.",
        )
    if selection.everything is False or _something_new(changes):
        return f"new or edited since {changes.base[:12]}"
    return "heads"


def _something_new(changes: Changes) -> bool:
    return bool(changes.new or changes.edited or changes.removed)


def _wanted(
    section: Section, selection: Selection, changes: Changes, named: Sequence[frozenset[Path]]
) -> frozenset[str]:
    """Return the revisions of a section to check."""
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
    """Return the file that an id or a path names."""
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
            remedy="Write more of it, or name the file.",
        )
    if not found or not text:
        raise InputError(
            f"there is no revision {text!r}",
            place=str(tree.root),
            remedy="Name the id in the file (`revision = ...`), or the file.",
        )
    return frozenset(found)
