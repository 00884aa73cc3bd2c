"""The command line and its one error boundary (rule F3).

Command modules are imported only when their group is used, so that ``--help`` stays fast.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
import traceback
from collections.abc import Sequence

import click

from consdb_actions.commands.options import LazyGroup
from consdb_actions.errors import ConsdbActionsError, ExternalError

GROUPS = {
    "init": ("adoption:init", "Write the caller workflows of a repository."),
    "doctor": ("adoption:doctor", "Check whether adoption is complete."),
    "migrations": ("migrations:group", "Generate, check, preview and lint Alembic migrations."),
    "approvals": ("approvals:group", "Show and publish who has approved a schema change."),
    "release": ("release:group", "Name and tag releases."),
    "deploy": ("deploy:group", "Deploy releases, and show what runs where."),
    "process": ("process:group", "Show the steps of schema changes, and what to do next."),
}

_EXHAUSTED = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM)

ISSUES = "https://github.com/lsst-dm/consdb-actions/issues"


@click.group(
    cls=LazyGroup,
    listed=GROUPS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExamples:\n  consdb-actions migrations preview main...\n"
    "  consdb-actions deploy drift --phalanx ../phalanx --consdb ../consdb",
)
@click.version_option(package_name="consdb-actions")
def cli() -> None:
    """Take a ConsDB schema change from a pull request to a verified migration and its deployment.

    Every option can also be given as an environment variable, CONSDB_ and the option's name. Completion in
    bash: eval "$(_CONSDB_ACTIONS_COMPLETE=bash_source consdb-actions)"; likewise zsh_source and fish_source.
    """


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code, which docs/commands.md explains."""
    # A run makes much and throws little away; to look for that so often takes a tenth of its time.
    gc.set_threshold(100_000, 20, 20)
    from consdb_actions.adapters.runner import quoted_streams, remember_secrets

    remember_secrets(os.environ)
    with quoted_streams(on_runner=os.environ.get("GITHUB_ACTIONS") == "true"):
        return _run(args)


def _run(args: Sequence[str] | None) -> int:
    try:
        outcome = cli.main(args=args, prog_name="consdb-actions", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("Interrupted; nothing was left behind.", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return 2
    except ConsdbActionsError as error:
        return _expected(error)
    except OSError as error:
        if error.errno not in _EXHAUSTED:
            return _bug(error)
        return _expected(
            ExternalError(
                f"the operating system cannot go on: {error.strerror}",
                place=str(error.filename or ""),
                remedy="Free some space or memory (TMPDIR says where temporary files go), and run again.",
            )
        )
    except Exception as error:
        return _bug(error)
    return outcome if isinstance(outcome, int) else 0


def _expected(error: ConsdbActionsError) -> int:
    from consdb_actions.adapters.runner import Runner
    from consdb_actions.commands.terminal import show_error

    if error.__cause__ is not None:
        _trace()
    show_error(error, Runner.from_environ(os.environ))
    return error.exit_code


def _bug(error: Exception) -> int:
    from consdb_actions.adapters.runner import Runner
    from consdb_actions.commands.terminal import show_bug

    _trace()
    show_bug(error, ISSUES, Runner.from_environ(os.environ))
    return 4


def _trace() -> None:
    """Show where an error came from to whoever asks; the exit code stays the same."""
    if os.environ.get("CONSDB_DEBUG"):
        click.echo(traceback.format_exc(), err=True)


if __name__ == "__main__":
    sys.exit(main())
