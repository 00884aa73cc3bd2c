"""Check a revision by hand, of one column, for every section of the real tree (rule M19).

    python tests/replay/by_hand.py --consdb GITDIR --sdm-schemas GITDIR

The revision does what the schema file changes, and leaves alone what drifted before. The exit code is 1 when
a check fails.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from consdb_actions.adapters.schema_yaml import find_schema_file
from consdb_actions.adapters.shell import run
from consdb_actions.adapters.tree import Section, read_tree
from consdb_actions.errors import ConsdbActionsError

COLUMN = """  - name: written_by_hand
    "@id": "#{table}.written_by_hand"
    datatype: int
    description: Written by hand.
"""
REVISION = '''"""A column by hand."""

import sqlalchemy as sa
from alembic import op

revision = "0000deadbeef"
down_revision = {down!r}


def upgrade() -> None:
    column = sa.Column("written_by_hand", sa.Integer(), nullable=True, comment="Written by hand.")
    op.add_column({table!r}, column, schema={schema!r})


def downgrade() -> None:
    op.drop_column({table!r}, "written_by_hand", schema={schema!r})
'''
UNDER_VIEWS = {"exposure", "ccdexposure", "visit1", "ccdvisit1"}


def add_column(path: Path) -> str:
    """Add a column to the first table of a schema file that is under no view; return the table."""
    text = path.read_text(encoding="utf-8")
    tables = text.index("\ntables:")
    table, place = "", -1
    for number, line in enumerate(text[tables:].splitlines()):
        if line.startswith("- name: "):
            table = line.removeprefix("- name: ").strip()
        elif line == "  columns:" and table not in UNDER_VIEWS:
            place = number
            break
    lines = text[tables:].splitlines()
    if place < 0:
        raise SystemExit(f"{path} has no table that is under no view")
    lines[place + 1 : place + 1] = COLUMN.format(table=table).splitlines()
    path.write_text(text[:tables] + "\n".join(lines) + "\n", encoding="utf-8")
    return table


def check(consdb: Path, schemas: Path, section: Section, folder: Path) -> tuple[str, int, list[str]]:
    """Check a revision by hand; return the table, the number of drifted elements and what failed."""
    path = find_schema_file(section.schema, sdm_schemas=schemas, consdb=consdb)
    base = folder / "base"
    base.mkdir(parents=True)
    after = folder / "after"
    after.mkdir()
    for target in (base, after):
        shutil.copyfile(path, target / path.name)
    table = add_column(after / path.name)
    head = section.head()
    assert head is not None
    revision = section.versions / "0000deadbeef_by_hand.py"
    revision.write_text(
        REVISION.format(down=head.revision, table=table, schema=section.schema), encoding="utf-8"
    )
    report = folder / "report.json"
    command = [sys.executable, "-m", "consdb_actions", "migrations", "check", "--consdb", str(consdb)]
    command += ["--sdm-schemas", str(after), "--sdm-schemas-base", str(base), "--section", section.name]
    ended = run([*command, "--report", str(report)], timeout=600, check=False)
    revision.unlink()
    if not report.exists():
        return table, 0, [ended.stderr.strip()[:300]]
    (found,) = json.loads(report.read_text())["sections"]
    failed = [f"{c['name']}: {c['details'][:3]}" for c in found["checks"] if c["holds"] is False]
    return table, len(found["drift"]), failed


def main() -> int:
    """Check all sections and print a line each."""
    parser = argparse.ArgumentParser(description="Check a revision by hand for every section.")
    parser.add_argument("--consdb", type=Path, required=True)
    parser.add_argument("--sdm-schemas", type=Path, required=True)
    options = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory(prefix="by-hand") as temporary:
        tree = Path(temporary) / "consdb"
        run(["git", "clone", "--quiet", options.consdb, tree], timeout=120)
        read = read_tree(tree)
        for section in read.sections:
            try:
                with read.importable():
                    table, drift, failed = check(
                        tree, options.sdm_schemas, section, Path(temporary) / section.name
                    )
            except ConsdbActionsError as error:
                table, drift, failed = "", 0, [str(error)]
            bad += bool(failed)
            sys.stdout.write(
                f"{section.name} | {table} | {drift} drifted | {'; '.join(failed) or 'passes'}\n"
            )
            sys.stdout.flush()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
