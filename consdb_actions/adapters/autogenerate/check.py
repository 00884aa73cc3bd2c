"""Verify a revision that exists in the tree, also on a copy of a site's database (rules M12, M15, M19)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import sqlalchemy as sa
from alembic.script import Script
from psycopg.sql import SQL, Identifier
from sqlalchemy.exc import SQLAlchemyError

from consdb_actions.adapters.autogenerate.drafting import RevisionCandidate, UpgradeTarget, expected_for
from consdb_actions.adapters.autogenerate.engine import Engine, GeneratedSection, SectionRequest
from consdb_actions.adapters.autogenerate.rows import SiteRows, check_rows, check_rows_back, gone
from consdb_actions.adapters.autogenerate.simulation import Simulation, simulate
from consdb_actions.adapters.autogenerate.states import find_origins, make_replayed
from consdb_actions.adapters.autogenerate.verification import database_words, run, run_as_operator
from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.adapters.postgres import ScratchServer, connect, error_text, given_address
from consdb_actions.adapters.tree import Section
from consdb_actions.catalog import Snapshot, compare
from consdb_actions.catalog.merge import merge3
from consdb_actions.errors import ExternalError, InputError
from consdb_actions.migration.answers import Answers
from consdb_actions.migration.outcome import (
    Operation,
    SectionOutcome,
    VerificationCheck,
    asked_conflict,
    drift_items,
)
from consdb_actions.migration.verification import (
    SectionState,
    check_downgrade,
    check_drift,
    check_site,
    drifted_paths,
)

_RELATIONS = """
SELECT count(*), array_remove(array_agg(DISTINCT CASE WHEN NOT pg_has_role(relowner, 'USAGE')
                                                 THEN relowner::regrole::text END), NULL)
FROM pg_class WHERE relnamespace = to_regnamespace(%s) AND relkind IN ('r', 'p', 'v', 'm')
"""


def look_at(url: str, section: Section) -> SectionState:
    """Read the revision of a database, without changing it."""
    address = given_address(url)
    table = f"{section.version_schema}.{section.version_table}"
    version = SQL("SELECT version_num FROM {} ORDER BY 1").format(
        Identifier(section.version_schema, section.version_table)
    )
    try:
        with connect(address) as connection:
            schema = Identifier(section.schema).as_string(connection)
            row = connection.execute(_RELATIONS, [schema]).fetchone()
            name = Identifier(section.version_schema, section.version_table).as_string(connection)
            found = connection.execute("SELECT to_regclass(%s), current_user", [name]).fetchone()
            assert row is not None
            assert found is not None
            held = connection.execute(version).fetchall() if found[0] is not None else None
    except psycopg.Error as error:
        raise ExternalError(
            f"the database cannot be read: {error_text(error, address)}",
            place=table,
            remedy="Name the owner of its tables or a superuser.",
        ) from error
    return SectionState(
        database=str(address.database),
        schema=section.schema,
        version_table=table,
        revisions=None if held is None else tuple(str(r[0]) for r in held),
        relations=int(str(row[0])),
        owners=tuple(str(o) for o in row[1] or ()) if isinstance(row[1], list) else (),
        user=str(found[1]),
    )


def verify_on_copy(
    server: ScratchServer,
    candidate: RevisionCandidate,
    database: str,
    upgraded: Snapshot | None,
    *,
    operator: bool,
) -> tuple[VerificationCheck, ...]:
    """Run a revision up and down on a copy, and drop the copy."""
    name = f"{candidate.section.name}_copy"
    server.copy_given(name)
    try:
        with server.open_database(name) as engine:
            with engine.connect() as connection:
                before = read_snapshot(connection, candidate.section.schema)
            drift = compare(candidate.before, before)
            drifted = drifted_paths(drift, candidate.renamed_tables, candidate.renamed_columns)
            candidate = replace(candidate, database=name, before=before, filled=None)
            checks = [check_drift(database, drift)]
            checks += _up_and_down(engine, candidate, drifted, upgraded)
        if operator and all(check.holds is not False for check in checks):
            if gone(candidate) or candidate.answers.copies:
                server.drop_database(name)
                server.copy_given(name)
            checks.append(replace(run_as_operator(server, candidate), name="database operator"))
        return tuple(checks)
    finally:
        server.drop_database(name)


def _up_and_down(
    engine: sa.Engine,
    candidate: RevisionCandidate,
    drifted: frozenset[tuple[str, ...]],
    upgraded: Snapshot | None,
) -> Iterator[VerificationCheck]:
    schema = candidate.section.schema
    with engine.connect() as connection:
        rows = SiteRows(connection, candidate)
    try:
        with engine.begin() as connection:
            run(connection, candidate, "upgrade")
    except SQLAlchemyError as error:
        text = "the upgrade runs on the copy of the database"
        yield VerificationCheck("database upgrade", False, text, (database_words(error),))
        return
    with engine.connect() as connection:
        now = read_snapshot(connection, schema)
        arrived, hashed = rows.after(connection, now), rows.changed(connection, after=True)
    yield check_site(compare(upgraded, now) if upgraded is not None else None, drifted)
    yield _with_hashes("database rows", check_rows(candidate, rows.start, arrived), hashed)
    try:
        with engine.begin() as connection:
            run(connection, candidate, "downgrade")
    except SQLAlchemyError as error:
        text = "the downgrade runs on the copy of the database"
        yield VerificationCheck("database downgrade", False, text, (database_words(error),))
        return
    with engine.connect() as connection:
        restored = read_snapshot(connection, schema)
        back, hashed = rows.back(connection, restored), rows.changed(connection, after=False)
    check = check_downgrade(candidate.before, restored)
    yield replace(check, name="database downgrade", text="the downgrade restores the copy's catalog exactly")
    yield _with_hashes("database rows back", check_rows_back(candidate, rows.start, arrived, back), hashed)


def _with_hashes(name: str, check: VerificationCheck, hashed: tuple[str, ...]) -> VerificationCheck:
    holds = bool(check.holds) and not hashed
    return replace(check, name=name, holds=holds, details=(*hashed, *check.details))


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
