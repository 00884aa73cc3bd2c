"""The tree in ``migrations/``: its history, its agreement with the example schemas, its ``env.py``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from consdb_actions.adapters.autogenerate.run import GenerationRequest, generate
from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.tree import Section, Tree, read_tree
from consdb_actions.catalog import Snapshot
from consdb_actions.config import DEFAULT_CONFIG
from consdb_actions.errors import InputError

ROOT = Path(__file__).parents[1]
BEFORE = ROOT / "examples" / "schemas" / "before"
AFTER = ROOT / "examples" / "schemas" / "after"

CDB = [
    "latiss",
    "lsstcomcamsim",
    "lsstcomcam",
    "lsstcam",
    "startrackerwide",
    "startrackernarrow",
    "startrackerfast",
]
EFD = ["efd_latiss", "efd_lsstcomcam", "efd_lsstcam", "efd_scheduler"]

# One process for many commands, since importing takes longer than running them.
_ALEMBIC = """
import sys
from alembic.config import main
for line in sys.stdin.read().splitlines():
    print("$", line, flush=True)
    main(argv=line.split("|"), prog="alembic")
    sys.stdout.flush()
"""


@pytest.fixture(scope="module")
def tree() -> Tree:
    return read_tree(ROOT / "migrations")


@pytest.mark.parametrize("name", ["a%b", "%(here)s", "%%", "ä b:c=d"])
def test_any_folder_can_hold_a_tree(tmp_path: Path, name: str) -> None:
    shutil.copytree(ROOT / "migrations", tmp_path / name)
    found = read_tree(tmp_path / name)
    assert [section.location.parent.parent for section in found.sections] == [tmp_path / name] * 11
    with found.importable():
        assert found.sections[0].head() is not None


def test_an_option_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "alembic.ini").write_text("[a]\nscript_location = %(nowhere)s/x\nconsdb.schema_name = x\n")
    with pytest.raises(InputError, match="ini file"):
        read_tree(tmp_path)


@pytest.fixture(scope="module")
def sections(tree: Tree) -> Sequence[Section]:
    with tree.importable():
        for section in tree.sections:
            section.head()  # parsed while its imports can be found
    return tree.sections


def alembic(
    commands: Sequence[Sequence[str]],
    url: sa.URL | None,
    *,
    root: Path = ROOT / "migrations",
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run alembic commands one after the other, in a process of their own."""
    ini = str(root / "alembic.ini")
    given = {"CONSDB_URL": url.render_as_string(hide_password=False)} if url else {}
    return subprocess.run(
        [sys.executable, "-B", "-W", "error", "-c", _ALEMBIC],
        input="\n".join("|".join(["-c", ini, *command]) for command in commands),
        env={"PATH": os.environ["PATH"], **given, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def make_schemas(server: ScratchServer, database: str, sections: Sequence[Section]) -> sa.URL:
    """Create a database with all schemas, as an administrator does before the first revision."""
    url = server.create_database(database)
    for name in ["cdb", "efd", *(s.schema for s in sections)]:
        server.execute(database, f"CREATE SCHEMA {name}")
    return url


def test_has_a_section_for_each_schema_of_consdb(tree: Tree) -> None:
    found = {s.name: (s.schema, s.version_schema) for s in tree.sections}
    assert found == {n: (f"cdb_{n}", "cdb") for n in CDB} | {n: (n, "efd") for n in EFD}


def test_one_head_and_one_line_of_revisions_a_section(sections: Sequence[Section]) -> None:
    for section in sections:
        history = section.revisions()
        assert len(section.scripts.get_heads()) == 1
        assert [r.down_revision for r in history] == [None, *(r.revision for r in history[:-1])]
    lengths = {s.name: len(s.revisions()) for s in sections}
    assert {n for n, length in lengths.items() if length > 1} == {
        "latiss",
        "lsstcam",
        "startrackerwide",
        "efd_lsstcam",
    }


def test_sections_share_one_environment_and_one_template(tree: Tree) -> None:
    for name in ("env.py", "script.py.mako"):
        assert len({(s.location / name).read_bytes() for s in tree.sections}) == 1


def test_example_schemas_are_those_of_the_tree_and_three_of_them_change(tree: Tree) -> None:
    names = {f"{s.schema}.yaml" for s in tree.sections}
    assert {p.name for p in BEFORE.iterdir()} == names
    assert {p.name for p in AFTER.iterdir()} == names
    different = {n for n in names if (BEFORE / n).read_bytes() != (AFTER / n).read_bytes()}
    assert different == {"cdb_lsstcam.yaml", "cdb_latiss.yaml", "cdb_startrackerwide.yaml"}


def test_head_is_what_the_example_schemas_describe(tree: Tree) -> None:
    request = GenerationRequest(tree, BEFORE, DEFAULT_CONFIG, "nothing", write=False)
    outcome = generate(request, lambda _section, _step: None)
    assert {s.name: s.status for s in outcome.sections} == dict.fromkeys(CDB + EFD, "unchanged")


@pytest.fixture(scope="module")
def migrated(server: ScratchServer, sections: Sequence[Section]) -> sa.URL:
    """Give a database that alembic upgraded to the head of every section."""
    url = make_schemas(server, "tree_online", sections).set(password="open-sesame")
    commands = [c for s in sections for c in (["-n", s.name, "upgrade", "head"], ["-n", s.name, "current"])]
    up = alembic(commands, url)
    assert up.returncode == 0, up.stderr
    heads = [head.revision for s in sections if (head := s.head())]
    assert [line.split()[0] for line in up.stdout.splitlines() if "(head)" in line] == heads
    assert up.stderr.count("Running upgrade") == sum(len(s.revisions()) for s in sections)
    assert "open-sesame" not in up.stdout + up.stderr
    return url


def test_every_section_compares_clean_by_alembic_itself(
    migrated: sa.URL, sections: Sequence[Section]
) -> None:
    """``alembic check`` reads the schema file through ``env.py``: views left out, shadow columns put in."""
    done = alembic([["-n", s.name, "check"] for s in sections], migrated, SDM_SCHEMAS_DIR=str(BEFORE))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("No new upgrade operations") == len(sections)


def test_every_section_goes_down_to_nothing(
    server: ScratchServer, migrated: sa.URL, sections: Sequence[Section]
) -> None:
    url = server.create_database("tree_down", template="tree_online")
    down = alembic([["-n", s.name, "downgrade", "base"] for s in sections], url)
    assert down.returncode == 0, down.stderr
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        left = connection.execute(
            sa.text(
                "SELECT relnamespace::regnamespace || '.' || relname FROM pg_class"
                " WHERE relkind IN ('r', 'v', 'S') AND relnamespace::regnamespace::text ~ '^(cdb|efd)'"
            )
        ).scalars()
        assert set(left) == {f"{s.version_schema}.{s.version_table}" for s in sections}


def test_the_statements_of_offline_mode_make_the_same_database(
    server: ScratchServer, migrated: sa.URL, sections: Sequence[Section]
) -> None:
    url = make_schemas(server, "tree_offline", sections)
    done = alembic([["-n", s.name, "upgrade", "head", "--sql"] for s in sections], url)
    assert done.returncode == 0, done.stderr
    script = "".join(line for line in done.stdout.splitlines(keepends=True) if not line.startswith("$"))
    server.execute("tree_offline", script)
    assert state(url, sections) == state(migrated, sections)


def state(url: sa.URL, sections: Sequence[Section]) -> dict[str, tuple[object, Snapshot]]:
    """Read the revision and the catalog of every section."""
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        return {
            s.name: (
                connection.scalar(sa.text(f"SELECT version_num FROM {s.version_schema}.{s.version_table}")),
                read_snapshot(connection, s.schema),
            )
            for s in sections
        }


@pytest.mark.parametrize(
    ("command", "url", "words"),
    [
        (["-n", "latiss", "upgrade", "head"], None, "CONSDB_URL is not set"),
        (["-n", "latiss", "check"], "postgresql+psycopg:///none", "SDM_SCHEMAS_DIR is not set"),
    ],
)
def test_environment_says_what_is_missing(command: list[str], url: str | None, words: str) -> None:
    done = alembic([command], sa.make_url(url) if url else None)
    assert done.returncode == 1
    assert words in done.stderr


def test_revision_by_alembic_itself_has_the_import_of_the_polygon(
    server: ScratchServer, sections: Sequence[Section], tmp_path: Path
) -> None:
    """``env.py`` serves Alembic's own autogenerate, too: what consdb uses without this project."""
    url = make_schemas(server, "tree_auto", sections)
    shutil.copytree(ROOT / "migrations", tmp_path / "tree", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (tmp_path / "tree" / "alembic" / "latiss" / "versions").iterdir():
        path.unlink()
    command = ["-n", "latiss", "revision", "--autogenerate", "-m", "all"]
    done = alembic([command], url, root=tmp_path / "tree", SDM_SCHEMAS_DIR=str(AFTER))
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "tree" / "alembic" / "latiss" / "versions").glob("*.py")
    source = path.read_text(encoding="utf-8")
    assert "from lsst.consdb.cdb_pgsphere import SPoly\n" in source
    assert '"pgs_region", SPoly()' in source
    assert '"visit1"' not in source
