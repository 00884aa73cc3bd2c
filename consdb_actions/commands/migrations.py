"""``consdb-actions migrations``: generate, check, preview and lint Alembic migrations."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import click

from consdb_actions.commands.options import (
    FILE,
    FOLDER,
    LazyGroup,
    base_option,
    config_option,
    consdb_option,
    early_server,
    examples,
    format_option,
    github_session,
    option,
    parse_moment,
    report_option,
    repository_name,
    schemas_option,
    schemas_repository_option,
    sections_option,
    summary_option,
    target_option,
    together,
)
from consdb_actions.commands.terminal import present, progress_display
from consdb_actions.errors import InputError
from consdb_actions.forms import Public, as_json
from consdb_actions.publication.source import RequestAction

if TYPE_CHECKING:
    from alembic.script import Script

    from consdb_actions.adapters.autogenerate.check import Given
    from consdb_actions.adapters.autogenerate.drafting import DriftMode
    from consdb_actions.adapters.autogenerate.engine import GeneratedSection
    from consdb_actions.adapters.github.migration_source import OutdatedMigration
    from consdb_actions.adapters.schema_yaml import ReadSchema
    from consdb_actions.adapters.tree import Section
    from consdb_actions.migration.matching.declarations import Declaration, Declarations
    from consdb_actions.migration.outcome import RunOutcome, SectionOutcome
    from consdb_actions.publication.source import RequestedMigration, SchemaSource

    Work = tuple[Section, Script, Path, ReadSchema, ReadSchema | None, Given | None]
    """A revision, its schema file, that before the change, and a database with rows of its own."""

SUBCOMMANDS = {
    "source": ("migrations:source_command", "Determine the schema change of an event, and its action."),
    "plan": ("migrations:plan_command", "List the sections that a schema change affects, for jobs."),
    "generate": ("migrations:generate_command", "Generate a verified revision for each changed section."),
    "publish": ("publication:command", "Open or update the draft pull request with generated migrations."),
    "outdated": ("migrations:outdated_command", "List the migrations that must be regenerated."),
    "check": ("migrations:check_command", "Verify a revision: up and down on rows, against the files."),
    "preview": ("preview:command", "Describe a schema change, without a database."),
    "lint": ("lint:command", "Check revisions for data loss, locks, rewrites and other dangers."),
    "apply": ("apply:command", "Upgrade a database, with checks before and after."),
}


@click.group(name="migrations", cls=LazyGroup, listed=SUBCOMMANDS)
def group() -> None:
    """Generate, check, preview and lint Alembic migrations."""


_label = option("--label", default="consdb: migrate", metavar="NAME", help="Label that requests a migration.")
source_options = together(
    schemas_repository_option,
    option("--pr", metavar="N", help="Number of its pull request."),
    option("--branch", metavar="NAME", help="Branch of it, where there is no pull request."),
    option("--commit", metavar="SHA", help="Newest commit of that branch or pull request."),
    option(
        "--event",
        type=FILE,
        help="Payload of the event that started the workflow (GITHUB_EVENT_PATH), instead of these.",
    ),
    option("--event-name", metavar="NAME", help="Name of that event; GITHUB_EVENT_NAME by default."),
    _label,
    option(
        "--regenerate",
        is_flag=True,
        help="Regenerate it because its inputs changed; closed pull requests stay closed.",
    ),
)


def asked_for(
    number: str | None,
    branch: str | None,
    commit: str | None,
    event: Path | None,
    event_name: str | None,
    *,
    regenerate: bool = False,
) -> RequestedMigration:
    """Read the request from options, or else from an event."""
    from consdb_actions.adapters.files import read_json
    from consdb_actions.adapters.github.events import asked, asked_of_event
    from consdb_actions.publication.source import REGENERATE

    if number or branch:
        found = asked(number, branch, commit, place="--pr" if number else "--branch")
        return replace(found, action=REGENERATE) if regenerate else found
    if event is None:
        raise InputError(
            "no schema change is given", remedy="Give --pr, or --branch with --commit, or --event."
        )
    name = event_name or os.environ.get("GITHUB_EVENT_NAME", "")
    return asked_of_event(read_json(event), name, place=str(event))


_DIRECTIVE = re.compile(r"[^\n]*\bconsdb:[^\n]{0,500}", re.IGNORECASE)
MAX_DIRECTIVES = 200


@dataclass(frozen=True)
class SourceReport(Public):
    """The schema change of an event; what is for another action is empty."""

    FORMAT: ClassVar[str] = "consdb-actions/migration-source/1"

    action: RequestAction
    reason: str  # as a sentence
    publish: bool  # whether the result may be published; that of a fork's event may not
    repository: str  # of the schemas
    source: str  # owner/name#12, or owner/name@branch
    commit: str  # newest commit of the change
    ticket: str = ""
    message: str = ""  # of the revisions
    merge: str = ""  # commit of the schemas after the change, merged into its base branch
    base: str = ""  # commit of the schemas before the change
    target: str = ""  # newest commit of the target's default branch
    date: str = ""  # of the newest commit
    directives: str = ""  # lines of the pull request's text, and answers in its comments


@click.command(
    "source",
    epilog=examples(
        "migrations source --pr 123",
        "migrations source --branch tickets/DM-12345 --commit 0123abc",
    ),
)
@source_options
@target_option
@format_option()
def source_command(
    repo: str | None,
    pr: str | None,
    branch: str | None,
    commit: str | None,
    event: Path | None,
    event_name: str | None,
    label: str,
    regenerate: bool,
    target: str,
    output_format: str,
) -> int:
    """Determine the schema change of an event, and the requested action. Nothing is changed.

    On a runner these are outputs of the step: action (generate, withdraw, conflict, held or nothing),
    publish, repository and commit. For generate there are also merge and base (the commits of the schemas to
    compare), target (the commit of the migrations to generate on), message, date and directives. The exit
    code is 1 for a conflict that no publishing job will report.
    """
    from consdb_actions.adapters.github.migration_source import (
        TargetRepository,
        config_of,
        date_of,
        read_answers_on,
        read_inputs,
        read_source,
        read_stack,
    )
    from consdb_actions.adapters.runner import Runner
    from consdb_actions.publication.source import Inputs, decide_request, name_migration
    from consdb_actions.report.publication import render_request_markdown

    asked = asked_for(pr, branch, commit, event, event_name, regenerate=regenerate)
    with github_session(variable="CONSDB_SOURCE_TOKEN") as github:
        source = read_source(github, repository_name(repo), asked)
        request = decide_request(asked, source, label, read_stack(github, source, label).holder)
        inputs = read_inputs(github, source) if request.action == "generate" else Inputs(source.commit)
        if inputs.conflict:
            request = replace(request, action="conflict", reason=inputs.conflict)
        report = SourceReport(
            request.action,
            request.reason,
            request.publish,
            source.repository,
            source.reference,
            source.commit,
        )
        if request.action in ("generate", "conflict"):
            there = TargetRepository(github, repository_name(target, option="--target"))
            report = replace(report, target=there.tip(there.default_branch()))
        if request.action == "generate":
            patterns = config_of(github, source).ticket_patterns
            names = name_migration(source.branch, source.title, patterns, place=source.reference)
            report = replace(
                report,
                ticket=names.ticket,
                message=names.message,
                merge=inputs.merge,
                base=inputs.base,
                date=date_of(github, source),
                directives=_directives(source, read_answers_on(github, source)),
            )
    outputs = {
        name: str(value).lower() if isinstance(value, bool) else value for name, value in vars(report).items()
    }
    present(
        output_format,
        report,
        lambda: f"{source.reference} at {source.commit[:12]}: {request.action}. {request.reason}",
        render_request_markdown(request.reason),
        outputs,
    )
    runner = Runner.from_environ(os.environ)
    runner.annotation("notice", request.reason, title=f"Migration: {request.action}")
    return 1 if request.action == "conflict" and not request.publish else 0


def _directives(source: SchemaSource, answers: Sequence[str]) -> str:
    """Return the ``consdb:`` lines of a pull request's text, and the answers in comments."""
    found = _DIRECTIVE.findall(source.pull.body if source.pull else "")
    lines = [line.strip() for line in found[:MAX_DIRECTIVES]]
    return "\n".join([*lines, *(f"consdb: {answer}" for answer in answers)])


