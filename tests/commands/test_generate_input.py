"""What a user can get wrong with ``migrations generate``: a clear error, its exit code, an untouched tree."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from consdb_actions.adapters.postgres import ScratchServer
from tests.support.repository import Repository
from tests.support.trees import Ground, refuse_postgres, share_postgres

Prepare = Callable[[Ground], object]
NOTHING = "def upgrade() -> None:\n    pass\n\n\ndef downgrade() -> None:\n    pass\n"
OTHER = NOTHING.replace("pass", "op.execute('ALTER TABLE cdb_latiss.exposure ADD x int')")
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)
)
KEY = """  constraints:
  - name: fk_wind
    "@id": "#exposure.fk_wind"
    "@type": ForeignKey
    columns: ["#exposure.day_obs"]
    referencedColumns: ["#nowhere.z"]
  - name: un_exposure_ds
"""


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """Give a fresh copy of the tree and the schemas."""
    return Ground(tmp_path / "ground")


def write(text: str) -> Prepare:
    """Return what makes this the schema file."""
    return lambda ground: ground.schema().write_text(text, encoding="utf-8")


def add(body: str) -> Prepare:
    """Return what adds a revision."""
    return lambda ground: ground.section().add(body)


def ini(text: str) -> Prepare:
    """Return what makes this the ini file."""
    return lambda ground: (ground.consdb / "alembic.ini").write_text(text, encoding="utf-8")


def nothing(_ground: Ground) -> None:
    """Leave everything as it is."""


BAD_FILES: dict[str, tuple[Prepare, tuple[str, ...]]] = {
    "no tree": (lambda g: shutil.rmtree(g.consdb), ("no such directory", "checkout of lsst-dm/consdb")),
    "no schemas": (lambda g: shutil.rmtree(g.after), ("no such directory", "folder with the YAML")),
    "empty folder": (
        lambda g: [p.rename(g.root / p.name) for p in g.after.iterdir()],
        ("no file of the schema cdb_startrackerwide", "looked for", "checkout of sdm_schemas"),
    ),
    "no ini": (lambda g: (g.consdb / "alembic.ini").unlink(), ("not a consdb tree", "--consdb")),
    "broken ini": (ini("garbage\n"), ("alembic.ini:1", "not an ini file that can be read", "in brackets")),
    "empty ini": (ini("[alembic]\n"), ("not a consdb tree", "consdb.schema_name")),
    "section without its folder": (
        lambda g: shutil.rmtree(g.section("efd_scheduler").path),
        ("efd_scheduler", "missing", "remove the section"),
    ),
    "no YAML": (write("a: [b\n c: }"), ("not YAML", "startrackerwide.yaml:2:3", "quotes")),
    "empty file": (write(""), ("file is empty",)),
    "no Felis": (write("a: 1\n"), ('unknown key "a"', 'no "tables"', "no name")),
    "another name": (
        lambda g: g.edit("name: cdb_startrackerwide\n", "name: cdb_other\n"),
        ('called "cdb_other"', "cdb_startrackerwide.yaml:2", "name the file after its schema"),
    ),
    "column twice": (
        lambda g: g.edit("- name: seq_num", "- name: day_obs"),
        ("is defined twice", "Remove or rename"),
    ),
    "unknown type": (
        lambda g: g.edit("datatype: timestamp", "datatype: moment"),
        ('"moment"', "Felis does not know", "Write one of"),
    ),
    "foreign key to nowhere": (
        lambda g: g.edit("  constraints:\n  - name: un_exposure_ds\n", KEY),
        ("#nowhere.z", "fk_wind"),
    ),
    "aliases that explode": (write(BOMB), ("aliases", "32 MiB")),
    "two heads": (
        lambda g: two_heads(g),
        ("2 heads", "0000deadbeef", "0001deadbeef", "merge heads"),
    ),
    "another schema": (add(OTHER), ("names another schema: cdb_latiss", "by_hand.py:", "may only touch")),
    "syntax": (add("def upgrade(:"), ("cannot be read", "by_hand.py:7", "Fix or remove")),
    "fails at import": (add("1 / 0\n" + NOTHING), ("ZeroDivisionError", "by_hand.py:7", "Fix or remove")),
    "exits at import": (add("raise SystemExit(5)\n" + NOTHING), ("SystemExit: 5", "by_hand.py:7")),
    "needs a module": (
        add("import nosuchmodule\n" + NOTHING),
        ("No module named 'nosuchmodule'", "by_hand.py:7"),
    ),
    "id twice": (
        lambda g: shutil.copyfile(g.section().add(NOTHING), g.section().versions / "copy.py"),
        ("0000deadbeef is present more than once",),
    ),
    "down to nowhere": (
        lambda g: g.section().add(NOTHING, down="bbbbbbbbbbbb"),
        ("bbbbbbbbbbbb", "is not present", "Fix or remove"),
    ),
    "down to itself": (
        lambda g: g.section().add(NOTHING, down="0000deadbeef"),
        ("Self-loop", "0000deadbeef"),
    ),
    "no UTF-8": (lambda g: latin(g), ("cannot be read", "Save it as UTF-8")),
    "versions is a file": (
        lambda g: [g.section().versions.rename(g.root / "moved"), g.section().versions.write_text("x")],
        ("not a folder", "Put a folder with the revisions in its place"),
    ),
    "no template": (lambda g: g.section().template.unlink(), ("no template", "Copy script.py.mako")),
}


def two_heads(ground: Ground) -> None:
    """Add two revisions on the same one."""
    head = ground.section().head()
    for name in ("0000deadbeef", "0001deadbeef"):
        ground.section().add(NOTHING, down=head, name=name)


def latin(ground: Ground) -> None:
    """Add a revision in another encoding, which Python reads."""
    path = ground.section().add(NOTHING)
    path.write_bytes(b"# -*- coding: latin-1 -*-\n# \xe9\n" + path.read_bytes())


@pytest.mark.parametrize("name", BAD_FILES)
def test_f3_bad_files_are_refused_before_postgres_is_started(
    name: str, ground: Ground, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse_postgres(monkeypatch)
    prepare, words = BAD_FILES[name]
    prepare(ground)
    with ground.untouched():
        assert ground.run("generate") == 2
    assert_error(capsys, *words)


BAD_OPTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "section": (("--section", "nosuch"), ("no section 'nosuch'", "efd_scheduler")),
    "base": (
        ("--sdm-schemas-base", "/nonexistent"),
        ("neither a directory nor a revision", "/nonexistent", "Give"),
    ),
    "rename": (("--rename", "abc"), ("'abc' does not declare a rename", "--rename", "TABLE.OLD=NEW")),
    "renames file": (("--renames-file", "/nonexistent"), ("no such file", "/nonexistent", "Check the path")),
    "fill": (("--fill", "abc"), ("'abc' is not of the form TABLE.COLUMN=VALUE", "--fill", "Write it like")),
    "no fill": (("--no-fill", "a.b=3"), ("is not of the form TABLE.COLUMN", "--no-fill", "Write it like")),
    "fill of nothing": (("--fill", "nosuch.col=3"), ("no processed schema file", "col", "nosuch", "--fill")),
    "date": (("--date", "yesterday"), ("'yesterday' is not a date", "--date", "2026-05-14")),
    "empty message": (("--message", " \n "), ("message is empty", "--message")),
    "message": (("--message", "caf\udce9"), ("message is not UTF-8", "--message")),
    "config": (("--config", "/nonexistent.yaml"), ("no such file", "/nonexistent.yaml")),
    "one file twice": (("--report", "out", "--summary", "./out"), ("written twice", "its own name")),
    "device": (("--report", "/dev/null"), ("not a regular file", "/dev/null")),
    "address": (("--database-url", "mysql://u:s3cret@h/x"), ("not the address", "postgresql://")),
}


@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_f3_bad_options_are_refused(
    name: str, ground: Ground, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if name != "address":  # it is the server that reads it
        refuse_postgres(monkeypatch)
    monkeypatch.chdir(ground.root)
    options, words = BAD_OPTIONS[name]
    with ground.untouched():
        assert ground.run("generate", *options) == 2
    assert_error(capsys, *words)


def test_f3_lines_of_files_are_named(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse_postgres(monkeypatch)
    renames, body, config = (ground.root / name for name in ("renames.txt", "body.md", "config.yaml"))
    renames.write_text("# ours\nexposure.a=b\nblah\n")
    body.write_text("A change.\n\nconsdb: rename me\n")
    config.write_text("# ours\nnosuch: 1\n")
    with ground.untouched():
        assert ground.run("generate", "--renames-file", str(renames)) == 2
        assert_error(capsys, "'blah'", f"{renames}:3")
        assert ground.run("generate", "--pull-request-body", str(body)) == 2
        assert_error(capsys, "'me'", f"{body}:3")
        assert ground.run("generate", "--config", str(config)) == 2
        assert_error(capsys, "unknown key nosuch", f"{config}:2", "Known here")


def test_m12_an_edited_merged_revision_is_refused(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse_postgres(monkeypatch)
    repository = Repository(ground.consdb)
    repository.commit()
    repository.git("switch", "-q", "-c", "tickets/DM-1")
    edited = sorted(ground.section().versions.glob("*.py"))[0]
    edited.write_text(edited.read_text() + "\nx = 1\n")
    with ground.untouched():
        assert ground.run("generate") == 2
    assert_error(capsys, "merged already was edited", edited.name, "Restore it")


@pytest.fixture
def readable(ground: Ground) -> Iterator[Ground]:
    """Give a copy that another user can read, and end as whoever we were."""
    base = Path(tempfile.mkdtemp())
    base.chmod(0o755)
    user = os.geteuid()
    try:
        yield Ground(base / "ground")
    finally:
        os.seteuid(user)
        for folder in base.rglob("versions"):
            folder.chmod(0o755)
        shutil.rmtree(base)


def test_m11_a_folder_that_cannot_be_written_is_found_first(
    readable: Ground, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse_postgres(monkeypatch)
    readable.run("generate", "--fill", "nosuch.col=3")  # so that all modules are there for the other user
    capsys.readouterr()
    readable.section().versions.chmod(0o555)
    with readable.untouched():
        if os.geteuid() == 0:  # whom no permission stops
            os.seteuid(65534)
        assert readable.run("generate") == 2
    assert_error(capsys, "folder cannot be written", str(readable.section().versions), "permissions")


LATE: dict[str, tuple[Prepare, tuple[str, ...], tuple[str, ...]]] = {
    "revision fails": (
        add(NOTHING.replace("pass", "op.execute('ALTER TABLE cdb_startrackerwide.nosuch ADD x int')", 1)),
        (),
        (
            "0000deadbeef",
            "does not apply",
            'relation "cdb_startrackerwide.nosuch" does not exist',
            "fix this",
        ),
    ),
    "revision is wrong": (add(NOTHING.replace("pass", "{}['x']", 1)), (), ("does not apply: KeyError: 'x'",)),
    "template": (
        lambda g: g.section().template.write_text("${nosuch.thing()}"),
        (),
        ("template cannot be filled", "script.py.mako", "Alembic's own"),
    ),
    "template of another language": (
        lambda g: g.section().template.write_text("hello there"),
        (),
        ("is not Python", "script.py.mako", "Compare it"),
    ),
    "rename of nothing": (
        nothing,
        ("--rename", "a.b=c"),
        ("`a.b=c` matches nothing", "--rename"),
    ),
}


@pytest.mark.parametrize("name", LATE)
def test_m11_what_only_the_run_can_find_leaves_the_tree_as_it_was(
    name: str,
    ground: Ground,
    server: ScratchServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    share_postgres(monkeypatch, server)
    prepare, options, words = LATE[name]
    prepare(ground)
    with ground.untouched():
        assert ground.run("generate", "--report", str(ground.root / "report.json"), *options) == 2
    assert_error(capsys, *words)


def test_f3_a_server_that_does_not_answer_is_an_external_failure(
    ground: Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    with ground.untouched():
        assert ground.run("generate", "--database-url", "postgresql://u:s3cret@127.0.0.1:1/x") == 3
    assert_error(capsys, "cannot be reached", "--database-url", "omit the option", title="External failure")


@pytest.mark.usefixtures("own_server")
def test_f3_without_postgres_the_ways_to_get_one_are_told(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from consdb_actions.adapters import postgres_server

    monkeypatch.delenv("CONSDB_POSTGRES_BIN", raising=False)
    monkeypatch.setattr(postgres_server, "_on_this_system", lambda *_: [])
    monkeypatch.setattr(postgres_server, "embedded_directories", list)
    with ground.untouched():
        assert ground.run("generate") == 2
    assert_error(capsys, "no Postgres server was found", "pip install", "apt install", "--database-url")


def assert_error(capsys: pytest.CaptureFixture[str], *words: str, title: str = "Bad input") -> None:
    """Make sure that one clear error was shown, and nothing else."""
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count(f"{title}: ") == 1
    assert "Traceback" not in err
    assert "s3cret" not in err
    for word in words:
        assert word in err, f"{word!r} is not in:\n{err}"
