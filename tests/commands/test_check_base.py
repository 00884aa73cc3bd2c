"""Rule M19: a revision is judged by what it was to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from consdb_actions.adapters.postgres import ScratchServer
from tests.support.trees import SECTION, Ground, share_postgres

FOCUS = '  - name: focus\n    "@id": "#exposure.focus"\n    datatype: int\n    description: Focus.\n'
ADD = (
    'op.add_column("exposure", sa.Column("focus", sa.Integer(), nullable=True, comment="Focus."), '
    f'schema="cdb_{SECTION}")'
)
DROP = f'op.drop_column("exposure", "focus", schema="cdb_{SECTION}")'
REMAKE = (
    f'op.execute("DROP VIEW cdb_{SECTION}.visit1")',
    f"""op.execute("CREATE VIEW cdb_{SECTION}.visit1 AS SELECT * FROM cdb_{SECTION}.exposure")""",
)


def revision(upgrade: str, downgrade: str) -> str:
    return (
        "import sqlalchemy as sa\nfrom alembic import op\n\n\n"
        f"def upgrade() -> None:\n    {upgrade}\n\n\ndef downgrade() -> None:\n    {downgrade}\n"
    )


@pytest.fixture
def ground(tmp_path: Path, server: ScratchServer, monkeypatch: pytest.MonkeyPatch) -> Ground:
    """Give a tree whose database has drifted, and a change of one column on top."""
    share_postgres(monkeypatch, server)
    made = Ground(tmp_path / "ground")
    made.section().add(
        revision(f'op.execute("COMMENT ON TABLE cdb_{SECTION}.exposure IS NULL")', "pass"), name="drift"
    )
    return made


def change(ground: Ground, column: str = FOCUS) -> Path:
    """Add a column to the schema file, and return the folder with the files before it."""
    before = ground.root / "base"
    before.mkdir()
    path = ground.schema(f"cdb_{SECTION}")
    text = path.read_text(encoding="utf-8")
    (before / path.name).write_text(text, encoding="utf-8")
    first = text.index("\n  columns:\n") + len("\n  columns:\n")
    path.write_text(text[:first] + column + text[first:], encoding="utf-8")
    return before


def test_m19_drift_does_not_fail_a_correct_revision(
    ground: Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    base = change(ground)
    ground.section().add(revision(ADD, DROP))
    assert ground.run("check", "--sdm-schemas-base", str(base)) == 0, capsys.readouterr()
    out = capsys.readouterr().out
    assert "exposure.comment" in out
    assert "drifted" in out


@pytest.mark.parametrize(
    ("upgrade", "downgrade", "element"),
    [
        ("pass", "pass", "exposure.columns.focus: missing"),
        (
            f'{ADD}\n    op.add_column("exposure", sa.Column("other", sa.Integer()), schema="cdb_{SECTION}")',
            f'{DROP}\n    op.drop_column("exposure", "other", schema="cdb_{SECTION}")',
            "exposure.columns.other: not expected",
        ),
        (
            f'{ADD}\n    op.create_table_comment("exposure", "Mine.", schema="cdb_{SECTION}")',
            f'{DROP}\n    op.drop_table_comment("exposure", schema="cdb_{SECTION}")',
            "exposure.comment",
        ),
    ],
    ids=["undone", "beyond", "worse"],
)
def test_m19_what_is_undone_or_done_beyond_the_change_fails(
    ground: Ground, capsys: pytest.CaptureFixture[str], upgrade: str, downgrade: str, element: str
) -> None:
    base = change(ground)
    ground.section().add(revision(upgrade, downgrade))
    assert ground.run("check", "--sdm-schemas-base", str(base)) == 1
    assert element in capsys.readouterr().out


def test_m19_a_change_that_the_base_has_already(ground: Ground, capsys: pytest.CaptureFixture[str]) -> None:
    change(ground)
    ground.section().add(revision(ADD, DROP))
    same = str(ground.schema(f"cdb_{SECTION}").parent)
    assert ground.run("check", "--sdm-schemas-base", same) == 0, capsys.readouterr()
    worse = ground.section().add(
        revision(
            f'op.drop_column("exposure", "altitude", schema="cdb_{SECTION}")',
            f'op.add_column("exposure", sa.Column("altitude", sa.Float()), schema="cdb_{SECTION}")',
        ),
        name="worse",
    )
    capsys.readouterr()
    assert ground.run("check", "--sdm-schemas-base", same) == 1, worse
    assert "altitude" in capsys.readouterr().out
