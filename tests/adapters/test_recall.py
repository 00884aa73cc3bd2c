"""What is remembered of a schema answers as Postgres does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from consdb_actions.adapters.autogenerate.recall import inspect_tables, recalled
from consdb_actions.adapters.autogenerate.reflect import build_metadata, plain_state
from consdb_actions.adapters.postgres import ScratchServer

SCHEMA = "cdb_recalled"
TABLES = """
CREATE SCHEMA cdb_recalled;
CREATE TABLE cdb_recalled.parent (
    id bigint GENERATED ALWAYS AS IDENTITY (START 5) PRIMARY KEY,
    name varchar(16) NOT NULL DEFAULT 'a:b',
    UNIQUE (name, id)
);
CREATE TABLE cdb_recalled.child (
    n serial, parent bigint, ratio double precision CHECK (ratio > 0),
    told timestamp(6) DEFAULT now(),
    PRIMARY KEY (n),
    FOREIGN KEY (parent) REFERENCES cdb_recalled.parent (id) ON DELETE CASCADE DEFERRABLE
);
CREATE INDEX late ON cdb_recalled.child USING btree (told DESC) WHERE ratio > 1;
CREATE INDEX low ON cdb_recalled.parent (lower(name));
COMMENT ON TABLE cdb_recalled.child IS 'The child''s comment';
COMMENT ON COLUMN cdb_recalled.child.ratio IS 'of two';
CREATE VIEW cdb_recalled.seen AS SELECT n FROM cdb_recalled.child;
"""


@pytest.fixture
def connection(server: ScratchServer) -> Iterator[sa.Connection]:
    """Give a connection to a database with these tables."""
    with server.database("recalled"), server.open_database("recalled") as engine:
        with engine.begin() as connection:
            connection.exec_driver_sql(TABLES)
        with engine.connect() as connection:
            yield connection


def sql_of(metadata: sa.MetaData, connection: sa.Connection) -> list[str]:
    """Return the statements that would make the tables."""
    made = []
    for table in metadata.sorted_tables:
        made.append(str(CreateTable(table).compile(connection)))
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        made += [str(CreateIndex(index).compile(connection)) for index in indexes]
    return made


def test_tables_are_as_postgres_says(connection: sa.Connection) -> None:
    inspected = inspect_tables(connection, SCHEMA)
    fresh = sa.MetaData()
    fresh.reflect(connection, schema=SCHEMA, resolve_fks=False)
    remembered = sa.MetaData()
    with recalled(connection, inspected):
        connection.exec_driver_sql(f"DROP SCHEMA {SCHEMA} CASCADE")
        remembered.reflect(connection, schema=SCHEMA, resolve_fks=False)
    assert sql_of(remembered, connection) == sql_of(fresh, connection)
    assert {t.name: t.comment for t in remembered.tables.values()} == {
        "parent": None,
        "child": "The child's comment",
    }


def test_memory_ends_with_the_block(connection: sa.Connection) -> None:
    inspected = inspect_tables(connection, SCHEMA)
    connection.exec_driver_sql(f"DROP TABLE {SCHEMA}.child CASCADE")
    with recalled(connection, inspected):
        assert sorted(sa.inspect(connection).get_table_names(SCHEMA)) == ["child", "parent"]
    assert sa.inspect(connection).get_table_names(SCHEMA) == ["parent"]


def test_another_schema_is_asked_for(connection: sa.Connection) -> None:
    inspected = inspect_tables(connection, SCHEMA)
    connection.exec_driver_sql("CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.one (n int)")
    with recalled(connection, inspected):
        inspector = sa.inspect(connection)
        assert inspector.get_table_names("elsewhere") == ["one"]
        (columns,) = inspector.get_multi_columns(schema="elsewhere").values()
    assert [column["name"] for column in columns] == ["n"]


def test_nothing_is_asked_of_postgres(connection: sa.Connection) -> None:
    inspected = inspect_tables(connection, SCHEMA)
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        asked.append(statement)

    sa.event.listen(connection, "before_cursor_execute", note)
    metadata = build_metadata(connection, inspected, {"child"})
    state = plain_state(inspected, connection.dialect)
    assert asked == []
    assert [table.name for table in metadata.tables.values()] == ["child"]
    assert sorted(state.tables) == ["child", "parent"]


def test_what_one_reader_changes_the_next_does_not_see(connection: sa.Connection) -> None:
    inspected = inspect_tables(connection, SCHEMA)
    before = plain_state(inspected, connection.dialect)
    for _ in range(2):
        first = build_metadata(connection, inspected, {"child", "parent"})  # escapes colons of defaults
    assert plain_state(inspected, connection.dialect) == before
    again = build_metadata(connection, inspected, {"child", "parent"})
    assert sql_of(again, connection) == sql_of(first, connection)


def test_many_tables_are_as_few(connection: sa.Connection) -> None:
    # From a hundred on, SQLAlchemy may take all tables rather than name them.
    for number in range(120):
        connection.exec_driver_sql(f"CREATE TABLE {SCHEMA}.t{number} (n int)")
    inspected = inspect_tables(connection, SCHEMA)
    metadata = build_metadata(connection, inspected, {f"t{number}" for number in range(110)})
    assert len(metadata.tables) == 110
