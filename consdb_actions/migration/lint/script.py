"""A revision as the rules see it: its statements one by one, with what is there before and after each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from consdb_actions.migration.lint.actions import (
    Action,
    CreateTable,
    CreateView,
    Rename,
    SetVariable,
    Transaction,
)
from consdb_actions.migration.lint.effects import apply
from consdb_actions.migration.lint.names import Name
from consdb_actions.migration.lint.reading import Parsed, SqlError, read
from consdb_actions.migration.lint.state import State

__all__ = ["Direction", "Failure", "Rendering", "Run", "Script", "Statement", "Step", "run"]

Direction = Literal["upgrade", "downgrade"]


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL that a revision sends, and the line of its file that sends it."""

    sql: str
    line: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a function of a revision did not come to its end.

    Attributes
    ----------
    kind
        ``connection`` where it asks a database for something, ``unsupported`` where it says itself that it
        cannot be done (NotImplementedError), else ``error``.
    """

    kind: Literal["connection", "unsupported", "error"]
    words: str
    line: int


@dataclass(frozen=True, slots=True)
class Rendering:
    """What one function of a revision sends when it is run without a database.

    Attributes
    ----------
    line
        Line of the function's ``def``.
    """

    statements: tuple[Statement, ...]
    line: int = 1
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One statement in its place.

    Attributes
    ----------
    parsed
        The statement; None where it is no SQL, and then ``refusal`` has the parser's words.
    problem
        Why Postgres would refuse it here; empty where nothing is known against it.
    before, after
        What is there before and after it.
    fresh
        Tables and views that this direction made before; nobody else sees them yet.
    in_transaction
        Whether it runs inside of the migration's transaction.
    search_path
        Schema in which names without one are looked for; empty when none was set.
    """

    statement: Statement
    parsed: Parsed | None
    refusal: str
    problem: str
    before: State
    after: State
    fresh: frozenset[Name] = frozenset()
    in_transaction: bool = True
    search_path: str = ""

    @property
    def actions(self) -> tuple[Action, ...]:
        """What the statement does."""
        return self.parsed.actions if self.parsed else ()

    @property
    def line(self) -> int:
        """The line that sends it."""
        return self.statement.line

    @property
    def sql(self) -> str:
        """Its text."""
        return self.parsed.sql if self.parsed else self.statement.sql

    def is_filled(self, table: Name) -> bool:
        """Tell whether a table may hold rows, and others may use it: it was not made by this direction."""
        return table not in self.fresh


@dataclass(frozen=True, slots=True)
class Run:
    """One direction of a revision."""

    direction: Direction
    line: int
    steps: tuple[Step, ...]
    start: State
    end: State
    failure: Failure | None = None

    @property
    def fresh(self) -> frozenset[Name]:
        """Tables and views that it makes and leaves."""
        made = self.steps[-1].fresh | _made(self.steps[-1]) if self.steps else frozenset()
        return frozenset(name for name in made if name in self.end.tables or name in self.end.views)

    @property
    def whole(self) -> bool:
        """Whether everything is known: it ends, each statement is understood, none is refused."""
        return (
            self.failure is None
            and self.start.complete
            and self.end.complete
            and not any(step.problem or step.refusal for step in self.steps)
        )

    def made_at(self, name: Name) -> Step | None:
        """Return the last statement that made a relation, or gave it its name."""
        found = None
        for step in self.steps:
            if name in _made(step):
                found = step
        return found


@dataclass(frozen=True, slots=True)
class Script:
    """A revision with everything that a rule may know about it.

    Attributes
    ----------
    file
        Path as it is shown.
    line
        Line that names what the revision revises.
    down
        Revisions that it revises.
    schema, version_schema
        The section's own schema, and the one that holds its version table.
    roles
        Privileges of roles on new relations of this schema, as configured.
    heads
        Files of all heads of the section, by revision.
    edited
        Whether this revision does something else than when it was merged.
    removed
        Merged revisions of the section that are gone, with their files; told to its first head alone.
    """

    file: str
    section: str
    revision: str
    schema: str
    version_schema: str
    upgrade: Run
    downgrade: Run
    line: int = 1
    down: tuple[str, ...] = ()
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    heads: Mapping[str, str] = field(default_factory=dict)
    edited: bool = False
    removed: Mapping[str, str] = field(default_factory=dict)

    @property
    def runs(self) -> tuple[Run, Run]:
        """Both directions."""
        return self.upgrade, self.downgrade

    def own(self, name: Name) -> bool:
        """Tell whether a relation is in the section's own schema."""
        return name.schema == self.schema


def run(direction: Direction, rendering: Rendering, start: State) -> Run:
    """Follow the statements of one direction from a state.

    Parameters
    ----------
    direction
        Which one.
    rendering
        Its statements.
    start
        What is there before.
    """
    state, fresh = start, frozenset[Name]()
    search_path, in_transaction = "", True
    steps: list[Step] = []
    for statement in rendering.statements:
        try:
            parsed_all = read(statement.sql, search_path)
        except SqlError as error:
            unknown = replace(state, complete=False)
            steps.append(
                Step(statement, None, str(error), "", state, unknown, fresh, in_transaction, search_path)
            )
            state = unknown
            continue
        for parsed in parsed_all:
            before, problem = state, ""
            for action in parsed.actions:
                state, reason = apply(state, action, if_exists=parsed.if_exists)
                problem = problem or reason
            step = Step(statement, parsed, "", problem, before, state, fresh, in_transaction, search_path)
            steps.append(step)
            fresh = (fresh | _made(step)) & _existing(state)
            search_path = _search_path(parsed.actions, search_path)
            for action in parsed.actions:
                if isinstance(action, Transaction):
                    in_transaction = action.opens
    if rendering.failure is not None:
        state = replace(state, complete=False)
    return Run(direction, rendering.line, tuple(steps), start, state, rendering.failure)


def _made(step: Step) -> frozenset[Name]:
    """Return what a statement makes, and what it gives another name that was made before it."""
    out: set[Name] = set()
    for action in step.actions:
        if isinstance(action, CreateTable) and action.table not in step.before.tables:
            out.add(action.table)
        elif isinstance(action, CreateView) and action.view not in step.before.views:
            out.add(action.view)
        elif isinstance(action, Rename) and action.kind == "relation" and action.relation in step.fresh:
            out.add(Name(action.relation.schema, action.new))
    return frozenset(out)


def _existing(state: State) -> frozenset[Name]:
    return frozenset(state.tables) | frozenset(state.views)


def _search_path(actions: Iterable[Action], current: str) -> str:
    for action in actions:
        if isinstance(action, SetVariable) and action.name == "search_path":
            current = action.values[0] if action.values else ""
    return current
