"""The arrows of DESIGN: who may import whom, and what decides stays pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "consdb_actions"

# What the modules of each part may import of the package, besides their own part.
FREE = {"errors", "forms", "redaction", "__version__"}
DOMAIN = {
    *("schema", "catalog", "migration", "lint", "approval"),
    *("proposal", "publication", "release", "deploy", "process"),
}
ARROWS = {
    "errors": set[str](),
    "forms": set[str](),
    "redaction": set[str](),
    "config": FREE | DOMAIN,
    "schema": FREE,
    "catalog": FREE | {"schema"},
    "migration": FREE | {"schema", "catalog"},
    "lint": FREE | {"schema", "catalog", "migration"},
    "approval": FREE | {"schema"},
    "proposal": FREE,
    "publication": FREE | {"schema", "migration", "lint", "proposal"},
    "release": FREE | {"schema"},
    "deploy": FREE | {"schema", "release"},
    "process": FREE | {"schema", "catalog", "migration", "lint", "approval", "release", "deploy"},
    "report": FREE | DOMAIN,
    "adapters": FREE | DOMAIN | {"config"},
    "commands": FREE | DOMAIN | {"config", "adapters", "report"},
    "cli": {"errors", "commands", "adapters.runner"},
    "__main__": {"cli", "errors"},
    "__init__": {"_version"},
    "_version": set[str](),
}

# What the outside world looks like: nothing that decides may import one of these.
WORLD = {
    *("asyncio", "datetime.now", "github", "http", "importlib.metadata", "os", "pathlib", "psycopg"),
    *("random", "requests", "secrets", "shutil", "signal", "socket", "subprocess", "sys", "tempfile"),
    *("threading", "time", "urllib", "urllib3", "click", "rich"),
}

CALLS = {"open", "print", "input", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}


def modules() -> dict[str, Path]:
    """Return the modules of the package by dotted name, without the package's own."""
    out = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
        out[name] = path
    return out


@cache
def parsed(path: Path) -> ast.Module:
    """Parse a module."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(name: str, path: Path, *, top: bool = False) -> Iterator[str]:
    """Yield the dotted names that a module imports; with ``top``, only those that importing it loads."""
    tree = parsed(path)
    for node in _statements(tree) if top else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import hides its arrow"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "import_module"
            and name != "commands.options"
        ):
            pytest.fail(f"{path}:{node.lineno}: only the command line imports by name")


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk without going into functions and blocks for type checkers."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from _statements(node)


def own(imported: str) -> str | None:
    """Return an imported name without the package's, or None when it is of another package."""
    return imported.removeprefix(f"{PACKAGE}.") if imported.startswith(f"{PACKAGE}.") else None


def test_every_part_is_known() -> None:
    assert {name.split(".")[0] for name in modules()} <= set(ARROWS)


@pytest.mark.parametrize("part", sorted(ARROWS))
def test_imports_follow_the_arrows(part: str) -> None:
    wrong = []
    for name, path in modules().items():
        if name.split(".")[0] != part:
            continue
        for imported in imports(name, path):
            target = own(imported)
            if target is None or target.split(".")[0] == part:
                continue
            if not any(target == allowed or target.startswith(f"{allowed}.") for allowed in ARROWS[part]):
                wrong.append(f"{name} imports {target}")
    assert not wrong


@pytest.mark.parametrize("part", sorted(DOMAIN | {"errors", "redaction", "config"}))
def test_what_decides_touches_nothing(part: str) -> None:
    wrong = []
    for name, path in modules().items():
        if name.split(".")[0] != part:
            continue
        for imported in imports(name, path):
            words = imported.split(".")
            if words[0] in WORLD and words[:2] != ["pathlib", "PurePosixPath"]:
                wrong.append(f"{name} imports {imported}")
        wrong += [
            f"{name}:{node.lineno} calls {ast.unparse(node.func)}"
            for node in ast.walk(parsed(path))
            if isinstance(node, ast.Call) and ast.unparse(node.func) in CALLS
        ]
    assert not wrong


def test_no_circles() -> None:
    known = modules()
    graph = {}
    for name, path in known.items():
        targets = {own(i) for i in imports(name, path, top=True)} - {None}
        graph[name] = {
            module
            for target in targets
            if target is not None
            for module in (target, target.rpartition(".")[0])
            if module in known and module != name and not name.startswith(f"{module}.")
        }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail[trail.index(name) :], name])
        if name not in done:
            for target in sorted(graph[name]):
                visit(target, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_felis_is_imported_where_it_is_used() -> None:
    """Histories are replayed while it is imported, which takes half a second."""
    for name, path in modules().items():
        assert not [i for i in imports(name, path, top=True) if i.split(".")[0] in {"felis", "astropy"}], name


def test_nothing_is_called_utils() -> None:
    assert not [n for n in modules() if {"utils", "util", "helpers", "misc", "common"} & set(n.split("."))]


def test_code_of_the_tree_imports_nothing_of_the_package() -> None:
    """consdb can adopt ``env.py`` without depending on this project."""
    for path in [*(ROOT / "migrations").rglob("*.py")]:
        assert not [i for i in imports(path.stem, path) if i.split(".")[0] == PACKAGE], path
