"""``consdb-actions migrations generate``."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from consdb_actions.adapters.postgres_ahead import server_ahead
from consdb_actions.commands.options import examples, format_option, option
from consdb_actions.errors import InputError

__all__ = ["command"]

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
    help="The same before the change: a directory, or a git revision of that checkout. By default where "
    "HEAD left the default branch.",
)
@option("--section", "sections", multiple=True, metavar="NAME", help="Only this section; may be repeated.")
@option("--message", required=True, metavar="TEXT", help="Message of the revisions.")
@option(
    "--rename",
    "renames",
    multiple=True,
    metavar="TABLE.OLD=NEW",
    help="What a column or table became; TABLE.OLD= says that it is really dropped. May be repeated.",
)
@option("--renames-file", type=_FILE, help="File with one such declaration a line.")
@option("--pull-request-body", type=_FILE, help="Text with lines `consdb: rename TABLE.OLD=NEW`.")
@option("--fill", "fills", multiple=True, metavar="TABLE.COLUMN=VALUE", help="Value for rows that have none.")
@option(
    "--no-fill",
    "no_fills",
    multiple=True,
    metavar="TABLE.COLUMN",
    help="No row lacks a value of this column.",
)
@option(
    "--on-question",
    type=click.Choice(["fail", "drop-add"]),
    default="fail",
    show_default=True,
    help="Stop at what the schemas do not say, or take it as drop and add.",
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
@option("--dry-run", is_flag=True, help="Do everything but write the revisions.")
def command(consdb: Path, sdm_schemas: Path, message: str, database_url: str | None, **options: Any) -> int:
    """Make a verified Alembic revision for each section whose schema changes.

    A section is the part of the Alembic tree that belongs to one schema. Its history is replayed on a scratch
    Postgres, and the change between the schema files becomes a revision, which is run up and down before it
    is written. Differences that the change did not make are listed as drift. Exit code 1 means that a
    question is open or a check failed; nothing is written then.
    """
    if not message.strip():
        raise InputError(
            "the message is empty", place="--message", remedy="Say what changes, in a few words."
        )
    if any("\ud800" <= letter <= "\udfff" for letter in message):
        raise InputError(
            "the message is not UTF-8", place="--message", remedy="Check the terminal's encoding."
        )
    with ExitStack() as stack:
        likely = database_url is None and (consdb / "alembic.ini").is_file() and sdm_schemas.is_dir()
        ahead = stack.enter_context(server_ahead()) if likely else None
        # Imported only now: it takes as long as the server to start.
        from consdb_actions.commands.generate_run import run

        return run(
            ahead=ahead,
            consdb=consdb,
            sdm_schemas=sdm_schemas,
            message=message,
            database_url=database_url,
            **options,
        )
