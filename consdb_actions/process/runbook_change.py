"""Net effect of a migration, as a runbook needs it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from consdb_actions.forms import Public
from consdb_actions.lint.readers import losses
from consdb_actions.lint.script import DirectionRun, LintColumn, LintRelation, LintState, LintStep
from consdb_actions.schema.model import Name

Kind = Literal["added", "dropped", "renamed", "retyped", "tightened", "loosened"]


@dataclass(frozen=True, slots=True, order=True)
class ColumnChange:
    """Change of one column of a table that exists before and after."""

    table: Name  # Its name afterwards
    column: str  # Its name afterwards; of a dropped column, before
    kind: Kind  # ``tightened``: becomes NOT NULL; ``loosened``: becomes nullable
    old: str = ""  # Name before a rename
    required: bool = False  # Whether a row needs a value for it, afterwards or, if dropped, before
    widened: bool = False  # Whether the new type reads every value of the old type as written
    volatile: str = ""  # Expression that gives each row of a new column its own value; else empty

    def __str__(self) -> str:
        if self.kind == "renamed":
            return f"column {self.table}.{self.old} is renamed to {self.column}"
        words = {
            "added": "is new" + (" and required (NOT NULL without a default)" if self.required else ""),
            "dropped": "is dropped",
            "retyped": "changes its type",
            "tightened": "becomes NOT NULL",
            "loosened": "becomes nullable",
        }
        return f"column {self.table}.{self.column} {words[self.kind]}"


@dataclass(frozen=True, slots=True, order=True)
class RekeyedTable:
    """A table whose primary key has other columns afterwards; the old ones have their new names."""

    table: Name
    old: tuple[str, ...]
    new: tuple[str, ...]

    def __str__(self) -> str:
        return f"primary key of {self.table} changes from ({', '.join(self.old)}) to ({', '.join(self.new)})"


Pair = tuple[Name, Name]  # A table by its names before and after


@dataclass(frozen=True, slots=True)
class Effects:
    """Net effect of one direction; pairs are tables by their names before and after."""

    new_tables: tuple[Name, ...] = ()
    dropped_tables: tuple[Name, ...] = ()
    renamed_tables: tuple[tuple[Name, Name], ...] = ()
    columns: tuple[ColumnChange, ...] = ()
    rekeyed: tuple[RekeyedTable, ...] = ()
    updated: tuple[Name, ...] = ()  # Existing tables whose rows the scripts change, add or remove
    inserted: tuple[Name, ...] = ()
    emptied: tuple[Name, ...] = ()
    filled: tuple[Name, ...] = ()  # New tables with rows
    # Rows are changed or removed under another primary key than the final one
    unidentified: tuple[Pair, ...] = ()
    # Rows are added, or written with columns or NULLs that do not exist at the end
    passing: tuple[Pair, ...] = ()
    new_views: tuple[Name, ...] = ()
    remade_views: tuple[Name, ...] = ()  # Dropped and recreated
    dropped_views: tuple[Name, ...] = ()
    view_columns: tuple[tuple[Name, tuple[str, ...]], ...] = ()  # Of new and recreated views, if known
    locked: tuple[Name, ...] = ()  # Existing tables and views that a statement touches
    grants: tuple[tuple[Name, str, str], ...] = ()  # Relation, role, privilege
    losses: tuple[str, ...] = ()  # Data loss, as nouns
    spoly: bool = False  # Whether a pgSphere column is created
    apart: tuple[str, ...] = ()  # Statements outside of the transaction, by name
    unknown: tuple[str, ...] = ()  # Statements with unknown effect, or reasons why some are missing

    def changes(self, kind: Kind) -> tuple[ColumnChange, ...]:
        """Return the changes of columns of one kind."""
        return tuple(change for change in self.columns if change.kind == kind)

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that get privileges."""
        return tuple(sorted({role for _, role, _ in self.grants if role.upper() != "PUBLIC"}))


@dataclass(frozen=True, slots=True)
class RunbookRevision:
    """Id, message and statements of one revision."""

    id: str
    text: str
    file: str  # Relative to the tree
    upgrade: tuple[str, ...] = ()  # Statements in offline mode
    downgrade: tuple[str, ...] = ()
    unshown: str = ""  # Why statements are missing; empty if none are


