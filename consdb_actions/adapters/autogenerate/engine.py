"""Generate and verify the revision of one section."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from alembic.script import Script
from sqlalchemy.exc import OperationalError

from consdb_actions.adapters.autogenerate.drafting import (
    Draft,
    DriftMode,
    NeededRenames,
    RevisionCandidate,
    UpgradeTarget,
    draft_migration,
    expected_for,
    plan_upgrade,
    still_needed,
)
from consdb_actions.adapters.autogenerate.operator import TreeCopy
from consdb_actions.adapters.autogenerate.render import (
    RevisionIdentity,
    file_name,
    fill_template,
    render_body,
    render_revision,
)
from consdb_actions.adapters.autogenerate.simulation import Simulation, simulate
from consdb_actions.adapters.autogenerate.states import (
    Origin,
    SchemaFileStates,
    describe,
    find_origins,
    make_replayed,
    name_facts,
    rename_base,
)
from consdb_actions.adapters.autogenerate.verification import Verification, verify
from consdb_actions.adapters.felis import LoadedSchema
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.schema_yaml import ReadSchema
from consdb_actions.adapters.tree import Section, Shadow, Tree
from consdb_actions.catalog import Snapshot
from consdb_actions.catalog.merge import MergedCatalog
from consdb_actions.config import Config
from consdb_actions.errors import ExternalError
from consdb_actions.migration.answers import Answers, answers_from
from consdb_actions.migration.matching.decisions import Decisions
from consdb_actions.migration.matching.declarations import Declarations
from consdb_actions.migration.matching.facts import TableFacts
from consdb_actions.migration.outcome import (
    SectionOutcome,
    Status,
    VerificationCheck,
    asked,
    asked_conflict,
    asked_value,
    drift_items,
    operations,
    present_elements,
)
from consdb_actions.migration.rename import decide, select
from consdb_actions.migration.rewrite.plan import MigrationPlan
from consdb_actions.migration.rewrite.statements import describe as describe_operation
from consdb_actions.process.apply_facts import locked_first

Sides = tuple[Sequence[TableFacts], Sequence[TableFacts]]
"""Both sides of the change as input of the name matching."""

Identify = Callable[[Section, str | None, Mapping[str, str]], str]


@dataclass(frozen=True)
class SectionRequest:
    """The request for one section."""

    section: Section
    loaded: LoadedSchema
    path: Path  # The schema file after the change
    base: ReadSchema | None = None  # The file before the change; None takes the database for it
    declared: Declarations = field(default_factory=Declarations)
    fills: Mapping[tuple[str, str], str | None] | None = None
    on_question: Literal["fail", "drop-add"] = "fail"
    drift: DriftMode = "report"
    write: bool = True  # Whether to generate a revision; otherwise only drift is reported


@dataclass(frozen=True)
class GeneratedSection:
    """The outcome of a section, the matched names, and the answers used."""

    outcome: SectionOutcome
    sides: Sides
    used: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Comparison:
    """What the files change: the target state, the renames and the moves."""

    target: UpgradeTarget
    answers: Answers
    needed: NeededRenames
    decisions: Decisions
    sides: Sides


@dataclass(frozen=True)
class Engine:
    """Settings and resources that all sections of a run share."""

    server: ScratchServer
    shadow: Shadow | None
    tree: Tree
    config: Config
    progress: Callable[[str, str], None]
    operator: bool = True
    """Whether the verification also runs the alembic command through the tree's ``env.py``."""
    copy: TreeCopy | None = None  # Copy of the tree for that command; None makes one for each verification
    replayed: Collection[str] = ()  # Sections whose database exists already, with its history replayed

    def run(
        self,
        request: SectionRequest,
        *,
        identify: Identify,
        created: datetime,
        message: str,
        verify: bool,
    ) -> GeneratedSection:
        """Generate one section and drop its database."""
        section = request.section
        self.progress(section.name, "replaying its history")
        try:
            replayed = section.name in self.replayed
            with self.server.database(section.name, made=replayed):
                current = make_replayed(self.server, section.name, section, [] if replayed else None)
                return self._generate(request, current, identify, created, message, verify)
        except OperationalError as error:
            raise ExternalError(
                f"Postgres failed in section {section.name}: {str(error.orig).strip()}",
                remedy="Run again; if this persists, check the server's log and the free disk space.",
            ) from error

    def _generate(
        self,
        request: SectionRequest,
        current: Snapshot,
        identify: Identify,
        created: datetime,
        message: str,
        verify: bool,
    ) -> GeneratedSection:
        section, loaded = request.section, request.loaded
        with simulate(self.server, section.name, section) as simulation:
            self.progress(section.name, "reading the schema file")
            comparison = self.compare_files(simulation, request, current)
            target, decisions, sides = comparison.target, comparison.decisions, comparison.sides
            base = request.base.schema if request.base else None
            outcome = SectionOutcome(
                section.name,
                section.schema,
                "unchanged",
                version=loaded.schema.version or "",
                base_version=(base.version or "") if base else "",
                decisions=decisions.sentences,
                remembered=tuple(r.describe() for r in decisions.remembered),
                questions=tuple(asked(q) for q in decisions.questions),
                notes=(*loaded.notes, *decisions.notes),
            )
            if decisions.open_questions:
                return GeneratedSection(replace(outcome, status="question"), sides)
            self.progress(section.name, "merging")
            head = section.head()
            down = head.revision if head else None

            def body(upgrade: MigrationPlan, downgrade: MigrationPlan) -> dict[str, Any]:
                return render_body(simulation.connection, section, upgrade.ops, downgrade.ops, self.shadow)

            def render_upgrade(plan: MigrationPlan) -> str:
                return fill_template(
                    section, RevisionIdentity("draft", down, message, created), body(plan, MigrationPlan())
                )

            draft = draft_migration(
                simulation, current, target, comparison.answers, render_upgrade, loaded.lines, loaded.source
            )
            variables = {}
            if draft.upgraded is not None:
                variables = body(
                    replace(draft.upgrade, ops=locked_first(draft.upgrade.ops, current)),
                    replace(draft.downgrade, ops=locked_first(draft.downgrade.ops, draft.upgraded)),
                )
            simulation.rollback()
            origins = self._origins(simulation, draft.expected, section.revisions())
        outcome = self._planned(outcome, draft, origins)
        used = draft.expected.used
        if draft.expected.open_conflicts or draft.questions:
            return GeneratedSection(replace(outcome, status="question"), sides, used)
        if draft.upgraded is None or not request.write:
            return GeneratedSection(replace(outcome, upgrade=(), downgrade=()), sides, used)
        revision = RevisionIdentity(identify(section, down, variables), down, message, created)
        source = render_revision(section, revision, variables)
        name = file_name(section, revision)
        checks: tuple[VerificationCheck, ...] = ()
        if verify:
            self.progress(section.name, "verifying")
            old_names = {new: old for old, new in draft.answers.tables}
            candidate = self.candidate(
                section,
                (name, source),
                request.path,
                current,
                draft.expected.catalog,
                draft.answers,
                target.described,
                lost=frozenset((loss.table, loss.column) for loss in draft.upgrade.losses),
                empty=frozenset(old_names.get(t, t) for t, _ in draft.upgrade.unfilled),
            )
            checks = self.verify(replace(candidate, filled=draft.upgrade.filled), target).checks
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
        return GeneratedSection(outcome, sides, used)

    def compare_files(self, simulation: Simulation, request: SectionRequest, current: Snapshot) -> Comparison:
        """Decide what the files rename, and rename it in their base."""
        section, loaded = request.section, request.loaded
        base = request.base
        described = describe(simulation, loaded, base, current, config=self.config, shadow=self.shadow)
        if request.drift == "only":
            # A merged revision must leave what the files described before.
            described = replace(described, head=described.base or described.head, base=None)
        elif request.drift == "include":
            described = replace(described, base=None)
        sides = name_facts(described, current, loaded, base, request.path)
        declared = select(request.declared, *sides)
        decisions = decide(*sides, declared, request.on_question)
        answers = answers_from(
            decisions,
            fills=request.fills or {},
            on_question="ask" if request.on_question == "fail" else "proceed",
        )
        take = {t.element: t.side for t in request.declared.takes}
        kept = still_needed(answers, current, take, described.base is not None)
        renamed = rename_base(simulation, described, kept.in_base)
        simulation.rollback()
        roles = self.config.grants_for(section.schema)
        target = UpgradeTarget(renamed, described, take, roles)
        return Comparison(target, answers, kept, decisions, sides)

    def _origins(
        self, simulation: Simulation, expected: MergedCatalog, revisions: Collection[Script]
    ) -> dict[tuple[str, ...], Origin]:
        # Finding the revision that left a description out is not worth a replay.
        drift = {d.path for d in expected.drift if d.path[-1] != "description"}
        paths = {*drift, *(c.path for c in expected.conflicts)}
        return find_origins(simulation, paths, revisions)

    def _planned(
        self, outcome: SectionOutcome, draft: Draft, origins: Mapping[tuple[str, ...], Origin]
    ) -> SectionOutcome:
        made = {path: (origin.revision, origin.message) for path, origin in origins.items()}
        return replace(
            outcome,
            upgrade=operations(draft.upgrade),
            downgrade=operations(draft.downgrade),
            questions=(
                *outcome.questions,
                *(asked_conflict(c, made.get(c.path)) for c in draft.expected.conflicts),
                *(asked_value(q) for q in draft.questions),
            ),
            risks=(*draft.upgrade.risks, *draft.downgrade.risks),
            losses=(*draft.upgrade.losses, *draft.downgrade.losses),
            drift=drift_items(draft.expected.drift, made),
            present=present_elements(draft.expected.present),
        )

    def candidate(
        self,
        section: Section,
        file: tuple[str, str],
        path: Path,
        before: Snapshot,
        expected: Snapshot,
        answers: Answers,
        described: SchemaFileStates,
        *,
        lost: frozenset[tuple[str, str | None]],
        empty: frozenset[str] = frozenset(),
    ) -> RevisionCandidate:
        """Collect what the verification needs; ``file`` is the revision's name and text."""
        return RevisionCandidate(
            tree=self.tree,
            section=section,
            file_name=file[0],
            source=file[1],
            schema_file=path,
            database=section.name,
            before=before,
            expected=expected,
            views={name: rule.table for name, rule in described.views.items()},
            answers=answers,
            lost=lost,
            empty=empty,
            copy=self.copy,
        )

    def verify(self, candidate: RevisionCandidate, target: UpgradeTarget) -> Verification:
        """Verify a revision."""
        schema = candidate.section.schema

        def find_again(simulation: Simulation, now: Snapshot) -> tuple[str, ...]:
            again = Answers(on_question="proceed")
            merged = expected_for(now, target)
            open_ = tuple(f"conflict at {'.'.join(c.path)}" for c in merged.open_conflicts)
            plan = plan_upgrade(schema, now, merged.catalog, again, simulation.casts())
            return (*open_, *(describe_operation(op) for op in plan.ops))

        return verify(self.server, candidate, find_again, operator=self.operator)
