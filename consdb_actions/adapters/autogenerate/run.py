"""Generate the revisions of a tree's sections with one server (rules M1, M11, M17)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from alembic.script import Script

from consdb_actions.adapters.autogenerate.drafting import DriftMode
from consdb_actions.adapters.autogenerate.engine import Engine, GeneratedSection, SectionRequest
from consdb_actions.adapters.autogenerate.operator import copied_tree
from consdb_actions.adapters.autogenerate.simulation import check_history, check_merged
from consdb_actions.adapters.autogenerate.states import prereplay
from consdb_actions.adapters.efd_config import stale_findings
from consdb_actions.adapters.felis import prepare_felis, validate
from consdb_actions.adapters.files import check_folder, write_all
from consdb_actions.adapters.pool import meanwhile, processors, run_in_pool
from consdb_actions.adapters.postgres import ScratchServer, scratch_server
from consdb_actions.adapters.postgres_server import StartingServer
from consdb_actions.adapters.schema_fields import uses_resources
from consdb_actions.adapters.schema_sources import RawFile, SchemaBase
from consdb_actions.adapters.schema_yaml import ReadSchema, find_schema_file
from consdb_actions.adapters.tree import Section, Shadow, Tree
from consdb_actions.config import Config
from consdb_actions.errors import InputError
from consdb_actions.migration.matching.declarations import Declarations
from consdb_actions.migration.outcome import RunOutcome, SectionOutcome, VerificationCheck
from consdb_actions.migration.rename import check_used
from consdb_actions.schema.delta import digest_schema

_PREREPLAYED = 16  # Sections replayed while Felis is imported; each takes 8 MB until the end

Progress = Callable[[str, str], None]  # Called with the section and the step that starts


@dataclass(frozen=True)
class GenerationRequest:
    """The input of a run; see the options of ``migrations generate``."""

    tree: Tree
    schemas: Path
    config: Config
    message: str
    base: SchemaBase | None = None
    sections: tuple[str, ...] = ()
    declared: Declarations = field(default_factory=Declarations)
    fills: Mapping[tuple[str, str], str | None] = field(default_factory=dict)
    on_question: Literal["fail", "drop-add"] = "fail"
    revision_from: Literal["inputs", "random"] = "inputs"
    created: datetime | None = None
    database_url: str | None = None
    drift: DriftMode = "report"
    verify: bool = True
    write: bool = True
    jobs: int = 0  # How many sections run in parallel; 0: one per processor
    prestarted: StartingServer | None = None  # A server that is starting already
    reports: Callable[[RunOutcome], Mapping[Path, str]] = lambda _outcome: {}
    """Makes report files, which are written together with the revisions."""


@dataclass(frozen=True)
class ChosenSection:
    """A section and its schema files, before any database is used."""

    section: Section
    read: ReadSchema
    path: Path
    base: ReadSchema | None
    only_drift: bool  # Whether the file is unchanged and the section was not named


def generate(request: GenerationRequest, progress: Progress) -> RunOutcome:
    """Generate, verify and write the revisions of all affected sections, or none."""
    with request.tree.importable() as shadow:
        return _generate(request, shadow, progress)


def _generate(request: GenerationRequest, shadow: Shadow | None, progress: Progress) -> RunOutcome:
    chosen, finished = _choose(request)
    generated: dict[str, GeneratedSection] = {}
    server_words = spoly = ""
    if chosen:
        with ExitStack() as stack:
            progress("", "starting Postgres")
            server = stack.enter_context(
                scratch_server(
                    database_url=request.database_url,
                    roles=_roles(request.config, chosen),
                    prestarted=request.prestarted,
                )
            )
            copy = stack.enter_context(copied_tree(request.tree))
            # Databases are dropped on a given server only; one of our own is removed as a whole.
            sections = [item.section for item in chosen] if request.prestarted else []
            replayed = replay_histories(server, [(section, section.revisions()) for section in sections])
            created = request.created or datetime.now(UTC).replace(microsecond=0)

            def work(item: ChosenSection, tell: Progress) -> GeneratedSection:
                engine = Engine(
                    server, shadow, request.tree, request.config, tell, copy=copy, replayed=replayed
                )
                return engine.run(
                    SectionRequest(
                        item.section,
                        validate(item.read),
                        item.path,
                        base=item.base,
                        declared=request.declared,
                        fills={k: v for k, v in request.fills.items() if _is_of(k, item)},
                        on_question=request.on_question,
                        drift=request.drift,
                        write=not item.only_drift,
                    ),
                    identify=_identifier(request),
                    created=created,
                    message=request.message,
                    verify=request.verify,
                )

            results = run_in_pool(work, chosen, request.jobs or processors(), progress)
            generated = {item.section.name: g for item, g in zip(chosen, results, strict=True)}
            server_words, spoly = (
                f"Postgres {server.info.version} ({server.info.source})",
                server.info.pgsphere,
            )
        check_used(request.declared, [g.sides for g in generated.values()])
        _check_takes(request, generated.values())
    outcomes = {**finished, **{name: g.outcome for name, g in generated.items()}}
    ordered = tuple(outcomes[s.name] for s in request.tree.sections if s.name in outcomes)
    label = request.base.label if request.base else ""
    notes = base_notes(request.base)
    outcome = RunOutcome(ordered, request.message, server_words, spoly, notes=notes, base=label)
    revisions: dict[Path, str] = {}
    if request.write and outcome.verdict == "changed":
        revisions = {request.tree.root / s.path: s.source for s in outcome.changed}
        outcome = replace(outcome, written=True)
    reports = request.reports(outcome)
    write_all({**revisions, **reports}, overwrite=reports.keys())
    return outcome


def replay_histories(
    server: ScratchServer, histories: Sequence[tuple[Section, Sequence[Script]]]
) -> list[str]:
    """Import Felis and replay histories meanwhile; return the finished sections."""
    if not histories:
        prepare_felis()
        return []
    with meanwhile(lambda enough: prereplay(server, histories[:_PREREPLAYED], enough)) as results:
        prepare_felis()
    if not results:
        for section, _ in histories:
            server.drop_database(section.name)
    return [name for names in results for name in names]


def _choose(request: GenerationRequest) -> tuple[list[ChosenSection], dict[str, SectionOutcome]]:
    """Read schema files; return sections that need a database, and outcomes of others."""
    named = [request.tree.section(name) for name in request.sections]
    chosen: list[ChosenSection] = []
    unchanged: list[ChosenSection] = []
    finished: dict[str, SectionOutcome] = {}
    missing: list[InputError] = []
    for section in dict.fromkeys(named or request.tree.sections):
        try:
            path = find_schema_file(section.schema, sdm_schemas=request.schemas, consdb=request.tree.root)
        except InputError as error:
            if section in named:
                raise
            missing.append(error)
            finished[section.name] = SectionOutcome(section.name, section.schema, "no schema file")
            continue
        file = RawFile.on_disk(section.schema, path)
        read = file.read(expect_name=section.schema)
        base = read_base(request.base, section, file, read)
        if path.is_relative_to(request.schemas) and (stale := _stale(request.base, section, file, read)):
            finished[section.name] = stale
            continue
        same = base is not None and (base is read or digest_schema(base.schema) == digest_schema(read.schema))
        item = ChosenSection(
            section, read, path, base, same and section not in named and request.drift == "report"
        )
        (unchanged if item.only_drift else chosen).append(item)
    if not chosen:
        # Nothing changes, so drift is all there is to report.
        chosen, unchanged = unchanged, []
    for item in unchanged:
        version = item.read.schema.version or ""
        before = (item.base.schema.version or "") if item.base else ""
        finished[item.section.name] = SectionOutcome(
            item.section.name, item.section.schema, "skipped", version=version, base_version=before
        )
    for item in chosen:
        check_history(item.section, request.tree)
        _check_target(item.section, request.write)
    _check_fills(request.fills, chosen)
    if missing and not chosen and all(s.status == "no schema file" for s in finished.values()):
        raise missing[0]
    check_merged(request.tree, [c.section for c in chosen])
    return chosen, finished


def read_base(
    base: SchemaBase | None, section: Section, file: RawFile, after: ReadSchema
) -> ReadSchema | None:
    """Return the schema before the change; empty without earlier file or revisions, None if unknown."""
    if base is None or base.problem:
        return None
    found = base.read(section.schema) if section.scripts.get_heads() else None
    if found is None:
        return replace(after, schema=replace(after.schema, tables=(), version=None))
    if found.data == file.data and not uses_resources(file.data):
        return after
    read = found.read(expect_name=section.schema)
    return after if read.schema == after.schema else read


def _stale(
    base: SchemaBase | None, section: Section, file: RawFile, read: ReadSchema
) -> SectionOutcome | None:
    """Refuse a schema that was not regenerated from its configuration in the same tree."""
    before = base.read(section.schema) if base else None
    found = stale_findings(file, read.schema, before)
    if not found:
        return None
    details = tuple(f"{item.path}: {item.message.replace('`', '')}" for item in found)
    text = f"The schema file was not regenerated from its configuration. {found[0].remedy}"
    check = VerificationCheck("configuration", False, text, details)
    version = read.schema.version or ""
    return SectionOutcome(section.name, section.schema, "failed", version=version, checks=(check,))


def base_notes(base: SchemaBase | None) -> tuple[str, ...]:
    """Explain why drift could not be detected."""
    if base is None or not base.problem:
        return ()
    return (f"Drift could not be distinguished from the change: {base.problem}. {base.remedy}".strip(),)


def _check_takes(request: GenerationRequest, generated: Collection[GeneratedSection]) -> None:
    used = {text for item in generated for text in item.used}
    for take in request.declared.takes:
        if take.source == "option" and take.element not in used and generated:
            raise InputError(
                f"there is no conflict at {take.element}",
                place=f"--take {take.text}",
                remedy="Omit it, or copy the element from the question or the drift in the report.",
            )


def _check_target(section: Section, write: bool) -> None:
    template, versions = section.location / "script.py.mako", section.versions
    if not template.is_file():
        raise InputError(
            f"section {section.name} has no template for revisions",
            place=str(template),
            remedy="Copy script.py.mako from another section, or from Alembic's own templates.",
        )
    if versions.exists() and not versions.is_dir():
        raise InputError(
            "this is not a folder",
            place=str(versions),
            remedy="Put a folder with the revisions in its place.",
        )
    if write:
        check_folder(versions if versions.exists() else section.location)


def _check_fills(fills: Mapping[tuple[str, str], str | None], chosen: list[ChosenSection]) -> None:
    for (table, column), value in fills.items():
        if chosen and not any(_is_of((table, column), item) for item in chosen):
            raise InputError(
                f"no processed schema file has a column {column} in a table {table}",
                place="--no-fill" if value is None else "--fill",
                remedy="Check the names; use the new name of a renamed column.",
            )


def _roles(config: Config, chosen: list[ChosenSection]) -> list[str]:
    roles = {role for item in chosen for role in config.grants_for(item.section.schema)}
    return sorted(roles | {"usdf", "oods"})


def _is_of(where: tuple[str, str], item: ChosenSection) -> bool:
    return any(t.name == where[0] and where[1] in t for t in item.read.schema.tables)


def _identifier(request: GenerationRequest) -> Callable[[Section, str | None, Mapping[str, str]], str]:
    """Return the function that makes revision ids: from inputs, or at random."""

    def from_inputs(section: Section, down: str | None, variables: Mapping[str, str]) -> str:
        content = [section.name, section.schema, down, request.message, dict(variables)]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]

    def at_random(_section: Section, _down: str | None, _variables: Mapping[str, str]) -> str:
        from alembic.util import rev_id

        return rev_id()

    return from_inputs if request.revision_from == "inputs" else at_random