@dataclass(frozen=True, slots=True)
class SectionChange(Public):
    """Revisions to apply to one section."""

    PUBLIC: ClassVar[str] = (
        "section schema from=start to=end revisions=ids changes=text losses=forward.losses "
        "losses_on_downgrade=back.losses"
    )

    section: str
    schema: str
    version_table: str  # Qualified
    start: str  # ``base`` for none
    end: str
    revisions: tuple[RunbookRevision, ...]  # Oldest first, including the end
    forward: Effects
    back: Effects
    tables_before: tuple[Name, ...] = ()  # All tables of the schema; empty unless all are known
    tables_after: tuple[Name, ...] = ()
    # Of tables and views in order, as far as known
    columns_before: tuple[tuple[Name, tuple[str, ...]], ...] = ()
    columns_after: tuple[tuple[Name, tuple[str, ...]], ...] = ()
    # What the downgrade does not restore, like ``exposure.columns.airmass.default``
    unrestored: tuple[str, ...] = ()
    stuck: str = ""  # Why the downgrade fails; empty if it works

    @property
    def range(self) -> str:
        """The revision range in commands: ``section:from..to``."""
        return f"{self.section}:{self.start}..{self.end}"

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the revisions."""
        return tuple(revision.id for revision in self.revisions)

    def turned(self) -> SectionChange:
        """Return the same change in the other direction."""
        return SectionChange(
            self.section,
            self.schema,
            self.version_table,
            self.end,
            self.start,
            tuple(reversed(self.revisions)),
            self.back,
            self.forward,
            self.tables_after,
            self.tables_before,
            self.columns_after,
            self.columns_before,
        )

    def text(self) -> Iterable[str]:
        """Yield the changes, a line for each table, view or column."""
        effects = self.forward
        for name in effects.new_tables:
            columns = len(dict(self.columns_after).get(name, ()))
            yield f"new table {name}" + (f" with {columns} columns" if columns else "")
        yield from (f"table {name} is dropped with all its rows" for name in effects.dropped_tables)
        yield from (f"table {old} is renamed to {new.name}" for old, new in effects.renamed_tables)
        yield from map(str, effects.columns)
        yield from map(str, effects.rekeyed)
        yield from (f"rows of {name} are rewritten" for name in effects.updated)
        yield from (f"rows are added to {name}" for name in effects.inserted)
        yield from (f"rows of {name} are deleted" for name in effects.emptied)
        for verb, views in (
            ("is new", effects.new_views),
            ("is recreated", effects.remade_views),
            ("is dropped", effects.dropped_views),
        ):
            yield from (f"view {name} {verb}" for name in views)
        yield from (f"not understood: {text}" for text in effects.unknown)


@dataclass(frozen=True, slots=True)
class Misfit:
    """A change of a published table, and whether replicated rows do not fit."""

    table: Name
    what: str
    earlier: bool  # Rows from before the publisher's upgrade do not fit the upgraded replica
    later: bool  # Rows from after it do not fit the replica before its upgrade


@dataclass(frozen=True, slots=True)
class Needs(Public):
    """What a migration requires of the replication; pairs are tables by their names before and after."""

    PUBLIC: ClassVar[str] = "pause quiet reasons added removed"

    misfits: tuple[Misfit, ...] = ()  # Changes of tables that stay published
    added: tuple[Name, ...] = ()
    removed: tuple[Name, ...] = ()
    renamed: tuple[Pair, ...] = ()
    # Rows change under a primary key that is missing or not the final one: REPLICA IDENTITY FULL is required
    identity: tuple[Pair, ...] = ()
    # Rows that the upgraded replica cannot take or adds by itself: the table leaves the publication meanwhile
    unsent: tuple[Pair, ...] = ()
    # New tables that both upgrades fill; the replica's are emptied before the first copy
    refilled: tuple[Name, ...] = ()
    different: tuple[str, ...] = ()  # New columns whose values differ between the sites
    unknown: tuple[str, ...] = ()  # Statements with unknown effect

    @property
    def quiet(self) -> bool:
        """Whether writers must stop, and no row may wait when the subscription is disabled."""
        return bool(self.removed or self.renamed or self.unsent or self.unknown) or any(
            misfit.earlier for misfit in self.misfits
        )

    @property
    def pause(self) -> bool:
        """Whether the subscription must be off while the two sites differ."""
        return self.quiet or bool(self.added or self.identity or self.misfits)

    @property
    def refresh(self) -> bool:
        """Whether the replica must refresh the publication."""
        return bool(self.added or self.removed)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why writers must stop, as text."""
        words = [misfit.what for misfit in self.misfits if misfit.earlier]
        words += [f"{name} is dropped" for name in self.removed]
        words += [f"{old} is renamed to {new}" for old, new in self.renamed]
        words += [f"rows of {name} are written in an intermediate form" for name, _ in self.unsent]
        return (*words, *self.unknown)

    @property
    def tables(self) -> tuple[Name, ...]:
        """The published tables that are affected, by their names before."""
        new = {now: old for old, now in self.renamed}
        found = {new.get(misfit.table, misfit.table) for misfit in self.misfits} | set(self.removed)
        return tuple(sorted(found | {old for old, _ in (*self.renamed, *self.identity, *self.unsent)}))


