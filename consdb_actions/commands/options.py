"""Options that several commands share, each with its environment variable."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from consdb_actions.commands.terminal import fold, verbosity_options
from consdb_actions.errors import ConsdbActionsError, InputError

FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)

FORMATS = ("text", "json", "markdown")

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class LazyGroup(click.Group):
    """A group that imports a command's module when it is first needed, so that ``--help`` stays fast.

    ``listed`` has the help of each command by its name; its module begins with ``prefix``.
    """

    def __init__(self, *args: Any, listed: Mapping[str, str], prefix: str = "", **values: Any) -> None:
        super().__init__(*args, **values)
        self._listed, self._prefix = listed, prefix

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(self._listed)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; None if there is none of that name."""
        if cmd_name in self.commands or cmd_name not in self._listed:
            return self.commands.get(cmd_name)
        name = f"{self._prefix}{cmd_name.replace('-', '_')}"
        module = importlib.import_module(f"consdb_actions.commands.{name}")
        command: click.Command = getattr(module, "group", None) or module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._listed.items()))


def examples(*lines: str) -> str:
    """Render examples as the epilog of a command's help, without ``consdb-actions``."""
    folded = (fold(f"  consdb-actions {line}", 74).replace("\n", " \\\n") for line in lines)
    return "\n".join(["\b", "Examples:", *folded])


def _complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the matching values of an option; none if they cannot be read."""
    try:
        return [value for value in _VALUES[parameter.opts[-1]](context) if value.startswith(incomplete)]
    except (ConsdbActionsError, OSError):
        return []


def _sections(context: click.Context) -> list[str]:
    from consdb_actions.adapters.tree import read_tree

    return [section.name for section in read_tree(Path(context.params.get("consdb") or ".")).sections]


def _sites(context: click.Context) -> list[str]:
    from consdb_actions.adapters.typed_files import load_config

    return [site.id for site in load_config(context.params.get("config")).sites.databases]


def _stages(context: click.Context) -> list[str]:
    from consdb_actions.adapters.typed_files import load_config

    return [stage.name for stage in load_config(context.params.get("config")).deploy.stages]


def _environments(context: click.Context) -> list[str]:
    from consdb_actions.adapters.typed_files import load_config

    return list(load_config(context.params.get("config")).deploy.environments)


# Options whose values are in the tree or the configuration, for completion in a shell.
_VALUES: dict[str, Callable[[click.Context], list[str]]] = {
    "--section": _sections,
    "--site": _sites,
    "--stage": _stages,
    "--env": _environments,
}


def option(*names: str, **values: Any) -> Decorator:
    """Declare an option with an environment variable: ``CONSDB_`` and its name."""
    long = next(name for name in names if name.startswith("--"))
    name = long.removeprefix("--").split("/")[0]
    if long in _VALUES:
        values = {"shell_complete": _complete, **values}
    return click.option(*names, envvar=f"CONSDB_{name.replace('-', '_').upper()}", show_envvar=True, **values)


def max_calls_option(default: int = 2000) -> Decorator:
    """Declare ``--max-calls``."""
    return option(
        "--max-calls",
        type=click.IntRange(min=1),
        default=default,
        show_default=True,
        help="Maximum number of calls to GitHub.",
    )


class PullNumber(click.IntRange):
    """Number of a pull request."""

    name = "number of a pull request"

    def __init__(self) -> None:
        super().__init__(min=1)


def format_option() -> Decorator:
    """Declare ``--format``, ``--quiet`` and ``--verbose``."""
    add = option(
        "--format",
        "output_format",
        type=click.Choice(FORMATS),
        default="text",
        show_default=True,
        help="Format of standard output: text, stable JSON, or Markdown for a pull request.",
    )
    return lambda command: add(verbosity_options(command))


def parse_moment(text: str | None, name: str) -> datetime | None:
    """Parse a date or time in ISO 8601, in UTC without a zone."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"{text!r} is not a date in ISO 8601", place=name, remedy="Write it like 2026-05-14T16:00:00Z."
        ) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def pull_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that the commands on the facts of a pull request have."""
    options = (
        option("--repo", metavar="OWNER/NAME", help="Repository; GITHUB_REPOSITORY by default."),
        option("--pr", type=PullNumber(), metavar="N", help="Number of the pull request."),
        option("--config", type=FILE, help="Configuration to use instead of the one on the base branch."),
        option("--now", metavar="ISO", help="Time at which designations are evaluated; now by default."),
        option("--dump-facts", type=FILE, help="Write the facts to this file, for status --facts."),
        max_calls_option(),
        format_option(),
    )
    for add in reversed(options):
        command = add(command)
    return command


facts_option = option(
    "--facts",
    type=FILE,
    help="Replay facts that --dump-facts wrote; nothing else is read, and no token is needed.",
)


def event_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that select pull requests by an event."""
    command = option("--dry-run", is_flag=True, help="Print the changes without making them.")(command)
    command = option("--event-name", help="Name of that event; GITHUB_EVENT_NAME by default.")(command)
    return option(
        "--event",
        type=FILE,
        help="Payload of the event that started the workflow (GITHUB_EVENT_PATH), which selects the pull "
        "requests.",
    )(command)
