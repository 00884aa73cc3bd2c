"""Rehearse a runbook: two servers, rows, something that writes, and the runbook's own blocks."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from consdb_actions.adapters.apply_expect import expected_catalogs
from consdb_actions.adapters.files import temporary_directory
from consdb_actions.adapters.postgres_find import Preference
from consdb_actions.adapters.rehearsal_blocks import Hands
from consdb_actions.adapters.rehearsal_play import Play
from consdb_actions.adapters.rehearsal_sites import Begun, Pair, two_sites
from consdb_actions.adapters.rehearsal_writer import Writer
from consdb_actions.adapters.revision_path import parse_way, read_change, resolve
from consdb_actions.adapters.tree import Section, Tree
from consdb_actions.migration.seed import demands_of
from consdb_actions.process.rehearsal import Rehearsal, ways_of
from consdb_actions.process.runbook_reading import Placed
from consdb_actions.process.sites import Sites

__all__ = ["rehearse"]


def rehearse(
    tree: Tree,
    sites: Sites,
    placed: Sequence[Placed],
    *,
    rows: int = 8,
    acts: Sequence[str] = ("cancel", "migrate", "back"),
    by_hand: bool = False,
    publisher: Preference = "auto",
    replica: Preference = "auto",
    patience: float = 60.0,
    schemas: Path | None = None,
    progress: Callable[[str, str], None] = lambda _act, _what: None,
) -> Rehearsal:
    """Carry out a runbook on two servers that replicate, while rows are written.

    Parameters
    ----------
    tree
        The tree with the revisions.
    sites
        What is where, and the names of publication, subscription and roles.
    placed
        The blocks of the runbook, as they are read from its Markdown.
    rows
        How many rows each table has at the beginning.
    acts
        What to try, in order: ``cancel``, ``migrate``, ``back``.
    by_hand
        Whether to use the commands of alembic in place of our own.
    publisher, replica
        Which Postgres to use for each.
    patience
        Seconds that a statement, or waiting for an answer, may take.
    schemas
        A checkout of sdm_schemas for an ``env.py`` that wants one.
    progress
        Told what is being done.

    Returns
    -------
    Rehearsal
        What was done and found; a failure ends it.

    Raises
    ------
    InputError
        The runbook does not fit the tree.
    ExternalError
        A server cannot be started, or is lost.
    """
    started = time.monotonic()
    with ExitStack() as stack:
        stack.enter_context(tree.importable())
        ways = [_resolved(tree, text) for text in ways_of(placed)]
        folder = stack.enter_context(temporary_directory())
        progress("", "starting two servers")
        pair = stack.enter_context(two_sites(sites, publisher, replica))
        progress("", "making the state before")
        begun = [_begun(tree, pair, *way) for way in ways]
        published = [one for one in begun if pair.publisher.site.holds(one.section.schema)]
        local = [one for one in begun if one not in published]
        pair.lay_out(published, local, rows)
        writers = {
            place.site.id: Writer(place.url(), [one.section for one in some])
            for place, some in ((pair.publisher, published), (pair.replica, local))
            if some
        }
        for writer in writers.values():
            stack.callback(writer.stop)
            writer.start()
        hands = Hands(pair, tree, folder, writers, by_hand, patience, schemas)
        play = Play(pair, hands, [b.section for b in published], [b.section for b in local], progress)
        done = list(play.acts(placed, acts))
        for writer in writers.values():
            writer.stop()
        written = sum((writer.written for writer in writers.values()), start=Counter[str]())
        refused = sum((writer.refused for writer in writers.values()), start=Counter[str]())
        return Rehearsal(
            sections=ways_of(placed),
            servers=(pair.publisher.words, pair.replica.words),
            acts=tuple(done),
            written=dict(sorted(written.items())),
            refused=dict(sorted(refused.items())),
            seconds=time.monotonic() - started,
            longest=max((writer.longest for writer in writers.values()), default=0.0),
        )


def _resolved(tree: Tree, text: str) -> tuple[Section, str, str]:
    """Return a section of the runbook with its revisions."""
    way = parse_way(text)
    section = tree.section(way.section)
    return section, resolve(section, way.start), resolve(section, way.end)


def _begun(tree: Tree, pair: Pair, section: Section, start: str, end: str) -> Begun:
    """Find out what the migration of a section will ask of the rows that are there."""
    effects = read_change(tree, section, start, end).forward
    states = expected_catalogs(pair.publisher.server, section, start, end)
    demands = demands_of(
        states.before,
        states.after,
        {old.name: new.name for old, new in effects.renamed_tables},
        {(c.table.name, c.old): c.column for c in effects.changes("renamed")},
    )
    return Begun(section, start, demands)
