"""Rule M12: which revisions of the history are refused, and which only look so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from consdb_actions.adapters.autogenerate.simulation import check_history, check_merged
from consdb_actions.adapters.tree import read_tree
from consdb_actions.errors import InputError
from tests.support.repository import Repository
from tests.support.trees import SECTION, Ground


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path / "ground")


def look(ground: Ground) -> str:
    """Look at the history, and return its newest revision."""
    tree = read_tree(ground.consdb)
    with tree.importable():
        section = tree.section(SECTION)
        check_history(section, tree)
        check_merged(tree, [section])
        head = section.head()
    assert head is not None
    return head.revision


DOWN = "\n\ndef downgrade() -> None:\n    pass\n"


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("def upgrade() -> None:\n    op.drop_table('x', schema='cdb_latiss')\n", 8),
        ("def upgrade() -> None:\n    op.execute('SELECT 1 -- import\\nFROM cdb_latiss.exposure')\n", 9),
        ('def upgrade() -> None:\n    op.execute("""\n    IMPORT\n    efd_latiss.x""")\n', 10),
        ("IMPORTED = f'cdb_latiss.{op}'\n\n\ndef upgrade() -> None:\n    pass\n", 7),
    ],
)
def test_m12_another_schema_is_found_where_it_stands(ground: Ground, body: str, line: int) -> None:
    ground.section().add(body + DOWN)
    with pytest.raises(InputError, match="names another schema") as caught:
        look(ground)
    assert caught.value.place is not None
    assert caught.value.place.endswith(f"by_hand.py:{line}")


def test_m12_what_only_speaks_of_another_schema_is_no_fault(ground: Ground) -> None:
    ground.section().add(
        "# as in cdb_latiss\n"
        "def upgrade() -> None:\n"
        '    """Follow cdb_latiss."""\n'
        "    comment = dict(comment='See cdb_latiss.exposure.', existing_comment='See efd_latiss.')\n"
        "    op.create_table_comment('exposure', 'As in cdb_latiss.', schema='cdb_startrackerwide')\n"
        "    op.execute('SELECT cdb_latiss_version')\n" + DOWN
    )
    assert look(ground) == "0000deadbeef"


def test_m12_a_merged_revision_may_be_laid_out_anew_but_do_nothing_else(ground: Ground) -> None:
    repository = Repository(ground.consdb)
    repository.commit()
    repository.git("switch", "-q", "-c", "tickets/DM-1")
    path = sorted(ground.section().versions.glob("*.py"))[0]
    source = path.read_text(encoding="utf-8")
    path.write_text(f"# A word on top.\n{source}", encoding="utf-8")
    assert look(ground) == ground.section().head()
    path.write_text(f"{source}\nx = 1\n", encoding="utf-8")
    with pytest.raises(InputError, match=f"merged already was edited: .*{path.name}"):
        look(ground)


@pytest.mark.skipif(os.geteuid() != 0, reason="to give files away needs root")
def test_m12_a_checkout_of_another_user_is_looked_at_too(ground: Ground) -> None:
    Repository(ground.consdb).commit()
    path = sorted(ground.section().versions.glob("*.py"))[0]
    path.write_text(path.read_text(encoding="utf-8") + "\nx = 1\n", encoding="utf-8")
    for found in (ground.consdb, *ground.consdb.rglob("*")):
        os.chown(found, 65534, 65534)
    with pytest.raises(InputError, match="merged already was edited"):
        look(ground)


def test_m12_outside_of_a_checkout_there_is_nothing_to_compare_with(ground: Ground) -> None:
    path = sorted(ground.section().versions.glob("*.py"))[0]
    path.write_text(path.read_text(encoding="utf-8") + "\nx = 1\n", encoding="utf-8")
    assert look(ground) == ground.section().head()