MOST = 50  # Migrations that one run makes again; the next run makes the rest


@click.command("outdated", epilog=examples("migrations outdated", "migrations outdated --format json"))
@schemas_repository_option
@_label
@target_option
@format_option()
def outdated_command(repo: str | None, label: str, target: str, output_format: str) -> int:
    """List the schema changes whose migration must be regenerated. Nothing is changed.

    That is the case when the default branch of the migrations has another revision of its sections, when
    another change of its schemas was merged, when it has newer commits, or when it can be merged again. On a
    runner the outputs of the step are count, and outdated: a JSON list of pr, branch and commit.
    """
    from consdb_actions.adapters.github.migration_source import TargetRepository, config_of, find_outdated
    from consdb_actions.report.publication import render_outdated_markdown

    with github_session(variable="CONSDB_SOURCE_TOKEN") as github:
        there = TargetRepository(github, repository_name(target, option="--target"))
        found = find_outdated(github, repository_name(repo), there, label)
        patterns = config_of(github, found[0].source).ticket_patterns if found else ()
        # A change without a ticket is left out: its own run reports that.
        found = [item for item in found if _has_ticket(item, patterns)][:MOST]
    data = [
        {
            "pr": str(item.source.pull.number) if item.source.pull else "",
            "branch": "" if item.source.pull else item.source.branch,
            "commit": item.source.commit,
        }
        for item in found
    ]
    lines = [f"{item.source.reference}: {item.reason}" for item in found]
    present(
        output_format,
        data,
        lambda: "\n".join(lines or ["All migrations are up to date."]),
        render_outdated_markdown(lines),
        {"count": str(len(data)), "outdated": json.dumps(data)},
    )
    return 0