def needs_of(effects: Iterable[Effects], published: Callable[[str], bool]) -> Needs:
    """Derive what migrations require of the replication."""

    def kept(names: Iterable[Name]) -> tuple[Name, ...]:
        return tuple(name for name in names if published(name.schema))

    parts = tuple(effects)
    return Needs(
        misfits=tuple(m for e in parts for m in _misfits(e) if published(m.table.schema)),
        added=kept(name for e in parts for name in e.new_tables),
        removed=kept(name for e in parts for name in e.dropped_tables),
        renamed=tuple(pair for e in parts for pair in e.renamed_tables if published(pair[0].schema)),
        identity=tuple(
            pair
            for e in parts
            for pair in e.unidentified
            if pair not in e.passing and published(pair[0].schema)
        ),
        unsent=tuple(pair for e in parts for pair in e.passing if published(pair[0].schema)),
        refilled=kept(name for e in parts for name in e.filled),
        different=tuple(
            f"{c.table}.{c.column} ({c.volatile})"
            for e in parts
            for c in e.changes("added")
            if c.volatile and published(c.table.schema)
        ),
        unknown=tuple(dict.fromkeys(text for e in parts for text in e.unknown)),
    )


def _misfits(effects: Effects) -> Iterator[Misfit]:
    for change in effects.columns:
        earlier, later = _fits(change)
        yield Misfit(change.table, str(change), not earlier, not later)
    for rekeyed in effects.rekeyed:
        yield Misfit(rekeyed.table, str(rekeyed), earlier=True, later=True)


def _fits(change: ColumnChange) -> tuple[bool, bool]:
    """Tell whether earlier rows fit the upgraded replica, and later ones the replica before its upgrade."""
    if change.kind == "added":
        return not change.required, False
    if change.kind == "dropped":
        return False, not change.required
    if change.kind == "tightened":
        return False, True
    if change.kind == "loosened":
        return True, False
    # Renamed: the other side does not know the name. Retyped: a value may be none, or another one, there.
    return change.widened, False


_READING = frozenset({"AccessShareLock", "RowShareLock"})


