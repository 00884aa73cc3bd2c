"""Verify a revision on a copy of a site's database (rules M12, M15)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import sqlalchemy as sa
from psycopg.sql import SQL, Identifier
from sqlalchemy.exc import SQLAlchemyError

from consdb_actions.adapters.autogenerate.drafting import RevisionCandidate
from consdb_actions.adapters.autogenerate.rows import SiteRows, check_rows, check_rows_back, gone
from consdb_actions.adapters.autogenerate.running import database_words, run, run_as_operator
from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.adapters.postgres import ScratchServer, connect, error_text, given_address
from consdb_actions.adapters.tree import Section
from consdb_actions.catalog import Snapshot, compare
from consdb_actions.errors import ExternalError
from consdb_actions.migration.outcome import VerificationCheck
from consdb_actions.migration.site import SectionState, check_drift, check_site, drifted_paths
from consdb_actions.migration.verification import check_downgrade

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
    most: int | None = None,
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
            checks += _up_and_down(engine, candidate, drifted, upgraded, most)
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
    most: int | None,
) -> Iterator[VerificationCheck]:
    schema = candidate.section.schema
    with engine.connect() as connection:
        rows = SiteRows(connection, candidate, most)
    try:
        with engine.begin() as connection:
            run(connection, candidate, "upgrade")
    except SQLAlchemyError as error:
        words = "the upgrade runs on the copy of the database"
        yield VerificationCheck("database upgrade", False, words, (database_words(error),))
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
        words = "the downgrade runs on the copy of the database"
        yield VerificationCheck("database downgrade", False, words, (database_words(error),))
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