def _has_ticket(item: OutdatedMigration, patterns: Sequence[str]) -> bool:
    from consdb_actions.publication.source import name_migration

    try:
        name_migration(item.source.branch, item.source.title, patterns)
    except InputError:
        return False
    return True


@dataclass(frozen=True)
class SectionMatrix(Public):
    """The sections whose schema changes, and the base that they are compared with."""

    FORMAT: ClassVar[str] = "consdb-actions/migration-plan/1"

    changed: bool
    sections: tuple[str, ...]
    matrix: dict[str, tuple[dict[str, str], ...]]  # for the strategy of a job
    base: str  # empty if there is none
    base_problem: str  # why there is no base


@click.command("plan", epilog=examples("migrations plan --consdb ../consdb --sdm-schemas ."))
@consdb_option
@schemas_option
@base_option
@sections_option
@format_option()
def plan_command(
    consdb: Path,
    sdm_schemas: Path,
    sdm_schemas_base: str | None,
    sections: tuple[str, ...],
    output_format: str,
) -> int:
    """Print the sections whose schema changes, as a matrix for jobs. No database is needed.

    On a runner the outputs are changed, and sections: a JSON list, to be used as
    matrix: {section: ${{ fromJSON(needs.plan.outputs.sections) }}}.
    """
    from consdb_actions.adapters.schema_sources import resolve_base
    from consdb_actions.adapters.tree import changed_sections, read_tree
    from consdb_actions.report.markdown import bullets, code, prose

    tree = read_tree(consdb)
    base = resolve_base(sdm_schemas, sdm_schemas_base, consdb=tree.root)
    found = changed_sections(tree, sdm_schemas, base, sections)
    names = tuple(section.name for section in found)
    rows = tuple({"section": section.name, "schema": section.schema} for section in found)
    if base.problem:
        compared = f"There is no base to compare with: {base.problem}. {base.remedy}".strip()
    else:
        compared = f"Compared with {base.label}."
    listed = bullets(f"{code(s.name)} ({code(s.schema)})" for s in found) or "No schema changes."
    if output_format == "text":
        click.echo(compared, err=True)
    present(
        output_format,
        SectionMatrix(bool(found), names, {"include": rows}, base.label, base.problem),
        lambda: "\n".join(f"{s.name}  {s.schema}" for s in found) or "No schema changes.",
        f"### Sections whose schema changes\n\n{prose(compared)}\n\n{listed}\n",
        {"changed": str(bool(found)).lower(), "sections": json.dumps(names)},
    )
    return 0