def effects_of(runs: Sequence[DirectionRun]) -> Effects:
    """Return the net effect of runs in one database, in order and by the final names."""
    if not runs:
        return Effects()
    start, end = runs[0].start, runs[-1].end
    steps = [step for run in runs for step in run.steps]
    # What others cannot write or change during the migration.
    states = [state for run in runs for state in (run.end, *(step.after for step in run.steps))]
    locked = {oid for state in states for oid, mode in state.locks.items() if mode not in _READING}
    kept = {
        oid: end.relations[oid] for oid, r in start.relations.items() if r.is_table and oid in end.relations
    }
    fresh = {r.name for oid, r in end.relations.items() if r.is_table and oid not in start.relations}
    written = [w for step in steps for w in _written(step)]
    old = [w for w in written if w.table.oid in kept]
    views = {
        r.name: r for r in end.relations.values() if not r.is_table and r is not start.relations.get(r.oid)
    }
    made = {
        name
        for name, r in views.items()
        if (old_view := start.relations.get(r.oid)) is None or old_view.names != r.names
    }
    remade = {name for name in made if name in start.by_name}
    gone = {r.name for r in start.relations.values() if not r.is_table} - set(end.by_name)

    def rows(how: str) -> tuple[Name, ...]:
        return _sorted(kept[w.table.oid].name for w in old if w.how == how)

    return Effects(
        new_tables=_sorted(fresh),
        dropped_tables=_sorted(
            r.name for o, r in start.relations.items() if r.is_table and o not in end.relations
        ),
        renamed_tables=tuple(
            sorted(
                (start.relations[o].name, r.name)
                for o, r in kept.items()
                if start.relations[o].name != r.name
            )
        ),
        columns=tuple(sorted(c for o, r in kept.items() for c in _columns(start.relations[o], r, steps))),
        rekeyed=tuple(sorted(k for o, r in kept.items() for k in _rekeyed(start.relations[o], r))),
        updated=rows("updated"),
        inserted=rows("inserted"),
        emptied=rows("deleted"),
        filled=_sorted({w.table.name for w in written if w.how != "deleted"} & fresh),
        unidentified=_pairs(start, kept, (w for w in old if w.has_other_key(kept[w.table.oid]))),
        passing=_pairs(start, kept, (w for w in old if _passes(w, kept[w.table.oid], old))),
        new_views=_sorted(made - remade),
        remade_views=_sorted(remade),
        dropped_views=_sorted(gone),
        view_columns=tuple((name, views[name].names) for name in _sorted(made)),
        locked=_sorted(start.relations[oid].name for oid in locked if oid in start.relations),
        grants=tuple(sorted(_grants(start, end))),
        losses=tuple(dict.fromkeys(str(loss) for run in runs for loss in losses(run))),
        spoly=any(c.type.endswith("spoly") for _, c in _new_columns(start, end)),
        apart=tuple(dict.fromkeys(what for step in steps for what in _apart(step))),
        unknown=tuple(dict.fromkeys(what for run in runs for what in _unknown(run))),
    )


@dataclass(frozen=True)
class _Written:
    """A statement that writes rows, and its table at that time."""

    how: str
    table: LintRelation

    def has_other_key(self, final: LintRelation) -> bool:
        """Tell whether the replicated data of a row does not contain the final key."""
        if self.how == "inserted":
            return False
        key, last = self.table.primary_key, final.primary_key
        return not key or not last or not set(last) <= set(key)


def _written(step: LintStep) -> Iterator[_Written]:
    for write in step.parsed.writes if step.parsed and not step.problem else ():
        if (found := step.before.find(write.table)) is not None:
            yield _Written(write.how, found)


def _passes(written: _Written, final: LintRelation, others: Sequence[_Written]) -> bool:
    """Tell whether rows are written in an intermediate form."""
    if written.how == "inserted" or written.table.name != final.name:
        return True
    if written.how == "deleted":
        return False
    if set(written.table.names) - set(final.names):
        return True
    # Of several statements on one table, all but the last may leave a column empty that must not be.
    several = sum(other.table.oid == final.oid for other in others) > 1
    return several and any(
        not column.not_null and final.columns[number].not_null
        for number, column in written.table.columns.items()
        if number in final.columns
    )


def _columns(before: LintRelation, after: LintRelation, steps: Sequence[LintStep]) -> Iterator[ColumnChange]:
    table = after.name
    for number, now in after.columns.items():
        was = before.columns.get(number)
        if was is None:
            volatile = _volatile(after.oid, number, steps)
            yield ColumnChange(table, now.name, "added", required=now.required, volatile=volatile)
            continue
        if was.name != now.name:
            yield ColumnChange(table, now.name, "renamed", old=was.name, required=now.required)
        if was.type != now.type:
            widened = _takes(was.type, now.type)
            yield ColumnChange(table, now.name, "retyped", required=now.required, widened=widened)
        if now.not_null and not was.not_null:
            yield ColumnChange(table, now.name, "tightened", required=now.required)
        elif was.not_null and not now.not_null:
            yield ColumnChange(table, now.name, "loosened")
    for number, was in before.columns.items():
        if number not in after.columns:
            yield ColumnChange(table, was.name, "dropped", required=was.required)


