"""Generate Alembic revisions for a schema change."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consdb_actions.commands.options import examples, format_option, option, parse_moment
from consdb_actions.commands.terminal import progress_display, show
from consdb_actions.errors import InputError

if TYPE_CHECKING:
    from consdb_actions.adapters.autogenerate.drafting import DriftMode
    from consdb_actions.adapters.postgres_server import StartingServer
    from consdb_actions.migration.matching.declarations import Declaration, Declarations
    from consdb_actions.migration.outcome import RunOutcome

__all__ = ["command", "run"]

_EXIT = {"changed": 0, "unchanged": 0, "question": 1, "failed": 1}


def run(
    *,
    prestarted: StartingServer | None,
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
    drift: DriftMode,
    takes: tuple[tuple[str, str], ...],
    report: Path | None,
    summary: Path | None,
    result: Path | None,
    jobs: int,
    output_format: str,
    dry_run: bool,
) -> int:
    """Generate for the options of the command; return the exit code."""
    from consdb_actions.adapters.autogenerate.run import GenerationRequest, generate
    from consdb_actions.adapters.files import check_targets
    from consdb_actions.adapters.result_directory import REPORT
    from consdb_actions.adapters.runner import Runner
    from consdb_actions.adapters.schema_sources import resolve_base
    from consdb_actions.adapters.tree import read_tree
    from consdb_actions.adapters.typed_files import load_config
    from consdb_actions.report.generation import headline, render_markdown, render_text

    handed = result / REPORT if result is not None else None
    check_targets(path for path in (report, summary, handed) if path is not None)

    def reports(outcome: RunOutcome) -> dict[Path, str]:
        wanted = {report: _json(outcome), summary: render_markdown(outcome), handed: _json(outcome)}
        copies = outcome.changed if result is not None and outcome.written else ()
        wanted |= {result / section.path: section.source for section in copies if result is not None}
        return {path: text for path, text in wanted.items() if path is not None}

    runner = Runner.from_environ(os.environ)
    with progress_display(quiet=output_format == "json" or runner.on_runner) as progress:
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
    markdown = render_markdown(outcome)
    if output_format == "text":
        show(render_text(outcome, consdb), headline(outcome))
    else:
        click.echo(_json(outcome) if output_format == "json" else markdown, nl=False)
    runner.summary(markdown)
    runner.output("changed", str(outcome.verdict == "changed").lower())
    runner.output("verdict", outcome.verdict)
    runner.output("files", "\n".join(s.path for s in outcome.changed if outcome.written))
    return _EXIT[outcome.verdict]


def _json(outcome: RunOutcome) -> str:
    from consdb_actions.forms import as_json

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
    declared += [parse_take(" ".join(words), "option") for words in takes]
    if body is not None:
        declared += parse_directives(read_text(body), place=str(body))
    if file is not None:
        declared += parse_sidecar(read_text(file), place=str(file))
    return Declarations.of(declared)


def _fills(fills: tuple[str, ...], no_fills: tuple[str, ...]) -> dict[tuple[str, str], str | None]:
    out: dict[tuple[str, str], str | None] = {}
    for option_name, texts in (("--fill", fills), ("--no-fill", no_fills)):
        for text in texts:
            name, equals, value = text.partition("=")
            table, dot, column = name.partition(".")
            if not (table and dot and column) or bool(equals) != (option_name == "--fill"):
                form, like = (
                    ("TABLE.COLUMN=VALUE", "exposure.airmass=1.0")
                    if option_name == "--fill"
                    else ("TABLE.COLUMN", "exposure.airmass")
                )
                raise InputError(
                    f"{text!r} is not of the form {form}", place=option_name, remedy=f"Write it like {like}."
                )
            out[table, column] = value if equals else None
    return out


_DIRECTORY = click.Path(path_type=Path)

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(
    name="generate",
    epilog=examples(
        'migrations generate --consdb ../consdb --sdm-schemas . --message "DM-12345 wind" --dry-run',
        'migrations generate --consdb ../consdb --sdm-schemas . --message "DM-12345" --rename exposure.a=b',
    ),
)
@option(
    "--consdb", type=_DIRECTORY, required=True, help="Checkout of lsst-dm/consdb, or a tree of that shape."
)
@option(
    "--sdm-schemas", type=_DIRECTORY, required=True, help="Checkout of lsst/sdm_schemas, or a folder of YAML."
)
@option(
    "--sdm-schemas-base",
    metavar="DIR|REV",
    help="The same before the change: a directory, or a git revision of that checkout. By default the "
    "merge base of HEAD and the default branch.",
)
@option("--section", "sections", multiple=True, metavar="NAME", help="Only this section; may be repeated.")
@option("--message", required=True, metavar="TEXT", help="Message of the revisions.")
@option(
    "--rename",
    "renames",
    multiple=True,
    metavar="TABLE.OLD=NEW",
    help="Rename of a column or table; TABLE.OLD= confirms a drop. May be repeated.",
)
@option("--renames-file", type=_FILE, help="File with one such declaration a line.")
@option("--pull-request-body", type=_FILE, help="Text with lines `consdb: rename TABLE.OLD=NEW`.")
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
    show_default=True,
    help="Stop at unanswered questions, or drop and add.",
)
@option(
    "--rev-id-from",
    type=click.Choice(["inputs", "random"]),
    default="inputs",
    show_default=True,
    help="Make revision ids from the inputs, so that a rerun gives the same files, or at random.",
)
@option("--date", metavar="ISO", help="Create date of the revisions; now by default.")
@option(
    "--database-url", metavar="URL", help="Server to use for scratch databases, instead of one of our own."
)
@option("--config", type=_FILE, help="Configuration; .github/consdb-actions.yaml by default.")
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
    show_default=True,
    help="What to do with differences that the change did not make: list them, generate them too, or "
    "generate them alone.",
)
@option("--report", type=_FILE, metavar="FILE.json", help="Write the report as JSON.")
@option("--summary", type=_FILE, metavar="FILE.md", help="Write the report as Markdown.")
@option(
    "--result",
    type=_DIRECTORY,
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
def command(consdb: Path, sdm_schemas: Path, message: str, database_url: str | None, **options: Any) -> int:
    """Generate a verified Alembic revision for each section whose schema changes.

    A section is the part of the Alembic tree that belongs to one schema. Its history is replayed on a scratch
    Postgres, and the change between the schema files becomes a revision, which is run up and down before it
    is written. Differences that the change did not make are listed as drift. Exit code 1 means that a
    question is unanswered or a check failed; then nothing is written.
    """
    from consdb_actions.adapters.postgres_server import prestarted_server

    if not message.strip():
        raise InputError(
            "the message is empty", place="--message", remedy="Describe the change in a few words."
        )
    if any("\ud800" <= letter <= "\udfff" for letter in message):
        raise InputError(
            "the message is not UTF-8", place="--message", remedy="Check the terminal's encoding."
        )
    with ExitStack() as stack:
        likely = database_url is None and (consdb / "alembic.ini").is_file() and sdm_schemas.is_dir()
        prestarted = stack.enter_context(prestarted_server()) if likely else None
        # Imported only now: it takes as long as the server to start.

        return run(
            prestarted=prestarted,
            consdb=consdb,
            sdm_schemas=sdm_schemas,
            message=message,
            database_url=database_url,
            **options,
        )
