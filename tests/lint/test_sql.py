from __future__ import annotations

import pytest

from consdb_actions.lint.sql import same_program

ONE = '''"""Words."""
import sqlalchemy as sa
from alembic import op

revision = "a"


def upgrade():
    op.execute("SELECT 1")  # why
'''


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("Words", "Other words", True),
        ("  # why", "", True),
        ('"SELECT 1"', "\n        'SELECT 1',\n    ", True),
        (
            "import sqlalchemy as sa\nfrom alembic import op\n",
            "from alembic import op\n\nimport sqlalchemy as sa\n",
            True,
        ),
        ('revision = "a"', 'revision = "b"', False),
        ("SELECT 1", "SELECT 2", False),
        ("import sqlalchemy as sa\n", "", False),
        ("def upgrade", "def downgrade", False),
        ("SELECT 1", "SELECT", False),
        (")", "", False),
    ],
)
def test_m12_what_counts_as_an_edit(old: str, new: str, same: bool) -> None:
    assert old in ONE
    assert same_program(ONE, ONE.replace(old, new)) is same
