"""Short forms of a schema change, and the decision on every column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from consdb_actions.migration.matching.decisions import Decisions
from consdb_actions.migration.matching.declarations import Declarations, parse_declaration
from consdb_actions.migration.matching.facts import ColumnFacts, ForeignKeyFacts, TableFacts
from consdb_actions.migration.rename import OnQuestion, decide

DOUBLE = "double precision"


def column(
    name: str,
    description: str | None = None,
    type: str = DOUBLE,  # noqa: A002 - the field's own name
    *,
    unit: str | None = None,
    ucd: str | None = None,
    id: str | None = None,  # noqa: A002 - the field's own name
) -> ColumnFacts:
    """Build a column; :func:`table` sets its position."""
    return ColumnFacts("", name, type, True, description, unit, ucd, id)


def table(
    name: str,
    columns: Iterable[ColumnFacts | str],
    *,
    key: Sequence[str] = (),
    unique: Iterable[tuple[str, ...]] = (),
    refers: Iterable[tuple[Sequence[str], str, Sequence[str]]] = (),
    required: Iterable[str] = (),
    id: str | None = None,  # noqa: A002 - the field's own name
    description: str | None = None,
) -> TableFacts:
    """Build a table; ``refers`` holds columns, table and columns of each foreign key."""
    needed = {*key, *required}
    placed = []
    for position, item in enumerate(columns):
        c = column(item) if isinstance(item, str) else item
        placed.append(
            ColumnFacts(
                name, c.name, c.type, c.name not in needed, c.description, c.unit, c.ucd, c.id, position
            )
        )
    keys = tuple(ForeignKeyFacts(tuple(a), b, tuple(c)) for a, b, c in refers)
    return TableFacts(name, tuple(placed), description, id, tuple(key), tuple(unique), keys)


def declared(*texts: str, source: str = "option") -> Declarations:
    return Declarations.of(parse_declaration(text, source) for text in texts)


def decided(
    before: Sequence[TableFacts], after: Sequence[TableFacts], *texts: str, on_question: OnQuestion = "fail"
) -> Decisions:
    return decide(before, after, declared(*texts), on_question)


def changed(
    before: Iterable[ColumnFacts | str],
    after: Iterable[ColumnFacts | str],
    *texts: str,
    on_question: OnQuestion = "fail",
) -> Decisions:
    """Decide a change of one table ``t``, with a key ``id`` before its other columns."""
    old, new = (table("t", ["id", *side], key=["id"]) for side in (before, after))
    return decided([old], [new], *texts, on_question=on_question)


def renames(decisions: Decisions) -> dict[str, str]:
    """Return the renamed columns: new name by old path."""
    return {f"{r.table}.{r.old}": r.new for r in decisions.renames}


def proposals(decisions: Decisions) -> dict[str, str]:
    """Return the proposals of questions: new path by old path."""
    return {p.old: p.new for question in decisions.questions for p in question.proposals}


def lost(decisions: Decisions) -> set[str]:
    """Return the columns with data loss."""
    whole = {f"{t.table}.{c}" for t in decisions.dropped_tables for c in t.columns}
    return whole | {f"{d.table}.{d.column}" for d in decisions.drops}


def has_none(decisions: Decisions, *kinds: str) -> bool:
    """Tell whether there is no decision of these kinds."""
    return not any(getattr(decisions, kind) for kind in kinds)
