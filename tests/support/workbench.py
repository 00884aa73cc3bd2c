"""A small Alembic tree to generate into, on an existing server."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import yaml

from consdb_actions.adapters.autogenerate.check import check_revision
from consdb_actions.adapters.autogenerate.drafting import DriftMode
from consdb_actions.adapters.autogenerate.engine import Engine, SectionRequest
from consdb_actions.adapters.felis import validate
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.schema_yaml import read_file
from consdb_actions.adapters.tree import Tree, read_tree
from consdb_actions.config import DEFAULT_CONFIG, Config
from consdb_actions.migration.matching.declarations import (
    Declaration,
    Declarations,
    parse_declaration,
    parse_take,
)
from consdb_actions.migration.outcome import SectionOutcome, VerificationCheck
from consdb_actions.publication.result import read_revision
from tests.support.trees import MIGRATIONS, copy_section, revision_text

Data = dict[str, Any]

_first_outcomes: dict[str, SectionOutcome] = {}
"""What an empty tree became, for each schema: many tests begin with the same."""


def column(name: str, datatype: str = "double", **more: Any) -> Data:
    """Build a column in YAML form; ``id`` overrides its ``@id``."""
    length = {"length": 16} if datatype in {"string", "char", "unicode", "binary"} else {}
    identifier = more.pop("id", None)
    data: Data = {"name": name, "datatype": datatype, **length, "description": f"The {name}.", **more}
    if identifier:
        data["@id"] = identifier
    return data


def table(name: str, columns: Sequence[Data], *, key: Sequence[str] = (), **more: Any) -> Data:
    """Build a table with ids made from names; constraints name columns and ``table.column``."""
    for item in columns:
        item.setdefault("@id", f"#{name}.{item['name']}")
    ids = {item["name"]: item["@id"] for item in columns}
    constraints = []
    for item in more.pop("constraints", ()):
        made = {"@id": f"#{name}.{item['name']}", **item}
        if "columns" in made:
            made["columns"] = [ids[c] for c in made["columns"]]
        if "referencedColumns" in made:
            made["referencedColumns"] = [f"#{r}" for r in made["referencedColumns"]]
        constraints.append(made)
    indexes = [
        {
            "@id": f"#{name}.{i['name']}",
            **i,
            **({"columns": [ids[c] for c in i["columns"]]} if "columns" in i else {}),
        }
        for i in more.pop("indexes", ())
    ]
    data: Data = {"name": name, "@id": f"#{name}", "description": f"The {name}.", "columns": list(columns)}
    if key:
        data["primaryKey"] = [ids[c] for c in key]
    if constraints:
        data["constraints"] = constraints
    if indexes:
        data["indexes"] = indexes
    return {**data, **more}


def schema(*tables: Data, name: str = "cdb_latiss", version: str = "1.0.0") -> Data:
    """Build a schema file."""
    return {
        "name": name,
        "@id": f"#{name}",
        "description": "A schema for tests.",
        "version": {"current": version},
        "tables": list(tables),
    }


def _yaml(data: Data) -> str:
    text: str = yaml.dump(data, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)
    return text


class Workbench:
    """One section of a copied tree, for repeated generation."""

    def __init__(
        self, server: ScratchServer, root: Path, *, section: str = "latiss", shadow: bool = True
    ) -> None:
        self.server, self.root, self.section_name, self.shadow = server, root, section, shadow
        copy_section(root, section)
        if shadow:
            shutil.copytree(MIGRATIONS / "python", root / "python")
        self.schema_name = self.tree().section(section).schema
        self.number = 0
        self.operator = True
        self.beside: dict[str, Data] = {}

    @property
    def versions(self) -> Path:
        """Return the folder of the revisions."""
        return self.root / "alembic" / self.section_name / "versions"

    def tree(self) -> Tree:
        """Read the present tree."""
        return read_tree(self.root)

    def write_schema(self, data: Data | str) -> Path:
        """Write a schema file and return its path."""
        self.number += 1
        name = self.schema_name
        folder = self.root / f"schemas{self.number}"
        folder.mkdir()
        path = folder / f"{name}.yaml"
        for other, content in {path.name: data, **self.beside}.items():
            (folder / other).write_text(
                content if isinstance(content, str) else _yaml(content), encoding="utf-8"
            )
        return path

    def _files(self, schemas: Path) -> list[tuple[str, bytes]]:
        """Return what an outcome depends on: the tree and the schema files."""
        folders = (self.root / "alembic", self.root / "python", schemas)
        paths = [self.root / "alembic.ini", *(path for folder in folders for path in folder.rglob("*.*"))]
        return sorted((path.name, path.read_bytes()) for path in paths if path.is_file())

    def revise(self, body: str, *, imports: str = "") -> None:
        """Add a manual revision at the end; ``body`` is its upgrade."""
        tree = self.tree()
        with tree.importable():
            head = tree.section(self.section_name).head()
        revision = f"{self.number:04x}{len(list(self.versions.glob('*.py'))):04x}beef"
        down = head.revision if head else None
        text = revision_text(revision, down, body, title="By hand.").replace(
            "import op\n", f"import op\n{imports}\n"
        )
        (self.versions / f"{revision}_by_hand.py").write_text(text, encoding="utf-8")

    def generate(
        self,
        data: Data | str,
        *renames: str,
        base: Data | None = None,
        fills: Mapping[tuple[str, str], str | None] | None = None,
        on_question: Literal["fail", "drop-add"] = "fail",
        config: Config = DEFAULT_CONFIG,
        keep: bool = True,
        verify: bool = True,
        message: str = "change",
        take: Sequence[str] = (),
        drift: DriftMode = "report",
    ) -> SectionOutcome:
        """Generate from a schema; by default keep the new revision in the tree.

        Without a base, the database replaces it: all differences are the change.
        """
        path = self.write_schema(data)
        before = read_file(self.write_schema(base)) if base is not None else None

        def run() -> SectionOutcome:
            tree = self.tree()
            with tree.importable() as shadow:
                engine = Engine(
                    self.server, shadow, tree, config, lambda _section, _step: None, operator=self.operator
                )
                section = tree.section(self.section_name)
                declared: list[Declaration] = [
                    *(parse_declaration(r, "option") for r in renames),
                    *(parse_take(t, "option") for t in take),
                ]
                return engine.run(
                    SectionRequest(
                        section,
                        validate(read_file(path)),
                        path,
                        base=before,
                        declared=Declarations.of(declared),
                        fills=fills or {},
                        on_question=on_question,
                        drift=drift,
                    ),
                    identify=lambda _s, down, _v: f"{int(down or '0', 16) + 1:012x}",
                    created=datetime(2026, 1, 1, tzinfo=UTC),
                    message=message,
                    verify=verify,
                ).outcome

        if verify or any(self.versions.iterdir()):
            outcome = run()
        else:
            given = (renames, base, fills, on_question, config, message, take, drift)
            key = repr((self._files(path.parent), self.server.info, given))
            outcome = _first_outcomes.get(key) or _first_outcomes.setdefault(key, run())
        if outcome.source:
            read_revision(outcome.source.encode(), outcome.schema)  # What is generated can be published.
        if keep and outcome.status == "changed":
            (self.root / outcome.path).write_text(outcome.source, encoding="utf-8")
        return outcome

    def check(self, path: Path, edit: tuple[str, str] = ("", "")) -> dict[str, VerificationCheck]:
        """Verify the newest revision against a schema file, optionally with edited text."""
        tree = self.tree()
        with tree.importable() as shadow:
            engine = Engine(
                self.server,
                shadow,
                tree,
                DEFAULT_CONFIG,
                lambda _section, _step: None,
                operator=self.operator,
            )
            section = tree.section(self.section_name)
            script = section.head()
            assert script is not None
            text = Path(script.path).read_text(encoding="utf-8")
            assert edit[0] in text, text
            Path(script.path).write_text(text.replace(*edit), encoding="utf-8")
            found = check_revision(engine, SectionRequest(section, validate(read_file(path)), path), script)
        return {check.name: check for check in found.outcome.checks}
