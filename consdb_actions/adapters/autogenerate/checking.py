"""Prove a revision that is in the tree already, whoever wrote it (``migrations check``)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa
from alembic.script import Script

from consdb_actions.adapters.autogenerate.engine import Engine
from consdb_actions.adapters.felis import LoadedSchema
from consdb_actions.adapters.tree import Section
from consdb_actions.errors import InputError
from consdb_actions.migration.answers import answers_from
from consdb_actions.migration.matching.declarations import Declarations
from consdb_actions.migration.outcome import Operation, SectionOutcome
from consdb_actions.migration.telling import decided

__all__ = ["check_revision", "find_revision", "refuse_other_head"]


def find_revision(section: Section, name: str | None) -> Script:
    """Return the revision of that id, or of that file, or the head.

    Raises
    ------
    InputError
        There is none.
    """
    if name is None:
        head = section.head()
        if head is None:
            raise InputError("there is no revision to check", place=str(section.versions))
        return head
    stem = Path(name).name
    found = [s for s in section.revisions() if s.revision.startswith(name) or Path(s.path).name == stem]
    if len(found) != 1:
        words = "several revisions start with" if found else "there is no revision"
        known = ", ".join(s.revision for s in section.revisions())
        raise InputError(f"{words} {name!r}", place=str(section.versions), remedy=f"There are: {known}.")
    return found[0]


def check_revision(
    engine: Engine, section: Section, script: Script, loaded: LoadedSchema, path: Path, declared: Declarations
) -> SectionOutcome:
    """Replay the history before a revision, and prove the revision against a schema file.

    Renames and moves are taken from what is declared and what ids or case show; what looks like a rename but
    is not declared counts as a drop, so that the rows tell whether the script keeps the values.
    """
    database, described = section.name, f"{section.name}_described"
    engine.server.create_database(database)
    engine.server.create_database(described)
    try:
        engine.progress(section.name, "replaying its history")
        before = engine.replayed(database, section, _ancestors(section, script))
        wanted = engine.wanted(described, section, loaded, before)
        decisions, _ = engine.decide(before, wanted, loaded, path, None, declared, "drop-add")
        answers = answers_from(decisions, fills={}, on_question="proceed", repair_views=frozenset())
        losses = [(d.table, d.column) for d in decisions.drops]
        new_names = dict(answers.tables)
        lost = {(new_names.get(t, t), c) for t, c in losses} | {
            (d.table, None) for d in decisions.dropped_tables
        }
        engine.progress(section.name, "proving")
        source = Path(script.path).read_text(encoding="utf-8")
        checks = engine.prove(
            section,
            (Path(script.path).name, source),
            path,
            database,
            before,
            wanted,
            answers,
            lost=frozenset(lost),
        )
    finally:
        engine.server.drop_database(database)
        engine.server.drop_database(described)
    return SectionOutcome(
        section.name,
        section.schema,
        "failed" if any(c.holds is False for c in checks) else "changed",
        version=loaded.schema.version or "",
        path=str(Path(script.path).relative_to(engine.tree.root)),
        revision=script.revision,
        down_revision=str(script.down_revision or ""),
        upgrade=(Operation(script.doc, ""),),
        decisions=decided(decisions),
        notes=loaded.notes,
        checks=tuple(replace(c) for c in checks),
    )


def _ancestors(section: Section, script: Script) -> list[Script]:
    """Return what stands before a revision, oldest first."""
    if not script.down_revision:
        return []
    down = script.down_revision if isinstance(script.down_revision, str) else tuple(script.down_revision)
    wanted = {s.revision for s in section.scripts.iterate_revisions(down, "base")}
    return [s for s in section.revisions() if s.revision in wanted]


def refuse_other_head(url: str, section: Section, expected: str | None) -> None:
    """Refuse a database whose version table names another revision than the one before (rule M12).

    Raises
    ------
    InputError
        It does. A database without a version table is taken as a scratch one.
    """
    engine = sa.create_engine(_driver(url), poolclass=sa.NullPool)
    table = f"{section.version_schema}.{section.version_table}"
    with engine.connect() as connection:
        if connection.execute(sa.text("SELECT to_regclass(:t)"), {"t": table}).scalar() is None:
            return
        rows = connection.execute(sa.text(f"SELECT version_num FROM {table}")).scalars().all()  # noqa: S608
    if list(rows) != ([expected] if expected else []):
        raise InputError(
            f"the database is at revision {', '.join(rows) or 'none'}, and not at {expected or 'none'}",
            place=table,
            remedy="Point --database-url at a scratch server, or say --any-head if this is meant.",
        )


def _driver(url: str) -> sa.URL:
    made = sa.make_url(url)
    return made.set(drivername="postgresql+psycopg") if made.drivername.startswith("postgres") else made
