"""``migrations apply`` on a real Postgres: what it refuses, what it does, and what it says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click
import psycopg
import pytest
import sqlalchemy as sa

from consdb_actions.adapters import apply
from consdb_actions.adapters.apply import Timeouts, run_alembic
from consdb_actions.adapters.postgres import ScratchServer, connect
from consdb_actions.cli import main
from consdb_actions.errors import ExternalError
from consdb_actions.process.apply_facts import ApplyOutcome, TableLock, lock_statement
from consdb_actions.schema.model import Name
from tests.support.reports import checked
from tests.support.repository import Repository
from tests.support.trees import BEFORE, SiteTree, database

ADD = (
    """DROP VIEW cdb_latiss.visit1; ALTER TABLE cdb_latiss.exposure ADD airmass double precision;
    CREATE VIEW cdb_latiss.visit1 AS SELECT exposure_id AS visit_id, day_obs, seq_num, band, airmass
        FROM cdb_latiss.exposure; GRANT SELECT ON cdb_latiss.visit1 TO usdf, oods;
    CREATE TABLE cdb_latiss.quicklook (
        visit_id bigint PRIMARY KEY REFERENCES cdb_latiss.exposure (exposure_id));
    GRANT SELECT ON cdb_latiss.quicklook TO usdf, oods""",
    """DROP TABLE cdb_latiss.quicklook; DROP VIEW cdb_latiss.visit1;
    ALTER TABLE cdb_latiss.exposure DROP airmass;
    CREATE VIEW cdb_latiss.visit1 AS SELECT exposure_id AS visit_id, day_obs, seq_num, band
        FROM cdb_latiss.exposure; GRANT SELECT ON cdb_latiss.visit1 TO usdf, oods""",
)
NEW = "000000000001"


class Bench:
    """A tree with one more revision, and a database that is not there yet."""

    def __init__(self, tree: SiteTree, url: sa.URL, capsys: pytest.CaptureFixture[str]) -> None:
        self.tree, self.url, self._capsys = tree, url, capsys
        self.out = self.err = ""

    def run(self, *args: str, url: str | None = None, section: str = "latiss", ask: bool = False) -> int:
        """Run the command; what it printed is in ``out`` and ``err``."""
        self._capsys.readouterr()
        where = ["--database-url", url or self.url.render_as_string(hide_password=False)]
        sections = ["--section", section] if section else []
        yes = [] if ask or "--dry-run" in args else ["--yes"]
        code = main(["migrations", "apply", "--consdb", str(self.tree.root), *where, *sections, *yes, *args])
        self.out, self.err = self._capsys.readouterr()
        return code

    def report(self, *args: str, **values: Any) -> dict[str, Any]:
        """Run it, and return its JSON, which must be as its schema says."""
        self.run("--format", "json", *args, **values)
        return data_of(self.out)

    def refused(self, *args: str, **values: Any) -> list[str]:
        """Return the ids of the checks that stop a dry run without a replay."""
        report = self.report("--dry-run", "--no-replay", *args, **values)
        found = [c["id"] for c in report["checks"] if c["state"] == "refused" and not c["accepted"]]
        assert (report["result"] == "refused") == bool(found)
        return found

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Run SQL as an administrator."""
        with connect(self.url.set(username="postgres")) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    @property
    def revision(self) -> str:
        return str(self.sql("SELECT version_num FROM cdb.cdb_latiss_version")[0][0])

    def columns(self, relation: str) -> list[str]:
        query = f"SELECT attname FROM pg_attribute WHERE attrelid = to_regclass('cdb_latiss.{relation}')"
        return [
            str(name) for (name,) in self.sql(f"{query} AND attnum > 0 AND NOT attisdropped ORDER BY attnum")
        ]


def data_of(text: str) -> dict[str, Any]:
    data: dict[str, Any] = checked(text, ApplyOutcome)
    return data


MakeBench = Callable[..., Bench]


