"""Rules M1 to M17 where a user meets them: whole runs of the generator on the tree in ``migrations/``."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from consdb_actions.adapters.autogenerate.run import GenerationRequest, generate
from consdb_actions.adapters.autogenerate.simulation import replay
from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.schema_sources import resolve_base
from consdb_actions.adapters.tree import read_tree
from consdb_actions.config import DEFAULT_CONFIG
from consdb_actions.errors import InputError
from consdb_actions.migration.outcome import RunOutcome, SectionOutcome
from tests.support.trees import share_postgres

ROOT = Path(__file__).parents[1]
BEFORE = ROOT / "examples" / "schemas" / "before"
TRACKER = "startrackerwide"

Run = Callable[..., RunOutcome]


@pytest.fixture
def run(tmp_path: Path, server: ScratchServer, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Give a function that edits the YAML of the wide star tracker and generates, writing nothing."""
    share_postgres(monkeypatch, server)

    def generate_edited(*edits: tuple[str, str], base: Path | None = BEFORE, **options: object) -> RunOutcome:
        path = BEFORE / f"cdb_{TRACKER}.yaml"
        text = path.read_text(encoding="utf-8")
        for old, new in edits:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        (tmp_path / "yaml").mkdir(exist_ok=True)
        (tmp_path / "yaml" / path.name).write_text(text, encoding="utf-8")
        request = GenerationRequest(
            tree=read_tree(ROOT / "migrations"),
            schemas=tmp_path / "yaml",
            config=DEFAULT_CONFIG,
            message="a change",
            base=resolve_base(tmp_path / "yaml", str(base)) if base else None,
            created=datetime(2026, 1, 1, tzinfo=UTC),
            write=False,
        )
        return generate(replace(request, **options), lambda _section, _step: None)  # type: ignore[arg-type]

    return generate_edited


def only(outcome: RunOutcome) -> SectionOutcome:
    """Return the one section that changed, with a proof that holds."""
    (section,) = outcome.changed
    assert section.checks
    assert all(check.holds for check in section.checks), section.checks
    return section


def words(section: SectionOutcome) -> list[str]:
    return [op.text for op in section.upgrade]


def column(table: str, name: str, rest: str = "datatype: int") -> str:
    return f'  - name: {name}\n    "@id": "#{table}.{name}"\n    {rest}\n'


N_STARS = column("exposure_quicklook", "n_stars") + (
    "    description: How many stars were matched.\n    ivoa:ucd: meta.number\n"
)
ALTITUDE_END = "    description: Altitude of that telescope.\n    ivoa:unit: deg\n    ivoa:ucd: pos.az.alt\n"


def test_m5_a_column_that_moves_takes_its_values_along(run: Run) -> None:
    moved = N_STARS.replace("#exposure_quicklook.", "#exposure.")
    section = only(run((N_STARS, ""), (ALTITUDE_END, ALTITUDE_END + moved)))
    assert "UPDATE cdb_startrackerwide.exposure" in section.source
    copy = section.source.index("UPDATE cdb_startrackerwide.exposure")
    assert section.source.index("op.add_column") < copy < section.source.index("op.drop_column")


def test_m6_a_constraint_with_another_name_is_renamed(run: Run) -> None:
    edits = ("  - name: un_exposure_ds\n", "  - name: un_exposure_day_obs_seq_num\n")
    section = only(run(edits))
    assert words(section) == ["rename constraint un_exposure_ds to un_exposure_day_obs_seq_num"]


def test_m8_a_type_change_says_how_it_converts_where_postgres_does_not(run: Run) -> None:
    section = only(run((N_STARS, N_STARS.replace("datatype: int", "datatype: string\n    length: 16"))))
    upgrade, downgrade = section.source.split("def downgrade()")
    assert "postgresql_using" not in upgrade, "Postgres turns numbers into text by itself"
    assert "postgresql_using" in downgrade
    assert section.risks, "not every text is a number"


def test_m9_a_name_that_postgres_would_cut_is_refused_with_what_it_would_become(run: Run) -> None:
    long = "temperature_of_the_camera_body_measured_by_the_sensor_on_the_back_side"
    with pytest.raises(InputError, match=long[:63]) as raised:
        run((ALTITUDE_END, f"{ALTITUDE_END}{column('exposure', long)}    description: Too long.\n"))
    assert long in str(raised.value)


