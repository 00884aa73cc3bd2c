from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from consdb_actions.adapters.files import read_bytes
from consdb_actions.adapters.schema_yaml import (
    CONSDB_FOLDERS,
    SDM_FOLDERS,
    find_schema_file,
    list_schema_files,
    read_yaml,
)
from consdb_actions.adapters.yaml_tree import MAX_BYTES, FileError, Problem
from consdb_actions.errors import InputError
from consdb_actions.schema.model import Constraint, Index
from tests.support.schemas import SMALL

BASE = """\
name: cdb_x
version: {current: "1.0.0"}
tables:
- name: exposure
  primaryKey: ["#exposure.exposure_id"]
  columns:
  - {name: exposure_id, datatype: long, nullable: false}
  - {name: a, datatype: int}
"""
"""Ends within the columns of exposure, on line 8."""

CONSTRAINT = BASE + '  constraints:\n  - {name: c, "@type": '
LONG = "é" * 32


def problems(text: str | bytes) -> list[Problem]:
    """Return what is wrong in a file."""
    with pytest.raises(FileError) as caught:
        read_yaml(text, source="f.yaml")
    return list(caught.value.problems)


def column(**keys: object) -> str:
    """Return BASE with one more column."""
    return BASE + "  - {name: b, " + ", ".join(f"{key}: {value}" for key, value in keys.items()) + "}\n"


