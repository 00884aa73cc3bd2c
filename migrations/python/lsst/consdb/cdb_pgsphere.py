"""pgSphere's spherical polygons: their type, and the column that shadows ``s_region``."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.base import ischema_names

__all__ = ["SPoly", "add_shadow_column"]


class SPoly(sa.types.UserDefinedType[str]):
    """A polygon on the sphere, as text on the side of Python."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Return the type's name in SQL."""
        return "SPOLY"

    def bind_expression(self, bindvalue: sa.BindParameter[str]) -> sa.ColumnElement[str]:
        """Have Postgres read the text of a parameter as a polygon."""
        return sa.cast(bindvalue, self)


# A column of this type is then reflected as SPoly, and so can be compared.
ischema_names.setdefault("spoly", SPoly)


def add_shadow_column(metadata: sa.MetaData) -> None:
    """Add ``pgs_region``, which indexes and queries can use, to each table that has ``s_region``.

    Parameters
    ----------
    metadata
        The tables of a schema; changed in place.
    """
    for table in metadata.tables.values():
        if "s_region" in table.columns:
            comment = "The outline s_region as a polygon of pgSphere."
            table.append_column(sa.Column("pgs_region", SPoly(), comment=comment))
