"""Inputs of any size: schema folders, and trees with a history, grown from the project's own examples."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
MESSAGE = "Bench"

Data = dict[str, Any]


def write_schemas(
    target: Path, change: Callable[[Data], None], source: Path | None = None, only: Collection[str] = ()
) -> Path:
    """Write the example schemas, or those of another folder that are named, each changed."""
    target.mkdir(parents=True)
    for path in sorted((source or ROOT / "examples" / "schemas" / "before").glob("*.yaml")):
        if only and path.stem not in only:
            continue
        data = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
        change(data)
        (target / path.name).write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return target


def add_column(data: Data, name: str = "bench_column") -> None:
    """Add a column to the first table."""
    table = data["tables"][0]
    table["columns"].append(
        {"name": name, "@id": f"#{table['name']}.{name}", "datatype": "double", "description": "One more."}
    )


def widen(data: Data, count: int, word: str = "value") -> None:
    """Add columns to the last table; with another word in their names they look renamed."""
    table = data["tables"][-1]
    for number in range(count):
        name = f"{word}_of_sensor_{number}"
        described = {"datatype": "double", "description": f"Reading of sensor {number}."}
        table["columns"].append({"name": name, "@id": f"#{table['name']}.{name}", **described})


def multiply(data: Data, count: int) -> None:
    """Add tables with a key and some columns to the schema."""
    for number in range(count):
        name = f"more_{number}"
        key: Data = {"name": "key", "@id": f"#{name}.key", "datatype": "long", "description": "Key."}
        columns = [{**key, "nullable": False}] + [
            {"name": f"v{i}", "@id": f"#{name}.v{i}", "datatype": "double", "description": "Value."}
            for i in range(8)
        ]
        table = {"name": name, "@id": f"#{name}", "description": "One more.", "primaryKey": [f"#{name}.key"]}
        data["tables"].append({**table, "columns": columns})


def copy_tree(target: Path) -> Path:
    """Copy the project's own tree."""
    shutil.copytree(ROOT / "migrations", target, ignore=shutil.ignore_patterns("__pycache__"))
    return target


def add_sections(tree: Path, schemas: tuple[Path, ...], copies: int) -> None:
    """Give a tree and its schema folders copies of the smallest section, under other names."""
    ini = tree / "alembic.ini"
    text = ini.read_text(encoding="utf-8")
    for number in range(copies):
        name, schema = f"more{number}", f"cdb_more{number}"
        location = tree / "alembic" / name
        shutil.copytree(tree / "alembic" / "startrackerfast", location)
        for path in (location / "versions").glob("*.py"):
            source = path.read_text(encoding="utf-8")
            path.write_text(source.replace("cdb_startrackerfast", schema), encoding="utf-8")
        text += f"\n[{name}]\nscript_location = alembic/{name}\nconsdb.schema_name = {schema}\n"
        for folder in schemas:
            source = (folder / "cdb_startrackerfast.yaml").read_text(encoding="utf-8")
            (folder / f"{schema}.yaml").write_text(
                source.replace("cdb_startrackerfast", schema), encoding="utf-8"
            )
    ini.write_text(text, encoding="utf-8")


def add_revisions(tree: Path, section: str, schema: str, table: str, count: int) -> None:
    """Lengthen a section's history by revisions that add a comment each."""
    versions = tree / "alembic" / section / "versions"
    head = subprocess.run(
        [sys.executable, "-m", "alembic", "-n", section, "heads"],
        cwd=tree, capture_output=True, text=True, check=True,
    ).stdout.split()[0]  # fmt: skip
    for number in range(count):
        revision = f"{number:012x}"
        (versions / f"{revision}_more.py").write_text(
            f'"""More {number}"""\n\nfrom alembic import op\nimport sqlalchemy as sa\n\n'
            f'revision = "{revision}"\ndown_revision = "{head}"\n'
            "branch_labels = None\ndepends_on = None\n\n\n"
            "def upgrade() -> None:\n"
            f'    op.create_table_comment("{table}", "{number}", schema="{schema}")\n\n\n'
            "def downgrade() -> None:\n"
            f'    op.create_table_comment("{table}", "", schema="{schema}")\n',
            encoding="utf-8",
        )
        head = revision
