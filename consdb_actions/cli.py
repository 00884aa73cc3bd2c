"""The command line and its one error boundary (rule F3).

Command modules are imported only when their group is used, so that ``--help`` stays fast.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Sequence

import click

from consdb_actions.errors import ConsdbActionsError

__all__ = ["cli", "main"]

GROUPS = {
    "init": "Write the caller workflows of a repository.",
    "doctor": "Say whether adoption is complete.",
    "migrations": "Generate, check, preview and lint Alembic migrations.",
    "approvals": "Show and publish who has approved a schema change.",
    "release": "Name and tag releases.",
    "deploy": "Deploy releases, and show what runs where.",
    "process": "Show where schema changes stand, and what to do next.",
}

ISSUES = "https://github.com/lsst-dm/consdb-actions/issues"


class LazyGroup(click.Group):
    """A click group that imports a command module when it is first needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all groups."""
        return list(GROUPS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one group or command, or None when there is none of that name."""
        if cmd_name not in GROUPS:
            return None
        module = importlib.import_module(f"consdb_actions.commands.{cmd_name}")
        command: click.Command = getattr(module, "group", None) or module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of groups without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(GROUPS.items()))


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="consdb-actions")
def cli() -> None:
    """Take a ConsDB schema change from a pull request to a proven migration and its deployment.

    Every option can also be given as an environment variable, CONSDB_ and the option's name.
    """


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and turn every outcome into an exit code.

    Parameters
    ----------
    args
        Arguments without the program's name; those of the process by default.

    Returns
    -------
    int
        0 done, 1 a check failed or a question is open, 2 usage or configuration, 3 an external service
        failed, 4 a bug of ours, 5 a database was changed and the run did not end as planned, 130
        interrupted.
    """
    # A run makes much and throws little away; to look for that so often takes a tenth of its time.
    gc.set_threshold(100_000, 20, 20)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        from consdb_actions.adapters.runner import quoted_streams

        with quoted_streams():
            return _run(args)
    return _run(args)


def _run(args: Sequence[str] | None) -> int:
    """Run the command line behind the error boundary."""
    try:
        outcome = cli.main(args=args, prog_name="consdb-actions", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("Interrupted; nothing was left behind.", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return 2
    except ConsdbActionsError as error:
        from consdb_actions.adapters.runner import Runner
        from consdb_actions.report.errors import show_error

        show_error(error, Runner.from_environ(os.environ))
        return error.exit_code
    except Exception as error:
        if os.environ.get("CONSDB_DEBUG"):
            raise
        from consdb_actions.adapters.runner import Runner
        from consdb_actions.report.errors import show_bug

        show_bug(error, ISSUES, Runner.from_environ(os.environ))
        return 4
    return outcome if isinstance(outcome, int) else 0


if __name__ == "__main__":
    sys.exit(main())