@pytest.fixture
def bench(server: ScratchServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[MakeBench]:
    """Give a maker of a tree with a revision, and of a database before it, owned by oods."""
    open_: list[Any] = []

    def make(upgrade: str = ADD[0], downgrade: str = ADD[1]) -> Bench:
        tree = SiteTree(tmp_path / "consdb")
        tree.add("more of it", upgrade, downgrade, revision=NEW)
        context = database(server, tree.tree(), "applied", owner="oods")
        open_.append(context)
        return Bench(tree, context.__enter__(), capsys)

    yield make
    for context in open_:
        context.__exit__(None, None, None)


@contextmanager
def holding(url: sa.URL, statement: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """Hold what a statement locks."""
    with connect(url) as connection:
        connection.autocommit = False
        connection.execute(statement.encode())
        yield connection


REFUSALS: list[tuple[str, str, str, list[str]]] = [
    # What is done to the database before, and undone; what refuses.
    ("SELECT 1", "SELECT 1", "", []),
    (
        "UPDATE cdb.cdb_latiss_version SET version_num = 'beef'",
        f"UPDATE cdb.cdb_latiss_version SET version_num = '{BEFORE}'",
        "not in this tree",
        ["revision"],
    ),
    (
        "INSERT INTO cdb.cdb_latiss_version VALUES ('beef')",
        "DELETE FROM cdb.cdb_latiss_version WHERE version_num = 'beef'",
        "names 2 revisions",
        ["revision"],
    ),
    (
        "ALTER TABLE cdb.cdb_latiss_version RENAME TO elsewhere",
        "ALTER TABLE cdb.elsewhere RENAME TO cdb_latiss_version",
        "no version table",
        ["revision"],
    ),
    (
        "ALTER TABLE cdb_latiss.exposure DROP note",
        "ALTER TABLE cdb_latiss.exposure ADD note text",
        "has no column note",
        ["tables"],
    ),
    (
        "ALTER VIEW cdb_latiss.visit1 SET SCHEMA public",
        "ALTER VIEW public.visit1 SET SCHEMA cdb_latiss",
        "cdb_latiss.visit1",
        ["tables"],
    ),
    (
        "CREATE TABLE cdb_latiss.quicklook (id int)",
        "DROP TABLE cdb_latiss.quicklook",
        "cdb_latiss.quicklook",
        ["tables"],
    ),
    (
        "ALTER TABLE cdb_latiss.exposure ADD mine int",
        "ALTER TABLE cdb_latiss.exposure DROP mine",
        "that no revision made",
        ["drift"],
    ),
    (
        "GRANT SELECT ON cdb_latiss.visit1 TO pg_monitor",
        "REVOKE SELECT ON cdb_latiss.visit1 FROM pg_monitor",
        "TO pg_monitor;",
        ["grants"],
    ),
    (
        "ALTER TABLE cdb_latiss.exposure OWNER TO usdf",
        "ALTER TABLE cdb_latiss.exposure OWNER TO oods",
        "belongs to usdf",
        ["owner"],
    ),
    (
        "ALTER TABLE cdb.cdb_latiss_version OWNER TO postgres; REVOKE ALL ON cdb.cdb_latiss_version "
        "FROM oods; "
        "GRANT SELECT ON cdb.cdb_latiss_version TO oods",
        "ALTER TABLE cdb.cdb_latiss_version OWNER TO oods; GRANT ALL ON cdb.cdb_latiss_version TO oods",
        "cannot be written by oods",
        ["owner"],
    ),
    (
        "REVOKE CREATE ON SCHEMA cdb_latiss FROM oods",
        "GRANT CREATE ON SCHEMA cdb_latiss TO oods",
        "cannot create tables",
        ["owner"],
    ),
    (
        "ALTER ROLE oods IN DATABASE applied SET default_transaction_read_only = on",
        "ALTER ROLE oods IN DATABASE applied RESET default_transaction_read_only",
        "read-only",
        ["server"],
    ),
]


def test_m12_apply_stops_at_the_first_doubt(bench: MakeBench) -> None:
    made = bench()
    for before, after, words, ids in REFUSALS:
        made.sql(before)
        assert (before, made.refused()) == (before, ids)
        assert words in made.out, before
        made.sql(after)
    assert made.refused() == []


def test_m3_roles_and_privileges_are_looked_at_before(bench: MakeBench) -> None:
    made = bench("CREATE TABLE cdb_latiss.t (id int); GRANT SELECT ON cdb_latiss.t TO nobody_here, usdf")
    assert made.refused() == ["grants", "roles"]
    assert "GRANT SELECT ON cdb_latiss.t TO oods;" in made.out
    assert 'CREATE ROLE \\"nobody_here\\";' in made.out
    assert made.refused("--accept", "grants") == ["roles"]


def test_extension_is_looked_for_where_a_column_needs_it(bench: MakeBench) -> None:
    made = bench("ALTER TABLE cdb_latiss.exposure ADD pgs_region spoly")
    assert made.refused() == []
    made.sql("DROP EXTENSION IF EXISTS pg_sphere CASCADE; DROP TYPE IF EXISTS spoly CASCADE")
    assert made.refused() == ["extension"]


def test_m12_other_revisions_than_expected(bench: MakeBench) -> None:
    made = bench()
    later = made.tree.add("later", "SELECT 1", "SELECT 1")
    assert made.refused(section=f"latiss:{NEW}..{later}") == ["revision"]
    assert re.search(f"at revision {BEFORE}\\b.*{NEW}", made.out)
    made.sql(f"UPDATE cdb.cdb_latiss_version SET version_num = '{later}'")
    assert made.refused("--to", NEW) == ["revision"]
    assert "--downgrade" in made.out
    assert made.refused("--to", later, "--downgrade") == []
    assert made.report("--dry-run", section=f"latiss:{NEW}..{later}")["result"] == "nothing to do"


def test_locks_of_others_are_named(bench: MakeBench) -> None:
    made = bench()
    with holding(made.url, "LOCK TABLE cdb_latiss.exposure IN SHARE MODE") as other:
        report = made.report("--dry-run", "--no-replay")
        (check,) = [c for c in report["checks"] if c["id"] == "locks"]
        assert f"cdb_latiss.exposure: pid {other.info.backend_pid}, user oods" in check["details"][0]
        assert "since 20" in check["details"][0]
        assert report["result"] == "planned"


def test_a_tree_that_is_edited_is_not_what_its_commit_says(
    bench: MakeBench, server: ScratchServer, tmp_path: Path
) -> None:
    made = bench()
    repository = Repository(tmp_path / "consdb")
    repository.commit()
    commit = repository.git("rev-parse", "HEAD").strip()
    assert made.report("--dry-run", "--no-replay")["consdb"] == {"commit": commit, "tag": "", "edited": []}
    path = next(made.tree.versions.glob(f"{NEW}*"))
    path.write_text(path.read_text() + "\n# edited\n")
    assert made.refused() == ["checkout"]
    report = made.report("--dry-run", "--no-replay", "--accept", "checkout")
    assert report["result"] == "planned"
    assert report["consdb"]["edited"] == [f"alembic/latiss/versions/{path.name}"]


def test_dry_run_changes_nothing_and_shows_all(bench: MakeBench) -> None:
    made = bench()
    query = "SELECT xmin::text, * FROM pg_class WHERE relnamespace = 'cdb_latiss'::regnamespace ORDER BY oid"
    before = made.sql(query)
    assert made.run("--dry-run") == 0
    assert made.sql(query) == before
    assert made.revision == BEFORE
    for words in (
        f"latiss: {BEFORE} -> {NEW}",
        f"  {NEW} more of it",
        "column cdb_latiss.exposure.airmass",
        "view cdb_latiss.visit1",
        "ALTER TABLE cdb_latiss.exposure ADD airmass double precision;",
        "latiss: planned",
        "Dry run: nothing was changed.",
    ):
        assert words in made.out


def test_apply_and_its_evidence(bench: MakeBench, tmp_path: Path) -> None:
    made = bench()
    evidence = tmp_path / "evidence.json"
    url = made.url.set(password="s3cret/pässword%").render_as_string(hide_password=False)
    assert made.run("--site", "bts", "--evidence", str(evidence), url=url) == 0
    text = evidence.read_text(encoding="utf-8")
    report = data_of(text)
    assert (report["result"], report["attests"], report["site"]) == ("applied", "bts", "bts")
    (section,) = report["sections"]
    assert (section["state"], section["from"], section["to"]) == ("applied", BEFORE, NEW)
    assert section["attempts"] == 1
    assert [check["id"] for check in section["verification"]] == [
        "revision",
        "columns",
        "owner",
        "grants",
        "catalog",
    ]
    assert {check["state"] for check in section["verification"]} == {"ok"}
    assert report["comment"].startswith("/consdb done bts\n")
    assert report["rollback"] == [f"alembic -n latiss downgrade {BEFORE}"]
    assert "table cdb_latiss.quicklook" in made.out
    assert "s3cret" not in text + made.out + made.err
    assert made.revision == NEW
    assert made.columns("visit1")[-1] == "airmass"
    assert made.report()["result"] == "nothing to do"


def test_a_revision_that_fails_leaves_nothing(bench: MakeBench, tmp_path: Path) -> None:
    made = bench("ALTER TABLE cdb_latiss.exposure ADD a int; SELECT 1/0", "SELECT 1")
    evidence = tmp_path / "evidence.json"
    url = made.url.set(password="s3cret").render_as_string(hide_password=False)
    assert made.run("--evidence", str(evidence), "--no-replay", url=url) == 1
    assert "division by zero" in made.err
    assert "Traceback" not in made.err
    report = data_of(evidence.read_text())
    assert report["result"] == "failed"
    assert report["problem"].startswith(f"section latiss is at {BEFORE}, as before; ")
    assert report["attests"] == ""
    assert (made.revision, "a" in made.columns("exposure")) == (BEFORE, False)
    assert "s3cret" not in made.out + made.err + evidence.read_text()


@pytest.mark.slow
def test_sections_that_are_done_stay_done(bench: MakeBench) -> None:
    made = bench()
    made.tree.add("fails", "SELECT 1/0", "SELECT 1")
    made.sql("CREATE SCHEMA efd AUTHORIZATION oods; CREATE SCHEMA efd_latiss AUTHORIZATION oods")
    first = made.tree.root / "alembic" / "efd_latiss" / "versions" / "a.py"
    first.write_text(
        "from alembic import op\nrevision, down_revision = 'aaaa', None\n"
        "def upgrade():\n    op.execute('CREATE TABLE efd_latiss.t (id int)')\n"
        "    op.execute('GRANT SELECT ON efd_latiss.t TO usdf, oods')\n"
        "def downgrade():\n    op.execute('DROP TABLE efd_latiss.t')\n"
    )
    report_path = made.tree.root.parent / "e.json"
    code = made.run(
        "--section", "efd_latiss", "--section", "latiss", "--evidence", str(report_path), section=""
    )
    report = data_of(report_path.read_text())
    assert code == 5  # one section was changed
    assert report["changed"] == "in part"
    assert [s["state"] for s in report["sections"]] == ["applied", "failed"]
    assert "efd_latiss. To roll back: alembic -n efd_latiss downgrade base" in made.err
    assert report["rollback"] == ["alembic -n efd_latiss downgrade base"]
    assert made.sql("SELECT version_num FROM efd.efd_latiss_version") == [("aaaa",)]
    assert made.revision == BEFORE
    # The same command goes on where it stopped.
    next(made.tree.versions.glob("*2_x.py")).write_text(
        f"revision, down_revision = '000000000002', '{NEW}'\ndef upgrade(): pass\ndef downgrade(): pass\n"
    )
    again = made.report("--section", "efd_latiss", "--section", "latiss", section="")
    assert [s["state"] for s in again["sections"]] == ["already there", "applied"]


@pytest.mark.slow
def test_the_way_back_restores_what_was_there(bench: MakeBench) -> None:
    made = bench()
    before = made.columns("visit1")
    assert made.run() == 0
    report = made.report("--downgrade", section=f"latiss:{NEW}..{BEFORE}")
    assert report["result"] == "applied"
    assert report["attests"] == ""
    assert {c["state"] for c in report["sections"][0]["verification"]} == {"ok"}
    assert report["sections"][0]["losses"]
    assert (made.revision, made.columns("visit1")) == (BEFORE, before)
    assert report["rollback"] == [f"alembic -n latiss upgrade {NEW}"]


@pytest.mark.slow
def test_what_comes_out_wrong_is_found(bench: MakeBench) -> None:
    made = bench()
    # Something in this database changes another table whenever a table is made.
    made.sql(
        "CREATE FUNCTION public.meddle() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN "
        "ALTER TABLE cdb_latiss.exposure_flexdata ALTER value TYPE varchar(9); END $$; "
        "CREATE EVENT TRIGGER meddle ON ddl_command_end WHEN TAG IN ('CREATE TABLE') "
        "EXECUTE FUNCTION public.meddle()"
    )
    report = made.report("--site", "bts")
    assert (report["result"], report["attests"]) == ("not verified", "")
    wrong = {c["id"]: c["details"] for c in report["sections"][0]["verification"] if c["state"] == "refused"}
    assert list(wrong) == ["catalog"]
    assert wrong["catalog"][0].startswith("exposure_flexdata.columns.value.type: here character varying(9)")
    assert "/consdb done" not in report["comment"]


def test_where_the_history_cannot_be_replayed_the_statements_are_looked_at(
    bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ExternalError("there is no room for a database")

    monkeypatch.setattr(apply, "expected_catalogs", refuse)
    report = bench().report("--dry-run")
    (check,) = [c for c in report["checks"] if c["id"] == "drift"]
    assert (check["state"], report["result"]) == ("warning", "planned")
    assert "there is no room for a database" in check["message"]


@pytest.mark.slow
def test_drift_in_what_is_changed_stops_it(bench: MakeBench) -> None:
    made = bench()
    made.sql("ALTER TABLE cdb_latiss.exposure ALTER air_temp TYPE real")
    made.sql("COMMENT ON TABLE cdb_latiss.exposure_flexdata IS 'by hand'")
    report = made.report("--dry-run")
    drift = [(c["state"], c["details"]) for c in report["checks"] if c["id"] == "drift"]
    assert [state for state, _ in drift] == ["refused", "warning"]
    assert "exposure.columns.air_temp.type: here real" in drift[0][1][0]
    assert "exposure_flexdata.comment: here by hand" in drift[1][1][0]
    accepted = made.report("--dry-run", "--accept", "drift")
    assert accepted["result"] == "planned"
    assert any(check["accepted"] for check in accepted["checks"])


def test_it_asks_and_takes_no_for_an_answer(bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    made = bench()
    assert made.run("--no-replay", ask=True) == 2
    assert "no terminal to ask on" in made.err
    asked = []

    def no(question: str, **_: object) -> bool:
        asked.append(question)
        return False

    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr(click, "confirm", no)
    assert made.run("--no-replay", ask=True) == 1
    assert "applied on " in asked[0]
    assert "nothing was changed" in made.out
    assert made.revision == BEFORE


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--section", "latiss", "--section", "latiss"), "named twice"),
        (("--section", "latiss", "--section", "lsstcam", "--to", "x"), "belongs to one section"),
        (("--section", "latiss:a..b", "--to", "x"), "belongs to one section"),
        (("--section", "latiss:a"), "is not a section"),
        (("--section", "latiss", "--downgrade"), "--downgrade"),
        (("--section", "latiss", "--lock-timeout", "0s"), "--lock-timeout"),
        (("--section", "latiss", "--statement-timeout", "soon"), "--statement-timeout"),
        (("--section", "latiss", "--site", "mars"), 'no site "mars"'),
        (("--section", "latiss", "--site", "usdf-dev"), "is not configured"),
        (("--section", "latiss"), "no database is given"),
        (("--section", "latiss", "--database-url", "sqlite://"), "not the address of a Postgres database"),
        (("--section", "latiss", "--database-url", "postgresql://u:p@ss@h/d"), "not the address"),
        (("--section", "latiss", "--database-url", "postgresql://u@h"), "names no database"),
    ],
)
def test_usage(args: tuple[str, ...], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = SiteTree(tmp_path / "consdb")
    assert main(["migrations", "apply", "--consdb", str(tree.root), "--yes", *args]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "p@ss" not in error


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:55/p@ss@host:p@ss@db.example.org/d",
        "postgresql://user:p@ss/x@host/d",
        "postgresql://user:x@host:p@ss/d",
        "postgresql://host:port/d",
        "postgresql://host:99999/d",
        "user:p@ss@host/d",
        "postgresql://p@ss:1@host/d",
    ],
)
def test_o7_a_malformed_address_shows_no_password(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = SiteTree(tmp_path / "consdb")
    args = ["migrations", "apply", "--consdb", str(tree.root), "--section", "latiss", "--yes"]
    for given in ([*args, "--database-url", url], args):
        monkeypatch.setenv("CONSDB_URL", url)
        assert main(given) == 2
        printed = "".join(capsys.readouterr())
        assert "not the address of a Postgres database" in printed
        assert not re.search(r"p@ss|55/|secret", printed)


def test_the_address_of_the_tree_is_taken(
    bench: MakeBench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = bench()
    monkeypatch.setenv("CONSDB_URL", made.url.render_as_string(hide_password=False))
    args = ["migrations", "apply", "--consdb", str(made.tree.root), "--section", "latiss", "--dry-run"]
    assert main([*args, "--no-replay"]) == 0
    monkeypatch.setenv("CONSDB_URL", "mysql://u:s3cret@h/d")
    assert main(args) == 2
    error = capsys.readouterr().err
    assert "CONSDB_URL" in error
    assert "s3cret" not in error


def test_a_database_that_cannot_be_reached(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = SiteTree(tmp_path / "consdb")
    url = f"postgresql://oods@/db?host={tmp_path}&password=s3cret"
    args = ["migrations", "apply", "--consdb", str(tree.root), "--section", "latiss", "--yes"]
    assert main([*args, "--database-url", url]) == 3
    error = capsys.readouterr().err
    assert "cannot be read" in error
    assert "s3cret" not in error


def test_a_lock_is_waited_for(bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apply, "lock_statement", partial(lock_statement, tries=2))
    made = bench("ALTER TABLE cdb_latiss.exposure ADD a int", "SELECT 1")
    tree = made.tree.tree()
    told: list[tuple[int, float, str]] = []
    with (
        tree.importable(),
        holding(made.url, "LOCK TABLE cdb_latiss.exposure IN ROW EXCLUSIVE MODE") as other,
    ):
        pid = other.info.backend_pid
        attempts = run_alembic(
            tree,
            tree.section("latiss"),
            made.url,
            "upgrade",
            NEW,
            locks=(TableLock(Name("cdb_latiss", "exposure")),),
            timeouts=Timeouts("100ms", "1min", 3),
            waiting=lambda count, seconds, locks: told.append((count, seconds, str(locks[0]))),
            sleep=lambda _: other.rollback(),
        )
    assert attempts.count == 2
    ((count, seconds, lock),) = told
    assert (count, seconds) == (1, 1.0)
    assert lock.startswith(f"cdb_latiss.exposure: pid {pid}, user oods, idle in transaction, since 20")
    assert made.revision == NEW


@pytest.mark.slow
def test_a_lock_that_is_not_granted(bench: MakeBench) -> None:
    made = bench(
        "ALTER TABLE cdb_latiss.exposure_flexdata ADD b int; ALTER TABLE cdb_latiss.exposure ADD a int", ""
    )
    with holding(made.url, "SELECT 1 FROM cdb_latiss.exposure") as other:
        assert made.run("--no-replay", "--lock-timeout", "100ms", "--retries", "1") == 3
        assert f"pid {other.info.backend_pid}, user oods" in made.err
        assert "not granted in 2 rounds" in made.err
        assert made.err.count("Next try in 1 s.") == 1
    assert made.revision == BEFORE
    assert "b" not in made.columns("exposure_flexdata")


@pytest.mark.slow
def test_a_statement_that_takes_too_long(bench: MakeBench) -> None:
    made = bench("ALTER TABLE cdb_latiss.exposure ADD a int; SELECT pg_sleep(30)", "")
    assert made.run("--no-replay", "--statement-timeout", "300ms") == 3
    assert "longer than --statement-timeout" in made.err
    assert made.revision == BEFORE
