"""A small tree like consdb's with manual revisions, and a database at one of them."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from consdb_actions.adapters.autogenerate.simulation import prepare, replay
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.tree import Tree, read_tree

__all__ = ["BASE", "BEFORE", "SiteTree", "database"]

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"

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

_REVISION = '''\
"""{words}"""

from alembic import op

revision = "{revision}"
down_revision = {down!r}
branch_labels = None
depends_on = None


def upgrade():
{upgrade}


def downgrade():
{downgrade}
'''


class SiteTree:
    """A new tree whose section ``latiss`` begins with `BASE`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for section in (path for path in (MIGRATIONS / "alembic").iterdir() if path.is_dir()):
            folder = root / "alembic" / section.name
            (folder / "versions").mkdir(parents=True)
            for name in ("env.py", "script.py.mako"):
                shutil.copyfile(section / name, folder / name)
        shutil.copyfile(MIGRATIONS / "alembic.ini", root / "alembic.ini")
        shutil.copyfile(MIGRATIONS / "alembic" / "env.py", root / "alembic" / "env.py")
        shutil.copytree(MIGRATIONS / "python", root / "python", ignore=shutil.ignore_patterns("__pycache__"))
        self.down: str | None = None
        self.add("the first tables", *BASE, revision=BEFORE)

    def add(self, words: str, upgrade: str, downgrade: str = "", *, revision: str = "") -> str:
        """Add a revision of section ``latiss`` made of SQL, and return its id."""
        revision = revision or f"{len(list(self.versions.glob('*.py'))):012d}"
        text = _REVISION.format(
            words=words,
            revision=revision,
            down=self.down,
            upgrade=_body(upgrade),
            downgrade=_body(downgrade),
        )
        (self.versions / f"{revision}_x.py").write_text(text, encoding="utf-8")
        self.down = revision
        return revision

    @property
    def versions(self) -> Path:
        """Return the folder of the revisions of section ``latiss``."""
        return self.root / "alembic" / "latiss" / "versions"

    def tree(self) -> Tree:
        return read_tree(self.root)


def _body(sql: str) -> str:
    calls = [f"op.execute({part.strip()!r})" for part in sql.split(";") if part.strip()]
    return textwrap.indent("\n".join(calls or ["pass"]), "    ")


@contextmanager
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
