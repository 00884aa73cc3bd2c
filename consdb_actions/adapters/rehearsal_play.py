"""The acts of a rehearsal, and what is looked at after each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import psycopg

from consdb_actions.adapters.rehearsal_blocks import Hands
from consdb_actions.adapters.rehearsal_sites import Pair, Place
from consdb_actions.adapters.rows import read_rows
from consdb_actions.adapters.tree import Section
from consdb_actions.migration.catalog import Difference, Snapshot, compare
from consdb_actions.migration.catalog import Sequence as CatalogSequence
from consdb_actions.migration.rows import Rows, TableRows
from consdb_actions.process import runbook_sql as sql
from consdb_actions.process.rehearsal import Act, BlockResult, Finding, acts_of
from consdb_actions.process.runbook_reading import Placed
from consdb_actions.process.runbook_steps import Block

__all__ = ["Play"]

_MOST = 8
_ROUNDS = 5  # rounds of writing before and after each act
_ERRORS = re.compile(r"^.*\] logical replication .*?\b(?:ERROR|FATAL):\s+(.*)$", re.MULTILINE)
# What a worker says that is told to end.
_HARMLESS = ("terminating", "could not receive data from WAL stream")


class Play:
    """Carries out acts, and looks at both sites after each."""

    def __init__(
        self,
        pair: Pair,
        hands: Hands,
        published: Sequence[Section],
        local: Sequence[Section],
        progress: Callable[[str, str], None],
    ) -> None:
        self._pair, self._hands, self._progress = pair, hands, progress
        self._published, self._local = published, local
        self._before = self._catalogs()
        self._read = len(pair.replica.server.log())
        self._lost: Counter[str] = Counter()

    def acts(self, placed: Sequence[Placed], wanted: Sequence[str]) -> Iterator[Act]:
        """Carry out one act after the other, until one fails."""
        for name, title, blocks in acts_of(placed, wanted):
            self._write()
            results = list(self._carry_out(name, blocks))
            failed = any(result.state == "failed" for result in results)
            findings = () if failed else tuple(self._findings(name))
            errors = tuple(self._errors())
            if not failed:
                words = "no worker of the replication has logged an error"
                findings = (*findings, Finding(not errors, words, errors[:_MOST]))
            lost = tuple(self._refused())
            words = "the database has refused no row that was written meanwhile"
            findings = (*findings, Finding(not lost, words, lost[:_MOST]))
            act = Act(name, title, tuple(results), findings, errors)
            yield act
            if not act.passed:
                return

    def _carry_out(self, name: str, blocks: Sequence[Placed]) -> Iterator[BlockResult]:
        for placed in blocks:
            self._progress(name, f"{placed.step}: {placed.block.kind}")
            result = self._hands.carry_out(placed)
            yield result
            if result.state == "failed":
                return

    def _write(self) -> None:
        for writer in self._hands.writers.values():
            writer.resume()
            writer.rounds(_ROUNDS)

    def _findings(self, name: str) -> Iterator[Finding]:
        """Look at both sites when everything that is written has arrived."""
        self._write()
        for writer in self._hands.writers.values():
            writer.pause()
        if self._published:
            yield self._caught_up()
            yield from self._counted()
            yield from self._rows()
        catalogs = self._catalogs()
        for section in self._published:
            here, there = (catalogs[place.site.id, section.schema] for place in self._places)
            found = [d for d in compare(here, there) if self._same_version or d.path[-1] != "definition"]
            yield Finding(
                not found,
                f"{section.schema}: tables, views and privileges are the same at both sites",
                _told(found, *(place.site.title for place in self._places)),
            )
        if name != "migrate":
            found = [d for key, before in self._before.items() for d in compare(before, catalogs[key])]
            words = "tables, views and privileges are those of before"
            yield Finding(not found, words, _told(found, "before", "now"))

    @property
    def _same_version(self) -> bool:
        """Whether both sites print views alike."""
        versions = {place.server.info.version.split(".")[0] for place in self._places}
        return len(versions) == 1

    @property
    def _places(self) -> tuple[Place, Place]:
        return self._pair.publisher, self._pair.replica

    def _caught_up(self) -> Finding:
        replication = self._pair.publisher.replication
        block = Block("sql", self._pair.publisher.site.id, sql.caught_up(replication, 30))
        result = self._hands.carry_out(Placed("", "", block))
        return Finding(result.state == "done", "every row has arrived at the replica", _some(result.words))

    def _counted(self) -> Iterator[Finding]:
        """Ask the replica how many errors it has counted, where its version counts them."""
        replication = self._pair.replica.replication
        try:
            with self._pair.replica.connect("administrator") as connection:
                row = connection.execute(
                    "SELECT apply_error_count, sync_error_count FROM pg_stat_subscription_stats"
                    " WHERE subname = %s",
                    [replication.subscription],
                ).fetchone()
        except psycopg.errors.UndefinedTable:
            return
        counts = tuple(int(str(count)) for count in row or (0, 0))
        details = f"apply {counts[0]}, copy {counts[1]}" if any(counts) else ""
        yield Finding(not any(counts), "the replica has counted no replication error", _some(details))

    def _rows(self) -> Iterator[Finding]:
        for section in self._published:
            here, there = (self._all_rows(place, section.schema) for place in self._places)
            count = sum(len(table.rows) for table in here.values())
            names = sorted({*here, *there})
            differ = [
                f"{name}: {_compared(here.get(name), there.get(name))}"
                for name in names
                if here.get(name) != there.get(name)
            ]
            words = f"{section.schema}: all {count} rows in {len(names)} tables are the same at both sites"
            yield Finding(not differ, words, tuple(differ[:_MOST]))

    def _all_rows(self, place: Place, schema: str) -> Rows:
        with place.server.open_database(place.site.database) as engine, engine.connect() as connection:
            return read_rows(connection, place.snapshot(schema))

    def _catalogs(self) -> Mapping[tuple[str, str], Snapshot]:
        """Read the catalogs of both sites, without what only the replication needs."""
        role = self._pair.publisher.replication.role
        return {
            (place.site.id, section.schema): _without(place.snapshot(section.schema), role)
            for place, sections in (
                (self._pair.publisher, self._published),
                (self._pair.replica, [*self._published, *self._local]),
            )
            for section in sections
        }

    def _refused(self) -> Iterator[str]:
        """Return what writers have lost since the last time, and how often."""
        now = sum((writer.refused for writer in self._hands.writers.values()), start=Counter[str]())
        yield from (f"{count} times: {words}" for words, count in sorted((now - self._lost).items()))
        self._lost = now

    def _errors(self) -> Iterator[str]:
        """Return what the replica has logged since the last time, each once."""
        text = self._pair.replica.server.log()[self._read :]
        self._read += len(text)
        found = dict.fromkeys(match[1] for match in _ERRORS.finditer(text))
        yield from (words for words in found if not words.startswith(_HARMLESS))


def _some(words: str) -> tuple[str, ...]:
    return (words,) if words else ()


def _told(differences: Iterable[Difference], left: str, right: str) -> tuple[str, ...]:
    """Say how two catalogs differ, each thing once and in short."""
    words = dict.fromkeys(
        f"{d.path[0]} is defined otherwise"
        if d.path[-1] == "definition"
        else f"{'.'.join(d.path)}: {left} {_short(d.left)}, {right} {_short(d.right)}"
        for d in differences
    )
    return tuple(words)[:_MOST]


def _short(value: object) -> str:
    if isinstance(value, CatalogSequence):
        return "a sequence that is used" if value.used else "a sequence that is not used"
    return "nothing" if value is None else str(value)[:100]


def _compared(here: TableRows | None, there: TableRows | None) -> str:
    """Say how the rows of two tables differ."""
    if here is None or there is None:
        return "it is at one site only"
    left, right = set(here.rows), set(there.rows)
    return f"{len(left - right)} rows are only at the publisher, {len(right - left)} only at the replica"


def _without(snapshot: Snapshot, role: str) -> Snapshot:
    """Leave out what a role may do."""
    relations = {
        name: replace(relation, grants=frozenset(g for g in relation.grants if g.grantee != role))
        for name, relation in snapshot.relations.items()
    }
    return replace(snapshot, relations=relations)
