"""Prove a revision that is in the tree already, whoever wrote it (``migrations check``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from alembic.script import Script

from consdb_actions.adapters.autogenerate.engine import Engine, Generated
from consdb_actions.adapters.autogenerate.site import prove_on_copy
from consdb_actions.adapters.autogenerate.states import decide_names, make_described, make_replayed
from consdb_actions.adapters.felis import LoadedSchema
from consdb_actions.adapters.tree import Section
from consdb_actions.errors import InputError
from consdb_actions.migration.answers import answers_from
from consdb_actions.migration.matching.declarations import Declarations
from consdb_actions.migration.outcome import Operation, SectionOutcome
from consdb_actions.migration.telling import decided

__all__ = ["Given", "check_revision", "find_revision"]


@dataclass(frozen=True)
class Given:
    """A database with rows of its own: its name, and whether it is at the revision before the checked one."""

    database: str
    at_its_revision: bool


def find_revision(section: Section, name: str | None) -> Script:
    """Return the revision of that id, or of that file, or the head.

    Raises
    ------
    InputError
        There is none.
    """
    if not name:
        head = section.head()
        if head is None:
            raise InputError("there is no revision to check", place=str(section.versions))
        return head
    stem = Path(name).name
    found = [s for s in section.revisions() if s.revision.startswith(name) or Path(s.path).name == stem]
    if len(found) != 1:
        cause = "several revisions start with" if found else "there is no revision"
        known = ", ".join(s.revision for s in section.revisions())
        raise InputError(f"{cause} {name!r}", place=str(section.versions), remedy=f"There are: {known}.")
    return found[0]


def check_revision(
    engine: Engine,
    section: Section,
    script: Script,
    loaded: LoadedSchema,
    path: Path,
    declared: Declarations,
    given: Given | None = None,
) -> Generated:
    """Replay the history before a revision, and prove the revision against a schema file.

    With a given database, it is proven there, too: on a copy, with the rows that the copy holds.

    Renames and moves are taken from what is declared and what ids or case show; what looks like a rename but
    is not declared counts as a drop, so that the rows tell whether the script keeps the values.
    """
    database = section.name
    with engine.server.database(database):
        engine.progress(section.name, "replaying its history")
        before = make_replayed(engine.server, database, section, _ancestors(section, script))
        wanted = make_described(
            engine.server, database, section, loaded, before, config=engine.config, shadow=engine.shadow
        )
        decisions, sides = decide_names(before, wanted, loaded, path, None, declared, "drop-add")
        answers = answers_from(decisions, fills={}, on_question="proceed", repair_views=frozenset())
        losses = [(d.table, d.column) for d in decisions.drops]
        new_names = dict(answers.tables)
        lost = {(new_names.get(t, t), c) for t, c in losses} | {
            (d.table, None) for d in decisions.dropped_tables
        }
        engine.progress(section.name, "proving")
        source = Path(script.path).read_text(encoding="utf-8")
        candidate = engine.candidate(
            section,
            (Path(script.path).name, source),
            path,
            database,
            before,
            wanted,
            answers,
            lost=frozenset(lost),
        )
        proof = engine.prove(candidate, wanted)
        checks = proof.checks
        if given is not None:
            engine.progress(section.name, "proving on a copy of the database")
            checks += prove_on_copy(
                engine.server,
                candidate,
                given.database,
                proof.upgraded,
                operator=engine.operator and given.at_its_revision,
            )
    outcome = SectionOutcome(
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
        checks=checks,
    )
    return Generated(outcome, sides)


def _ancestors(section: Section, script: Script) -> list[Script]:
    """Return what stands before a revision, oldest first."""
    if not script.down_revision:
        return []
    down = script.down_revision if isinstance(script.down_revision, str) else tuple(script.down_revision)
    wanted = {s.revision for s in section.scripts.iterate_revisions(down, "base")}
    return [s for s in section.revisions() if s.revision in wanted]
