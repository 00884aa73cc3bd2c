"""Trees like consdb's to run commands on, and databases at one of their revisions."""

from __future__ import annotations

import contextlib
import re
import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from consdb_actions.adapters import postgres, postgres_server
from consdb_actions.adapters.autogenerate import run
from consdb_actions.adapters.autogenerate.simulation import prepare, replay
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.tree import Tree, read_tree
from consdb_actions.cli import main

ROOT = Path(__file__).resolve().parents[2]
MIGRATIONS = ROOT / "migrations"
SECTION = "startrackerwide"

_REVISION = '''\
"""{title}"""

import sqlalchemy as sa
from alembic import op

revision = {revision!r}
down_revision = {down!r}


def upgrade() -> None:
{upgrade}


def downgrade() -> None:
{downgrade}
'''


def revision_text(
    revision: str, down: object, upgrade: str = "pass", downgrade: str = "pass", *, title: str = "A change."
) -> str:
    """Write a revision; the first line of its upgrade is line 11."""
    steps = {"upgrade": _block(upgrade), "downgrade": _block(downgrade)}
    return _REVISION.format(title=title, revision=revision, down=down, **steps)


def _block(code: str) -> str:
    return textwrap.indent(textwrap.dedent(code).strip("\n"), "    ").rstrip()


def copy_section(root: Path, *sections: str) -> None:
    """Copy the environment of sections without their revisions, and the folders of all others."""
    for section in (path for path in (MIGRATIONS / "alembic").iterdir() if path.is_dir()):
        folder = root / "alembic" / section.name
        folder.mkdir(parents=True)
        if section.name in sections:
            (folder / "versions").mkdir()
            for name in ("env.py", "script.py.mako"):
                shutil.copyfile(section / name, folder / name)
    for name in ("alembic.ini", "alembic/env.py"):
        shutil.copyfile(MIGRATIONS / name, root / name)


@dataclass(frozen=True)
class SectionFolder:
    path: Path

    @property
    def versions(self) -> Path:
        return self.path / "versions"

    @property
    def template(self) -> Path:
        return self.path / "script.py.mako"

    def head(self) -> str:
        """Return the id of its newest revision."""
        texts = [path.read_text(encoding="utf-8") for path in self.versions.glob("*.py")]
        ids = {m[1] for t in texts if (m := re.search(r"^revision\b.*?= ['\"](\w+)", t, re.M))}
        downs = {m[1] for t in texts if (m := re.search(r"^down_revision\b.*?= ['\"](\w+)", t, re.M))}
        (head,) = ids - downs
        return head

    def add(self, body: str, *, down: str | None = None, name: str = "0000deadbeef") -> Path:
        """Add a revision after its head; its body begins in line 7."""
        path = self.versions / f"{name}_by_hand.py"
        head = f'"""By hand."""\nfrom alembic import op\n\nrevision = {name!r}\n'
        path.write_text(f"{head}down_revision = {down or self.head()!r}\n\n{body}\n", encoding="utf-8")
        return path


class Ground:
    """A folder with ``consdb``, ``before`` and ``after``."""

    def __init__(self, root: Path) -> None:
        self.root, self.consdb = root, root / "consdb"
        self.before, self.after = root / "before", root / "after"
        shutil.copytree(ROOT / "migrations", self.consdb, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "examples" / "schemas" / "before", self.before)
        shutil.copytree(ROOT / "examples" / "schemas" / "after", self.after)

    def section(self, name: str = SECTION) -> SectionFolder:
        return SectionFolder(self.consdb / "alembic" / name)

    def schema(self, name: str = f"cdb_{SECTION}") -> Path:
        """Return a schema file of the change."""
        return self.after / f"{name}.yaml"

    def edit(self, old: str, new: str, name: str = f"cdb_{SECTION}") -> None:
        """Replace text in a schema file."""
        text = self.schema(name).read_text(encoding="utf-8")
        assert old in text
        self.schema(name).write_text(text.replace(old, new), encoding="utf-8")

    def args(self, command: str, *more: str, section: str | None = SECTION) -> list[str]:
        args = ["migrations", command, "--consdb", str(self.consdb), "--sdm-schemas", str(self.after)]
        args += ["--message", "Change"] if command == "generate" and "--message" not in more else []
        return [*args, *(["--section", section] if section else []), *more]

    def run(self, command: str, *more: str, section: str | None = SECTION) -> int:
        return main(self.args(command, *more, section=section))

    def contents(self) -> dict[str, bytes | None]:
        """Return every file with its content, and every folder."""
        return {
            str(path.relative_to(self.root)): path.read_bytes() if path.is_file() else None
            for path in self.root.rglob("*")
        }

    @contextlib.contextmanager
    def untouched(self) -> Iterator[None]:
        """Assert that the block changes and creates no file."""
        before = self.contents()
        yield
        assert self.contents() == before


def refuse_postgres(patch: pytest.MonkeyPatch) -> None:
    """Fail a test when a server is started."""

    def refuse(**_options: object) -> None:
        pytest.fail("Postgres was started for an input that is plainly wrong")

    patch.setattr(postgres_server, "prestarted_server", contextlib.nullcontext)
    patch.setattr(run, "scratch_server", refuse)
    patch.setattr(postgres, "scratch_server", refuse)