@pytest.mark.parametrize(
    ("text", "line", "cause", "remedy"),
    [
        ("", 0, "the file is empty", "A schema starts with"),
        ("# only a note", 0, "the file is empty", "A schema starts with"),
        ("- a\n- b\n", 1, "must be a mapping of keys and values, not a list", ""),
        ("hello", 1, 'not "hello"', ""),
        ("name: x\n", 1, 'no "tables"', "Add tables:"),
        ("name: x\ntables: {a: b}", 2, '"tables" of the schema must be a list', "dash"),
        ("name: x\ntables: [t]", 2, "table 1 must be a mapping", ""),
        ("tables: []", 1, "the schema has no name", "Add name:"),
        ("name: [x]\ntables: []", 1, "must be text, not a list", ""),
        ("name: 3\ntables: []", 1, "not 3 (int in YAML)", "quotes"),
        ('name: ""\ntables: []', 1, "empty name", ""),
        ("name: x\ntabels: []\ntables: []", 2, 'unknown key "tabels"', 'Did you mean "tables"?'),
        ("name: x\nresources: [a]\ntables: []", 2, '"resources" must be a mapping', "uri"),
        ("name: x\nversion: [1]\ntables: []", 2, "the version is not text", "1.0.0"),
        ("name: x\nversion: {now: 1}\ntables: []", 2, 'has no "current"', "1.0.0"),
        (BASE + "  columnRefs: {a: {b: {c: }}}\n", 9, "which resources: does not have", "uri"),
        (
            BASE + "- name: exposure\n  columns: []\n",
            9,
            'table "exposure" is defined twice, first on line 4',
            "",
        ),
        (BASE + "- columns: []\n", 9, "table 2 has no name", ""),
        (BASE + "- name: t\n", 9, 'table "t" has no "columns"', ""),
        (
            BASE + "  - {name: a, datatype: int}\n",
            9,
            'column "a" is defined twice in table "exposure", first on line 8',
            "",
        ),
        (
            BASE + '  - {name: b, "@id": "#exposure.a", datatype: int}\n',
            9,
            'column "exposure.a" on line 8',
            "own",
        ),
        (BASE + "  - {datatype: int}\n", 9, 'column 3 of table "exposure" has no name', ""),
        (BASE + "  - {name: yes, datatype: int}\n", 9, "not yes (bool in YAML)", "quotes"),
        (BASE + "  - {name: xmin, datatype: int}\n", 9, "Postgres keeps for itself", "another"),
        (BASE + "  - {name: b}\n", 9, 'column "exposure.b" has no datatype', "Add datatype"),
        (column(datatype="integer"), 9, '"integer", which Felis does not know', 'Did you mean "int"?'),
        (column(datatype="string"), 9, "of type string and has no length", "Add length"),
        (column(datatype="string", length=0), 9, "whole number from 1 on", ""),
        (column(datatype="string", length="many"), 9, "whole number from 1 on", ""),
        (column(datatype="int", precision=6), 9, "is not a timestamp", ""),
        (column(datatype="timestamp", precision=9), 9, "Postgres keeps at most 6", ""),
        (column(datatype="int", nullable="maybe"), 9, "true or false", ""),
        (column(datatype="int", desciption="x"), 9, 'unknown key "desciption"', '"description"'),
        (column(datatype="int", description="[x]"), 9, "must be text, not a list", ""),
        (column(datatype="int", description='"a\\0b"'), 9, "NUL character", "remove it"),
        (column(datatype="int", value='"3"'), 9, "(text in YAML)", "without quotes"),
        (column(datatype="float", value=3), 9, "a decimal number", "0.0"),
        (column(datatype="boolean", value=1), 9, "true or false", ""),
        (column(datatype="int", value="true"), 9, "(bool in YAML)", ""),
        (column(datatype="text", value=3), 9, "must be text", "quotes"),
        (column(datatype="text", value='" "'), 9, "not empty", ""),
        (column(datatype="text", value="2024-01-01"), 9, "(date in YAML)", "quotes"),
        (column(datatype="int", value=3, autoincrement="true"), 9, "autoincremented", "one of the two"),
        (
            column(datatype="int", **{"ivoa:unit": "s", "fits:tunit": "s"}),
            9,
            "an IVOA unit and a FITS unit",
            "",
        ),
        (BASE.replace('exposure_id"]', 'exposre"]'), 5, "which is not a column of this schema", "#exposure."),
        (BASE.replace('exposure_id"]', 'a", "#exposure.a"]'), 5, 'names column "a" twice', ""),
        (BASE.replace('#exposure.exposure_id"]', '#exposure"]'), 5, "which is a table, not a column", ""),
        (BASE + "  constraints:\n  - {name: c}\n", 10, "has no @type", "Unique, ForeignKey, Check"),
        (CONSTRAINT + "Uniq, columns: []}", 10, 'unknown @type "Uniq"', "Unique"),
        (CONSTRAINT + "Unique}", 10, "has no columns", "Add columns"),
        (CONSTRAINT + "Check}", 10, "has no expression", "SQL"),
        (CONSTRAINT + "Check, expression: a > 0, initially: DEFERRED}", 10, "not deferrable", ""),
        (
            CONSTRAINT + 'Unique, columns: ["#exposure.z"]}',
            10,
            '"#exposure.z", which is not a column',
            "#exposure.a",
        ),
        (
            CONSTRAINT + 'ForeignKey, columns: ["#exposure.a"], referencedColumns: ["#visit.id"]}',
            10,
            'names "#visit.id", which is not a column of this schema',
            "",
        ),
        (
            CONSTRAINT + 'ForeignKey, columns: ["#exposure.a"]}',
            10,
            "refers to no columns",
            "referencedColumns",
        ),
        (
            CONSTRAINT + 'ForeignKey, columns: ["#exposure.a", "#exposure.exposure_id"],'
            ' referencedColumns: ["#exposure.a"]}',
            10,
            "has 2 columns but refers to 1",
            "same order",
        ),
        (
            CONSTRAINT + "ForeignKey, columns: [a], reference: {table: exposur, columns: [a]}}",
            10,
            'table "exposur", which this schema does not have',
            'Did you mean "exposure"?',
        ),
        (
            CONSTRAINT
            + 'ForeignKey, columns: ["#exposure.a"], referencedColumns: ["#exposure.a"], on_delete: KILL}',
            10,
            '"KILL", which Felis does not know',
            "CASCADE",
        ),
        (BASE + "  indexes:\n  - {name: i}\n", 10, "needs columns or expressions", ""),
        (
            BASE + '  indexes:\n  - {name: exposure, columns: ["#exposure.a"]}\n',
            10,
            'is called "exposure", and so is table "exposure": Postgres refuses',
            "Rename",
        ),
        (
            CONSTRAINT.replace("{name: c", "{name: exposure_pkey") + 'Unique, columns: ["#exposure.a"]}',
            10,
            'so is the primary key of "exposure"',
            "Rename",
        ),
        (BASE.replace("cdb_x", LONG), 1, "the schema", "Shorten the name by 1 bytes"),
        (
            BASE + f"- name: {LONG}\n  columns: [{{name: a, datatype: int}}]\n",
            9,
            f'would become "{LONG[:-1]}"',
            "Shorten",
        ),
        (BASE + f"  - {{name: {LONG}, datatype: int}}\n", 9, "has 64 bytes", "Shorten"),
        (
            CONSTRAINT.replace("{name: c", f"{{name: {LONG}") + "Check, expression: a > 0}",
            10,
            "has 64 bytes",
            "Short",
        ),
        (BASE + f"  indexes:\n  - {{name: {LONG}, expressions: [a]}}\n", 10, "has 64 bytes", "Shorten"),
    ],
)
def test_bad_schemas_are_refused_with_line_and_remedy(text: str, line: int, cause: str, remedy: str) -> None:
    (problem,) = problems(text)
    assert cause in problem.cause
    assert problem.line == line
    assert remedy in problem.remedy
    assert problem.remedy


