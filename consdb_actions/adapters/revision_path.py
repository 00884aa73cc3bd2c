"""Revision ranges of a tree and their effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alembic.script import Script as AlembicRevision
from alembic.util import CommandError

from consdb_actions.adapters.apply import expected_catalogs
from consdb_actions.adapters.lint_replay import quiet, replay_range
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.revisions import revision_changes
from consdb_actions.adapters.tree import Section, Tree
from consdb_actions.errors import InputError
from consdb_actions.lint.script import DirectionRun, LintState
from consdb_actions.process.runbook_change import RunbookRevision, SectionChange, effects_of
from consdb_actions.schema.model import Name

BASE = "base"  # The state before the first revision


@dataclass(frozen=True, slots=True)
class RevisionRange:
    """A section and a range of its revisions; ends may be empty."""

    section: str
    start: str = ""
    end: str = ""


def parse_range(text: str) -> RevisionRange:
    """Parse ``SECTION`` or ``SECTION:FROM..TO``, or raise `InputError`."""
    name, colon, ends = text.partition(":")
    start, dots, end = ends.partition("..")
    if not name or (colon and not (start and dots and end)):
        raise InputError(
            f'"{text[:100]}" is not a section', place="--section", remedy="Write NAME, or NAME:FROM..TO."
        )
    return RevisionRange(name, start, end)


def new_ranges(tree: Tree, sections: Sequence[str], base: str | None) -> list[RevisionRange]:
    """Find the new revisions of each section, compared with a commit (None: the default branch)."""
    chosen = [tree.section(name) for name in sections] or list(tree.sections)
    changes = revision_changes(tree.root, [section.versions for section in chosen], base)
    if not changes.base:
        raise InputError(
            f"the new revisions are unknown: {changes.note}",
            remedy="Run it in a git checkout, or name revisions: --section NAME:FROM..TO.",
        )
    out = []
    for section in chosen:
        folder = section.versions.resolve()
        files = {path for path in changes.new if path.parent == folder}
        if not files:
            continue
        head = section.head()
        new = [r for r in section.revisions() if Path(r.path).resolve() in files]
        if head is None or not new:
            continue
        start = _down(new[0])
        span = RevisionRange(section.name, start, head.revision)
        if {r.revision for r in _between(section, start, head.revision)} != {r.revision for r in new}:
            raise InputError(
                f"the new revisions of section {section.name} are not the last ones of its history",
                place=str(section.versions),
                remedy="Rebase them on the newest merged revision, or name the range: --section "
                "NAME:FROM..TO.",
            )
        out.append(span)
    return out


def resolve(section: Section, name: str, *, place: str = "--section") -> str:
    """Return the full id of a revision, ``base`` or ``head``, or raise `InputError`."""
    if name == BASE:
        return BASE
    if name in ("", "head"):
        head = section.head()
        return head.revision if head else BASE
    try:
        found = section.scripts.get_revision(name)
    except CommandError:
        found = None
    if found is None:
        known = ", ".join(r.revision for r in section.revisions())
        raise InputError(
            f'section {section.name} has no revision "{name[:60]}"',
            place=place,
            remedy=f"Its revisions, oldest first: {known}." if known else "It has none.",
        )
    return str(found.revision)


def read_change(
    tree: Tree, section: Section, start: str, end: str, server: ScratchServer | None, owner: str = ""
) -> SectionChange:
    """Replay a section's history and return a range's effects; with `owner` also what stays of them.

    `start` and `end` are full ids or ``base``; without revisions between them no server is needed. The tree's
    modules must be importable; roles of the history are created on the server.
    """
    between = _between(section, start, end)
    stuck = ""
    with quiet():
        ups, downs, known, left = (
            replay_range(server, section, between, owner) if server else ([], [], True, None)
        )
    if server and owner and between and left is None:
        found = expected_catalogs(server, section, end, start, owner, "downgrade")
        stuck, left = found.failure, list(found.unrestored)
    first, last = (ups[0].start, ups[-1].end) if ups else (None, None)
    return SectionChange(
        section=section.name,
        schema=section.schema,
        version_table=f"{section.version_schema}.{section.version_table}",
        start=start,
        end=end,
        revisions=tuple(
            _revision(tree, r, up, down) for r, up, down in zip(between, ups, reversed(downs), strict=True)
        ),
        forward=effects_of(ups),
        back=effects_of(downs),
        tables_before=_tables(first, section.schema) if known else (),
        tables_after=_tables(last, section.schema) if known else (),
        columns_before=_columns(first, section.schema),
        columns_after=_columns(last, section.schema),
        unrestored=tuple(".".join(difference.path) for difference in left or ()),
        stuck=stuck,
    )


def revisions_of(section: Section, span: RevisionRange) -> list[AlembicRevision]:
    """Return the revisions of a range, oldest first, or raise `InputError`."""
    return _between(section, resolve(section, span.start), resolve(section, span.end))


def file_of(tree: Tree, revision: AlembicRevision) -> str:
    """Return the path of a revision's file in the tree."""
    path = Path(revision.path)
    return path.relative_to(tree.root).as_posix() if path.is_relative_to(tree.root) else path.as_posix()


def _between(section: Section, start: str, end: str) -> list[AlembicRevision]:
    if start == end:
        return []
    try:
        found = list(section.scripts.iterate_revisions(end, start))
    except CommandError:
        found = []
    if not found:
        raise InputError(
            f"revision {start} does not come before {end} in section {section.name}",
            place=str(section.versions),
            remedy=f"`alembic -n {section.name} history` shows the order.",
        )
    return list(reversed(found))


def _down(revision: AlembicRevision) -> str:
    down = revision.down_revision
    if down is None:
        return BASE
    return down if isinstance(down, str) else str(down[0])


def _revision(tree: Tree, revision: AlembicRevision, up: DirectionRun, down: DirectionRun) -> RunbookRevision:
    failures = [run.failure.message for run in (up, down) if run.failure is not None]
    return RunbookRevision(
        revision.revision,
        (revision.doc or "").strip().partition("\n")[0],
        file_of(tree, revision),
        tuple(step.sql for step in up.steps),
        tuple(step.sql for step in down.steps),
        failures[0] if failures else "",
    )


def _tables(state: LintState | None, schema: str) -> tuple[Name, ...]:
    relations = state.relations.values() if state is not None else ()
    return tuple(sorted(r.name for r in relations if r.is_table and r.name.schema == schema))


def _columns(state: LintState | None, schema: str) -> tuple[tuple[Name, tuple[str, ...]], ...]:
    relations = state.relations.values() if state is not None else ()
    return tuple(sorted((r.name, r.names) for r in relations if r.name.schema == schema))
