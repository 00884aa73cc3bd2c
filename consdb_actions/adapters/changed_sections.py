"""Which sections of a tree a change of schema files is about, told without a database."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from consdb_actions.adapters.schema_base import SchemaBase
from consdb_actions.adapters.schema_files import find_schema_file
from consdb_actions.adapters.schema_yaml import read_file
from consdb_actions.adapters.tree import Section, Tree
from consdb_actions.errors import InputError
from consdb_actions.schema.digest import Digest, digest_schema

__all__ = ["changed_sections"]


def changed_sections(
    tree: Tree, schemas: Path, base: SchemaBase, names: Sequence[str] = ()
) -> tuple[Section, ...]:
    """Return the sections that ``migrations generate`` would look at, in the order of the ini file.

    Parameters
    ----------
    tree
        The Alembic tree.
    schemas, base
        The schema files after and before the change. Where nothing is known of those before, every section
        that has a file is returned.
    names
        Only these sections, by name or schema.

    Raises
    ------
    InputError
        A folder or a section does not exist, or a schema file cannot be read.
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
    """Return the digest of a section's schema before the change; None where it cannot be read."""
    before = base.read(section.schema)
    try:
        return digest_schema(before.read(expect_name=section.schema).schema) if before else None
    except InputError:
        return None