def test_all_that_is_wrong_is_said_at_once() -> None:
    text = column(datatype="integer", length=-1) + "  - {name: a, datatype: int, unit: s}\n"
    with pytest.raises(InputError) as caught:
        read_yaml(text, source="f.yaml")
    assert str(caught.value) == (
        "f.yaml: 4 problems\n"
        '  line 9, column 15: "datatype" of column "exposure.b" is "integer", which Felis does not know\n'
        '      Did you mean "int"?\n'
        '  line 9, column 34: "length" of column "exposure.b" must be a whole number from 1 on, not "-1"\n'
        "      Write a number.\n"
        '  line 10, column 6: column "a" is defined twice in table "exposure", first on line 8\n'
        "      Remove or rename one of the two.\n"
        '  line 10, column 30: column "exposure.a" has an unknown key "unit"\n'
        '      Did you mean "ivoa:unit"?'
    )


def test_one_problem_names_file_line_and_column() -> None:
    with pytest.raises(InputError) as caught:
        read_yaml(BASE, source="cdb_y.yaml", expect_name="cdb_y")
    assert str(caught.value).splitlines()[0] == ('cdb_y.yaml:1:7: the schema is called "cdb_x", not "cdb_y"')
    assert read_yaml(BASE, source="x", expect_name="cdb_x").schema.name == "cdb_x"


def test_references_become_names_and_ids_are_made_up() -> None:
    read = read_yaml(SMALL, source="small.yaml")
    exposure, quicklook = read.schema.tables
    assert exposure.primary_key == ("day_obs", "seq_num")
    assert quicklook.primary_key == ("exposure_id",)
    assert quicklook.constraints == (
        Constraint(
            kind="foreign key",
            name="fk_quicklook_exposure",
            id="#exposure_quicklook.fk_quicklook_exposure",
            columns=("exposure_id",),
            referenced_table="exposure",
            referenced_columns=("exposure_id",),
            on_delete="CASCADE",
            description="Points to the exposure.",
        ),
    )
    assert exposure.indexes == (Index("ix_exposure_band", "#exposure.ix_exposure_band", ("band",)),)
    assert read.notes == ()
    assert read.schema.version == "1.2.3"
    assert read.lines[("column", "exposure", "band")] == SMALL.splitlines().index("  - name: band") + 1
    assert read.lines[("version",)] == 4
    assert read_yaml(BASE, source="x").schema.table("exposure").column("a").id == "#exposure.a"


def test_attribute_spellings_of_felis_are_taken() -> None:
    text = BASE.replace("primaryKey", "primary_key") + "    ivoa_unit: s\n"
    text = text.replace("- {name: a, datatype: int}", "- name: a\n    id: '#q'\n    datatype: int")
    read = read_yaml(text, source="x")
    table = read.schema.table("exposure")
    assert table.primary_key == ("exposure_id",)
    assert (table.column("a").unit, table.column("a").id) == ("s", "#q")


