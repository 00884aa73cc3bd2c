"""Felis's metadata builder, with fixes for expression indexes and CHECK (rule M13)."""

from __future__ import annotations

import re
from typing import Any

from felis import datamodel
from felis.metadata import MetaDataBuilder
from sqlalchemy import CheckConstraint, Constraint, Index, MetaData, text
from sqlalchemy.sql.elements import TextClause

__all__ = ["build_metadata"]

_COLON = re.compile(r"(?<![:\\]):(?=\w)")


def build_metadata(schema: datamodel.Schema[Any]) -> MetaData:
    """Return metadata with all tables in the Felis schema's name."""
    return _Builder(schema).build()


class _Builder(MetaDataBuilder):
    def build_constraint(self, constraint_obj: datamodel.Constraint) -> Constraint:
        """Build a constraint; the expression of a CHECK has no parameters."""
        constraint: Constraint = super().build_constraint(constraint_obj)
        if isinstance(constraint, CheckConstraint) and isinstance(constraint_obj, datamodel.CheckConstraint):
            constraint.sqltext = _literal(constraint_obj.expression)
        return constraint

    def build_index(self, index_obj: datamodel.Index) -> Index:
        """Build an index; expressions are SQL."""
        if not index_obj.expressions:
            index: Index = super().build_index(index_obj)
            return index
        return Index(index_obj.name, *(_literal(f"({expression})") for expression in index_obj.expressions))


def _literal(sql: str) -> TextClause:
    return text(_COLON.sub(r"\:", sql))