@click.command(
    "generate",
    epilog=examples(
        'migrations generate --consdb ../consdb --sdm-schemas . --message "DM-12345 wind" --dry-run',
        'migrations generate --consdb ../consdb --sdm-schemas . --message "DM-12345" --rename exposure.a=b',
    ),
)
@consdb_option
@schemas_option
@base_option
@sections_option
@option("--message", required=True, metavar="TEXT", help="Message of the revisions.")
@option(
    "--rename",
    "renames",
    multiple=True,
    metavar="TABLE.OLD=NEW",
    help="Rename of a column or table; TABLE.OLD= confirms a drop. May be repeated.",
)
@option("--renames-file", type=FILE, help="File with one such declaration a line.")
@option("--pull-request-body", type=FILE, help="Text with lines `consdb: rename TABLE.OLD=NEW`.")
@option("--fill", "fills", multiple=True, metavar="TABLE.COLUMN=VALUE", help="Value for rows without one.")
@option(
    "--no-fill",
    "no_fills",
    multiple=True,
    metavar="TABLE.COLUMN",
    help="State that no row lacks a value of this column.",
)
@option(
    "--on-question",
    type=click.Choice(["fail", "drop-add"]),
    default="fail",
    help="Stop at unanswered questions, or drop and add.",
)
@option(
    "--rev-id-from",
    type=click.Choice(["inputs", "random"]),
    default="inputs",
    help="Make revision ids from the inputs, so that a rerun gives the same files, or at random.",
)
@option("--date", metavar="ISO", help="Create date of the revisions; now by default.")
@option(
    "--database-url", metavar="URL", help="Server to use for scratch databases, instead of one of our own."
)
@config_option
@option(
    "--take",
    "takes",
    multiple=True,
    nargs=2,
    metavar="head|current ELEMENT",
    help="Which side a conflict is resolved to, such as `--take head exposure.airmass`. May be repeated.",
)
@option(
    "--drift",
    type=click.Choice(["report", "include", "only"]),
    default="report",
    help="What to do with differences that the change did not make: list them, generate them too, or "
    "generate them alone.",
)
@report_option
@summary_option
@option(
    "--result",
    type=FOLDER,
    metavar="DIRECTORY",
    help="Write the report and copies of the new revisions there, for migrations publish.",
)
@option(
    "--jobs",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Sections to work on at a time; 0, the default, is one for each processor.",
)
@format_option()
@option("--dry-run", is_flag=True, help="Do everything except writing the revisions.")
def generate_command(
    consdb: Path,
    sdm_schemas: Path,
    sdm_schemas_base: str | None,
    sections: tuple[str, ...],
    message: str,
    renames: tuple[str, ...],
    renames_file: Path | None,
    pull_request_body: Path | None,
    fills: tuple[str, ...],
    no_fills: tuple[str, ...],
    on_question: str,
    rev_id_from: str,
    date: str | None,
    database_url: str | None,
    config: Path | None,
    takes: tuple[tuple[str, str], ...],
    drift: DriftMode,
    report: Path | None,
    summary: Path | None,
    result: Path | None,
    jobs: int,
    output_format: str,
    dry_run: bool,
) -> int:
    """Generate a verified Alembic revision for each section whose schema changes.

    A section is the part of the Alembic tree that belongs to one schema. Its history is replayed on a scratch
    Postgres, and the change between the schema files becomes a revision, which is run up and down before it
    is written. Differences that the change did not make are listed as drift. Exit code 1 means that a
    question is unanswered or a check failed; then nothing is written.
    """
    if not message.strip():
        raise InputError(
            "the message is empty", place="--message", remedy="Describe the change in a few words."
        )
    if any("\ud800" <= letter <= "\udfff" for letter in message):
        raise InputError(
            "the message is not UTF-8", place="--message", remedy="Check the terminal's encoding."
        )
    with early_server(consdb, wanted=database_url is None and sdm_schemas.is_dir()) as prestarted:
        from consdb_actions.adapters.autogenerate.run import GenerationRequest, generate
        from consdb_actions.adapters.files import check_targets
        from consdb_actions.adapters.result_directory import REPORT
        from consdb_actions.adapters.schema_sources import resolve_base
        from consdb_actions.adapters.tree import read_tree
        from consdb_actions.adapters.typed_files import load_config
        from consdb_actions.report.generation import headline, render_markdown, render_text

        handed = result / REPORT if result is not None else None
        check_targets(path for path in (report, summary, handed) if path is not None)

        def reports(outcome: RunOutcome) -> dict[Path, str]:
            files = {path: _json(outcome) for path in (report, handed) if path is not None}
            if summary is not None:
                files[summary] = render_markdown(outcome)
            if result is not None and outcome.written:
                files |= {result / section.path: section.source for section in outcome.changed}
            return files

        with progress_display(output_format) as progress:
            outcome = generate(
                GenerationRequest(
                    tree=read_tree(consdb),
                    schemas=sdm_schemas,
                    config=load_config(config),
                    message=message,
                    base=resolve_base(sdm_schemas, sdm_schemas_base, consdb=consdb),
                    sections=sections,
                    declared=_declarations(renames, takes, renames_file, pull_request_body),
                    fills=_fills(fills, no_fills),
                    on_question="fail" if on_question == "fail" else "drop-add",
                    revision_from="inputs" if rev_id_from == "inputs" else "random",
                    created=parse_moment(date, "--date"),
                    database_url=database_url,
                    drift=drift,
                    write=not dry_run,
                    jobs=jobs,
                    prestarted=prestarted,
                    reports=reports,
                ),
                progress,
            )
    outputs = {
        "changed": str(outcome.verdict == "changed").lower(),
        "verdict": outcome.verdict,
        "files": "\n".join(s.path for s in outcome.changed if outcome.written),
    }
    shown = render_markdown(outcome)
    present(output_format, outcome, lambda: render_text(outcome, consdb), shown, outputs, headline(outcome))
    return 0 if outcome.verdict in ("changed", "unchanged") else 1