OLD = """\
name: cdb_old
tables:
- name: exposure
  primaryKey: ["#exposure.exposure_id"]
  columns:
  - {name: exposure_id, datatype: long}
- name: flex_one
  columns:
  - {name: obs_id, datatype: long}
  constraints:
  - {name: fk_obs_id, "@id": "#fk_obs_id", "@type": ForeignKey,
     columns: ["#flex_one.obs_id"], referencedColumns: ["#exposure.exposure_id"]}
- name: flex_two
  columns:
  - {name: obs_id, datatype: long}
  constraints:
  - {name: fk_obs_id, "@id": "#fk_obs_id", "@type": ForeignKey,
     columns: ["#flex_two.obs_id"], referencedColumns: ["#exposure.exposure_id"]}
"""


def test_old_files_may_repeat_names_and_ids_of_foreign_keys() -> None:
    read = read_yaml(OLD, source="x")
    assert [table.constraints[0].name for table in read.schema.tables[1:]] == ["fk_obs_id", "fk_obs_id"]
    assert read.notes == (
        'line 17: constraint "fk_obs_id" of table "flex_two" repeats the @id #fk_obs_id;'
        " nothing refers to it",
        "line 11: the constraint name fk_obs_id is used in 2 tables: flex_one, flex_two",
    )


def test_names_of_unique_constraints_may_not_repeat() -> None:
    """Their indexes share one space of names per schema: Postgres would refuse."""
    text = OLD.replace("ForeignKey", "Unique").replace(', referencedColumns: ["#exposure.exposure_id"]', "")
    (problem,) = problems(text)
    assert "Postgres refuses that within a schema" in problem.cause


def test_newer_files_may_name_columns_without_ids() -> None:
    text = OLD.replace('["#flex_one.obs_id"]', "[obs_id]").replace(
        'referencedColumns: ["#exposure.exposure_id"]', "reference: {table: exposure, columns: [exposure_id]}"
    )
    read = read_yaml(text, source="x")
    (key,) = read.schema.table("flex_one").constraints
    assert (key.columns, key.referenced_table, key.referenced_columns) == (
        ("obs_id",),
        "exposure",
        ("exposure_id",),
    )
    assert any("under reference:" in note for note in read.notes)
    assert any("without their @id" in note for note in read.notes)


@pytest.mark.parametrize(
    ("written", "version", "noted"),
    [
        ('{current: "1.10.0"}', "1.10.0", False),
        ("{current: 1.10.0}", "1.10.0", False),
        ("'2.0.0'", "2.0.0", False),
        ("1.10", "1.10", True),
        ("{current: 3}", "3", True),
        ("2024-01-01", "2024-01-01", True),
        ("", None, False),
    ],
)
def test_versions_are_taken_as_they_are_written(written: str, version: str | None, noted: bool) -> None:
    read = read_yaml(BASE.replace('{current: "1.0.0"}', written), source="x")
    assert read.schema.version == version
    assert bool(read.notes) is noted


