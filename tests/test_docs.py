"""The documents say what is there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RULES = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
EXPECTED = [
    *(f"M{n}" for n in range(1, 24)),
    *(f"L{n}" for n in range(1, 5)),
    "F1",
    "F2",
    "F3",
    "F4",
    *(f"S{n}" for n in range(1, 6)),
    *(f"U{n}" for n in range(1, 6)),
]


def test_commands_are_current() -> None:
    done = subprocess.run([sys.executable, "docs/commands.py", "--check"], cwd=ROOT, check=False)
    assert done.returncode == 0, "run `nox -s docs`, or `python docs/commands.py`"


def test_every_rule_has_a_heading() -> None:
    assert re.findall(r"^## (\w+)$", RULES, re.MULTILINE) == EXPECTED


@pytest.mark.parametrize("rule", EXPECTED)
def test_every_rule_names_its_code_and_a_test_that_exists(rule: str) -> None:
    section = re.split(r"^## ", RULES.partition(f"## {rule}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    named = re.search(r"Code: `([^`]+)`\. Test: `([^`:]+)::(\w+)`\.", section)
    assert named, "a rule ends with: Code: `path`. Test: `path::name`."
    code, path, name = named.groups()
    assert (ROOT / code).is_file()
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("name", ["comment", "board"])
def test_pictures_are_there_and_small(name: str) -> None:
    data = (ROOT / "docs" / f"{name}.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert len(data) < 200_000


@pytest.mark.parametrize("page", sorted(p for p in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:")):
            assert (page.parent / target).exists(), target


def test_paths_named_in_the_design_exist() -> None:
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8") + (ROOT / "CONTRIBUTING.md").read_text(
        encoding="utf-8"
    )
    places = [ROOT, ROOT / "consdb_actions", ROOT / "consdb_actions" / "migration", ROOT / "migrations"]
    for path in re.findall(r"`((?:[a-z_]+/)+[a-z_.]*)`", text):
        assert any((place / path).exists() for place in places), path


FELIS = (ROOT / "docs" / "felis.md").read_text(encoding="utf-8")


def felis_rows(section: str) -> list[str]:
    """Return the rows of the table of a section."""
    text = re.split(r"^## ", FELIS.partition(f"## {section}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^\| (?!field|made by)(.+) \|$", text, re.MULTILINE)


def test_every_field_of_felis_is_listed() -> None:
    from felis import datamodel
    from pydantic import BaseModel

    models = {
        name: value
        for name, value in vars(datamodel).items()
        if isinstance(value, type) and issubclass(value, BaseModel) and value is not BaseModel
    }
    # Generic models come again with their parameters.
    models = {n: m for n, m in models.items() if m.__module__ == datamodel.__name__}
    for name, model in models.items():
        inherited = {f for base in model.__mro__[1:] for f in getattr(base, "model_fields", {})}
        own = {f.alias or key for key, f in model.model_fields.items() if key not in inherited}
        listed = [re.findall(r"`([^`]+)`", row.split(" | ")[0]) for row in felis_rows(name)]
        assert sorted(f for fields in listed for f in fields) == sorted(own), name


def test_the_tests_of_the_features_of_felis_exist() -> None:
    sections = re.findall(r"^## (.+)$", FELIS, re.MULTILINE)
    rows = [row for section in sections for row in felis_rows(section)]
    assert len(rows) > 60
    for row in rows:
        path, _, name = row.rsplit(" | ", 1)[1].strip("`").partition("::")
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        assert name in {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}, row
        assert re.search(r"supported|refused|not the database|restored|fails", row.split(" | ")[1]), row
