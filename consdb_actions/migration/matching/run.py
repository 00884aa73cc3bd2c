"""Match both sides of a change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from consdb_actions.migration.matching.decisions import (
    Added,
    Answer,
    ColumnRename,
    CopiedMove,
    Decisions,
    Dropped,
    DroppedTable,
    MatchingQuestion,
    Rejected,
    RenameProposal,
)
from consdb_actions.migration.matching.declarations import (
    Column,
    Declarations,
    DeclaredMatch,
    Settled,
    settle_columns,
    settle_tables,
)
from consdb_actions.migration.matching.facts import ColumnFacts, NameMap, TableFacts, type_fit
from consdb_actions.migration.matching.moves import MoveFinder
from consdb_actions.migration.matching.questions import LinkGroup, group, lines, proposal, question
from consdb_actions.migration.matching.score import ColumnLink, ColumnScores, TablePair, chains, proofs
from consdb_actions.migration.matching.tables import TableGroup, TableLink, match_tables
from consdb_actions.migration.matching.words import listed

__all__ = ["ANSWERER", "MatchingRun", "table_questions"]

Tables = Mapping[str, TableFacts]

ANSWERER = "--on-question drop-add"

"""Where an answer comes from that no person gave."""

_WEAKER_SHOWN = 3


class MatchingRun:
    """The matching of one schema, step by step; every step only takes what the earlier ones left.

    Parameters
    ----------
    before, after
        The tables of each side, in canonical order.
    declared
        What people said.

    Raises
    ------
    InputError
        When a declaration cannot be meant.
    """

    def __init__(self, before: Tables, after: Tables, declared: Declarations) -> None:
        self.before, self.after = before, after
        self.settled: Settled = settle_tables(declared, before, after)
        self.matches = match_tables(before, after, self.settled)
        self.tables = {name: name for name in before if name in after}
        self.tables |= {rename.old: rename.new for rename in self.matches.renames}
        settle_columns(self.settled, declared, before, after, self.tables)
        self.pairs = [TablePair(before[old], after[new]) for old, new in sorted(self.tables.items())]
        self.renames: list[ColumnRename] = [
            ColumnRename(old[0], old[1], new[1], new[0], "declared", f"declared ({declaration.source})")
            for old, (new, declaration) in sorted(self.settled.renames.items())
        ]
        self.done_old, self.done_new = set(self.settled.old), set(self.settled.new)
        self.links: list[ColumnLink] = []
        self._prove()
        self._move()
        self._score()

    def _prove(self) -> None:
        """Take what ids and case prove."""
        self.proved: dict[str, dict[str, str]] = {}
        for pair in self.pairs:
            settled_old = {name for table, name in self.done_old if table == pair.before.name}
            settled_new = {name for table, name in self.done_new if table == pair.after.name}
            renames, doubtful = proofs(pair, settled_old, settled_new)
            # Comparisons leave out what is proved whatever was declared.
            self.proved[pair.before.name] = {rename.old: rename.new for rename in proofs(pair, (), ())[0]}
            self.renames += renames
            self.done_old |= {(rename.table, rename.old) for rename in renames}
            self.done_new |= {(rename.new_table, rename.new) for rename in renames}
            proved_old, proved_new = {r.old for r in renames}, {r.new for r in renames}
            known = {(link.old.path, link.new.path) for link in doubtful}
            self.links += doubtful
            self.links += [
                link
                for link in chains(pair)
                if (link.old.path, link.new.path) not in known
                and link.old.name not in settled_old | proved_old
                and link.new.name not in settled_new | proved_new
            ]
        self.names = NameMap.of(
            {old: new for old, new in self.tables.items() if old != new},
            {(rename.table, rename.old): rename.new for rename in self.renames},
        )

    def _move(self) -> None:
        """Take what moves for certain; a table that is in question has to be answered for first."""
        finder = MoveFinder(self.before, self.after, self.names)
        self.moves: list[CopiedMove] = list(finder.declared(self.settled))
        asked = self.matches.asked
        dropped = [n for n in self.before if n not in self.tables and n not in {*asked, *self.settled.tables}]
        stay = set(self.tables.values())
        added = [n for n in self.after if n not in stay and n not in asked]
        gone = [c for pair in self.pairs for c in pair.dropped]
        gone += [c for name in dropped for c in self.before[name].columns]
        come = [c for pair in self.pairs for c in pair.added]
        come += [c for name in added for c in self.after[name].columns]
        certain, doubtful = finder.find(
            [c for c in gone if (c.table, c.name) not in self.done_old],
            [c for c in come if (c.table, c.name) not in self.done_new],
            {column for link in self.links for column in (link.old, link.new)},
            self.moves,
        )
        self.moves += certain
        self.done_old |= {(move.table, move.column) for move in certain}
        self.done_new |= {(move.new_table, move.new_column) for move in certain}
        self.links += doubtful

    def _score(self) -> None:
        """Look for likely pairs, and make questions of all that is not certain."""
        self.scores = ColumnScores(self.pairs, self.proved)
        doubted = {(link.old.path, link.new.path) for link in self.links}
        self.links += [
            link
            for link in self.scores.links(self.done_old, self.done_new)
            if (link.old.path, link.new.path) not in doubted
        ]
        self.parts = group(self.links)
        self.questions = [question(parts, self._weaker(parts)) for parts in self.parts]

    def _weaker(self, parts: Sequence[LinkGroup]) -> tuple[Rejected, ...]:
        """Return the unlikely candidates of a small question; a large one has enough to read."""
        links = [link for part in parts for link in part.links]
        olds = dict.fromkeys((link.old.table, link.old.name) for link in links)
        if len(olds) > _WEAKER_SHOWN:
            return ()
        asked = {(link.old.path, link.new.path) for link in links}
        taken = self._taken()
        weaker = [rejected for old in olds for rejected in self.scores.rejected(old, taken)]
        return tuple(rejected for rejected in weaker if (rejected.old, rejected.new) not in asked)

    def _taken(self) -> dict[Column, str]:
        """Say for every column after the change that has an origin which one that is."""
        taken = {
            (rename.new_table, rename.new): f"it is the old `{rename.table}.{rename.old}`"
            for rename in self.renames
        }
        for move in self.moves:
            taken[move.new_table, move.new_column] = f"it takes the values of `{move.table}.{move.column}`"
        return taken

    def decisions(self, questions: Sequence[MatchingQuestion], answered: str) -> Decisions:
        """Return the outcome."""
        open_old = set() if answered else {path for q in questions for path in q.columns}
        open_new = set() if answered else {path for q in questions for path in q.targets}
        asked = {path for q in questions for path in q.columns}
        taken = self._taken()
        leaves = {(r.table, r.old) for r in self.renames} | {(m.table, m.column) for m in self.moves}
        drops: list[Dropped] = []
        adds: list[Added] = []
        for pair in self.pairs:
            table = pair.before.name
            kept = {n for n in pair.kept if (table, n) not in leaves and (table, n) not in self.settled.drops}
            drops += [
                self._drop(column, column.path in asked, taken)
                for column in pair.before.columns
                if column.name not in kept
                and (table, column.name) not in leaves
                and column.path not in open_old
            ]
            adds += [
                Added(column.table, column.name)
                for column in pair.after.columns
                if column.name not in kept
                and (column.table, column.name) not in taken
                and column.path not in open_new
            ]
        stay = set(self.tables.values())
        return Decisions(
            table_renames=self.matches.renames,
            renames=tuple(
                sorted(self.renames, key=lambda r: (r.table, self.before[r.table].column(r.old).position))
            ),
            moves=tuple(sorted(self.moves, key=lambda m: (m.table, m.new_table, m.column, m.new_column))),
            drops=tuple(drops),
            dropped_tables=tuple(
                self._drop_table(table, open_old)
                for name, table in self.before.items()
                if name not in self.tables and name not in open_old
            ),
            adds=tuple(adds),
            added_tables=tuple(name for name in self.after if name not in stay and name not in open_new),
            questions=tuple(replace(q, answered=answered) for q in questions),
            notes=(*self.settled.notes, *self._type_notes()),
            used=tuple(self.settled.used),
        )

    def _drop(self, column: ColumnFacts, asked: bool, taken: Mapping[Column, str]) -> Dropped:
        key = (column.table, column.name)
        rejected: tuple[Rejected, ...] = ()
        if key in self.settled.drops:
            reason = f"declared ({self.settled.drops[key].source})"
        elif asked:
            reason = f"declared ({ANSWERER})"
        else:
            rejected = self.scores.rejected(key, taken)
            reason = "no new column is likely to continue it"
        return Dropped(column.table, column.name, column.type, reason, rejected)

    def _drop_table(self, table: TableFacts, open_old: set[str]) -> DroppedTable:
        moves = [move for move in self.moves if move.table == table.name]
        moved = dict.fromkeys(move.column for move in moves)
        # What rows are matched or made by is not lost either.
        carried = {column for move in moves for column in move.join.source_columns}
        carried |= {fill.source for move in moves for fill in move.join.fills if fill.table == table.name}
        lost = tuple(
            c.name for c in table.columns if c.name not in {*moved, *carried} and c.path not in open_old
        )
        if table.name in self.settled.tables:
            reason = f"declared ({self.settled.tables[table.name].source})"
        else:
            reason = "no new table is likely to continue it"
        return DroppedTable(table.name, lost, tuple(moved), reason, self.matches.rejected.get(table.name, ()))

    def _type_notes(self) -> list[str]:
        """Say where a column changes its type with its name or place, and may not keep every value."""
        found: list[str] = []
        pairs = [(r.table, r.old, r.new_table, r.new) for r in self.renames]
        pairs += [(m.table, m.column, m.new_table, m.new_column) for m in self.moves]
        for table, column, new_table, new_column in sorted(pairs):
            old, new = self.before[table].column(column), self.after[new_table].column(new_column)
            if type_fit(old.type, new.type) not in ("same", "wider"):
                found.append(
                    f"`{old.path}` becomes `{new.path}` and changes its type from {old.type} to {new.type}: "
                    "not every value may fit."
                )
        return found


_FULL = 100


@dataclass(frozen=True)
class _Inside:
    """What would be asked about the columns of tables if these were renamed."""

    declarations: tuple[str, ...]
    proposals: tuple[RenameProposal, ...]


def table_questions(run: MatchingRun, declared: Declarations) -> list[MatchingQuestion]:
    """Make a question of each group of tables."""
    return [_question(group, run, declared) for group in run.matches.groups]


def _question(group: TableGroup, run: MatchingRun, declared: Declarations) -> MatchingQuestion:
    olds = tuple(dict.fromkeys(link.old for link in group.links))
    news = tuple(dict.fromkeys(link.new for link in group.links))
    ways: list[tuple[TableLink, ...]] = [(link,) for link in group.choices]
    ways = ways or [group.chosen]
    inside = [_inside(run, declared, way, olds) for way in ways]
    answers = [_answer(way, olds, found) for way, found in zip(ways, inside, strict=True)]
    nothing = f"{_quoted(olds)} {'is' if len(olds) == 1 else 'are'} dropped and the rows lost"
    answers.append(Answer(nothing, tuple(f"{old}=" for old in olds)))
    proposals = [
        RenameProposal(link.old, link.new, link.evidence, link.score if link.score <= _FULL else None)
        for link in ways[0]
    ]
    listed_links = {link for way in ways for link in way}
    return MatchingQuestion(
        text=_text(olds, news),
        proposals=(*proposals, *inside[0].proposals),
        answers=tuple(answers),
        rejected=tuple(
            Rejected(link.old, link.new, f"{'; '.join(link.evidence)}, a weaker fit")
            for link in group.links
            if link not in listed_links
        ),
        columns=olds,
        targets=news,
    )


def _inside(
    run: MatchingRun, declared: Declarations, way: Sequence[TableLink], olds: Sequence[str]
) -> _Inside:
    """Assume an answer, and take what is likely for the columns then."""
    renamed = {link.old: link.new for link in way}
    matches = [DeclaredMatch(old, "", renamed.get(old, ""), "", "option") for old in olds]
    assumed = replace(declared, matches=(*declared.matches, *matches))
    # Only what happens within the tables: what may move in or out is asked when the tables are settled.
    parts = [
        part
        for parts in MatchingRun(run.before, run.after, assumed).parts
        for part in parts
        if part.links[0].old.table in renamed and not any(link.move for link in part.links)
    ]
    return _Inside(
        tuple(line for part in parts for line in lines([part], part.chosen)),
        tuple(proposal(link, part) for part in parts for link in part.chosen),
    )


def _answer(way: Sequence[TableLink], olds: Sequence[str], inside: _Inside) -> Answer:
    renamed = {link.old: link.new for link in way}
    lost = [old for old in olds if old not in renamed]
    meaning = listed([f"`{old}` is renamed to `{new}`" for old, new in renamed.items()])
    if lost:
        meaning += f", {_quoted(lost)} {'is' if len(lost) == 1 else 'are'} dropped and the rows lost"
    if inside.declarations:
        meaning += ", with the columns as proposed"
    tables = [f"{old}={renamed.get(old, '')}" for old in olds]
    return Answer(meaning, (*tables, *inside.declarations))


def _text(olds: Sequence[str], news: Sequence[str]) -> str:
    if len(olds) == len(news) == 1:
        return f"Is table `{news[0]}` the old `{olds[0]}` under another name?"
    if len(olds) == 1:
        return f"Table `{olds[0]}` went, and each of {_quoted(news)} could continue it: which one?"
    return f"Which of the tables {_quoted(olds)} live on as {_quoted(news)}?"


def _quoted(names: Sequence[str]) -> str:
    return listed([f"`{name}`" for name in names])
