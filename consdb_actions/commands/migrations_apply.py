"""``consdb-actions migrations apply``: what an operator runs at a test stand or a site."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from consdb_actions.commands.options import examples, format_option, option
from consdb_actions.errors import InputError
from consdb_actions.process.apply_facts import ACCEPTABLE

if TYPE_CHECKING:
    from consdb_actions.process.apply_outcome import ApplyOutcome

__all__ = ["command"]

_DIRECTORY = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(
    name="apply",
    epilog=examples(
        "migrations apply --site bts --section latiss --dry-run",
        "migrations apply --site bts --section latiss:0123abc..4567def --evidence bts.json",
    ),
)
@option(
    "--database-url",
    metavar="URL",
    help="The database; that of --site by default, or CONSDB_URL. Leave the password to ~/.pgpass.",
)
@option("--site", metavar="NAME", help="Which site this is, such as bts, summit or usdf.")
@option(
    "--section",
    "sections",
    multiple=True,
    required=True,
    metavar="NAME[:FROM..TO]",
    help="Section, with the revision at which it must be and the one to reach; may be repeated, in order.",
)
@option("--to", metavar="REV", help="The revision to reach, with one --section; the head by default.")
@option("--downgrade", is_flag=True, help="Go back; needs --to, or the way of each --section.")
@option(
    "--consdb",
    type=_DIRECTORY,
    default=Path(),
    show_default="the current folder",
    help="Checkout of lsst-dm/consdb, or a tree of that shape.",
)
@option(
    "--sdm-schemas",
    type=_DIRECTORY,
    help="Checkout of lsst/sdm_schemas, for an env.py that asks for SDM_SCHEMAS_DIR.",
)
@option("--dry-run", is_flag=True, help="Show the plan, the checks and the SQL, and change nothing.")
@option(
    "--ahead",
    is_flag=True,
    help="A dry run before anything is switched off: what later steps bring about is named, not refused.",
)
@option("--yes", is_flag=True, help="Do not ask.")
@option(
    "--accept",
    multiple=True,
    type=click.Choice(ACCEPTABLE),
    help="Go on against this check; the evidence says so. May be repeated.",
)
@option(
    "--lock-timeout",
    metavar="TIME",
    help="How long to wait for a lock, below deadlock_timeout; 500ms by default.",
)
@option("--statement-timeout", metavar="TIME", help="How long a statement may take; 15min by default.")
@option(
    "--retries",
    type=click.IntRange(0, 100),
    default=5,
    show_default=True,
    help="How often to try again when a lock is not granted.",
)
@option(
    "--replay/--no-replay",
    default=True,
    show_default=True,
    help="Compare the database with what its history leaves on a scratch server.",
)
@option("--evidence", type=_FILE, metavar="FILE.json", help="Write what was found and done to this file.")
@option("--config", type=_FILE, help="Configuration; .github/consdb-actions.yaml by default.")
@format_option()
def command(
    database_url: str | None,
    site: str | None,
    sections: tuple[str, ...],
    to: str | None,
    downgrade: bool,
    consdb: Path,
    sdm_schemas: Path | None,
    dry_run: bool,
    ahead: bool,
    yes: bool,
    accept: tuple[str, ...],
    lock_timeout: str | None,
    statement_timeout: str | None,
    retries: int,
    replay: bool,
    evidence: Path | None,
    config: Path | None,
    output_format: str,
) -> int:
    """Upgrade a database, with checks before and after.

    It looks at the database and the tree, shows the plan and the SQL, asks, runs alembic through the tree's
    own env.py with time-outs, tries again when a lock is not granted, and compares the result with what the
    history leaves on a fresh database. All locks are taken at once, without a wait while any is held, so that
    no writer is aborted. The first doubt stops it with exit code 1, and nothing is changed. Exit code 5 says
    that the database was changed, and the run did not end as planned. At its end it says how to go back.
    """
    from consdb_actions.adapters.files import check_targets, write_all
    from consdb_actions.adapters.runner import Runner
    from consdb_actions.commands.apply_plan import carry_out, make_plan, make_request
    from consdb_actions.commands.terminal import paint, progress_display
    from consdb_actions.report.apply import render_comment, render_json, render_plan, render_result, where

    dry_run = dry_run or ahead
    check_targets([evidence] if evidence else [])
    request = make_request(
        database_url=database_url,
        site=site,
        consdb=consdb,
        schemas=sdm_schemas,
        config=config,
        sections=sections,
        to=to,
        direction="downgrade" if downgrade else "upgrade",
        lock_timeout=lock_timeout,
        statement_timeout=statement_timeout,
        retries=retries,
        accepted=frozenset(accept),
        replay=replay,
        ahead=ahead,
    )
    if not (yes or dry_run) and not sys.stdin.isatty():
        raise InputError(
            "there is no terminal to ask on",
            place="--yes",
            remedy="Say --yes to apply without a question, or --dry-run to look only.",
        )
    if database_url and request.url.password and not os.environ.get("CONSDB_DATABASE_URL"):
        click.echo(
            "Warning: other users of this machine can see a password that stands on the command line. "
            "Use ~/.pgpass, PGPASSWORD or CONSDB_URL.",
            err=True,
        )

    # A word of a revision at the start of a line must not be taken for a command of a runner.
    runner = Runner.from_environ(os.environ)

    def record(outcome: ApplyOutcome) -> None:
        if evidence is not None:
            text = json.dumps(render_json(outcome), indent=2, ensure_ascii=False) + "\n"
            write_all({evidence: text}, overwrite=True)

    def show(outcome: ApplyOutcome) -> None:
        if output_format == "json":
            click.echo(json.dumps(render_json(outcome), indent=2, ensure_ascii=False))
        elif output_format == "markdown":
            click.echo(render_comment(outcome), nl=False)
        else:
            click.echo(runner.inert(render_result(outcome, paint)))

    with progress_display(quiet=output_format == "json") as progress:
        planned = make_plan(request, progress)
    outcome = planned.outcome
    click.echo(runner.inert(render_plan(outcome, paint)) + "\n", err=output_format != "text")
    if outcome.result != "planned" or dry_run:
        record(outcome)
        show(outcome)
        return 1 if outcome.result == "refused" else 0
    if not yes and not click.confirm(f"Apply this to {where(outcome)}?", err=True):
        from dataclasses import replace

        outcome = replace(outcome, result="declined")
        record(outcome)
        show(outcome)
        return 1
    # No spinner here: what is said meanwhile must stay.
    outcome = carry_out(
        request,
        planned,
        lambda section, what: click.echo(f"{section}: {what}", err=True),
        lambda words: click.echo(words, err=True),
        record,
    )
    show(outcome)
    if evidence is not None and output_format == "text":
        click.echo(f"\nEvidence: {evidence}")
    return outcome.exit_code
