"""What several commands share: options with their environment variables, and the connection to GitHub."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from consdb_actions.commands.terminal import fold, verbosity_options
from consdb_actions.errors import ConsdbActionsError, InputError

if TYPE_CHECKING:
    from consdb_actions.adapters.github import GitHub
    from consdb_actions.adapters.postgres_server import StartingServer
    from consdb_actions.config import Config

FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)

FORMATS = ("text", "json", "markdown")

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class LazyGroup(click.Group):
    """A group that imports a command's module when it is first needed, so that ``--help`` stays fast.

    ``listed`` has for each command its place, as ``module:attribute``, and its help.
    """

    def __init__(self, *args: Any, listed: Mapping[str, tuple[str, str]], **values: Any) -> None:
        super().__init__(*args, **values)
        self._listed = listed

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(self._listed)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; None if there is none of that name."""
        if cmd_name not in self._listed:
            return None
        module, _, attribute = self._listed[cmd_name][0].partition(":")
        command: click.Command = getattr(
            importlib.import_module(f"consdb_actions.commands.{module}"), attribute
        )
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self._listed.items()])


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


def _config(context: click.Context) -> Config:
    from consdb_actions.adapters.typed_files import load_config

    return load_config(context.params.get("config"))


# Options whose values are in the tree or the configuration, for completion in a shell.
_VALUES: dict[str, Callable[[click.Context], list[str]]] = {
    "--section": _sections,
    "--site": lambda context: [site.id for site in _config(context).sites.databases],
    "--stage": lambda context: [stage.name for stage in _config(context).deploy.stages],
    "--env": lambda context: list(_config(context).deploy.environments),
}


def option(*names: str, **values: Any) -> Decorator:
    """Declare an option with an environment variable, ``CONSDB_`` and its name; its default is shown."""
    long = next(name for name in names if name.startswith("--"))
    name = long.removeprefix("--").split("/")[0]
    values.setdefault(
        "show_default", bool(isinstance(default := values.get("default"), str | int) and default)
    )
    if long in _VALUES:
        values = {"shell_complete": _complete, **values}
    return click.option(*names, envvar=f"CONSDB_{name.replace('-', '_').upper()}", show_envvar=True, **values)


