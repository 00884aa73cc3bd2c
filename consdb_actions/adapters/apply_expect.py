"""What a migration should leave, from the history alone; and the commit of the tree that it comes from."""

from __future__ import annotations

from consdb_actions.adapters.autogenerate.replay import prepare, replay
from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.shell import Completed, run
from consdb_actions.adapters.tree import Section, Tree
from consdb_actions.catalog import Snapshot
from consdb_actions.errors import ExternalError
from consdb_actions.process.apply_facts import Checkout
from consdb_actions.process.apply_verify import Expected

__all__ = ["expected_catalogs", "read_checkout"]


def expected_catalogs(server: ScratchServer, section: Section, start: str, end: str) -> Expected:
    """Replay a section's history on a scratch server, and read its catalog at two revisions.

    Parameters
    ----------
    server
        The server; it must have the roles that the history names.
    section
        The section; the tree's modules must be importable.
    start, end
        Where the database is, and where it is to go; ``base`` for nothing.

    Returns
    -------
    Expected
        Both catalogs.

    Raises
    ------
    InputError
        The history does not run from nothing.
    """
    name = f"{section.name}_expected"
    ids = [revision.revision for revision in section.revisions()]
    server.create_database(name)
    try:
        with server.open_database(name) as engine:
            found: dict[str, Snapshot] = {}
            done = 0
            for wanted in sorted({start, end}, key=lambda r: ids.index(r) if r in ids else -1):
                upto = ids.index(wanted) + 1 if wanted in ids else 0
                with engine.begin() as connection:
                    prepare(connection, section)
                    replay(connection, section, section.revisions()[done:upto])
                    found[wanted] = read_snapshot(connection, section.schema)
                done = upto
    finally:
        server.drop_database(name)
    return Expected(found[start], found[end], int(server.info.version.split(".")[0]))


def read_checkout(tree: Tree, sections: list[Section]) -> Checkout:
    """Return the commit of a tree, and the files of it that differ; nothing where it is no checkout."""
    commit = _git(tree, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return Checkout()
    folders = [section.location.relative_to(tree.root).as_posix() for section in sections]
    status = _git(
        tree, "status", "--porcelain", "--untracked-files=all", "--", tree.ini.name, "python", *folders
    )
    tag = _git(tree, "describe", "--tags", "--exact-match", "HEAD")
    edited = [line[3:] for line in (status or "").splitlines()]
    return Checkout(commit.strip(), (tag or "").strip(), tuple(f for f in edited if "__pycache__" not in f))


def _git(tree: Tree, *arguments: str) -> str | None:
    """Run git in the tree; None when it refuses, as it does outside of a checkout."""
    # A checkout may belong to another user; nothing of its configuration is run here.
    safe = ["-c", "safe.directory=*", "-c", "core.fsmonitor=false"]
    try:
        done: Completed = run(["git", *safe, "-C", tree.root, *arguments], timeout=60)
    except ExternalError:
        return None
    return done.stdout
