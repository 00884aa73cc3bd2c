"""Revisions of a tree as lint sees them: rendered without a database, with what is there before each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import replace
from pathlib import Path

from alembic.script import Script as Revision

from consdb_actions.adapters.merged_revisions import Changes
from consdb_actions.adapters.offline_sql import render
from consdb_actions.adapters.tree import Section
from consdb_actions.errors import InputError
from consdb_actions.migration.lint.script import Rendering, Run, Script, run
from consdb_actions.migration.lint.state import State

__all__ = ["walk_section"]


def walk_section(
    root: Path,
    section: Section,
    wanted: Set[str],
    *,
    roles: Mapping[str, tuple[str, ...]],
    changes: Changes,
) -> Iterator[tuple[Script, str]]:
    """Follow the revisions of a section from the first one, and yield those that are wanted.

    Parameters
    ----------
    root
        The tree; files are named relative to it.
    section
        The section; the tree's modules must be importable.
    wanted
        Ids of revisions.
    roles
        Configured privileges of roles on new relations of the section's schema.
    changes
        What is new, edited or gone against the default branch.

    Yields
    ------
    tuple
        The revision, and the text of its file.

    Raises
    ------
    InputError
        A file is no Python, or is not there any more.
    """
    history = _History(section)
    heads = {r: _shown(root, section.scripts.get_revision(r)) for r in sorted(section.scripts.get_heads())}
    first = next(iter(heads), "")
    removed = {
        revision: _relative(root, path)
        for path, revision in changes.removed.items()
        if path.parent == section.versions.resolve()
    }
    left = set(wanted)
    for revision in section.revisions():
        if not left:
            return
        upgrade = history.upgrade(revision)
        if revision.revision not in left:
            continue
        left.remove(revision.revision)
        start = replace(upgrade.end, complete=upgrade.whole)
        downgrade = run("downgrade", render(section, revision, "downgrade"), start)
        source = _source(Path(revision.path))
        yield (
            Script(
                file=_shown(root, revision),
                section=section.name,
                revision=revision.revision,
                schema=section.schema,
                version_schema=section.version_schema,
                upgrade=upgrade,
                downgrade=downgrade,
                line=_down_revision_line(source),
                down=_down(section, revision),
                roles=roles,
                heads=heads,
                edited=Path(revision.path).resolve() in changes.edited,
                removed=removed if revision.revision == first else {},
            ),
            source,
        )


class _History:
    """States after revisions, each rendered once."""

    def __init__(self, section: Section) -> None:
        self._section = section
        self._rendered: dict[str, Rendering] = {}
        self._after: dict[str, State] = {}

    def upgrade(self, revision: Revision) -> Run:
        """Follow the upgrade of a revision; those it revises were followed before."""
        rendering = render(self._section, revision, "upgrade")
        self._rendered[revision.revision] = rendering
        followed = run("upgrade", rendering, self._start(revision))
        self._after[revision.revision] = replace(followed.end, complete=followed.whole)
        return followed

    def _start(self, revision: Revision) -> State:
        down = _down(self._section, revision)
        state = State(self._section.schema)
        if len(down) == 1:
            return self._after[down[0]]
        if down:  # two histories meet: follow both, one after the other
            scripts = self._section.scripts
            ancestors = [r.revision for r in scripts.iterate_revisions(down, "base")]
            for ancestor in reversed(ancestors):
                followed = run("upgrade", self._rendered[ancestor], state)
                state = replace(followed.end, complete=followed.whole)
        return state


def _down(section: Section, revision: Revision) -> tuple[str, ...]:
    """Return what must have run before a revision."""
    out: list[str] = []
    for names in (revision.down_revision, revision.dependencies):
        listed = (names,) if isinstance(names, str) else names or ()
        out.extend(section.scripts.get_revision(name).revision for name in listed)
    return tuple(out)


def _shown(root: Path, revision: Revision | None) -> str:
    return _relative(root, Path(revision.path)) if revision is not None else ""


def _relative(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _source(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"this revision cannot be read: {error}", place=str(path)) from error


def _down_revision_line(source: str) -> int:
    """Return the line that says what the file revises."""
    lines = enumerate(source.splitlines(), start=1)
    return next((number for number, line in lines if line.startswith("down_revision")), 1)