def _json(outcome: RunOutcome) -> str:
    return json.dumps(as_json(outcome), indent=2, ensure_ascii=False) + "\n"


def _declarations(
    renames: tuple[str, ...], takes: tuple[tuple[str, str], ...], file: Path | None, body: Path | None
) -> Declarations:
    from consdb_actions.adapters.files import read_text
    from consdb_actions.migration.matching.declarations import (
        Declarations,
        parse_declaration,
        parse_directives,
        parse_sidecar,
        parse_take,
    )

    declared: list[Declaration] = [parse_declaration(text, "option") for text in renames]
    declared += [parse_take(" ".join(take), "option") for take in takes]
    if body is not None:
        declared += parse_directives(read_text(body), place=str(body))
    if file is not None:
        declared += parse_sidecar(read_text(file), place=str(file))
    return Declarations.of(declared)


def _fills(fills: tuple[str, ...], no_fills: tuple[str, ...]) -> dict[tuple[str, str], str | None]:
    out: dict[tuple[str, str], str | None] = {}
    for place, texts, form, like in (
        ("--fill", fills, "TABLE.COLUMN=VALUE", "exposure.airmass=1.0"),
        ("--no-fill", no_fills, "TABLE.COLUMN", "exposure.airmass"),
    ):
        for text in texts:
            name, equals, value = text.partition("=")
            table, dot, column = name.partition(".")
            if not (table and dot and column) or bool(equals) != (place == "--fill"):
                raise InputError(
                    f"{text!r} is not of the form {form}", place=place, remedy=f"Write it like {like}."
                )
            out[table, column] = value if equals else None
    return out


