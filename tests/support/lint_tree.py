"""A small Alembic tree for lint."""

from __future__ import annotations

import textwrap
from pathlib import Path

__all__ = ["FIRST", "LintTree"]

_INI = """\
[DEFAULT]
path_separator = os

[demo]
script_location = alembic/demo
consdb.schema_name = cdb_demo

[efd_demo]
script_location = alembic/efd_demo
consdb.schema_name = efd_demo
"""

_REVISION = '''\
"""{words}"""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {down!r}


def upgrade() -> None:
{upgrade}


def downgrade() -> None:
{downgrade}
'''

FIRST = (
    """
    op.create_table(
        "exposure",
        sa.Column("exposure_id", sa.BIGINT(), nullable=False),
        sa.Column("band", sa.VARCHAR(32)),
        sa.Column("note", sa.TEXT(), comment="100% of what was noted: :all of it"),
        sa.PrimaryKeyConstraint("exposure_id"),
        schema="cdb_demo",
    )
    op.execute("GRANT SELECT ON cdb_demo.exposure TO usdf, oods")
    """,
    """
    op.drop_table("exposure", schema="cdb_demo")
    """,
)
"""Upgrade of the section's first revision."""


class LintTree:
    """A new tree with the sections ``demo`` and ``efd_demo``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for section in ("demo", "efd_demo"):
            (root / "alembic" / section / "versions").mkdir(parents=True)
        (root / "alembic.ini").write_text(_INI)

    def add(
        self,
        revision: str,
        down: str | tuple[str, ...] | None = None,
        upgrade: str = "pass",
        downgrade: str = "pass",
        *,
        section: str = "demo",
        words: str = "A change.",
    ) -> Path:
        """Write a revision; the first line of its upgrade is line 11."""
        path = self.root / "alembic" / section / "versions" / f"{revision}_change.py"
        path.write_text(
            _REVISION.format(
                words=words,
                revision=revision,
                down=down,
                upgrade=_body(upgrade),
                downgrade=_body(downgrade),
            ),
            encoding="utf-8",
        )
        return path

    def first(self) -> Path:
        """Write the first revision of the section ``demo``."""
        return self.add("a1", None, *FIRST)


def _body(code: str) -> str:
    return textwrap.indent(textwrap.dedent(code).strip("\n"), "    ").rstrip()
