"""Rule M16: run a revision as an operator does, through the tree's own ``env.py`` and the alembic command."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import psycopg
import sqlalchemy as sa
import yaml
from alembic.config import CommandLine

from consdb_actions.adapters.files import temporary_directory
from consdb_actions.adapters.tree import Section, Tree
from consdb_actions.migration.outcome import Check

__all__ = ["TreeCopy", "copied_tree"]

_WORDS = "`alembic -n {section} upgrade head` and `downgrade -1` run through the tree's own env.py"


@dataclass(frozen=True)
class TreeCopy:
    """A copy of what the alembic command needs of a tree, for one revision of each of its sections.

    Processes can share it, as long as each has sections of its own.
    """

    tree: Tree
    directory: Path

    def run(self, section: Section, revision: tuple[str, str], url: sa.URL, schema_file: Path) -> Check:
        """Run the operator's two commands, with this revision (name and text of its file) as the newest.

        The check is neither true nor false, and its words say why, where the revision was not tried: an
        ``env.py`` fails before it reaches it, or columns that were dropped when the revision ran before leave
        no room for so many new ones (Postgres counts them on, up to 1,600 in a table).
        """
        words = _WORDS.format(section=section.name)
        folder = self.directory / "schemas" / section.name / "yml"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(schema_file, folder / f"{section.schema}.yaml")
        environment = {**_address(url), "SDM_SCHEMAS_DIR": str(folder.parent)}
        self._place(section, *revision)
        for arguments in (["upgrade", "head"], ["downgrade", "-1"]):
            problem = _command(self.directory, section, arguments, environment)
            if problem is not None:
                kind, text = problem
                if kind == "environment":
                    words = f"the tree's own env.py fails before any revision: {text}"
                    return Check("operator", None, words)
                if kind == "room":
                    words = f"{words}: not tried, as so many columns fit into a table only once: {text}"
                    return Check("operator", None, words)
                return Check("operator", False, words, (f"alembic {' '.join(arguments)}: {text}",))
        return Check("operator", True, words)

    def _place(self, section: Section, name: str, source: str) -> None:
        """Put a revision in the copy, and take away those after it."""
        versions = self.directory / section.versions.relative_to(self.tree.root)
        versions.mkdir(exist_ok=True)
        (versions / name).write_text(source, encoding="utf-8")
        history = [Path(script.path).name for script in section.revisions()]
        for later in history[history.index(name) + 1 :] if name in history else ():
            (versions / later).unlink()


@contextlib.contextmanager
def copied_tree(tree: Tree) -> Iterator[TreeCopy]:
    """Copy a tree; the copy is removed when the block ends.

    Links are kept as links, so that an ``env.py`` that finds its neighbours through them still does.
    """
    with temporary_directory() as directory:
        # Alembic reads a % in its own folder's name as the start of an interpolation.
        ini = tree.ini.read_text(encoding="utf-8").replace("%(here)s", str(directory).replace("%", "%%"))
        (directory / tree.ini.name).write_text(ini, encoding="utf-8")
        tops = {section.location.relative_to(tree.root).parts[0] for section in tree.sections}
        for folder in sorted(tops | {"python"}):
            if (tree.root / folder).is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "*.pyc", ".git")
                shutil.copytree(tree.root / folder, directory / folder, symlinks=True, ignore=ignored)
        yield TreeCopy(tree, directory)


def _command(
    directory: Path, section: Section, arguments: Sequence[str], environment: dict[str, str]
) -> tuple[Literal["environment", "revision", "room"], str] | None:
    """Run one command in this process; return what went wrong: where, and in words."""
    output = io.StringIO()
    argv = ["-c", str(directory / "alembic.ini"), "-n", section.name, *arguments]
    with (
        _sandbox(directory, environment),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(output),
    ):
        try:
            _command_line().main(argv=argv)
        except SystemExit as error:
            if error.code in (0, None):
                return None
            return "revision", _last_line(output.getvalue()) or f"exit {error.code}"
        except Exception as error:
            words = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
            if isinstance(getattr(error, "orig", None), psycopg.errors.TooManyColumns):
                return "room", words
            return "revision" if _in_revision(error) else "environment", words
    return None


@cache
def _command_line() -> CommandLine:
    """Make alembic's command line once: its parser takes a quarter of the time of a command."""
    return CommandLine(prog="alembic")


def _in_revision(error: BaseException) -> bool:
    """Whether an error came out of a revision file rather than out of the tree's environment."""
    trace = error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename).parent.name == "versions":
            return True
        trace = trace.tb_next
    return isinstance(error, sa.exc.SQLAlchemyError)


@contextlib.contextmanager
def _sandbox(directory: Path, environment: dict[str, str]) -> Iterator[None]:
    """Undo what an ``env.py`` does to the process: logging, paths, modules, environment, directory."""
    saved = dict(os.environ)
    cwd, path, modules = Path.cwd(), list(sys.path), set(sys.modules)
    levels = {n: logging.getLogger(n).level for n in ("", "sqlalchemy.engine", "alembic")}
    root = logging.getLogger()
    handlers = list(root.handlers)
    disabled = logging.root.manager.disable
    loader = yaml.SafeLoader
    # consdb's env.py loads the whole schema file each time: in C, by the same rules, ten times faster.
    yaml.SafeLoader = getattr(yaml, "CSafeLoader", loader)  # type: ignore[misc]
    os.environ.update(environment)
    os.chdir(directory)
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        yaml.SafeLoader = loader  # type: ignore[misc]
        logging.disable(disabled)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(saved)
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if name == "env_py" or name.startswith("lsst.consdb"):
                del sys.modules[name]
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        root.handlers[:] = handlers
        for logger in logging.root.manager.loggerDict.values():
            if isinstance(logger, logging.Logger):
                logger.disabled = False


def _address(url: sa.URL) -> dict[str, str]:
    """Return the variables that name a database.

    An ``env.py`` may put the URL into an ini file, which takes a percent sign for an interpolation, or hand
    it to SQLAlchemy as it is. Both are right where it has none: what would need one goes past it to libpq.
    """
    variables = {}
    parts: dict[str, Any] = {}
    for part, variable in (("username", "PGUSER"), ("password", "PGPASSWORD"), ("database", "PGDATABASE")):
        value = getattr(url, part)
        if value is not None and not re.fullmatch(r"[\w.-]*", value, re.ASCII):
            variables[variable] = str(value)
        else:
            parts[part] = value
    plain = sa.URL.create(url.drivername, host=url.host, port=url.port, query=url.query, **parts)
    text = plain.render_as_string(hide_password=False)
    return {"CONSDB_URL": text.replace("%2F", "/"), **variables}


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""
