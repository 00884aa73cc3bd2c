"""Columns that a schema file takes from one beside it: as Felis does, but never from anywhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from felis import datamodel
from felis.metadata import MetaDataBuilder

from consdb_actions.adapters.felis import validate
from consdb_actions.adapters.schema_fields import MAX_FILES
from consdb_actions.adapters.schema_sources import read_sides, resolve_base
from consdb_actions.adapters.schema_yaml import read_file, read_yaml
from consdb_actions.adapters.tree import changed_sections, read_tree
from consdb_actions.adapters.yaml_tree import MAX_BYTES, FileError, Problem
from tests.adapters.test_felis import ddl
from tests.support.repository import Repository
from tests.support.trees import MIGRATIONS

OTHER = """
name: weather
tables:
- name: station
  columns:
  - {name: wind, datatype: double, description: Wind., 'ivoa:unit': m/s, 'tap:principal': 1}
  - {name: label, datatype: string, length: 9, value: none, description: A label.}
  - {name: taken, datatype: timestamp, precision: 3}
  - {name: raw, datatype: text, 'postgresql:datatype': JSONB}
"""
HEAD = """
name: cdb_latiss
version: {current: 1.0.0}
resources: {weather: {uri: weather.yaml}}
tables:
- name: exposure
  primaryKey: '#exposure.seq'
  columns:
  - {name: day, datatype: int}
"""
REFS = """  columnRefs:
    weather:
      station:
        seq: {ref_name: wind, overrides: {datatype: long, nullable: false}}
        wind:
        label: {overrides: {length: 20, description: Another., 'tap:column_index': 7}}
        number: {ref_name: label, overrides: {datatype: text}}
        taken: {overrides: {description: null}}
        raw: {}
