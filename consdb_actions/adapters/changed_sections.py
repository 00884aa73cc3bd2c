"""Find the sections that a change of schema files affects, without a database."""

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
    """Return the sections that ``migrations generate`` would process, in ini order.

    Without a known base, every section with a schema file is returned; `names` (or schemas) restrict the
    result. Raises `InputError` for a missing folder or section and an invalid schema file.
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
