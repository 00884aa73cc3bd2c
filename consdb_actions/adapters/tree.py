"""Read the Alembic tree of consdb."""

from __future__ import annotations

import importlib.util
import sys
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from sqlalchemy.dialects.postgresql.base import ischema_names

from consdb_actions.adapters.schema_sources import SchemaBase
from consdb_actions.adapters.schema_yaml import find_schema_file, read_file
from consdb_actions.adapters.shell import TerminationSignal
from consdb_actions.adapters.yaml_tree import raised_in, said
from consdb_actions.errors import InputError
from consdb_actions.schema.delta import Digest, digest_schema

_PGSPHERE = "lsst.consdb.cdb_pgsphere"

_OPTIONS = ("consdb.schema_name", "script_location")


class _ForeignSpoly(sa.types.UserDefinedType[str]):
    """Compares ``spoly`` where the tree has no type of its own."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "SPOLY"


@dataclass(frozen=True)
class Shadow:
    """The contents of a tree's ``cdb_pgsphere`` module."""

    type_: type[sa.types.TypeEngine[Any]]  # SQLAlchemy type for pgSphere's ``spoly``
    add: Callable[[sa.MetaData], None]
    """Adds the shadow column ``pgs_region`` to each table that has ``s_region``."""
    import_line: str = f"from {_PGSPHERE} import SPoly"


@dataclass(frozen=True)
class Section:
    """One section of the ini file: one schema with its own revisions."""

    name: str
    schema: str
    config: Config
    location: Path

    @property
    def version_table(self) -> str:
        """Name of the version table."""
        return f"{self.schema}_version"

    @property
    def version_schema(self) -> str:
        """Schema of the version table: ``cdb`` or ``efd``, by the schema's prefix."""
        return "efd" if self.schema.startswith("efd") else "cdb"

    @property
    def versions(self) -> Path:
        """Directory of the revision files."""
        return self.location / "versions"

    @cached_property
    def scripts(self) -> ScriptDirectory:
        """The revisions, parsed when first used; InputError if a file is invalid."""
        try:
            with warnings.catch_warnings():
                # Alembic only warns of these, and continues with an incomplete history.
                for pattern in (r"Revision \S+ is present more than once", r"Revision \S+ referenced from"):
                    warnings.filterwarnings("error", pattern, UserWarning)
                scripts = ScriptDirectory.from_config(self.config)
                scripts.get_heads()
        except TerminationSignal:
            raise
        except (Exception, SystemExit) as error:  # a revision is a program, and can fail in any way
            raise InputError(
                f"the revisions of section {self.name} cannot be read: {said(error)}",
                place=raised_in(error, self.versions),
                remedy=f"Fix or remove that revision; `alembic -n {self.name} history` shows the same.",
            ) from error
        return scripts

    def head(self) -> Script | None:
        """Return the head, None without revisions; InputError for several heads (rule M12)."""
        heads = self.scripts.get_heads()
        if len(heads) > 1:
            raise InputError(
                f"section {self.name} has {len(heads)} heads: {', '.join(sorted(heads))}",
                place=str(self.versions),
                remedy="Merge them first: rebase the newer revision on the other by editing its "
                f"down_revision, or run `alembic -n {self.name} merge heads`.",
            )
        return self.scripts.get_revision(heads[0]) if heads else None

    def revisions(self) -> list[Script]:
        """Return all revisions, oldest first."""
        return list(reversed(list(self.scripts.walk_revisions())))


@dataclass(frozen=True)
class Tree:
    """An Alembic tree; sections are in the ini file's order."""

    root: Path
    ini: Path
    sections: tuple[Section, ...]

    def section(self, name: str) -> Section:
        """Return the section of that name or schema, or raise InputError."""
        for section in self.sections:
            if name in {section.name, section.schema}:
                return section
        raise InputError(
            f"there is no section {name!r}",
            place=str(self.ini),
            remedy="Sections of this tree: " + ", ".join(s.name for s in self.sections) + ".",
        )

    @contextmanager
    def importable(self) -> Iterator[Shadow | None]:
        """Make the tree's modules importable for the block, and yield its pgSphere support if any."""
        python = self.root / "python"
        source = python.joinpath(*_PGSPHERE.split(".")).with_suffix(".py")
        before = set(sys.modules)
        path = list(sys.path)
        writes_bytecode = sys.dont_write_bytecode
        previous_type = ischema_names.get("spoly")
        sys.path.insert(0, str(self.root))
        # Loading a revision must not leave a __pycache__ in the tree.
        sys.dont_write_bytecode = True
        shadow: Shadow | None = None
        try:
            if source.is_file():
                module = _load(source)
                shadow = Shadow(type_=module.SPoly, add=module.add_shadow_column)
            ischema_names["spoly"] = shadow.type_ if shadow else _ForeignSpoly
            yield shadow
        finally:
            sys.path[:] = path
            sys.dont_write_bytecode = writes_bytecode
            for name in set(sys.modules) - before:
                if name == "lsst.consdb" or name.startswith("lsst.consdb."):
                    del sys.modules[name]
            if previous_type is None:
                ischema_names.pop("spoly", None)
            else:
                ischema_names["spoly"] = previous_type


