from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from sqlalchemy import create_engine
from sqlalchemy.schema import CreateSchema

from consdb_actions.adapters.felis import validate
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.schema_fields import SIZED
from consdb_actions.adapters.schema_yaml import ReadSchema
from consdb_actions.migration.preview import postgres_type, preview_schema, table_facts
from consdb_actions.schema.model import Column, Schema, Table
from tests.support.schemas import schemas, small


@given(schemas(), schemas())
def test_whatever_went_is_decided_on(before: Schema, after: Schema) -> None:
    shown = preview_schema(before, after, views={}, severities={})
    for table in shown.delta.tables_changed:
        for column in table.columns_removed:
            assert shown.decisions is not None
            named = {(item.table, item.column) for item in shown.decisions.drops}
            named |= {(item.table, item.old) for item in shown.decisions.renames}
            named |= {(item.table, item.column) for item in shown.decisions.moves}
            asked = {path for question in shown.decisions.questions for path in question.columns}
            assert (table.name, column.name) in named or f"{table.name}.{column.name}" in asked


def test_what_only_adds_needs_no_decision() -> None:
    exposure, quicklook = small().tables
    column = Column("gain", "#exposure.gain", "double")
    after = replace(small(), tables=(replace(exposure, columns=(*exposure.columns, column)), quicklook))
    assert preview_schema(small(), after, views={}, severities={}).decisions is None


def test_ids_that_change_hands_are_decided_on() -> None:
    exposure, quicklook = small().tables
    day, number = exposure.column("day_obs"), exposure.column("seq_num")
    swapped = {"day_obs": replace(day, id=number.id), "seq_num": replace(number, id=day.id)}
    columns = tuple(swapped.get(column.name, column) for column in exposure.columns)
    after = replace(small(), tables=(replace(exposure, columns=columns), quicklook))
    decisions = preview_schema(small(), after, views={}, severities={}).decisions
    assert decisions is not None
    assert decisions.renames or decisions.questions


def test_views_are_no_tables() -> None:
    assert [table.name for table in table_facts(small(), {"exposure"})] == ["exposure_quicklook"]
    (table,) = table_facts(small(), {"exposure"})
    assert table.primary_key == ("exposure_id",)
    assert table.foreign_keys[0].referenced_table == "exposure"
    assert [column.position for column in table.columns] == [0, 1]
    assert not table.columns[0].nullable


TYPES = {
    "int": "integer",
    "long": "bigint",
    "short": "smallint",
    "byte": "smallint",
    "float": "double precision",
    "double": "double precision",
    "boolean": "boolean",
    "string": "character varying(8)",
    "unicode": "character varying(8)",
    "char": "character(8)",
    "text": "text",
    "binary": "bytea",
    "timestamp": "timestamp without time zone",
}
COLUMNS = [
    *(Column(kind, f"#{kind}", kind, length=8 if kind in SIZED else None) for kind in TYPES),
    Column("precise", "#p", "timestamp", precision=6),
    Column("jsonb", "#j", "text", type_overrides=(("postgresql", "JSONB"),)),
]


def test_types_are_those_that_felis_makes_in_postgres(server: ScratchServer) -> None:
    schema = Schema("cdb_types", "#s", tables=(Table("t", "#t", columns=tuple(COLUMNS)),))
    engine = create_engine(server.create_database("types"))
    try:
        with engine.begin() as connection:
            connection.execute(CreateSchema("cdb_types"))
            validate(ReadSchema(schema, "x")).metadata().create_all(connection)
            rows = connection.exec_driver_sql(
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
                " WHERE attrelid = 'cdb_types.t'::regclass AND attnum > 0"
            ).all()
    finally:
        engine.dispose()
        server.drop_database("types")
    assert dict(tuple(row) for row in rows) == {column.name: postgres_type(column) for column in COLUMNS}
    assert {kind: postgres_type(column) for kind, column in zip(TYPES, COLUMNS, strict=False)} == TYPES
