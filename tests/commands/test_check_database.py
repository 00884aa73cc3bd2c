"""``migrations check --database-url``: a revision on a copy of a site's database, with its own rows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from jsonschema import Draft202012Validator

from consdb_actions.adapters.autogenerate import rows
from consdb_actions.adapters.autogenerate.states import make_replayed
from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.rows import read_rows
from consdb_actions.cli import main
from consdb_actions.forms import json_schema
from consdb_actions.migration.outcome import RunOutcome, SectionOutcome
from tests.support.workbench import Data, Workbench, column, schema, table

HISTORY = "cdb.cdb_latiss_version"


def exposure(*columns: Data) -> Data:
    key = column("exposure_id", "int", nullable=False, autoincrement=False)
    visit = table("visit1", [column("visit_id", "int", nullable=False)], key=["visit_id"])
    return schema(table("exposure", [key, *columns], key=["exposure_id"]), visit)


BEFORE = exposure(column("band", "string"), column("seeing"))
AFTER = exposure(column("band", "string", nullable=False, value="r"), column("seeing"), column("wind"))


@dataclass(frozen=True)
class Made:
    """A tree with two revisions, the schema file of the second, and a database at the first."""

    root: Path
    schemas: Path
    outcome: SectionOutcome


@pytest.fixture(scope="module")
def made(server: ScratchServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    bench = Workbench(server, tmp_path_factory.mktemp("made") / "tree")
    bench.generate(BEFORE, verify=False)
    outcome = bench.generate(AFTER, verify=False)
    server.create_database("site_made")
    tree = bench.tree()
    with tree.importable():
        section = tree.section("latiss")
        make_replayed(server, "site_made", section, section.revisions()[:1])
    yield Made(bench.root, bench.write_schema(AFTER).parent, outcome)
    server.drop_database("site_made")


class Site:
    """A database at the first revision, and the command that checks the second on it."""

    def __init__(
        self, server: ScratchServer, made: Made, root: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.server, self.made, self.root, self.capsys = server, made.outcome, root, capsys
        self.schemas = made.schemas
        shutil.copytree(made.root, root, ignore=shutil.ignore_patterns("__pycache__"))
        server.create_database("site", template="site_made")
        self.execute("INSERT INTO exposure VALUES (1, 'g', 0.5), (2, NULL, NULL), (3, 'y', 1.5)")

    def execute(self, *statements: str) -> None:
        self.server.execute("site", "; ".join(["SET search_path TO cdb_latiss, public", *statements]))

    def url(self, user: str = "postgres", database: str = "site") -> str:
        url = self.server.url(database).set(username=user, password="p@ss/w%rd")
        return url.render_as_string(hide_password=False)

    def check(self, *more: str, user: str = "postgres", database: str = "site") -> int:
        args = ["--consdb", str(self.root), "--sdm-schemas", str(self.schemas)]
        if "--all" not in more:
            args += ["--section", "latiss"]
        more = tuple(m for m in more if m != "--all")
        return main(["migrations", "check", *args, "--database-url", self.url(user, database), *more])

    def report(self, *more: str) -> tuple[int, dict[str, dict[str, Any]]]:
        """Check, and return the exit code and the statements of the proof by name."""
        code = self.check("--format", "json", *more)
        out = self.capsys.readouterr().out
        data = json.loads(out)
        Draft202012Validator(json_schema(RunOutcome)).validate(data)
        (section,) = data["sections"]
        return code, {check["name"]: check for check in section["checks"]}

    def text(self, *more: str, user: str = "postgres", code: int = 2, database: str = "site") -> str:
        """Check, make sure of the exit code, and return what was said."""
        assert self.check(*more, user=user, database=database) == code
        out, err = self.capsys.readouterr()
        assert "p@ss" not in out + err
        return " ".join((out + err).split())

    def state(self) -> tuple[object, ...]:
        """Return all that must not change."""
        with self.server.open_database("site") as engine, engine.connect() as connection:
            snapshot = read_snapshot(connection, "cdb_latiss")
            version = connection.execute(sa.text(f"SELECT * FROM {HISTORY}")).scalars().all()
            names = set(connection.execute(sa.text("SELECT datname FROM pg_database")).scalars())
            return snapshot, read_rows(connection, snapshot), version, names


@pytest.fixture
def site(
    server: ScratchServer, made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Site]:
    try:
        yield Site(server, made, tmp_path / "tree", capsys)
    finally:
        server.drop_database("site")


OWN = [
    "database",
    "database upgrade",
    "database rows",
    "database downgrade",
    "database rows back",
    "database operator",
]


def test_m15_it_runs_on_the_rows_of_the_copy_and_the_database_stays_as_it_is(site: Site) -> None:
    before = site.state()
    code, checks = site.report()
    assert code == 0
    assert [name for name in checks if name.startswith("database")] == OWN
    assert all(check["holds"] for check in checks.values()), checks
    assert checks["database rows"]["text"].startswith("3 rows of the database's own in 1 table keep")
    assert site.state() == before


LIKE_CONSDB = """
import os
from alembic import context
from sqlalchemy import engine_from_config, pool

