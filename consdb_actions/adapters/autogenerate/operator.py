"""Run a revision with the alembic command and the tree's ``env.py`` (rule M16)."""

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
from consdb_actions.migration.outcome import VerificationCheck

_CHECK_TEXT = "`alembic -n {section} upgrade head` and `downgrade -1` run through the tree's own env.py"


@dataclass(frozen=True)
class TreeCopy:
    """A copy of the tree; processes can share it for different sections."""

    tree: Tree
    directory: Path

    def run(
        self, section: Section, revision: tuple[str, str], url: sa.URL, schema_file: Path
    ) -> VerificationCheck:
        """Run ``upgrade`` and ``downgrade`` with this revision (file name, text) as head.

        The check is neutral, with the reason, where ``env.py`` fails before the revision runs, or where
        dropped columns exhaust Postgres's limit of 1,600 in a table.
        """
        message = _CHECK_TEXT.format(section=section.name)
        folder = self.directory / "schemas" / section.name / "yml"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(schema_file, folder / f"{section.schema}.yaml")
        environment = {**_database_variables(url), "SDM_SCHEMAS_DIR": str(folder.parent)}
        self._write_revision(section, *revision)
        for arguments in (["upgrade", "head"], ["downgrade", "-1"]):
            problem = _command(self.directory, section, arguments, environment)
            if problem is not None:
                kind, text = problem
                if kind == "environment":
                    message = f"the tree's own env.py fails before any revision: {text}"
                    return VerificationCheck("operator", None, message)
                if kind == "room":
                    message = f"{message}: not tried, as so many columns fit into a table only once: {text}"
                    return VerificationCheck("operator", None, message)
                return VerificationCheck(
                    "operator", False, message, (f"alembic {' '.join(arguments)}: {text}",)
                )
        return VerificationCheck("operator", True, message)

    def _write_revision(self, section: Section, name: str, source: str) -> None:
        versions = self.directory / section.versions.relative_to(self.tree.root)
        versions.mkdir(exist_ok=True)
        (versions / name).write_text(source, encoding="utf-8")
        history = [Path(script.path).name for script in section.revisions()]
        for later in history[history.index(name) + 1 :] if name in history else ():
            (versions / later).unlink()


@contextlib.contextmanager
def copied_tree(tree: Tree) -> Iterator[TreeCopy]:
    """Copy a tree, with its symbolic links as links, and remove the copy at the end."""
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
            text = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
            if isinstance(getattr(error, "orig", None), psycopg.errors.TooManyColumns):
                return "room", text
            return "revision" if _in_revision(error) else "environment", text
    return None


@cache
def _command_line() -> CommandLine:
    """Return alembic's command line; making its parser takes a quarter of a command."""
    return CommandLine(prog="alembic")


def _in_revision(error: BaseException) -> bool:
    trace = error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename).parent.name == "versions":
            return True
        trace = trace.tb_next
    return isinstance(error, sa.exc.SQLAlchemyError)


@contextlib.contextmanager
def _sandbox(directory: Path, environment: dict[str, str]) -> Iterator[None]:
    saved = dict(os.environ)
    cwd, path, modules = Path.cwd(), list(sys.path), set(sys.modules)
    levels = {n: logging.getLogger(n).level for n in ("", "sqlalchemy.engine", "alembic")}
    root = logging.getLogger()
    handlers = list(root.handlers)
    disabled = logging.root.manager.disable
    loader = yaml.SafeLoader
    # consdb's env.py loads the whole schema file each time; the C loader is ten times faster.
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


def _database_variables(url: sa.URL) -> dict[str, str]:
    """Return the variables for a database.

    An ``env.py`` may put the URL into an ini file (where ``%`` interpolates) or pass it to SQLAlchemy; parts
    that need encoding therefore go to libpq in variables.
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
