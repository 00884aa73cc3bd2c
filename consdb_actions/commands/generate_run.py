"""What ``consdb-actions migrations generate`` does.

A module of its own, since what it imports takes as long as a Postgres server to start, which the command does
meanwhile.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from consdb_actions.adapters.autogenerate.drafting import DriftMode
from consdb_actions.adapters.autogenerate.run import Request, generate
from consdb_actions.adapters.config_file import load_config
from consdb_actions.adapters.files import check_targets
from consdb_actions.adapters.postgres_ahead import Ahead
from consdb_actions.adapters.result_directory import REPORT
from consdb_actions.adapters.runner import Runner
from consdb_actions.adapters.schema_base import resolve_base
from consdb_actions.adapters.tree import read_tree
from consdb_actions.commands.options import parse_moment
from consdb_actions.commands.terminal import progress_display, show
from consdb_actions.errors import InputError
from consdb_actions.migration.matching.declarations import (
    Declaration,
    Declarations,
    parse_declaration,
    parse_directives,
    parse_sidecar,
    parse_take,
)
from consdb_actions.migration.outcome import RunOutcome
from consdb_actions.report.generation import headline, render_json, render_markdown, render_text

__all__ = ["run"]

_EXIT = {"changed": 0, "unchanged": 0, "question": 1, "failed": 1}


def run(
    *,
    ahead: Ahead | None,
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
    """Generate; the options are those of the command. Returns the exit code."""
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
            Request(
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
                ahead=ahead,
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
    return json.dumps(render_json(outcome), indent=2, ensure_ascii=False) + "\n"


def _declarations(
    renames: tuple[str, ...], takes: tuple[tuple[str, str], ...], file: Path | None, body: Path | None
) -> Declarations:
    declared: list[Declaration] = [parse_declaration(text, "option") for text in renames]
    declared += [parse_take(" ".join(words), "option") for words in takes]
    if body is not None:
        declared += parse_directives(_read(body), place=str(body))
    if file is not None:
        declared += parse_sidecar(_read(file), place=str(file))
    return Declarations.of(declared)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError("there is no such file", place=str(path), remedy="Check the path.") from error
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InputError(
            f"this file cannot be read: {words}", place=str(path), remedy="Give a text file that can be read."
        ) from error


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