def together(*options: Decorator) -> Decorator:
    """Combine options, in the order of the help."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for one in reversed(options):
            command = one(command)
        return command

    return add


consdb_option = option(
    "--consdb", type=FOLDER, required=True, help="Checkout of lsst-dm/consdb, or a tree of that shape."
)
schemas_option = option(
    "--sdm-schemas", type=FOLDER, required=True, help="Checkout of lsst/sdm_schemas, or a folder of YAML."
)
schemas_repository_option = option(
    "--repo", metavar="OWNER/NAME", default="lsst/sdm_schemas", help="Repository of the schemas."
)
target_option = option(
    "--target", metavar="OWNER/NAME", default="lsst-dm/consdb", help="Repository of the migrations."
)
base_option = option(
    "--sdm-schemas-base",
    metavar="DIR|REV",
    help="The same before the change: a directory, or a git revision of that checkout. By default the "
    "merge base of HEAD and the default branch.",
)
sections_option = option(
    "--section",
    "sections",
    multiple=True,
    metavar="NAME",
    help="Only this section, by its name or schema; may be repeated.",
)
config_option = option("--config", type=FILE, help="Configuration; .github/consdb-actions.yaml by default.")
report_option = option("--report", type=FILE, metavar="FILE.json", help="Write the report as JSON.")
summary_option = option("--summary", type=FILE, metavar="FILE.md", help="Write the report as Markdown.")
registry_option = option(
    "--registry-url", metavar="URL", help="Registry to use for all images, instead of their own."
)
environment_schemas_option = option(
    "--sdm-schemas",
    type=FOLDER,
    help="Checkout of lsst/sdm_schemas, for an env.py that requires SDM_SCHEMAS_DIR.",
)
ranges_options = together(
    option(
        "--section",
        "sections",
        multiple=True,
        metavar="NAME[:FROM..TO]",
        help="Section, with its start and target revision; may be repeated.",
    ),
    option(
        "--revision",
        "revisions",
        multiple=True,
        metavar="ID|FILE",
        help="A revision to apply; may be repeated.",
    ),
    option(
        "--since",
        metavar="GITREV",
        help="Apply revisions that are not in this branch, tag or commit; the default branch by default.",
    ),
)
fail_on_option = option(
    "--fail-on",
    type=click.Choice(["error", "warning", "never"]),
    default="error",
    help="When to exit with 1: on errors, on warnings as well, or never. An open question is an error. "
    "Acknowledged findings do not count.",
)


def fails(fail_on: str, errors: int, warnings: int) -> int:
    """Return the exit code for ``--fail-on``."""
    return int({"error": errors, "warning": errors + warnings, "never": 0}[fail_on] > 0)


@contextmanager
def early_server(consdb: Path, *, wanted: bool = True) -> Iterator[StartingServer | None]:
    """Start a scratch server for a tree, while the rest is imported; that takes as long."""
    from consdb_actions.adapters.postgres_server import prestarted_server

    with prestarted_server() if wanted and (consdb / "alembic.ini").is_file() else nullcontext() as server:
        yield server


def max_calls_option(default: int = 2000) -> Decorator:
    """Declare ``--max-calls``."""
    return option(
        "--max-calls", type=click.IntRange(min=1), default=default, help="Maximum number of calls to GitHub."
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


pull_options = together(
    option("--repo", metavar="OWNER/NAME", help="Repository; GITHUB_REPOSITORY by default."),
    option("--pr", type=PullNumber(), metavar="N", help="Number of the pull request."),
    option("--config", type=FILE, help="Configuration to use instead of the one on the base branch."),
    option("--now", metavar="ISO", help="Time at which designations are evaluated; now by default."),
    option("--dump-facts", type=FILE, help="Write the facts to this file, for status --facts."),
    max_calls_option(),
    format_option(),
)

facts_option = option(
    "--facts",
    type=FILE,
    help="Replay facts that --dump-facts wrote; nothing else is read, and no token is needed.",
)


event_options = together(
    option(
        "--event",
        type=FILE,
        help="Payload of the event that started the workflow (GITHUB_EVENT_PATH), which selects the pull "
        "requests.",
    ),
    option("--event-name", help="Name of that event; GITHUB_EVENT_NAME by default."),
    option("--dry-run", is_flag=True, help="Print the changes without making them."),
)


def checked_config(path: Path | None) -> Config:
    """Read the configuration; refuse a severity of a rule that neither preview nor lint has."""
    from consdb_actions.adapters.typed_files import load_config
    from consdb_actions.adapters.yaml_tree import did_you_mean
    from consdb_actions.schema.findings import RULES

    config = load_config(path)
    if all(rule in RULES for rule in config.severities):
        return config
    from consdb_actions.lint.rules import RULES as LINT_RULES

    known = [*RULES, *(rule.id for rule in LINT_RULES)]
    for rule in config.severities:
        if rule not in known:
            raise InputError(
                f"lint.severity.{rule}: there is no such rule",
                place=config.source,
                remedy=did_you_mean(rule, known) or "The rules of preview and lint are listed in the docs.",
            )
    return config


_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}", re.ASCII)


def repository_name(name: str | None, *, option: str = "--repo") -> str:
    """Check a repository's name, which becomes part of addresses; None: GITHUB_REPOSITORY."""
    name = name or os.environ.get("GITHUB_REPOSITORY", "")
    if not _REPOSITORY.fullmatch(name) or name.partition("/")[2] in (".", ".."):
        raise InputError(
            f'"{name[:150]}" is not a repository' if name else "no repository is given",
            place=option,
            remedy=f"Give {option} OWNER/NAME, such as lsst/sdm_schemas.",
        )
    return name


def account_name(name: str, option: str) -> str:
    """Check the name of an organization or an app, which becomes part of addresses."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,98}", name, re.ASCII):
        raise InputError(
            f'"{name[:150]}" is not a name on GitHub',
            place=option,
            remedy="Give it as it stands in addresses, with letters, digits and dashes.",
        )
    return name


def commit_id(text: str, option: str) -> str:
    """Check the full id of a commit."""
    if not re.fullmatch(r"[0-9a-f]{40}", text, re.ASCII):
        raise InputError(
            f'"{text[:100]}" is not a full commit id',
            place=option,
            remedy="Give all of its 40 hexadecimal digits, in lower case.",
        )
    return text


def moment_or_now(text: str | None, name: str = "--now") -> datetime:
    """Parse a time in ISO 8601, in UTC without a zone; None: now."""
    return parse_moment(text, name) or datetime.now(UTC)


@contextmanager
def github_session(limit: int = 2000, variable: str = "GITHUB_TOKEN") -> Iterator[GitHub]:
    """Connect with GITHUB_TOKEN to GITHUB_API_URL, and print the number of calls at the end."""
    from consdb_actions.adapters.github import connect
    from consdb_actions.adapters.github.client import DEFAULT_API, expected_form

    token = os.environ.get(variable, "").strip() or os.environ.get("GITHUB_TOKEN", "")
    github = connect(token, os.environ.get("GITHUB_API_URL") or DEFAULT_API, limit=limit)
    try:
        with expected_form(github.budget):
            yield github
    finally:
        if github.budget.calls:
            click.echo(str(github.budget), err=True)
        github.close()