def _volatile(oid: int, number: int, steps: Sequence[LintStep]) -> str:
    """Return the expression that gives each row of a new column its own value: the table was rewritten."""
    for step in steps:
        before, after = step.before.relations.get(oid), step.after.relations.get(oid)
        if before is None or after is None or number in before.columns or number not in after.columns:
            continue
        column = after.columns[number]
        if before.file == after.file or column.generated:
            return ""
        if column.identity:
            return "IDENTITY"
        called = re.search(r"(\w+)\(", column.default or "")
        return called[1] if called else column.default or ""
    return ""


def _rekeyed(before: LintRelation, after: LintRelation) -> Iterator[RekeyedTable]:
    now = {column.name: after.columns[n].name for n, column in before.columns.items() if n in after.columns}
    had = tuple(now.get(name, name) for name in before.primary_key)
    if set(had) != set(after.primary_key):
        yield RekeyedTable(after.name, had, after.primary_key)


def _grants(start: LintState, end: LintState) -> Iterator[tuple[Name, str, str]]:
    for oid, relation in end.relations.items():
        had = start.relations[oid].grants if oid in start.relations else frozenset()
        yield from ((relation.name, role, privilege) for role, privilege in relation.grants - had)


def _new_columns(start: LintState, end: LintState) -> Iterator[tuple[LintRelation, LintColumn]]:
    for oid, relation in end.relations.items():
        had = start.relations[oid].columns if oid in start.relations else {}
        if relation.is_table:
            yield from (
                (relation, c) for n, c in relation.columns.items() if n not in had or had[n].type != c.type
            )


def _apart(step: LintStep) -> Iterator[str]:
    if step.parsed is not None and step.parsed.outside:
        yield "an index CONCURRENTLY" if "INDEX" in step.parsed.outside else step.parsed.outside
    if step.parsed is not None and step.parsed.transaction in ("commit", "rollback"):
        yield step.parsed.transaction.upper()


def _unknown(run: DirectionRun) -> Iterator[str]:
    for step in run.steps:
        if step.parsed is None:
            yield f"a statement that is not SQL: {step.problem}"
        elif step.unjudged:
            yield f"{step.unjudged}, which can do anything"
        elif step.problem and not step.parsed.outside:
            yield f"a statement that Postgres refuses: {step.problem}"
    yield from (notice.message for notice in run.notices if notice.kind == "unjudged")
    if run.failure is not None:
        yield f"{run.failure.kind}: {run.failure.message}"


_TYPE = re.compile(r"(?P<name>[a-z ]+?)(?:\((?P<size>\d+)\))?")
_WHOLE_NUMBERS = {"smallint": 6, "integer": 11, "bigint": 20}  # characters of the longest


def _takes(old: str, new: str) -> bool:
    """Tell whether a value keeps its text in another type."""
    was, now = _TYPE.fullmatch(old), _TYPE.fullmatch(new)
    if was is None or now is None:
        return False
    texts = ("text", "character varying")
    if now["name"] in texts and was["name"] in (*texts, *_WHOLE_NUMBERS):
        longest = int(was["size"]) if was["size"] else _WHOLE_NUMBERS.get(was["name"])
        return not now["size"] or (longest is not None and int(now["size"]) >= longest)
    numbers = list(_WHOLE_NUMBERS)
    if was["name"] in numbers and now["name"] in numbers:
        return numbers.index(was["name"]) <= numbers.index(now["name"])
    return False


def _pairs(start: LintState, kept: dict[int, LintRelation], written: Iterable[_Written]) -> tuple[Pair, ...]:
    return tuple(sorted({(start.relations[w.table.oid].name, kept[w.table.oid].name) for w in written}))


def _sorted(names: Iterable[Name]) -> tuple[Name, ...]:
    return tuple(sorted(set(names)))