def test_a_length_that_no_type_uses_is_left_out_with_a_note() -> None:
    read = read_yaml(column(datatype="text", length=10), source="x")
    assert read.schema.table("exposure").column("b").length is None
    assert "does not use" in read.notes[0]


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "cdb_demo.yaml"
    path.write_text(SMALL, encoding="utf-8")
    assert read_bytes(path).decode() == SMALL
    for bad, words in (
        (tmp_path / "none.yaml", "no such file"),
        (tmp_path, "a folder"),
        (path / "x.yaml", "cannot be read"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            read_bytes(bad)
        assert caught.value.place == str(bad)
    path.write_bytes(b" " * (MAX_BYTES + 5))
    with pytest.raises(FileError, match="larger than 8 MiB"):
        read_yaml(read_bytes(path), source="x")


def put(tree: Path, folder: str, name: str) -> Path:
    """Make a schema file."""
    path = tree / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("name: x\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("folder", SDM_FOLDERS)
@pytest.mark.parametrize("suffix", [".yaml", ".yml"])
def test_every_place_in_sdm_schemas(tmp_path: Path, folder: str, suffix: str) -> None:
    path = put(tmp_path, folder, f"cdb_x{suffix}")
    assert find_schema_file("cdb_x", sdm_schemas=tmp_path).samefile(path)


def test_the_newer_place_wins_and_links_are_followed(tmp_path: Path) -> None:
    new = put(tmp_path, SDM_FOLDERS[0], "cdb_x.yaml")
    (tmp_path / "yml").symlink_to(tmp_path / SDM_FOLDERS[0])
    assert find_schema_file("cdb_x", sdm_schemas=tmp_path) == new
    assert list(list_schema_files(tmp_path)) == ["cdb_x"]
    new.rename(tmp_path / "elsewhere.yaml")
    new.symlink_to(tmp_path / "elsewhere.yaml")
    assert find_schema_file("cdb_x", sdm_schemas=tmp_path) == new


@pytest.mark.parametrize("where", ["outside", "folder", "git"])
def test_s2_a_link_that_leads_out_of_the_checkout_is_refused(tmp_path: Path, where: str) -> None:
    tree = tmp_path / "tree"
    (tree / ".git").mkdir(parents=True)
    outside = put(tmp_path, "outside", "cdb_x.yaml")
    put(tree, ".git", "cdb_x.yaml")
    (tree / "yml").mkdir()
    if where == "folder":
        (tree / "yml").rmdir()
        (tree / "yml").symlink_to(outside.parent)
    else:
        target = outside if where == "outside" else "../.git/cdb_x.yaml"
        (tree / "yml" / "cdb_x.yaml").symlink_to(target)
    for read in (lambda: find_schema_file("cdb_x", sdm_schemas=tree), lambda: list_schema_files(tree)):
        with pytest.raises(InputError, match="leads out of"):
            read()


def test_s2_links_within_a_checkout_are_followed_from_a_folder_of_it(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    put(tmp_path, "yml", "cdb_x.yaml")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "cdb_x.yaml").symlink_to("../yml/cdb_x.yaml")
    assert list(list_schema_files(tmp_path / "new")) == ["cdb_x"]


@pytest.mark.parametrize("kind", ["pipe", "device", "socket"])
def test_s2_what_is_no_regular_file_is_not_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "cdb_x.yaml"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    with pytest.raises(InputError, match=r"not a regular file|cannot be read"):
        read_bytes(path)
    assert list_schema_files(tmp_path) == {}


def test_efd_files_are_found_in_consdb_when_sdm_schemas_has_none(tmp_path: Path) -> None:
    sdm, consdb = tmp_path / "sdm", tmp_path / "consdb"
    sdm.mkdir()
    path = put(consdb, CONSDB_FOLDERS[0], "efd_x.yaml")
    assert find_schema_file("efd_x", sdm_schemas=sdm, consdb=consdb) == path
    copy = put(sdm, "yml", "efd_x.yaml")
    assert find_schema_file("efd_x", sdm_schemas=sdm, consdb=consdb) == copy
    assert list_schema_files(consdb, consdb=True) == {"efd_x": path}


def test_what_is_not_found_says_where_it_was_looked_for(tmp_path: Path) -> None:
    put(tmp_path, "yml", "cdb_latiss.yaml")
    put(tmp_path, "yml", "notes.yaml")
    with pytest.raises(InputError) as caught:
        find_schema_file("cdb_latis", sdm_schemas=tmp_path, consdb=tmp_path)
    said = str(caught.value)
    assert said.count("cdb_latis.yaml") == len(SDM_FOLDERS) + len(CONSDB_FOLDERS)
    assert 'Did you mean "cdb_latiss"?' in said


def test_a_tree_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such directory"):
        find_schema_file("cdb_x", sdm_schemas=tmp_path / "none")
    file = tmp_path / "file"
    file.write_text("x", encoding="utf-8")
    with pytest.raises(InputError, match="not a directory"):
        find_schema_file("cdb_x", sdm_schemas=tmp_path, consdb=file)