@click.command(
    "check",
    epilog=examples(
        "migrations check --consdb . --sdm-schemas ../sdm_schemas --section latiss",
        "migrations check --consdb . --sdm-schemas ../sdm_schemas --section latiss --revision 0123abc",
    ),
)
@consdb_option
@schemas_option
@sections_option
@base_option
@option("--revision", metavar="ID|FILE", help="Which revision; the head by default. Needs one --section.")
@option(
    "--rename", "renames", multiple=True, metavar="TABLE.OLD=NEW", help="What the revision renames or moves."
)
@option(
    "--database-url",
    metavar="URL",
    help="A copy of a site's database: the revision is verified on a copy of it too, with its own rows. "
    "It is not changed. Of an empty one, only the server is used.",
)
@option("--any-head", is_flag=True, help="Accept --database-url at any revision.")
@config_option
@report_option
@summary_option
@format_option()
def check_command(
    consdb: Path,
    sdm_schemas: Path,
    sections: tuple[str, ...],
    sdm_schemas_base: str | None,
    revision: str | None,
    renames: tuple[str, ...],
    database_url: str | None,
    any_head: bool,
    config: Path | None,
    report: Path | None,
    summary: Path | None,
    output_format: str,
) -> int:
    """Verify a revision that is in the tree: written by hand, edited, or generated.

    The history before it is replayed on a scratch Postgres, every table gets rows, and the revision runs up
    and down. The upgrade must make the change of the schema files and nothing else, the downgrade must
    restore the catalog, the rows must keep their values, and a second generation must find nothing. Exit code
    1 if a check fails. Differences that existed before the revision are listed as drift and do not fail.

    With --database-url the revision also runs on a copy of that database, which must be at the revision
    before it. Differences between the database and its replayed history are reported.
    """
    if revision is not None and len(sections) != 1:
        raise InputError(
            "a revision belongs to one section", place="--revision", remedy="Give one --section."
        )
    with early_server(consdb, wanted=database_url is None and sdm_schemas.is_dir()) as prestarted:
        from consdb_actions.adapters.autogenerate.check import (
            Given,
            ancestors_of,
            check_revision,
            find_revision,
            look_at,
        )
        from consdb_actions.adapters.autogenerate.engine import Engine, SectionRequest
        from consdb_actions.adapters.autogenerate.run import base_notes, read_base, replay_histories
        from consdb_actions.adapters.felis import validate
        from consdb_actions.adapters.files import check_targets, write_all
        from consdb_actions.adapters.pool import processors, run_in_pool
        from consdb_actions.adapters.postgres import scratch_server
        from consdb_actions.adapters.schema_sources import RawFile, resolve_base
        from consdb_actions.adapters.schema_yaml import find_schema_file
        from consdb_actions.adapters.tree import read_tree
        from consdb_actions.adapters.typed_files import load_config
        from consdb_actions.migration.matching.declarations import Declarations, parse_declaration
        from consdb_actions.migration.outcome import RunOutcome
        from consdb_actions.migration.rename import check_used
        from consdb_actions.migration.verification import use_of
        from consdb_actions.report.generation import render_markdown, render_text

        check_targets(path for path in (report, summary) if path is not None)
        tree = read_tree(consdb)
        base = resolve_base(sdm_schemas, sdm_schemas_base, consdb=consdb)
        settings = load_config(config)
        declared = Declarations.of(parse_declaration(text, "option") for text in renames)
        works: list[Work] = []
        finished: list[SectionOutcome] = []
        with progress_display(output_format) as progress, tree.importable() as shadow:
            named = [tree.section(name) for name in sections]
            for section in dict.fromkeys(named or [s for s in tree.sections if s.head()]):
                script = find_revision(section, revision)
                path = find_schema_file(section.schema, sdm_schemas=sdm_schemas, consdb=tree.root)
                file = RawFile.on_disk(section.schema, path)
                read = file.read(expect_name=section.schema)
                before_change = read_base(base, section, file, read)
                given = None
                if database_url:
                    state = look_at(database_url, section)
                    before = str(script.down_revision) if script.down_revision else None
                    use = use_of(
                        state,
                        section=section.name,
                        revision=script.revision,
                        before=before,
                        named=bool(sections),
                        any_head=any_head,
                    )
                    if use == "done":
                        finished.append(_done(section, script, read))
                        continue
                    if use == "copy":
                        given = Given(state.database, state.is_at(before))
                works.append((section, script, path, read, before_change, given))
            checked: list[GeneratedSection] = []
            info = None
            if works:
                with scratch_server(database_url=database_url, prestarted=prestarted) as server:
                    histories = [(section, ancestors_of(section, script)) for section, script, *_ in works]
                    replayed = replay_histories(server, histories if prestarted else [])

                    def check(work: Work, tell: Callable[[str, str], None]) -> GeneratedSection:
                        section, script, path, read, before_change, given = work
                        engine = Engine(server, shadow, tree, settings, tell, replayed=replayed)
                        request = SectionRequest(section, validate(read), path, before_change, declared)
                        merged = before_change is not None and before_change.schema == read.schema
                        return check_revision(engine, request, script, given, merged=merged)

                    # A database is copied by one process at a time.
                    checked = run_in_pool(check, works, 1 if database_url else processors(), progress)
                    check_used(declared, [c.sides for c in checked])
                    info = server.info
    outcome = RunOutcome(
        (*finished, *(c.outcome for c in checked)),
        "check",
        f"Postgres {info.version} ({info.source})" if info else "",
        info.pgsphere if info else "",
        notes=base_notes(base),
        base=base.label,
    )
    markdown = render_markdown(outcome, checked=True)
    wanted = {report: _json(outcome), summary: markdown}
    write_all({path: text for path, text in wanted.items() if path is not None}, overwrite=True)
    present(output_format, outcome, lambda: render_text(outcome), markdown, {"verdict": outcome.verdict})
    return 1 if outcome.verdict == "failed" else 0


def _done(section: Section, script: Script, read: ReadSchema) -> SectionOutcome:
    """Report a section whose database already has the revision."""
    from consdb_actions.migration.outcome import SectionOutcome

    return SectionOutcome(
        section.name,
        section.schema,
        "unchanged",
        version=read.schema.version or "",
        revision=script.revision,
        down_revision=str(script.down_revision or ""),
        notes=("the database already has this revision; nothing to verify",),
    )
