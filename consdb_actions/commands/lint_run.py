"""Choose the revisions that lint looks at, follow them, and apply the rules."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from consdb_actions.adapters.lint_walk import walk_section
from consdb_actions.adapters.merged_revisions import Changes, revision_changes, revision_id
from consdb_actions.adapters.offline_sql import quiet
from consdb_actions.adapters.tree import Section, Tree
from consdb_actions.config import Config
from consdb_actions.errors import InputError
from consdb_actions.migration.lint.finding import Finding
from consdb_actions.migration.lint.judge import judge
from consdb_actions.migration.lint.result import LintResult, Looked

__all__ = ["Selection", "lint_tree"]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which revisions to look at.

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


def lint_tree(tree: Tree, selection: Selection, config: Config) -> LintResult:
    """Look at revisions of a tree, without a database.

    Raises
    ------
    InputError
        A section, revision or file is not there; a revision cannot be read; ``base`` is no commit.
    """
    sections = [tree.section(name) for name in selection.sections] or list(tree.sections)
    changes = revision_changes(tree.root, [s.versions for s in sections], selection.base)
    named = [_named(tree, sections, text) for text in selection.revisions]
    findings: list[Finding] = []
    looked: list[Looked] = []
    with _untouched(), tree.importable():
        words = _selection_in_words(selection, changes)
        for section in sections:
            wanted = _wanted(section, selection, changes, named)
            if not wanted:
                continue
            roles = config.grants_for(section.schema)
            for script, source in walk_section(tree.root, section, wanted, roles=roles, changes=changes):
                looked.append(Looked(section.name, script.revision, script.file))
                findings.extend(judge(script, source, config.severities))
    notes = (f"What is new or edited cannot be told: {changes.note}.",) if changes.note else ()
    return LintResult(tuple(looked), tuple(findings), words, notes)


def _selection_in_words(selection: Selection, changes: Changes) -> str:
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
    """Return the revisions of a section to look at; its files are read only where there may be some."""
    files: frozenset[Path] = frozenset()
    if selection.revisions:
        files = frozenset().union(*named)
    elif selection.everything is False or (selection.everything is None and _something_new(changes)):
        files = changes.new | changes.edited
    else:
        if selection.everything:
            return frozenset(r.revision for r in section.revisions())
        return frozenset(section.scripts.get_heads())
    folder = section.versions.resolve()
    mine = {path for path in files if path.parent == folder}
    gone = any(path.parent == folder for path in changes.removed) and not selection.revisions
    if not mine and not gone:
        return frozenset()
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
                "this file is no revision of the chosen sections",
                place=text,
                remedy="A revision stands in the versions folder of its section: "
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
            remedy="Name the id that stands in the file (`revision = ...`), or the file.",
        )
    return frozenset(found)


@contextmanager
def _untouched() -> Iterator[None]:
    """Leave no compiled files in the tree, and show nothing that its code prints."""
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        with quiet():
            yield
    finally:
        sys.dont_write_bytecode = before
