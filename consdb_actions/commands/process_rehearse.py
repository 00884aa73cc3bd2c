"""``consdb-actions process rehearse``."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from consdb_actions.commands.options import format_option, option
from consdb_actions.errors import InputError

__all__ = ["command"]

_DIRECTORY = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)
_POSTGRES = click.Choice(["auto", "system", "embedded"])
_COLOURS: dict[str, dict[str, object]] = {
    "error": {"fg": "red", "bold": True},
    "ok": {"fg": "green"},
    "dim": {"dim": True},
}


@click.command(name="rehearse")
@option(
    "--consdb", type=_DIRECTORY, required=True, help="Checkout of lsst-dm/consdb, or a tree of that shape."
)
@option("--runbook", "runbook_file", type=_FILE, metavar="FILE.md", help="The runbook; made anew by default.")
@option(
    "--section",
    "sections",
    multiple=True,
    metavar="NAME[:FROM..TO]",
    help="Section, with the revisions from which and to which it goes; may be repeated.",
)
@option("--revision", "revisions", multiple=True, metavar="ID|FILE", help="A revision; may be repeated.")
@option(
    "--since",
    metavar="GITREV",
    help="What is new against this branch, tag or commit; the default branch by default.",
)
@option(
    "--act",
    "acts",
    multiple=True,
    type=click.Choice(["cancel", "migrate", "back"]),
    help="What to try: to begin and stop, the migration, the way back. May be repeated; all by default.",
)
@option(
    "--sdm-schemas",
    type=_DIRECTORY,
    help="Checkout of lsst/sdm_schemas, for an env.py that asks for SDM_SCHEMAS_DIR.",
)
@option("--by-hand", is_flag=True, help="Use the commands of alembic that the runbook gives besides.")
@option(
    "--rows",
    type=click.IntRange(1, 50),
    default=8,
    show_default=True,
    help="Rows that each table begins with.",
)
@option(
    "--publisher-postgres", type=_POSTGRES, default="auto", show_default=True, help="Postgres to use there."
)
@option(
    "--replica-postgres", type=_POSTGRES, default="auto", show_default=True, help="Postgres to use there."
)
@option("--config", type=_FILE, help="Configuration; .github/consdb-actions.yaml by default.")
@option("--report", type=_FILE, metavar="FILE.json", help="Write the result as JSON.")
@format_option()
def command(
    consdb: Path,
    runbook_file: Path | None,
    sections: tuple[str, ...],
    revisions: tuple[str, ...],
    since: str | None,
    acts: tuple[str, ...],
    sdm_schemas: Path | None,
    by_hand: bool,
    rows: int,
    publisher_postgres: str,
    replica_postgres: str,
    config: Path | None,
    report: Path | None,
    output_format: str,
) -> int:
    """Carry out a runbook on two servers that replicate, while rows are written.

    Two Postgres servers start, with the tables as they are before, rows, publication and subscription. A
    writer goes on all the time. The steps are those of the runbook's own Markdown: begun and stopped, carried
    out to the end, and taken back. After each, every row must be the same at both sites, and the replication
    must have met no error. Exit code 1 when the runbook does not work. Nothing is left behind.
    """
    from consdb_actions.adapters.files import check_targets, write_all
    from consdb_actions.adapters.rehearsal import rehearse
    from consdb_actions.adapters.runner import Runner
    from consdb_actions.adapters.tree import read_tree
    from consdb_actions.commands.progress import progress_display
    from consdb_actions.commands.runbook_make import chosen_changes, load_sites
    from consdb_actions.process.runbook import make_runbook
    from consdb_actions.process.runbook_steps import read_runbook
    from consdb_actions.report.rehearsal import render_json, render_markdown, render_text
    from consdb_actions.report.runbook import render_markdown as render_runbook

    check_targets([report] if report else [])
    _, sites = load_sites(config)
    tree = read_tree(consdb)
    if runbook_file is not None:
        if sections or revisions or since:
            raise InputError(
                "the runbook says what is applied",
                place="--runbook",
                remedy="Leave --section, --revision and --since away.",
            )
        markdown = _read(runbook_file)
    else:
        changes = chosen_changes(tree, sections, revisions, since)
        markdown = render_runbook(make_runbook(changes, sites, ticket="rehearsal"))
    runner = Runner.from_environ(os.environ)
    with progress_display(quiet=output_format == "json" or runner.on_runner) as progress:
        result = rehearse(
            tree,
            sites,
            read_runbook(markdown),
            rows=rows,
            acts=tuple(name for name in ("cancel", "migrate", "back") if not acts or name in acts),
            by_hand=by_hand,
            schemas=sdm_schemas,
            publisher=publisher_postgres,  # type: ignore[arg-type]
            replica=replica_postgres,  # type: ignore[arg-type]
            progress=progress,
        )
    as_json = json.dumps(render_json(result), indent=2, ensure_ascii=False) + "\n"
    if report is not None:
        write_all({report: as_json}, overwrite=True)
    if output_format == "json":
        click.echo(as_json, nl=False)
    elif output_format == "markdown":
        click.echo(render_markdown(result), nl=False)
    else:
        click.echo(runner.inert(render_text(result, _paint)))
    runner.summary(render_markdown(result))
    return 0 if result.passed else 1


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise InputError(f"the runbook cannot be read: {words}", place=str(path)) from error


def _paint(text: str, kind: str) -> str:
    """Colour a text; click takes the colour away where there is no terminal."""
    return click.style(text, **_COLOURS[kind])  # type: ignore[arg-type]
