"""What a user can get wrong with ``migrations check``: a clear error, its exit code, an untouched tree."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from consdb_actions.adapters.postgres import ScratchServer
from tests.support.trees import SECTION, Ground, refuse_postgres, share_postgres

NOTHING = "def upgrade() -> None:\n    pass\n\n\ndef downgrade() -> None:\n    pass\n"
ADDRESS = "postgresql://u:s3cret@127.0.0.1:1/x"

Case = tuple[Callable[[Ground], object], str | None, tuple[str, ...], int, tuple[str, ...]]

CASES: dict[str, Case] = {
    "revision": (lambda _: None, SECTION, ("--revision", "zzz"), 2, ("no revision 'zzz'", "Available: ")),
    "no section": (lambda _: None, None, ("--revision", "zzz"), 2, ("one section", "Give one --section")),
    "section": (lambda _: None, "nosuch", (), 2, ("no section 'nosuch'", "efd_scheduler")),
    "rename": (lambda _: None, SECTION, ("--rename", "abc"), 2, ("'abc'", "--rename", "TABLE.OLD=NEW")),
    "syntax": (
        lambda g: g.section().add("def upgrade(:"),
        SECTION,
        (),
        2,
        ("invalid syntax", "by_hand.py:7"),
    ),
    "schema file": (
        lambda g: g.schema("efd_latiss").unlink(),
        None,
        (),
        2,
        ("no file of the schema efd_latiss", "looked for"),
    ),
    "one file twice": (lambda _: None, SECTION, ("--report", "x", "--summary", "./x"), 2, ("written twice",)),
    "host": (lambda _: None, SECTION, ("--database-url", ADDRESS), 3, ("cannot be reached", "Check host")),
    "kind": (
        lambda _: None,
        SECTION,
        ("--database-url", "mysql://u:s3cret@h/x"),
        2,
        ("not the address of a Postgres", "postgresql://"),
    ),
    "no URL": (lambda _: None, SECTION, ("--database-url", "s3cret"), 2, ("not the address of a Postgres",)),
}


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """Give a fresh copy of the tree and the schemas."""
    return Ground(tmp_path / "ground")


@pytest.mark.parametrize("name", CASES)
def test_f3_bad_input_is_refused_before_postgres_is_started(
    name: str, ground: Ground, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse_postgres(monkeypatch)
    monkeypatch.chdir(ground.root)
    prepare, section, options, code, words = CASES[name]
    prepare(ground)
    with ground.untouched():
        assert ground.run("check", *options, section=section) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert "s3cret" not in err
    for word in words:
        assert word in err, f"{word!r} is not in:\n{err}"


def test_f3_a_rename_of_nothing_is_refused(
    ground: Ground,
    server: ScratchServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    share_postgres(monkeypatch, server)
    ground.section().add(NOTHING)
    with ground.untouched():
        assert ground.run("check", "--rename", "a.b=c", "--report", str(ground.root / "r.json")) == 2
    assert "`a.b=c` matches nothing" in capsys.readouterr().err


def test_f3_a_revision_that_does_not_do_what_the_file_says_fails(
    ground: Ground,
    server: ScratchServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    share_postgres(monkeypatch, server)
    ground.section().add(NOTHING)
    with ground.untouched():
        assert ground.run("check") == 1
    out = capsys.readouterr().out
    assert f"Verification fails for {SECTION}." in out