def test_m11_the_same_input_gives_the_same_bytes_unless_ids_are_random(run: Run) -> None:
    edit = (ALTITUDE_END, f"{ALTITUDE_END}{column('exposure', 'focus')}    description: Focus.\n")
    first, second = only(run(edit)), only(run(edit))
    assert first.source == second.source
    assert first.path == second.path
    third = only(run(edit, revision_from="random"))
    assert third.revision != first.revision
    assert third.source.replace(third.revision, first.revision) == first.source


def test_m12_two_heads_and_foreign_schemas_are_errors(tmp_path: Path, run: Run) -> None:
    shutil.copytree(ROOT / "migrations", tmp_path / "tree", ignore=shutil.ignore_patterns("__pycache__"))
    versions = tmp_path / "tree" / "alembic" / TRACKER / "versions"
    (newest,) = versions.glob("*_add_exposure_quicklook.py")
    source = newest.read_text(encoding="utf-8")
    head = newest.name.partition("_")[0]
    twin = versions / "aaaaaaaaaaaa_twin.py"
    twin.write_text(source.replace(head, "aaaaaaaaaaaa"), encoding="utf-8")
    with pytest.raises(InputError, match="2 heads"):
        run(tree=read_tree(tmp_path / "tree"), base=None)
    twin.unlink()
    newest.write_text(
        source.replace('schema="cdb_startrackerwide"', 'schema="cdb_latiss"', 1), encoding="utf-8"
    )
    with pytest.raises(InputError, match="names another schema: cdb_latiss"):
        run(tree=read_tree(tmp_path / "tree"), base=None)


def test_m13_text_of_the_yaml_stays_text(run: Run) -> None:
    hostile = 'It\'s \\"it\\": 100% of :x, ${x}, \\"\\"\\" and\\n# é'
    description = ("    description: Altitude of that telescope.\n", f'    description: "{hostile}"\n')
    section = only(run(description))
    assert words(section) == ["change comment on exposure.altitude"]


def test_m17_a_database_that_was_behind_already_is_drift(run: Run, tmp_path: Path) -> None:
    edit = (ALTITUDE_END, f"{ALTITUDE_END}{column('exposure', 'focus')}    description: Focus.\n")
    assert not any("focus" in d.element for d in only(run(edit)).drift), "it is the change"
    outcome = run(edit, base=tmp_path / "yaml")
    assert outcome.verdict == "unchanged"
    drift = {d.element: d for s in outcome.sections for d in s.drift}
    assert (drift["exposure.focus"].described, drift["exposure.focus"].current) == ("integer", "none")
    included = only(run(edit, base=tmp_path / "yaml", drift="include"))
    assert "add column exposure.focus (integer)" in words(included)


def test_m7_rows_are_filled_from_their_parents(server: ScratchServer) -> None:
    """The revision of LSSTCam that adds key columns, on rows that were there before it."""
    tree = read_tree(ROOT / "migrations")
    section = tree.section("lsstcam")
    url = server.create_database("tree_rows")
    for name in ("cdb", "cdb_lsstcam"):
        server.execute("tree_rows", f"CREATE SCHEMA {name}")
    with tree.importable(), sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        *history, newest = section.revisions()
        assert re.search("keys of day and sequence number", newest.doc)
        replay(connection, section, history)
        connection.execute(
            sa.text(
                "INSERT INTO cdb_lsstcam.exposure (exposure_id, day_obs, seq_num)"
                " SELECT n, 20260101, n % 10 FROM generate_series(11, 13) n;"
                "INSERT INTO cdb_lsstcam.ccdexposure (ccdexposure_id, exposure_id, detector)"
                " SELECT 100 + n, n, 94 FROM generate_series(11, 13) n"
            )
        )
        replay(connection, section, [newest])
        filled = connection.execute(
            sa.text("SELECT ccdvisit_id, day_obs, seq_num FROM cdb_lsstcam.ccdvisit1 ORDER BY 1")
        ).fetchall()
    assert [tuple(row) for row in filled] == [(111, 20260101, 1), (112, 20260101, 2), (113, 20260101, 3)]