"""


def folder(path: Path, files: dict[str, str]) -> Path:
    path.mkdir(exist_ok=True)
    for name, text in files.items():
        (path / name).write_text(text, encoding="utf-8")
    return path / "cdb_latiss.yaml"


def problem(path: Path) -> Problem:
    with pytest.raises(FileError) as caught:
        read_file(path)
    (found,) = caught.value.problems
    return found


def one(resource: str, column: str = "wind") -> str:
    """A schema that takes one column from a resource of this uri."""
    return (
        f"name: cdb_latiss\nresources: {{r: {{uri: '{resource}'}}}}\ntables:\n"
        f"- name: t\n  columnRefs: {{r: {{station: {{{column}: }}}}}}\n"
    )


def test_the_columns_are_those_that_felis_makes(tmp_path: Path) -> None:
    path = folder(tmp_path, {"weather.yaml": OTHER, "cdb_latiss.yaml": HEAD + REFS})
    # The reference to "label" keeps a default that is text, and so does its type.
    loaded = validate(read_file(path))
    by_felis: datamodel.Schema[Any] = datamodel.Schema.from_uri(str(path), context={"id_generation": True})
    assert ddl(loaded.metadata()) == ddl(MetaDataBuilder(by_felis).build())
    facts = ("name", "id", "datatype", "nullable", "description", "ivoa_unit", "tap_principal")
    assert [[getattr(c, f) for f in facts] for c in loaded.felis.tables[0].columns] == [
        [getattr(c, f) for f in facts] for c in by_felis.tables[0].columns
    ]
    assert loaded.schema.table("exposure").primary_key == ("seq",)
    assert loaded.lines["column", "exposure", "wind"] == (HEAD + REFS).splitlines().index("        wind:") + 1


def test_a_table_may_have_nothing_of_its_own(tmp_path: Path) -> None:
    path = folder(tmp_path, {"weather.yaml": OTHER, "cdb_latiss.yaml": one("./weather.yaml")})
    assert read_file(path).schema.table("t").column_names == ("wind",)


def test_files_may_lead_on(tmp_path: Path) -> None:
    between = OTHER.replace("- name: station", "- name: base").replace("name: weather", "name: far")
    near = "name: n\nresources: {far: {uri: far.yml}}\ntables:\n- name: station\n"
    near += "  columnRefs: {far: {base: {breeze: {ref_name: wind}}}}\n"
    files = {"far.yml": between, "near.yaml": near, "cdb_latiss.yaml": one("near.yaml", "breeze")}
    (column,) = read_file(folder(tmp_path, files)).schema.table("t").columns
    assert (column.name, column.id, column.datatype, column.unit) == ("breeze", "#t.breeze", "double", "m/s")


@pytest.mark.parametrize(
    "uri",
    [
        "https://example.org/weather.yaml",
        "resource://lsst.sdm.schemas/weather.yaml",
        "file:///etc/weather.yaml",
        "/etc/weather.yaml",
        "../weather.yaml",
        "sub/weather.yaml",
        "./sub/../weather.yaml",
        ".weather.yaml",
        "weather.txt",
        "weather.yaml#x",
        "%2e%2e/weather.yaml",
        "a\\\\weather.yaml",
        "",
    ],
)
def test_s2_nothing_is_read_but_a_file_of_the_folder(tmp_path: Path, uri: str) -> None:
    folder(tmp_path, {"weather.yaml": OTHER})
    inside = folder(tmp_path / "in", {"cdb_latiss.yaml": one(uri)})
    found = problem(inside)
    assert "columnRefs" in found.cause
    assert found.line == 2
    assert "Nothing is fetched" in found.remedy


def test_a_resource_that_no_table_uses_is_not_looked_at(tmp_path: Path) -> None:
    for uri in ("missing.yaml", "https://example.org/x.yaml"):
        text = HEAD.replace("#exposure.seq", "#exposure.day").replace("weather.yaml", uri)
        assert read_yaml(text, source="f").schema.table("exposure").column_names == ("day",)


def test_s2_a_link_must_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    folder(tmp_path, {"secret.yaml": OTHER})
    inside = folder(tmp_path / "in", {"cdb_latiss.yaml": one("weather.yaml"), "own.yaml": OTHER})
    (tmp_path / "in" / "weather.yaml").symlink_to("../secret.yaml")
    assert "out of the folder" in problem(inside).cause
    (tmp_path / "in" / "weather.yaml").unlink()
    (tmp_path / "in" / "weather.yaml").symlink_to("own.yaml")
    assert read_file(inside).schema.table("t").column_names == ("wind",)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (None, "there is no file weather.yaml"),
        ("name: [", "weather.yaml cannot be read: line 2"),
        ("a text", "is not a schema file"),
        ("name: w\ntables: 3", "is not a schema file"),
        ("name: w\ntables: [{name: other}]", 'table "station", which the other file does not have'),
        ("name: w\ntables: [{name: station, columns: 7}]", "must be a list"),
        ("name: w\ntables: [{name: station, columns: [{name: w1nd}, 7]}]", 'names "wind"'),
        ("name: w\ntables: [{name: station, columns: [{name: wind}]}]", 'column "t.wind" has no datatype'),
        ("name: w\ntables: [{name: station, columns: [{name: wind, datatype: int, x: 1}]}]", 'key "x"'),
        ("name: w\ntables: [{name: station, columns: [{name: wind, datatype: char}]}]", "has no length"),
        ("#" * (MAX_BYTES + 1), "larger than"),
    ],
)
def test_what_is_wrong_in_the_other_file_is_said_at_the_reference(
    tmp_path: Path, other: str | None, words: str
) -> None:
    files = {"cdb_latiss.yaml": one("weather.yaml")}
    found = problem(folder(tmp_path, files if other is None else {**files, "weather.yaml": other}))
    assert words in found.cause
    assert found.line in {2, 5}


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("3", "must be a mapping"),
        ("{name: wind}", 'unknown key "name"'),
        ("{overrides: {unit: m}}", 'unknown key "unit"'),
        ("{overrides: {nullable: null}}", "is empty"),
        ("{overrides: {datatype: decimal}}", "which Felis does not know"),
        ("{overrides: {datatype: string}}", "has no length"),
        ("{ref_name: label, overrides: {datatype: int}}", "default value"),
        ("{ref_name: gust}", 'names "gust"'),
    ],
)
def test_references_are_checked(tmp_path: Path, reference: str, words: str) -> None:
    text = one("weather.yaml").replace("wind: ", f"wind: {reference}")
    found = problem(folder(tmp_path, {"weather.yaml": OTHER, "cdb_latiss.yaml": text}))
    assert words in found.cause
    assert found.line == 5


def test_a_column_that_is_there_already_stands_twice(tmp_path: Path) -> None:
    text = HEAD.replace("#exposure.seq", "#exposure.day").replace("name: day", "name: wind")
    text = text.replace("#exposure.day", "#exposure.wind")
    text += "  columnRefs: {weather: {station: {wind: }}}\n"
    assert "twice" in problem(folder(tmp_path, {"weather.yaml": OTHER, "cdb_latiss.yaml": text})).cause


def test_s2_files_that_go_in_circles_or_on_and_on_are_refused(tmp_path: Path) -> None:
    def leading(to: str) -> str:
        return one(to).replace("cdb_latiss", "x").replace("name: t\n", "name: station\n")

    files = {"a.yaml": leading("b.yaml"), "b.yaml": leading("a.yaml"), "cdb_latiss.yaml": one("a.yaml")}
    assert "takes columns from itself" in problem(folder(tmp_path / "ring", files)).cause
    chain = {f"f{n}.yaml": leading(f"f{n + 1}.yaml") for n in range(MAX_FILES + 1)}
    chain |= {f"f{MAX_FILES + 1}.yaml": OTHER, "cdb_latiss.yaml": one("f0.yaml")}
    assert f"more than {MAX_FILES} files" in problem(folder(tmp_path / "long", chain)).cause


def test_without_the_folder_the_file_is_refused() -> None:
    with pytest.raises(FileError, match="columnRefs"):
        read_yaml(HEAD + REFS, source="f")


def test_a_commit_has_the_other_file_as_it_was(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "sdm")
    path = "python/lsst/sdm/schemas"
    repository.put(f"{path}/cdb_latiss.yaml", HEAD + REFS)
    repository.put(f"{path}/weather.yaml", OTHER)
    repository.commit()
    repository.put(f"{path}/weather.yaml", OTHER.replace("datatype: double", "datatype: float"))
    repository.commit()
    found = resolve_base(repository.path, "HEAD~1").read("cdb_latiss")
    assert found is not None
    assert found.read().schema.table("exposure").column("wind").datatype == "double"
    before, after = read_sides("HEAD~1", "HEAD", repository=repository.path)
    schemas = [side.files["cdb_latiss"].read().schema for side in (before, after)]
    kinds = [schema.table("exposure").column("wind").datatype for schema in schemas]
    assert kinds == ["double", "float"]
    single, _ = read_sides(f"HEAD~1:{path}/cdb_latiss.yaml", str(repository.path), repository=repository.path)
    assert single.files["cdb_latiss"].read().schema == found.read().schema
    # The change of the file beside it is a change of the schema.
    tree = read_tree(MIGRATIONS)
    changed = changed_sections(tree, repository.path, resolve_base(repository.path, "HEAD~1"), ["latiss"])
    assert [s.name for s in changed] == ["latiss"]
    assert not changed_sections(tree, repository.path, resolve_base(repository.path, "HEAD"), ["latiss"])


def test_s2_a_link_of_a_commit_must_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "sdm")
    repository.put("yml/cdb_latiss.yaml", one("weather.yaml"))
    repository.put("secret.yaml", OTHER)
    (repository.path / "yml" / "weather.yaml").symlink_to("../secret.yaml")
    repository.commit()
    found = resolve_base(repository.path, "HEAD").read("cdb_latiss")
    assert found is not None
    with pytest.raises(FileError, match="out of the folder"):
        found.read()
