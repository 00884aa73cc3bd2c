"""Alembic's environment for every section of ``alembic.ini``: wiring, and nothing that decides.

Reads two variables. ``CONSDB_URL`` is the database. ``SDM_SCHEMAS_DIR`` is a checkout of sdm_schemas, or a
folder with its files; only ``alembic check`` and ``alembic revision --autogenerate`` need it.
"""

from __future__ import annotations

import logging.config
import os
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from lsst.consdb.cdb_pgsphere import SPoly, add_shadow_column

config = context.config
SCHEMA = config.get_main_option("consdb.schema_name") or ""
VERSION_SCHEMA = "efd" if SCHEMA.startswith("efd_") else "cdb"
VIEWS = {"visit1", "ccdvisit1"}
"""Views of the database that the schema files list as tables."""


def environment_variable(name: str, meaning: str) -> str:
    """Return a variable that must be set."""
    if value := os.environ.get(name):
        return value
    raise SystemExit(f"{name} is not set; it names {meaning}.")


def schema_metadata() -> sa.MetaData:
    """Read the tables that the schema file describes."""
    import yaml
    from felis.datamodel import Schema
    from felis.metadata import MetaDataBuilder

    root = Path(environment_variable("SDM_SCHEMAS_DIR", "the folder with the schema files"))
    for folder in ("python/lsst/sdm/schemas", "yml", "."):
        if (path := root / folder / f"{SCHEMA}.yaml").is_file():
            described = yaml.safe_load(path.read_text(encoding="utf-8"))
            schema: Any = Schema.model_validate(described, context={"id_generation": True})
            metadata: sa.MetaData = MetaDataBuilder(schema).build()
            add_shadow_column(metadata)
            return metadata
    raise SystemExit(f"There is no {SCHEMA}.yaml in {root}.")


def render_item(kind: str, item: Any, autogen_context: Any) -> str | Literal[False]:
    """Write the type of pgSphere with its import."""
    if kind == "type" and isinstance(item, SPoly):
        autogen_context.imports.add("from lsst.consdb.cdb_pgsphere import SPoly")
        return "SPoly()"
    return False


def include_name(name: str | None, kind: str, _parents: Any) -> bool:
    """Look at this section's schema alone."""
    return kind != "schema" or name == SCHEMA


def include_object(_item: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
    """Leave out the tables that are views."""
    return kind != "table" or name not in VIEWS


def compares() -> bool:
    """Whether the command compares the database with the schema file."""
    options = config.cmd_opts
    name = getattr(getattr(options, "cmd", (None,))[0], "__name__", "")
    return name == "check" or bool(getattr(options, "autogenerate", False))


def run(**where: Any) -> None:
    """Run what the command asks for, offline or on a connection."""
    context.configure(
        **where,
        target_metadata=TABLES,
        version_table=f"{SCHEMA}_version",
        version_table_schema=VERSION_SCHEMA,
        include_schemas=True,
        include_name=include_name,
        include_object=include_object,
        render_item=render_item,
    )
    with context.begin_transaction():
        context.run_migrations()


if config.config_file_name is not None:
    logging.config.fileConfig(config.config_file_name, disable_existing_loggers=False)
if not SCHEMA:
    raise SystemExit("Name a section that has a schema: alembic -n SECTION; see alembic.ini.")
URL = sa.make_url(environment_variable("CONSDB_URL", "the database"))
TABLES = schema_metadata() if compares() else None
if context.is_offline_mode():
    run(url=URL, literal_binds=True, dialect_opts={"paramstyle": "named"})
else:
    with sa.create_engine(URL, poolclass=sa.NullPool).connect() as connection:
        run(connection=connection)
