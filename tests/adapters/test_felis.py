from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from felis import datamodel
from felis.metadata import MetaDataBuilder
from hypothesis import given, settings
from pydantic import BaseModel
from sqlalchemy import CheckConstraint, MetaData, create_engine, inspect
from sqlalchemy.schema import CreateIndex, CreateSchema, CreateTable

from consdb_actions.adapters import schema_fields
from consdb_actions.adapters.felis import validate
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.schema_yaml import ReadSchema, read_file, read_yaml
from consdb_actions.adapters.yaml_tree import FileError
from consdb_actions.schema.model import Schema
from tests.adapters.test_schema_yaml import BASE, OLD, column
from tests.support.schemas import SMALL, schemas


def ddl(metadata: MetaData) -> list[str]:
    """Return all that metadata would make, comments included."""
    dialect = create_engine("postgresql+psycopg://").dialect
    made = []
    for table in metadata.sorted_tables:
        made.append(str(CreateTable(table).compile(dialect=dialect)))
        made += sorted(str(CreateIndex(index).compile(dialect=dialect)) for index in table.indexes)
        made += [f"{table.name} {table.comment}", *(f"{item.name} {item.comment}" for item in table.columns)]
    return made


def test_the_metadata_is_that_of_felis_itself(tmp_path: Path) -> None:
    path = tmp_path / "cdb_demo.yaml"
    path.write_text(SMALL, encoding="utf-8")
    loaded = validate(read_file(path, expect_name="cdb_demo"))
    by_felis: datamodel.Schema[Any] = datamodel.Schema.model_validate(
        yaml.safe_load(SMALL), context={"id_generation": True}
    )
    assert ddl(loaded.metadata()) == ddl(MetaDataBuilder(by_felis).build())
    assert loaded.metadata() is not loaded.metadata()
    assert loaded.source == str(path)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (
            column(datatype="int", **{"ivoa:unit": "furlongz"}),
            9,
            'unit "furlongz", which astropy does not know',
        ),
        (column(datatype="int", **{"ivoa:ucd": "pos.nowhere"}), 9, 'UCD "pos.nowhere", which is not valid'),
        (
            column(datatype="int", **{"postgresql:datatype": "dml"}),
            9,
            "postgresql:datatype that Felis cannot use",
        ),
        (
            column(datatype="int", **{"postgresql:datatype": "'NUMERIC(10,2)'"}),
            9,
            'cannot use: "NUMERIC(10,2)"',
        ),
        (column(datatype="int", **{"tap:principal": 7}), 9, 'column "exposure.b": Felis says'),
    ],
)
def test_what_felis_objects_to_has_a_line(text: str, line: int, words: str) -> None:
    with pytest.raises(FileError) as caught:
        validate(read_yaml(text, source="f.yaml"))
    (problem,) = caught.value.problems
    assert words in problem.cause
    assert problem.line == line
    assert problem.remedy


def test_all_findings_of_felis_are_reported_at_once() -> None:
    text = column(datatype="int", **{"ivoa:unit": "furlongz"})
    text += "  - {name: c, datatype: int, ivoa:ucd: nope}\n"
    with pytest.raises(FileError) as caught:
        validate(read_yaml(text, source="f.yaml"))
    assert [problem.line for problem in caught.value.problems] == [9, 10]


def test_old_files_keep_their_repeated_names() -> None:
    loaded = validate(read_yaml(OLD, source="x"))
    keys = [key.name for table in loaded.metadata().sorted_tables for key in table.foreign_key_constraints]
    assert keys == ["fk_obs_id", "fk_obs_id"]
    assert loaded.notes


ODD = (
    BASE
    + """\
  - {name: b, datatype: string, length: 20, value: "it's 100% :x ${y}"}
  - {name: c, datatype: text, postgresql:datatype: JSONB}
  constraints:
  - {name: ck, "@type": Check, expression: "b <> ':x' AND a::int > 0 AND b NOT LIKE '%q'"}
  indexes:
  - {name: ix, expressions: ["lower(b)", "a + 1"]}
"""
)


def test_m13_text_with_colons_and_percents_reaches_the_database(server: ScratchServer) -> None:
    metadata = validate(read_yaml(ODD, source="x")).metadata()
    engine = create_engine(server.create_database("felis"))
    try:
        with engine.begin() as connection:
            connection.execute(CreateSchema("cdb_x"))
            metadata.create_all(connection)
            inspector = inspect(connection)
            (check,) = inspector.get_check_constraints("exposure", "cdb_x")
            (index,) = inspector.get_indexes("exposure", "cdb_x")
            connection.exec_driver_sql("INSERT INTO cdb_x.exposure (exposure_id, a) VALUES (1, 1)")
            value = connection.exec_driver_sql("SELECT b FROM cdb_x.exposure").scalar_one()
    finally:
        engine.dispose()
        server.drop_database("felis")
    assert value == "it's 100% :x ${y}"
    assert "':x'" in check["sqltext"]
    assert "'%q'" in check["sqltext"]
    assert index["expressions"] == ["lower(b::text)", "(a + 1)"]


def test_checks_have_no_parameters() -> None:
    (table,) = validate(read_yaml(ODD, source="x")).metadata().sorted_tables
    (check,) = (item for item in table.constraints if isinstance(item, CheckConstraint))
    assert check.sqltext.compile().params == {}


@settings(max_examples=25, deadline=None)
@given(schemas())
def test_every_schema_of_the_model_is_one_for_felis(schema: Schema) -> None:
    metadata = validate(ReadSchema(schema, "x")).metadata()
    assert {table.name for table in metadata.tables.values()} == {table.name for table in schema}
    for table in schema:
        made = metadata.tables[f"{schema.name}.{table.name}"]
        assert tuple(made.columns.keys()) == table.column_names
        assert tuple(key.name for key in made.primary_key.columns) == table.primary_key


KINDS: dict[str, type[BaseModel]] = {
    "schema": datamodel.Schema,
    "table": datamodel.Table,
    "column": datamodel.Column,
    "unique": datamodel.UniqueConstraint,
    "foreign key": datamodel.ForeignKeyConstraint,
    "check": datamodel.CheckConstraint,
    "index": datamodel.Index,
    "resource": datamodel.Resource,
    "column reference": datamodel.ColumnResourceRef,
    "column overrides": datamodel.ColumnOverrides,
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_keys_are_those_of_the_installed_felis(kind: str) -> None:
    ours = schema_fields.KEYS[kind]
    for name, field in KINDS[kind].model_fields.items():
        assert ours.get(name) == (field.alias or name)
    theirs = {field.alias or name for name, field in KINDS[kind].model_fields.items()}
    assert set(ours.values()) - theirs <= {"reference"}


def test_the_types_are_those_of_the_installed_felis() -> None:
    from felis.types import FelisType

    assert set(schema_fields.DATATYPES) == {str(kind) for kind in datamodel.DataType}
    kinds = {name: FelisType.felis_type(name) for name in schema_fields.DATATYPES}
    assert {name for name, kind in kinds.items() if kind.is_sized} == schema_fields.SIZED
    assert {
        name for name, kind in kinds.items() if kind.is_numeric
    } == schema_fields.INTEGERS | schema_fields.REALS