def share_postgres(patch: pytest.MonkeyPatch, server: ScratchServer) -> None:
    """Use an existing server in all runs."""

    @contextlib.contextmanager
    def share(**options: object) -> Iterator[ScratchServer]:
        assert options.get("database_url") is None
        yield server

    patch.setattr(postgres_server, "prestarted_server", contextlib.nullcontext)
    patch.setattr(run, "scratch_server", share)
    patch.setattr(postgres, "scratch_server", share)


BASE = (
    """
CREATE TABLE cdb_latiss.exposure (
    exposure_id bigint NOT NULL, day_obs integer NOT NULL, seq_num integer NOT NULL,
    band varchar(32), air_temp double precision, note text,
    CONSTRAINT exposure_pkey PRIMARY KEY (exposure_id),
    CONSTRAINT un_exposure_ds UNIQUE (day_obs, seq_num));
CREATE TABLE cdb_latiss.exposure_flexdata (
    obs_id bigint NOT NULL, key varchar(16) NOT NULL, value text,
    CONSTRAINT exposure_flexdata_pkey PRIMARY KEY (obs_id, key),
    CONSTRAINT fk_flexdata FOREIGN KEY (obs_id) REFERENCES cdb_latiss.exposure (exposure_id));
CREATE VIEW cdb_latiss.visit1 AS
    SELECT exposure_id AS visit_id, day_obs, seq_num, band FROM cdb_latiss.exposure;
GRANT SELECT ON cdb_latiss.exposure, cdb_latiss.exposure_flexdata, cdb_latiss.visit1 TO usdf, oods
""",
    "DROP VIEW cdb_latiss.visit1; DROP TABLE cdb_latiss.exposure_flexdata; DROP TABLE cdb_latiss.exposure",
)
BEFORE = "00000000base"
"""The first revision, with two tables and a view."""


class SiteTree:
    """A new tree whose section ``latiss`` begins with `BASE`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        copy_section(root, *(path.name for path in (MIGRATIONS / "alembic").iterdir() if path.is_dir()))
        shutil.copytree(MIGRATIONS / "python", root / "python", ignore=shutil.ignore_patterns("__pycache__"))
        self.down: str | None = None
        self.add("the first tables", *BASE, revision=BEFORE)

    def add(self, words: str, upgrade: str, downgrade: str = "", *, revision: str = "") -> str:
        """Add a revision of section ``latiss`` made of SQL, and return its id."""
        revision = revision or f"{len(list(self.versions.glob('*.py'))):012d}"
        text = revision_text(revision, self.down, _calls(upgrade), _calls(downgrade), title=words)
        (self.versions / f"{revision}_x.py").write_text(text, encoding="utf-8")
        self.down = revision
        return revision

    @property
    def versions(self) -> Path:
        """Return the folder of the revisions of section ``latiss``."""
        return self.root / "alembic" / "latiss" / "versions"

    def tree(self) -> Tree:
        return read_tree(self.root)


def _calls(sql: str) -> str:
    calls = [f"op.execute({part.strip()!r})" for part in sql.split(";") if part.strip()]
    return "\n".join(calls or ["pass"])


@contextlib.contextmanager
def database(
    server: ScratchServer,
    tree: Tree,
    name: str,
    *,
    section: str = "latiss",
    at: str = BEFORE,
    owner: str = "",
) -> Iterator[sa.URL]:
    """Create a database at a revision, with an owner without special rights."""
    url = server.create_database(name)
    try:
        if owner:
            server.execute(name, f"ALTER ROLE {owner} LOGIN; ALTER DATABASE {name} OWNER TO {owner}")
            url = url.set(username=owner)
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        with tree.importable(), engine.begin() as connection:
            known = tree.section(section)
            prepare(connection, known)
            history = known.revisions()
            ids = [revision.revision for revision in history]
            replay(connection, known, history[: ids.index(at) + 1])
        engine.dispose()
        yield url
    finally:
        server.drop_database(name)


_INI = """\
[DEFAULT]
path_separator = os

[demo]
script_location = alembic/demo
consdb.schema_name = cdb_demo

[efd_demo]
script_location = alembic/efd_demo
consdb.schema_name = efd_demo
"""

FIRST = (
    """
    op.create_table(
        "exposure",
        sa.Column("exposure_id", sa.BIGINT(), nullable=False),
        sa.Column("band", sa.VARCHAR(32)),
        sa.Column("note", sa.TEXT(), comment="100% of what was noted: :all of it"),
        sa.PrimaryKeyConstraint("exposure_id"),
        schema="cdb_demo",
    )
    op.execute("GRANT SELECT ON cdb_demo.exposure TO usdf, oods")
    """,
    """
    op.drop_table("exposure", schema="cdb_demo")
    """,
)
"""Upgrade of the section's first revision."""


class LintTree:
    """A new tree with the sections ``demo`` and ``efd_demo``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for section in ("demo", "efd_demo"):
            (root / "alembic" / section / "versions").mkdir(parents=True)
        (root / "alembic.ini").write_text(_INI)

    def add(
        self,
        revision: str,
        down: str | tuple[str, ...] | None = None,
        upgrade: str = "pass",
        downgrade: str = "pass",
        *,
        section: str = "demo",
        words: str = "A change.",
    ) -> Path:
        """Write a revision; the first line of its upgrade is line 11."""
        path = self.root / "alembic" / section / "versions" / f"{revision}_change.py"
        path.write_text(revision_text(revision, down, upgrade, downgrade, title=words), encoding="utf-8")
        return path

    def first(self) -> Path:
        """Write the first revision of the section ``demo``."""
        return self.add("a1", None, *FIRST)
