"""A schema of the transformed EFD against the configuration that consdb generates it from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from consdb_actions.cli import main
from tests.support.repository import Repository

FOLDER = "python/lsst/consdb/transformed_efd"
CONFIG, SCHEMA = f"{FOLDER}/config/config_demo.yaml", f"{FOLDER}/schemas/yml/efd_demo.yaml"


def config(version: str = "1.0.0", **columns: str) -> str:
    items = [
        f'- name: {name}\n  tables: ["exposure_efd", "visit1_efd"]\n  datatype: float\n'
        f'  ivoa: {{"unit": "\\"\\"", "ucd": "stat.mean"}}\n  description: {description}\n'
        for name, description in columns.items()
    ]
    unpivoted = "- {name: raw, store_unpivoted: true, datatype: float, description: x, tables: []}\n"
    return f"version: {version}\ncolumns:\n{''.join(items)}{unpivoted}"


def schema(version: str = "1.0.0", **columns: str) -> str:
    """Write what the generator writes, without the tables that are always the same."""
    text = '---\nname: efd_demo\n"@id": "#efd_demo"\ndescription: Demo.\n'
    text += f"version:\n  current: {version}\ntables:"
    for table in ("exposure_efd", "visit1_efd"):
        text += f'\n- name: {table}\n  "@id": "#{table}"\n  description: Demo.\n  columns:\n'
        for name, kind, words in (("day_obs", "int", "Day."), *((n, "float", d) for n, d in columns.items())):
            text += f'  - name: {name}\n    "@id": "#{table}.{name}"\n    description: {words}\n'
            text += f"    datatype: {kind}\n    ivoa:ucd: stat.mean\n" + (
                '    ivoa:unit: ""\n' * (kind == "float")
            )
    return text


@pytest.fixture
def tree(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path / "consdb")
    write(repository.path, config(seeing="Mean of it."), schema(seeing="Mean of it."))
    repository.commit()
    return repository


def write(root: Path, configuration: str, generated: str) -> None:
    for path, text in ((CONFIG, configuration), (SCHEMA, generated)):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def findings(
    tree: Repository, capsys: pytest.CaptureFixture[str], *args: str
) -> list[tuple[str, str, str, int]]:
    main(
        [
            "migrations",
            "preview",
            "--git",
            str(tree.path),
            *(args or ("HEAD", str(tree.path))),
            "--format",
            "json",
        ]
    )
    report = json.loads(capsys.readouterr().out)
    return [
        (found["rule"], found["path"], item["file"].rpartition("/")[2], found["line"])
        for item in report["schemas"]
        for found in item["findings"]
    ]


def test_a_schema_that_was_regenerated_has_no_finding(
    tree: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = {"seeing": "Mean of it.", "wind": 'Fraction of "it".'}
    write(tree.path, config("1.1.0", **columns), schema("1.1.0", **columns))
    assert findings(tree, capsys) == []


CHANGES = [
    # Configuration, schema file; the object of the finding.
    (
        config("1.0.0", seeing="Mean of it.", wind="Mean of wind."),
        schema(seeing="Mean of it."),
        "exposure_efd.wind",
    ),
    (config(), schema(seeing="Mean of it."), "exposure_efd.seeing"),
    (config(seeing="Another."), schema(seeing="Mean of it."), "exposure_efd.seeing"),
    (config("1.1.0", seeing="Mean of it."), schema(seeing="Mean of it."), "efd_demo"),
    (
        config(seeing="Mean of it.").replace("float", "double"),
        schema(seeing="Mean of it."),
        "exposure_efd.seeing",
    ),
]


@pytest.mark.parametrize(("configuration", "generated", "where"), CHANGES)
def test_a_schema_that_was_not_regenerated_is_found(
    configuration: str, generated: str, where: str, tree: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tree.path, configuration, generated)
    found = findings(tree, capsys)
    assert ("not-regenerated", where) in {item[:2] for item in found}
    tree.commit()
    # Of a commit as of the work tree; and what an earlier change left is nobody's finding now.
    assert [item[:2] for item in findings(tree, capsys, "HEAD~1..HEAD")] == [item[:2] for item in found]
    (tree.path / "README").write_text("x")
    assert findings(tree, capsys) == []


def test_findings_name_the_configuration(tree: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    columns = {"seeing": "Mean of it.", "Wind": "Mean of wind."}
    write(tree.path, config(**columns), schema(**columns))
    found = set(findings(tree, capsys))
    line = config(**columns).split("\n").index("- name: Wind") + 1
    assert ("version", "efd_demo", "config_demo.yaml", 1) in found
    assert ("name-snake-case", "exposure_efd.Wind", "config_demo.yaml", line) in found


def test_s2_a_configuration_that_is_a_link_is_not_followed(
    tree: Repository, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "config_demo.yaml").write_text(config(secret="Secret."))
    write(tree.path, "", schema(seeing="Other."))
    (tree.path / CONFIG).unlink()
    (tree.path / CONFIG).symlink_to(tmp_path / "config_demo.yaml")
    assert main(["migrations", "preview", "HEAD", str(tree.path), "--git", str(tree.path)]) == 2
    assert "secret" not in capsys.readouterr().err.lower()


@pytest.mark.parametrize("text", ["", "columns: 3\n", "columns: [{name: a}]\n", "- a\n"])
def test_a_configuration_that_is_none(
    text: str, tree: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tree.path, text, schema(seeing="Other."))
    assert main(["migrations", "preview", "HEAD", str(tree.path), "--git", str(tree.path)]) == 2
    assert "config_demo.yaml" in capsys.readouterr().err
