"""Histories that are replayed before their sections are worked on."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from consdb_actions.adapters.autogenerate.states import prereplay
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.tree import read_tree
from tests.support.trees import Ground

SECTIONS = ("startrackerwide", "startrackernarrow", "startrackerfast")


def databases(server: ScratchServer) -> set[str]:
    """Return which of the sections have a database."""
    with server.open_database("postgres") as engine, engine.connect() as connection:
        names = set(connection.execute(sa.text("SELECT datname FROM pg_database")).scalars())
    return names & {*SECTIONS}


def replayed(server: ScratchServer, ground: Ground, enough: int) -> tuple[list[str], set[str]]:
    """Replay until so many were begun; return what is done, and which databases there are."""
    tree = read_tree(ground.consdb)
    asked = iter([False] * enough + [True] * len(SECTIONS))
    with tree.importable():
        sections = [tree.section(name) for name in SECTIONS]
        try:
            done = prereplay(server, [(s, s.revisions()) for s in sections], lambda: next(asked))
            return done, databases(server)
        finally:
            for name in SECTIONS:
                server.drop_database(name)


def test_it_goes_on_until_it_is_enough(server: ScratchServer, tmp_path: Path) -> None:
    done, left = replayed(server, Ground(tmp_path), 2)
    assert done == ["startrackerwide", "startrackernarrow"]
    assert left == {*done}


def test_a_history_that_does_not_apply_leaves_no_database(server: ScratchServer, tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    versions = ground.consdb / "alembic" / "startrackernarrow" / "versions"
    first = sorted(versions.glob("*.py"))[0]
    source = first.read_text(encoding="utf-8")
    broken = source.replace(
        "def upgrade() -> None:", "def upgrade() -> None:\n    op.execute('SELECT 1/0')", 1
    )
    assert broken != source
    first.write_text(broken, encoding="utf-8")
    done, left = replayed(server, ground, 3)
    assert done == ["startrackerwide"]
    assert left == {*done}
