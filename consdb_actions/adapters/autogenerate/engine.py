"""Generate and prove the revision of one section on a running server."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from consdb_actions.adapters.autogenerate.candidate import Candidate
from consdb_actions.adapters.autogenerate.database import Database, read_database
from consdb_actions.adapters.autogenerate.operator import TreeCopy
from consdb_actions.adapters.autogenerate.proving import Proof, prove
from consdb_actions.adapters.autogenerate.render import (
    Revision,
    file_name,
    fill_template,
    render_body,
    render_revision,
)
from consdb_actions.adapters.autogenerate.section import (
    Draft,
    Wanted,
    draft_migration,
    plan_upgrade,
    views_behind,
)
from consdb_actions.adapters.autogenerate.states import Sides, decide_names, make_described, make_replayed
from consdb_actions.adapters.felis import LoadedSchema
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.tree import Section, Shadow, Tree
from consdb_actions.config import Config
from consdb_actions.errors import ExternalError, InputError
from consdb_actions.migration.answers import Answers, answers_from
from consdb_actions.migration.catalog import Snapshot
from consdb_actions.migration.drift import explained_by
from consdb_actions.migration.matching.declarations import Declarations
from consdb_actions.migration.outcome import Check, SectionOutcome, Status
from consdb_actions.migration.proof import Expectation
from consdb_actions.migration.rewrite.plan import Filling, Plan
from consdb_actions.migration.telling import asked, asked_value, decided, operations, views_behind_words
from consdb_actions.migration.words import describe
from consdb_actions.schema.model import Schema

__all__ = ["Engine", "Generated"]

Identify = Callable[[Section, str | None, Mapping[str, str]], str]

_CASTS = """
SELECT format_type(castsource, NULL), format_type(casttarget, NULL)
FROM pg_cast WHERE castcontext IN ('a', 'i')
"""


@dataclass(frozen=True)
class Generated:
    """The outcome of a section, and the two sides that were matched."""

    outcome: SectionOutcome
    sides: Sides


@dataclass(frozen=True)
class Engine:
    """What all sections of a run share.

    ``operator`` tells whether the proof also runs the alembic command through the tree's own ``env.py``, and
    ``copy`` is the copy of the tree for it; each proof makes its own where there is none. ``replayed`` names
    the sections whose database was made, and their history replayed, ahead.
    """

    server: ScratchServer
    shadow: Shadow | None
    tree: Tree
    config: Config
    progress: Callable[[str, str], None]
    operator: bool = True
    copy: TreeCopy | None = None
    replayed: Collection[str] = ()

    def run(
        self,
        section: Section,
        loaded: LoadedSchema,
        path: Path,
        *,
        base: Schema | None,
        declared: Declarations,
        fills: Mapping[tuple[str, str], str | None],
        on_question: Literal["fail", "drop-add"],
        identify: Identify,
        created: datetime,
        message: str,
        prove: bool,
        only_drift: bool,
    ) -> Generated:
        """Generate one section; its databases are dropped at the end.

        Raises
        ------
        InputError
            The history does not apply, or the schema file cannot become tables.
        ExternalError
            The server failed.
        """
        self.progress(section.name, "replaying its history")
        database = section.name
        try:
            ahead = section.name in self.replayed
            with self.server.database(database, made=ahead):
                before = make_replayed(self.server, database, section, [] if ahead else None)
                self.progress(section.name, "reading the schema file")
                wanted = make_described(
                    self.server, database, section, loaded, before, config=self.config, shadow=self.shadow
                )
                decisions, sides = decide_names(before, wanted, loaded, path, base, declared, on_question)
                first = SectionOutcome(
                    section.name,
                    section.schema,
                    "unchanged",
                    version=loaded.schema.version or "",
                    base_version=(base.version or "") if base else "",
                    decisions=decided(decisions),
                    remembered=tuple(r.describe() for r in decisions.remembered),
                    questions=tuple(asked(q) for q in decisions.questions),
                    notes=(*loaded.notes, *decisions.notes),
                )
                if decisions.open_questions:
                    return Generated(replace(first, status="question"), sides)
                behind = views_behind(before, wanted.views)
                answers = answers_from(
                    decisions,
                    fills=fills,
                    on_question="ask" if on_question == "fail" else "proceed",
                    repair_views=frozenset(behind),
                )
                self.progress(section.name, "comparing")
                draft, revision, source = self._draft(
                    database, section, before, wanted, answers, identify, created, message
                )
                explained = (
                    explained_by(base, loaded.schema, {v: r.table for v, r in wanted.views.items()})
                    if base
                    else None
                )
                columns = {name: list(t.columns) for name, t in before.state.tables.items()}
                outcome = replace(
                    first,
                    upgrade=operations(draft.upgrade, explained),
                    downgrade=operations(draft.downgrade, None),
                    questions=(*first.questions, *(asked_value(q) for q in draft.questions)),
                    risks=(*draft.upgrade.risks, *draft.downgrade.risks),
                    losses=(*draft.upgrade.losses, *draft.downgrade.losses),
                    notes=(*first.notes, *views_behind_words(before.catalog, columns, wanted.views)),
                )
                if draft.questions:
                    return Generated(replace(outcome, status="question"), sides)
                if revision is None:
                    return Generated(outcome, sides)
                if only_drift:
                    marked = tuple(replace(op, drift=True) for op in outcome.upgrade)
                    return Generated(replace(outcome, status="drift", upgrade=marked), sides)
                name = file_name(section, revision)
                checks: tuple[Check, ...] = ()
                if prove:
                    self.progress(section.name, "proving")
                    old_names = {new: old for old, new in answers.tables}
                    candidate = self.candidate(
                        section,
                        (name, source),
                        path,
                        database,
                        before,
                        wanted,
                        answers,
                        lost=frozenset((loss.table, loss.column) for loss in draft.upgrade.losses),
                        empty=frozenset(old_names.get(t, t) for t, _ in draft.upgrade.unfilled),
                        filled=draft.upgrade.filled,
                    )
                    checks = self.prove(candidate, wanted, draft.upgraded).checks
                status: Status = "failed" if any(c.holds is False for c in checks) else "changed"
                outcome = replace(
                    outcome,
                    status=status,
                    path=str((section.versions / name).relative_to(self.tree.root)),
                    revision=revision.id,
                    down_revision=revision.down or "",
                    source=source,
                    checks=checks,
                )
                return Generated(outcome, sides)
        except OperationalError as error:
            raise ExternalError(
                f"Postgres failed while section {section.name} was worked on: {str(error.orig).strip()}",
                remedy="Run again; if it stays, look at the server's log and the free disk space.",
            ) from error

    def _draft(
        self,
        database: str,
        section: Section,
        before: Database,
        wanted: Wanted,
        answers: Answers,
        identify: Identify,
        created: datetime,
        message: str,
    ) -> tuple[Draft, Revision | None, str]:
        head = section.head()
        down = head.revision if head else None
        with self.server.open_database(database) as engine, engine.connect() as connection:
            transaction = connection.begin()

            def body(upgrade: Plan, downgrade: Plan) -> dict[str, Any]:
                return render_body(connection, section, upgrade.ops, downgrade.ops, self.shadow)

            def render_upgrade(plan: Plan) -> str:
                return fill_template(section, Revision("draft", down, message, created), body(plan, Plan()))

            try:
                draft = draft_migration(
                    connection, section, before, wanted, answers, self._casts(connection), render_upgrade
                )
                if draft.questions or not draft.upgrade.ops:
                    return draft, None, ""
                variables = body(draft.upgrade, draft.downgrade)
            except OperationalError:
                raise
            except SQLAlchemyError as error:
                raise InputError(
                    "the upgrade that this change needs does not run: "
                    f"{str(getattr(error, 'orig', None) or error).strip().splitlines()[0]}",
                    place=f"section {section.name}",
                    remedy="Something stands in its way that the schema files do not show, such as a view or "
                    "a trigger that someone made by hand. Remove it in a revision of its own first.",
                ) from error
            finally:
                transaction.rollback()
        revision = Revision(identify(section, down, variables), down, message, created)
        return draft, revision, render_revision(section, revision, variables)

    def _casts(self, connection: sa.Connection) -> frozenset[tuple[str, str]]:
        return frozenset((str(a), str(b)) for a, b in connection.execute(sa.text(_CASTS)))

    def candidate(
        self,
        section: Section,
        file: tuple[str, str],
        path: Path,
        database: str,
        before: Database,
        wanted: Wanted,
        answers: Answers,
        *,
        lost: frozenset[tuple[str, str | None]],
        empty: frozenset[str] = frozenset(),
        filled: tuple[Filling, ...] | None = None,
    ) -> Candidate:
        """Put together what the proof must know of a revision, given by the name and the text of its file."""
        columns: dict[str, dict[str, str]] = {}
        for table, old, new in answers.columns:
            columns.setdefault(table, {})[new] = old
        told = Expectation(
            tables={new: old for old, new in answers.tables},
            columns=columns,
            roles=wanted.roles,
            views={name: rule.table for name, rule in wanted.views.items()},
        )
        return Candidate(
            tree=self.tree,
            section=section,
            file_name=file[0],
            source=file[1],
            schema_file=path,
            database=database,
            before=before.catalog,
            described=wanted.database.catalog,
            told=told,
            answers=answers,
            lost=lost,
            empty=empty,
            filled=filled,
            copy=self.copy,
        )

    def prove(self, candidate: Candidate, wanted: Wanted, drafted: Database | None = None) -> Proof:
        """Prove a revision; ``drafted`` is what a first run of its upgrade left."""
        schema = candidate.section.schema

        def find_again(connection: sa.Connection, catalog: Snapshot) -> tuple[str, ...]:
            casts = self._casts(connection)
            now = read_database(connection, schema, catalog, drafted)
            again = Answers(on_question="proceed", repair_views=frozenset(views_behind(now, wanted.views)))
            plan = plan_upgrade(connection, candidate.section, now, wanted, again, casts)
            return tuple(describe(op) for op in plan.ops)

        return prove(self.server, candidate, find_again, operator=self.operator)
