"""Verify a revision that exists in the tree (``migrations check``, rule M19)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from alembic.script import Script
from sqlalchemy.exc import SQLAlchemyError

from consdb_actions.adapters.autogenerate.drafting import UpgradeTarget, expected_for
from consdb_actions.adapters.autogenerate.engine import Engine, GeneratedSection, SectionRequest
from consdb_actions.adapters.autogenerate.simulation import Simulation, simulate
from consdb_actions.adapters.autogenerate.site import verify_on_copy
from consdb_actions.adapters.autogenerate.states import find_origins, make_replayed
from consdb_actions.adapters.tree import Section
from consdb_actions.catalog.merge import merge3
from consdb_actions.errors import InputError
from consdb_actions.migration.answers import Answers
from consdb_actions.migration.outcome import Operation, SectionOutcome, asked_conflict, drift_items


@dataclass(frozen=True)
class Given:
    """A database with rows, and whether it is at the previous revision."""

    database: str
    at_its_revision: bool


def find_revision(section: Section, name: str | None) -> Script:
    """Return the revision with this id or file name; by default the head."""
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
        raise InputError(f"{cause} {name!r}", place=str(section.versions), remedy=f"Available: {known}.")
    return found[0]


def check_revision(
    engine: Engine,
    request: SectionRequest,
    script: Script,
    given: Given | None = None,
    *,
    merged: bool = False,
) -> GeneratedSection:
    """Verify a revision against the change of the schema files.

    What it leaves undone or does beyond the change fails; differences that existed before are drift. An
    undeclared rename without equal ids counts as a drop, so that the rows show whether values are kept.
    ``merged``: the base of the schema files already contains the change.
    """
    section, loaded, path = request.section, request.loaded, request.path
    request = replace(request, on_question="drop-add")
    ancestors = ancestors_of(section, script)
    replayed = section.name in engine.replayed
    with engine.server.database(section.name, made=replayed):
        engine.progress(section.name, "replaying its history")
        before = make_replayed(engine.server, section.name, section, [] if replayed else ancestors)
        with simulate(engine.server, section.name, section) as simulation:
            comparison = engine.compare_files(
                simulation, replace(request, base=None) if merged else request, before
            )
            target = comparison.target
            answers = comparison.needed.in_current
            if merged:
                target, answers = _target_of_revision(simulation, script, target, answers)
            simulation.apply(answers.renames(section.schema))
            expected = expected_for(simulation.snapshot(), target, answers)
            simulation.rollback()
            paths = {d.path for d in expected.drift}
            origins = find_origins(simulation, paths, ancestors)
        new_names = dict(answers.tables)
        decisions = comparison.decisions
        lost: set[tuple[str, str | None]] = {
            (new_names.get(d.table, d.table), d.column) for d in decisions.drops
        }
        lost |= {(d.table, None) for d in decisions.dropped_tables}
        engine.progress(section.name, "verifying")
        source = Path(script.path).read_text(encoding="utf-8")
        candidate = engine.candidate(
            section,
            (Path(script.path).name, source),
            path,
            before,
            expected.catalog,
            answers,
            target.described,
            lost=frozenset(lost),
        )
        verification = engine.verify(candidate, target)
        checks = verification.checks
        if given is not None:
            engine.progress(section.name, "verifying on a copy of the database")
            checks += verify_on_copy(
                engine.server,
                candidate,
                given.database,
                verification.upgraded,
                operator=engine.operator and given.at_its_revision,
            )
    made = {p: (origin.revision, origin.message) for p, origin in origins.items()}
    conflicts = (*comparison.needed.conflicts, *expected.conflicts)
    failed = any(c.holds is False for c in checks)
    outcome = SectionOutcome(
        section.name,
        section.schema,
        "failed" if failed else "changed",
        version=loaded.schema.version or "",
        path=str(Path(script.path).relative_to(engine.tree.root)),
        revision=script.revision,
        down_revision=str(script.down_revision or ""),
        upgrade=(Operation(script.doc, ""),),
        decisions=decisions.sentences,
        questions=tuple(asked_conflict(c, made.get(c.path)) for c in conflicts),
        drift=drift_items(expected.drift, made),
        notes=loaded.notes,
        checks=checks,
    )
    return GeneratedSection(outcome, comparison.sides, expected.used)


def _target_of_revision(
    simulation: Simulation, script: Script, target: UpgradeTarget, answers: Answers
) -> tuple[UpgradeTarget, Answers]:
    """Derive the change from the revision: its base is the file where nothing changes."""
    try:
        simulation.run(Path(script.path).read_text(encoding="utf-8"))
    except SQLAlchemyError:
        simulation.rollback()
        return target, answers  # the verification reports the failure
    after = simulation.snapshot()
    simulation.rollback()

    def done(table: str, old: str, new: str) -> bool:
        found = after.tables.get(table)
        return found is not None and new in found.columns and old not in found.columns

    answers = replace(
        answers,
        tables=tuple(t for t in answers.tables if t[1] in after.tables and t[0] not in after.tables),
        columns=tuple(c for c in answers.columns if done(*c)),
        copies=tuple(c for c in answers.copies if done(c.target, "", c.target_column)),
    )
    simulation.apply(answers.renames(simulation.section.schema))
    before = simulation.snapshot()
    simulation.rollback()
    base = merge3(after, target.described.head, before).catalog
    return replace(target, base=base), answers


def ancestors_of(section: Section, script: Script) -> list[Script]:
    """Return the revisions before one, oldest first."""
    if not script.down_revision:
        return []
    down = script.down_revision if isinstance(script.down_revision, str) else tuple(script.down_revision)
    wanted = {s.revision for s in section.scripts.iterate_revisions(down, "base")}
    return [s for s in section.revisions() if s.revision in wanted]
