"""Options, checks and progress that several commands share."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from consdb_actions.adapters.github import GitHub, GitHubError, connect
from consdb_actions.adapters.github.client import DEFAULT_API, RateLimitError, expected_form
from consdb_actions.adapters.problems import did_you_mean
from consdb_actions.adapters.runner import Runner
from consdb_actions.commands.terminal import fold, verbosity_options
from consdb_actions.config import Config
from consdb_actions.errors import ConsdbActionsError, ExternalError, InputError
from consdb_actions.schema.findings import RULES

__all__ = [
    "FORMATS",
    "LazyGroup",
    "PullNumber",
    "check_rules",
    "examples",
    "format_option",
    "github_session",
    "look_at_each",
    "moment_or_now",
    "option",
    "parse_moment",
    "repository_name",
]

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
        """Import and return one command, or None when there is none of that name."""
        if cmd_name not in self._listed:
            return None
        name = f"{self._prefix}{cmd_name.replace('-', '_')}"
        module = importlib.import_module(f"consdb_actions.commands.{name}")
        command: click.Command = getattr(module, "group", None) or module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._listed.items()))


def examples(*lines: str) -> str:
    """Write the last part of a command's help; each line is what comes after ``consdb-actions``."""
    folded = (fold(f"  consdb-actions {line}", 74).replace("\n", " \\\n") for line in lines)
    return "\n".join(["\b", "Examples:", *folded])


def _complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the values of an option that begin as typed; what cannot be read has none."""
    try:
        return [value for value in _VALUES[parameter.opts[-1]](context) if value.startswith(incomplete)]
    except (ConsdbActionsError, OSError):
        return []


def _sections(context: click.Context) -> list[str]:
    from consdb_actions.adapters.tree import read_tree

    return [section.name for section in read_tree(Path(context.params.get("consdb") or ".")).sections]


def _sites(context: click.Context) -> list[str]:
    from consdb_actions.adapters.config_file import load_config
    from consdb_actions.process.sites import sites_from_mapping

    return [site.id for site in sites_from_mapping(load_config(context.params.get("config")).sites).databases]


def _stages(context: click.Context) -> list[str]:
    from consdb_actions.adapters.config_file import load_config
    from consdb_actions.deploy.model import policy_from_mapping

    policy = policy_from_mapping(load_config(context.params.get("config")).deploy)
    return [stage.name for stage in policy.stages]


def _environments(context: click.Context) -> list[str]:
    from consdb_actions.adapters.config_file import load_config
    from consdb_actions.deploy.model import policy_from_mapping

    return list(policy_from_mapping(load_config(context.params.get("config")).deploy).environments)


_VALUES: dict[str, Callable[[click.Context], list[str]]] = {
    "--section": _sections,
    "--site": _sites,
    "--stage": _stages,
    "--env": _environments,
}

"""Options whose values are in the tree or the configuration, for completion in a shell."""


def option(*names: str, **values: Any) -> Decorator:
    """Declare an option that an environment variable can give as well: ``CONSDB_`` and its name."""
    long = next(name for name in names if name.startswith("--"))
    name = long.removeprefix("--").split("/")[0]
    if long in _VALUES:
        values = {"shell_complete": _complete, **values}
    return click.option(*names, envvar=f"CONSDB_{name.replace('-', '_').upper()}", show_envvar=True, **values)


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
        help="What standard output gets: text for people, stable JSON, or Markdown as for a pull request.",
    )
    return lambda command: add(verbosity_options(command))


def parse_moment(text: str | None, name: str) -> datetime | None:
    """Read a date or a moment in ISO 8601; without a zone it is UTC."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"{text!r} is no date in ISO 8601", place=name, remedy="Write it like 2026-05-14T16:00:00Z."
        ) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


T = TypeVar("T")

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}", re.ASCII)


def repository_name(name: str | None, *, option: str = "--repo") -> str:
    """Check a repository's name, which becomes part of addresses; GITHUB_REPOSITORY where it is None."""
    name = name or os.environ.get("GITHUB_REPOSITORY", "")
    if not _REPOSITORY.fullmatch(name) or name.partition("/")[2] in (".", ".."):
        raise InputError(
            f'"{name[:150]}" is no repository' if name else "no repository is given",
            place=option,
            remedy=f"Give {option} OWNER/NAME, such as lsst/sdm_schemas.",
        )
    return name


def moment_or_now(text: str | None, name: str = "--now") -> datetime:
    """Read a moment in ISO 8601; a moment without a zone is UTC, and none at all is now."""
    return parse_moment(text, name) or datetime.now(UTC)


@contextmanager
def github_session(limit: int = 2000, variable: str = "GITHUB_TOKEN") -> Iterator[GitHub]:
    """Connect with GITHUB_TOKEN to GITHUB_API_URL, and say at the end on standard error what it cost."""
    token = os.environ.get(variable, "").strip() or os.environ.get("GITHUB_TOKEN", "")
    github = connect(token, os.environ.get("GITHUB_API_URL") or DEFAULT_API, limit=limit)
    try:
        with expected_form(github.budget):
            yield github
    finally:
        if github.budget.calls:
            click.echo(str(github.budget), err=True)
        github.close()


def look_at_each(
    github: GitHub, numbers: Sequence[int], look: Callable[[int], T]
) -> tuple[list[T], list[ConsdbActionsError]]:
    """Look at pull requests: one that fails is reported and stops no other (rule A10).

    The errors come with the worst first.
    """
    runner = Runner.from_environ(os.environ)
    results: list[T] = []
    failures: list[ConsdbActionsError] = []
    for number in numbers:
        try:
            with expected_form(github.budget):
                results.append(look(number))
        except ConsdbActionsError as raised:
            error = raised
            if len(numbers) > 1:
                # Nobody gave these numbers: that one is missing is no wrong input.
                error = raised.__cause__ if isinstance(raised.__cause__, GitHubError) else raised
                words = f"Pull request {number} could not be looked at: {error.cause}"
                click.echo(runner.inert(words), err=True)
                runner.annotation("error", words)
            failures.append(error)
            if _concerns_all(error):
                break
    return results, sorted(failures, key=lambda error: error.exit_code, reverse=True)


def _concerns_all(error: ConsdbActionsError) -> bool:
    """Tell whether no further call can succeed: the token is refused, or a limit of calls is reached."""
    if isinstance(error, GitHubError):
        return error.status == 401 or isinstance(error, RateLimitError)
    return isinstance(error, ExternalError)


def check_rules(config: Config) -> None:
    """Refuse a severity of a rule that neither preview nor lint has."""
    unknown = [rule for rule in config.severities if rule not in RULES]
    if not unknown:
        return
    from consdb_actions.lint.rules import RULES as LINT_RULES

    lint = {rule.id for rule in LINT_RULES}
    for rule in unknown:
        if rule not in lint:
            raise InputError(
                f"lint.severity.{rule}: there is no such rule",
                place=config.source,
                remedy=did_you_mean(rule, [*RULES, *lint])
                or "The rules of preview and lint are in the docs.",
            )