def _load(source: Path) -> Any:
    """Import ``cdb_pgsphere`` from its file, without the rest of its package."""
    for name in ("lsst", "lsst.consdb"):
        if name not in sys.modules and importlib.util.find_spec(name.split(".")[0]) is None:
            sys.modules[name] = types.ModuleType(name)
    package = types.ModuleType("lsst.consdb")
    package.__path__ = [str(source.parent)]
    sys.modules["lsst.consdb"] = package
    spec = importlib.util.spec_from_file_location(_PGSPHERE, source)
    if spec is None or spec.loader is None:
        raise InputError("this file cannot be imported", place=str(source))
    module = importlib.util.module_from_spec(spec)
    sys.modules[_PGSPHERE] = module
    try:
        spec.loader.exec_module(module)
        _ = module.SPoly, module.add_shadow_column
    except Exception as error:
        raise InputError(
            f"importing it failed: {type(error).__name__}: {error}",
            place=str(source),
            remedy="The shadow column comes from this module; it must define SPoly and add_shadow_column.",
        ) from error
    return module


def read_tree(root: Path) -> Tree:
    """Read ``alembic.ini`` in a directory: all sections with a ``script_location`` and a schema name."""
    if not root.is_dir():
        raise InputError(
            "this is not a directory" if root.exists() else "there is no such directory",
            place=str(root),
            remedy="Give the path of a checkout of lsst-dm/consdb, or of a tree of that shape.",
        )
    ini = root / "alembic.ini"
    if not ini.is_file():
        raise InputError(
            "this is not a consdb tree: it has no alembic.ini",
            place=str(root),
            remedy="Give the folder that holds alembic.ini with --consdb.",
        )
    root = root.resolve()
    ini = root / "alembic.ini"
    try:
        parsed = Config(str(ini)).file_config
        # What Alembic puts there is read for interpolations of its own.
        parsed.set("DEFAULT", "here", str(root).replace("%", "%%"))
        # One option at a time: a logging format elsewhere in the file is not a valid interpolation.
        options = {
            name: [parsed.get(name, option, fallback=None) for option in _OPTIONS]
            for name in parsed.sections()
            if name != "DEFAULT"
        }
    except Exception as error:  # configparser has many ways to say no
        line = getattr(error, "lineno", None)
        raise InputError(
            f"this is not an ini file that can be read: {str(error).splitlines()[0]}",
            place=f"{ini}:{line}" if line else str(ini),
            remedy="Compare it with alembic.ini of lsst-dm/consdb: sections in brackets, `name = value`.",
        ) from error
    sections = []
    for name, (schema, location) in options.items():
        if not schema or not location:
            continue
        config = Config(str(ini), ini_section=name)
        config.file_config = parsed  # which it would read once more for every section
        absolute = (root / location).resolve()
        if not absolute.is_dir():
            raise InputError(
                f"section {name} names a missing script_location: {location}",
                place=str(ini),
                remedy="Create the folder with a versions/ folder and a script.py.mako in it, or remove "
                "the section.",
            )
        # % would be read as an interpolation when Alembic reads the option.
        config.set_main_option("script_location", str(absolute).replace("%", "%%"))
        sections.append(Section(name, schema, config, absolute))
    if not sections:
        raise InputError(
            "this is not a consdb tree: no section has both script_location and consdb.schema_name",
            place=str(ini),
            remedy="Add a section per schema, as lsst-dm/consdb has them.",
        )
    return Tree(root, ini, tuple(sections))


def changed_sections(
    tree: Tree, schemas: Path, base: SchemaBase, names: Sequence[str] = ()
) -> tuple[Section, ...]:
    """Return the sections that ``migrations generate`` would process, in ini order.

    Without a known base, every section with a schema file is returned; `names` (or schemas) restrict the
    result.
    """
    wanted = {tree.section(name).name for name in names}
    found = []
    for section in tree.sections:
        if wanted and section.name not in wanted:
            continue
        try:
            path = find_schema_file(section.schema, sdm_schemas=schemas, consdb=tree.root)
        except InputError:
            continue
        after = digest_schema(read_file(path, expect_name=section.schema).schema)
        if after != _digest_before(base, section):
            found.append(section)
    return tuple(found)


def _digest_before(base: SchemaBase, section: Section) -> Digest | None:
    """Return the digest of a section's schema in the base; None if unreadable."""
    before = base.read(section.schema)
    try:
        return digest_schema(before.read(expect_name=section.schema).schema) if before else None
    except InputError:
        return None
