"""Decide which columns and tables were renamed or moved (rules M4 and M5).

A declaration, an equal ``@id``, or a change of case decides a rename; equal name and description, with a key,
a move. Other likely matches become questions, the rest are drops, listed as losses. See
:mod:`consdb_actions.migration.matching`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from consdb_actions.errors import InputError
from consdb_actions.migration.matching.decisions import (
    ColumnAddition,
    ColumnDrop,
    ColumnRename,
    Decisions,
    DroppedTable,
    MatchingQuestion,
    RejectedCandidate,
    RenameProposal,
    StoredAnswer,
)
from consdb_actions.migration.matching.declarations import (
    Column,
    Declarations,
    DeclaredMatch,
    SettledNames,
    crossed,
    settle_columns,
    settle_tables,
)
from consdb_actions.migration.matching.facts import (
    ColumnFacts,
    NameMap,
    TableFacts,
    canonical,
    type_fit,
)
from consdb_actions.migration.matching.questions import LinkGroup, group, lines, proposal, question
from consdb_actions.migration.matching.score import ColumnLink, ColumnScores, TablePair, chains, proofs
from consdb_actions.migration.matching.tables import MoveFinder, TableMatches, match_tables, table_question

OnQuestion = Literal["fail", "drop-add"]
Tables = Mapping[str, TableFacts]

_ANSWERED = "nothing is renamed"
_ANSWERER = "--on-question drop-add"
"""Where an answer comes from that no person gave."""
_WEAKER_SHOWN = 3


def decide(
    before: Sequence[TableFacts],
    after: Sequence[TableFacts],
    declared: Declarations,
    on_question: OnQuestion,
) -> Decisions:
    """Decide which tables and columns were renamed or moved, deterministically.

    ``fail`` leaves questions in ``Decisions.open_questions``; ``drop-add`` answers "nothing is renamed". A
    declaration that the schema already fulfils is noted; one of an option without effect is an error.
    """
    tables_before, tables_after = canonical(before, "before"), canonical(after, "after")
    run = MatchingRun(tables_before, tables_after, declared)
    about_tables = run.table_questions()
    if on_question == "drop-add" and about_tables:
        # Which columns can move depends on the decisions about tables.
        drops = [DeclaredMatch(table, "", "", "", _ANSWERER) for q in about_tables for table in q.columns]
        declared = replace(declared, matches=(*declared.matches, *drops))
        run = MatchingRun(tables_before, tables_after, declared)
    questions = [*about_tables, *run.questions]
    decisions = run.decisions(questions, "" if on_question == "fail" else _ANSWERED)
    remembered = {d.text: StoredAnswer(d.text, d.source, d.meaning) for d in run.settled.used}
    for found in decisions.questions:
        for text in found.answers[-1].declarations if found.answered else ():
            remembered.setdefault(text, StoredAnswer(text, _ANSWERER, found.answers[-1].meaning))
    return replace(decisions, remembered=tuple(remembered.values()))


def _settle(
    declared: Declarations, before: Tables, after: Tables, unfit: list[DeclaredMatch] | None = None
) -> tuple[SettledNames, TableMatches, dict[str, str]]:
    """Check declarations against a change, and match its tables."""
    settled = settle_tables(declared, before, after, unfit)
    matches = match_tables(before, after, settled)
    tables = {name: name for name in before if name in after}
    tables |= {rename.old: rename.new for rename in matches.renames}
    settle_columns(settled, declared, before, after, tables, unfit)
    return settled, matches, tables


def select(declared: Declarations, before: Sequence[TableFacts], after: Sequence[TableFacts]) -> Declarations:
    """Select the declarations that are about this change of a schema.

    One is when it fits the change, beside the others that do, and more than the declarations supports it: a
    circle of names may be meant for another schema. Which sides are taken is not about the change.
    """
    old, new = canonical(before, "before"), canonical(after, "after")
    while True:
        unfit: list[DeclaredMatch] = []
        settled, _, _ = _settle(declared, old, new, unfit)
        if not unfit:
            break
        declared = replace(declared, matches=tuple(d for d in declared.matches if d not in unfit))
    anchored = {table for table, _ in (*settled.drops, *settled.stays)}
    for (table, name), ((new_table, new_name), _) in settled.renames.items():
        one, other = old[table], new[new_table]
        if name not in other or new_name not in one or crossed(one, other, name, new_name):
            anchored.add(table)
    circles = {found.text for (table, _), (_, found) in settled.renames.items() if table not in anchored}
    return replace(declared, matches=tuple(d for d in declared.matches if d.text not in circles))


def check_used(
    declared: Declarations, schemas: Sequence[tuple[Sequence[TableFacts], Sequence[TableFacts]]]
) -> None:
    """Make sure that every option is about one of the schemas, or carried out in one already."""
    used = {found.text for sides in schemas for found in select(declared, *sides).matches}
    for found in declared.matches:
        done = any(all(_has_new_name(found, side) for side in sides) for sides in schemas)
        if found.source != "option" or found.text in used or done:
            continue
        for before, after in schemas:
            if any(table.name == found.table for table in (*before, *after)):
                # Raise what is wrong with it in a schema that has its table.
                alone = replace(declared, matches=(found,))
                _settle(alone, canonical(before, "before"), canonical(after, "after"))
        raise InputError(
            f"`{found.text}` matches nothing that changes",
            place="--rename",
            remedy="Check the names, and that the change is in the schema files given.",
        )


def _has_new_name(found: DeclaredMatch, side: Sequence[TableFacts]) -> bool:
    """Tell whether a side is as a rename leaves it: the new name is there, the old one is not."""
    names, old, new = {table.name for table in side}, found.table, found.new_table
    if found.column:
        names = {c.name for t in side if t.name == found.table for c in t.columns}
        old, new = found.column, found.new_column if found.new_table == found.table else ""
    return bool(new) and new in names and old not in names


class MatchingRun:
    """The matching of one schema, step by step; every step only takes what the earlier ones left."""

    def __init__(self, before: Tables, after: Tables, declared: Declarations) -> None:
        self.before, self.after, self.declared = before, after, declared
        self.settled, self.matches, self.tables = _settle(declared, before, after)
        self.pairs = [TablePair(before[old], after[new]) for old, new in sorted(self.tables.items())]
        self.renames = [
            ColumnRename(*old, new[1], new[0], "declared", f"declared ({found.source})")
            for old, (new, found) in sorted(self.settled.renames.items())
        ]
        self.done_old, self.done_new = set(self.settled.old), set(self.settled.new)
        self.links: list[ColumnLink] = []
        self._prove()
        self._move()
        # All pairs that no proof settles are compared, whatever was declared: no answer raises a question.
        self.scores = ColumnScores(self.pairs)
        self._ask(self.scores.links(self.done_old, self.done_new))
        self.parts = group(self.links)
        self.questions = [question(parts, self._weaker(parts)) for parts in self.parts]

    def _ask(self, links: Sequence[ColumnLink]) -> None:
        """Take links between columns that are not settled; of the same pair, the first link counts."""
        known = {(link.old.path, link.new.path) for link in self.links}
        self.links += [
            link
            for link in links
            if (link.old.path, link.new.path) not in known
            and (link.old.table, link.old.name) not in self.done_old
            and (link.new.table, link.new.name) not in self.done_new
        ]

    def _prove(self) -> None:
        """Take what ids and case prove."""
        for pair in self.pairs:
            settled_old = {name for table, name in self.done_old if table == pair.before.name}
            settled_new = {name for table, name in self.done_new if table == pair.after.name}
            renames, doubtful = proofs(pair, settled_old, settled_new)
            self.renames += renames
            self.done_old |= {(rename.table, rename.old) for rename in renames}
            self.done_new |= {(rename.new_table, rename.new) for rename in renames}
            self.links += doubtful
            self._ask(chains(pair))
        self.names = NameMap.of(
            {old: new for old, new in self.tables.items() if old != new},
            {(rename.table, rename.old): rename.new for rename in self.renames},
        )

    def _move(self) -> None:
        """Take what moves for certain; a table that is in question has to be answered for first."""
        finder = MoveFinder(self.before, self.after, self.names)
        declared, asked = finder.declared(self.settled), self.matches.asked
        waiting = {*self.tables, *self.settled.tables, *asked}
        gone = [c for pair in self.pairs for c in pair.dropped]
        gone += [c for name, table in self.before.items() if name not in waiting for c in table.columns]
        waiting = {*self.tables.values(), *asked}
        come = [c for pair in self.pairs for c in pair.added]
        come += [c for name, table in self.after.items() if name not in waiting for c in table.columns]
        certain, doubtful = finder.find(
            [c for c in gone if (c.table, c.name) not in self.done_old],
            [c for c in come if (c.table, c.name) not in self.done_new],
            {column for link in self.links for column in (link.old, link.new)},
            declared,
        )
        self.moves = [*declared, *certain]
        self.done_old |= {(move.table, move.column) for move in certain}
        self.done_new |= {(move.new_table, move.new_column) for move in certain}
        self.links += doubtful

    def _weaker(self, parts: Sequence[LinkGroup]) -> tuple[RejectedCandidate, ...]:
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
        taken = {(r.new_table, r.new): f"it is the old `{r.table}.{r.old}`" for r in self.renames}
        moved = {
            (m.new_table, m.new_column): f"it takes the values of `{m.table}.{m.column}`" for m in self.moves
        }
        return taken | moved

    def table_questions(self) -> list[MatchingQuestion]:
        """Return a question for each group of tables."""
        return [table_question(links, self._inside) for links in self.matches.groups]

    def _inside(self, renamed: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[RenameProposal, ...]]:
        """Assume an answer, and return what is likely for the columns within the tables then."""
        matches = [DeclaredMatch(old, "", new, "", "option") for old, new in renamed.items()]
        assumed = replace(self.declared, matches=(*self.declared.matches, *matches))
        parts = [
            part
            for parts in MatchingRun(self.before, self.after, assumed).parts
            for part in parts
            if renamed.get(part.links[0].old.table) and not any(link.move for link in part.links)
        ]
        return (
            tuple(line for part in parts for line in lines([part], part.chosen)),
            tuple(proposal(link) for part in parts for link in part.chosen),
        )

    def decisions(self, questions: Sequence[MatchingQuestion], answered: str) -> Decisions:
        """Return the outcome."""
        asked = {path for q in questions for path in q.columns}
        open_old = set() if answered else asked
        open_new = set() if answered else {path for q in questions for path in q.targets}
        taken = self._taken()
        leaves = {(r.table, r.old) for r in self.renames} | {(m.table, m.column) for m in self.moves}
        drops: list[ColumnDrop] = []
        adds: list[ColumnAddition] = []
        for pair in self.pairs:
            gone = {name for table, name in (*leaves, *self.settled.drops) if table == pair.before.name}
            kept = pair.kept - gone
            drops += [
                self._drop(c, taken, asked=c.path in asked)
                for c in pair.before.columns
                if c.name not in kept and (c.table, c.name) not in leaves and c.path not in open_old
            ]
            adds += [
                ColumnAddition(c.table, c.name)
                for c in pair.after.columns
                if c.name not in kept and (c.table, c.name) not in taken and c.path not in open_new
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
        )

    def _drop(self, column: ColumnFacts, taken: Mapping[Column, str], *, asked: bool) -> ColumnDrop:
        key = (column.table, column.name)
        rejected: tuple[RejectedCandidate, ...] = ()
        if key in self.settled.drops:
            reason = f"declared ({self.settled.drops[key].source})"
        elif asked:
            reason = f"declared ({_ANSWERER})"
        else:
            rejected = self.scores.rejected(key, taken)
            reason = "no new column is likely to continue it"
        return ColumnDrop(column.table, column.name, column.type, reason, rejected)

    def _drop_table(self, table: TableFacts, open_old: set[str]) -> DroppedTable:
        moves = [move for move in self.moves if move.table == table.name]
        moved = dict.fromkeys(move.column for move in moves)
        # What rows are matched or made by is not lost either.
        carried = {column for move in moves for column in move.join.source_columns}
        carried |= {fill.source for move in moves for fill in move.join.fills if fill.table == table.name}
        lost = tuple(
            c.name for c in table.columns if c.name not in {*moved, *carried} and c.path not in open_old
        )
        declared = self.settled.tables.get(table.name)
        reason = f"declared ({declared.source})" if declared else "no new table is likely to continue it"
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
