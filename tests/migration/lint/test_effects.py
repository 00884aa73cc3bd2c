from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.migration.lint.effects import apply
from consdb_actions.migration.lint.reading import read
from consdb_actions.migration.lint.state import State
from tests.support.random_ddl import BEGINNING, SCHEMA, STATEMENT, in_database, in_state


@pytest.fixture(scope="module")
def database(embedded_server: ScratchServer) -> Iterator[sa.Engine]:
    """Give a database with an empty schema."""
    engine = sa.create_engine(embedded_server.create_database("lint_effects"), poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA {SCHEMA}"))
    yield engine
    engine.dispose()


def follow(database: sa.Engine, texts: list[str]) -> None:
    """Run statements in Postgres and in the model; both must take and refuse the same ones."""
    state = State(SCHEMA)
    with database.connect() as connection:
        for text in texts:
            before = in_database(connection)
            (parsed,) = read(text)
            after, problem = state, ""
            for action in parsed.actions:
                after, reason = apply(after, action, if_exists=parsed.if_exists)
                problem = problem or reason
            words = ""
            try:
                with connection.begin_nested():
                    connection.execute(sa.text(text))
            except sa.exc.DBAPIError as error:
                words = str(error.orig).splitlines()[0]
            assert bool(problem) is bool(words), (text, f"model: {problem!r}, Postgres: {words!r}", before)
            if not problem:
                state = after
                assert in_state(state) == in_database(connection), (text, before)
        connection.rollback()


RUN = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(BEGINNING, st.lists(STATEMENT, min_size=4, max_size=14))
@settings(RUN, max_examples=40)
def test_the_database_agrees(database: sa.Engine, beginning: list[str], texts: list[str]) -> None:
    follow(database, beginning + texts)


@pytest.mark.slow
@given(BEGINNING, st.lists(STATEMENT, min_size=10, max_size=40))
@settings(RUN, max_examples=800)
def test_the_database_agrees_at_length(database: sa.Engine, beginning: list[str], texts: list[str]) -> None:
    follow(database, beginning + texts)