config = context.config
config.set_main_option("sqlalchemy.url", os.environ["CONSDB_URL"])
section = config.get_section(config.config_ini_section)
with engine_from_config(section, prefix="sqlalchemy.", poolclass=pool.NullPool).connect() as connection:
    context.configure(
        connection=connection, version_table="cdb_latiss_version", version_table_schema="cdb"
    )
    with context.begin_transaction():
        context.run_migrations()
"""


def test_m16_a_password_reaches_an_environment_that_puts_the_url_into_its_ini_file(site: Site) -> None:
    assert "%" in site.url(), "which the ini file takes for an interpolation"
    (site.root / "alembic" / "env.py").write_text(LIKE_CONSDB, encoding="utf-8")
    code, checks = site.report()
    assert code == 0
    assert checks["database operator"]["holds"], checks["database operator"]


def test_m16_an_older_revision_runs_without_those_after_it(site: Site) -> None:
    later = site.root / "alembic" / "latiss" / "versions" / "later.py"
    later.write_text(
        f"revision = 'aaaaaaaaaaaa'\ndown_revision = {site.made.revision!r}\n"
        "def upgrade():\n    1 / 0\n\n\ndef downgrade():\n    1 / 0\n",
        encoding="utf-8",
    )
    code, checks = site.report("--revision", site.made.revision)
    assert code == 0
    assert checks["operator"]["holds"], checks["operator"]


def test_m15_the_report_says_whose_rows_they_were(site: Site) -> None:
    said = site.text(code=0)
    assert "✓ 3 rows of the database's own in 1 table keep their values in the upgrade" in said
    assert "All checks pass for 1 revision." in said
    said = site.text("--format", "markdown", code=0)
    assert "### All checks pass for 1 revision." in said
    assert "- ✅ 3 rows of the database's own in 1 table hold the same values after the downgrade" in said


def test_m7_nulls_that_nothing_fills_are_found_on_the_real_rows(site: Site) -> None:
    path = site.root / site.made.path
    source = path.read_text(encoding="utf-8")
    (fill,) = [line for line in source.splitlines() if "UPDATE" in line]
    path.write_text(source.replace(f"{fill}\n", ""), encoding="utf-8")
    code, checks = site.report()
    assert code == 1
    assert checks["rows"]["holds"], (
        "the rows that are made up hold none, since nobody says that there are some"
    )
    assert checks["nulls"]["holds"] is None
    assert "exposure.band" in checks["nulls"]["text"]
    assert not checks["database upgrade"]["holds"]
    assert "contains null values" in checks["database upgrade"]["details"][0]
    site.execute("UPDATE exposure SET band = 'z' WHERE band IS NULL")
    code, checks = site.report()
    assert code == 0
    assert checks["database rows back"]["holds"]


def test_m12_a_database_at_another_revision_is_refused(site: Site) -> None:
    first = site.made.down_revision
    site.server.execute("site", f"UPDATE {HISTORY} SET version_num = '00000000beef'")
    said = site.text()
    assert f"the database is at revision 00000000beef, and not at {first}" in said
    assert f"alembic -n latiss upgrade {first}" in said
    assert "--any-head" in said
    site.server.execute("site", f"UPDATE {HISTORY} SET version_num = '{site.made.revision}'")
    said = site.text()
    assert f"is at revision {site.made.revision} already" in said
    assert f"alembic -n latiss downgrade {first}" in said
    site.server.execute("site", f"DELETE FROM {HISTORY}")
    assert f"is at revision none, and not at {first}" in site.text()


def test_m12_a_database_without_a_version_table_is_refused(site: Site) -> None:
    site.server.execute("site", f"DROP TABLE {HISTORY}")
    said = site.text()
    assert "has no version table, so its revision is unknown" in said
    assert f"alembic -n latiss stamp {site.made.down_revision}" in said


@pytest.mark.parametrize("head", ["'00000000beef'", None])
def test_m12_any_head_takes_it_as_it_is(site: Site, head: str | None) -> None:
    site.server.execute(
        "site", f"UPDATE {HISTORY} SET version_num = {head}" if head else f"DROP TABLE {HISTORY}"
    )
    code, checks = site.report("--any-head")
    assert code == 0
    assert [name for name in checks if name.startswith("database")] == OWN[:-1], (
        "alembic would not start there"
    )


def test_m17_how_it_differs_from_its_history_is_said_and_not_held_against_the_revision(site: Site) -> None:
    site.execute(
        "CREATE INDEX ix_by_hand ON exposure (seeing)",
        "ALTER TABLE exposure ADD extra int",
        "UPDATE exposure SET extra = exposure_id",
        "GRANT UPDATE ON exposure TO usdf",
        "COMMENT ON COLUMN exposure.seeing IS NULL",
        "CREATE TABLE notes (text text)",
    )
    code, checks = site.report()
    assert code == 0
    assert checks["database"]["holds"] is None
    assert "differs from its replayed history in 5 places" in checks["database"]["text"]
    assert checks["database"]["details"] == [
        "exposure.grants.UPDATE TO usdf: only in the database",
        "exposure.columns.extra: only in the database: integer",
        "exposure.columns.seeing.comment: not in the database; by its history The seeing.",
        "exposure.indexes.ix_by_hand: only in the database: "
        "CREATE INDEX ix_by_hand ON cdb_latiss.exposure USING btree (seeing)",
        "notes: only in the database: table",
    ]
    assert all(checks[name]["holds"] for name in OWN[1:]), checks
    assert checks["database rows"]["details"] == ["no rows in notes"]
    said = site.text("--format", "markdown", code=0)
    assert "differs from its replayed history in 5 places" in said
    assert "- notes: only in the database: table" in said


def test_m10_what_the_revision_takes_away_from_the_real_database_is_found(site: Site) -> None:
    site.execute("GRANT SELECT ON visit1 TO pg_monitor")
    code, checks = site.report()
    assert code == 1
    assert checks["downgrade"]["holds"], "where the history made it, nobody else may read the view"
    assert not checks["database downgrade"]["holds"]
    assert any("pg_monitor" in detail for detail in checks["database downgrade"]["details"])


def test_others_who_use_the_database_are_named(site: Site) -> None:
    engine = sa.create_engine(site.server.url("site"), connect_args={"application_name": "hinfo"})
    with engine.connect():
        said = site.text()
    engine.dispose()
    assert 'the database "site" cannot be copied while others use it: hinfo where:' in said
    assert "End these sessions" in said


@pytest.mark.parametrize(
    ("role", "words"),
    [
        ("LOGIN", 'user "visitor" may not create databases'),
        (
            "LOGIN CREATEDB",
            'cdb_latiss belongs to postgres, so that user "visitor" may not change its tables',
        ),
    ],
)
def test_what_a_user_may_not_is_said(site: Site, role: str, words: str) -> None:
    site.server.execute("postgres", f"CREATE ROLE visitor {role}")
    site.execute("GRANT USAGE ON SCHEMA cdb TO visitor", f"GRANT SELECT ON {HISTORY} TO visitor")
    before = site.state()
    try:
        assert words in site.text(user="visitor")
        assert site.state() == before
    finally:
        site.server.execute("site", "DROP OWNED BY visitor")
        site.server.execute("postgres", "DROP ROLE visitor")


def test_an_empty_database_lends_its_server_only(site: Site) -> None:
    site.server.create_database("empty")
    try:
        assert "of the database's own" not in site.text(database="empty", code=0)
    finally:
        site.server.drop_database("empty")


def test_a_section_that_has_the_revision_already_is_left_alone_unless_it_is_named(site: Site) -> None:
    site.server.execute("site", f"UPDATE {HISTORY} SET version_num = '{site.made.revision}'")
    said = site.text("--all", code=0)
    assert "Nothing to check: the database has the newest revision of every section." in said


def test_large_tables_are_hashed_as_a_whole(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.execute("INSERT INTO exposure SELECT n, 'b' || n, n / 4.0 FROM generate_series(4, 200) n")
    monkeypatch.setattr(rows, "MOST_VALUES", 60)
    code, checks = site.report()
    assert code == 0
    assert checks["database rows"]["text"].startswith("200 rows of the database's own in 1 table")
    assert checks["database rows"]["details"] == [
        "exposure is large: compared are the first 20 of its 200 rows, and hashes of 2 columns"
    ]
    path = site.root / site.made.path
    source = path.read_text(encoding="utf-8")
    spoil = '    op.execute("UPDATE cdb_latiss.exposure SET seeing = seeing + 1 WHERE exposure_id = 150")\n'
    assert source.count("\n\n\ndef downgrade") == 1
    path.write_text(source.replace("\n\n\ndef downgrade", f"\n{spoil}\n\ndef downgrade"), encoding="utf-8")
    code, checks = site.report()
    assert code == 1
    assert checks["database rows"]["details"][0].startswith(
        "exposure.seeing: its 199 values have another hash"
    )
    assert not checks["database rows back"]["holds"]
