"""Rule M2: view statements stand in a script exactly when a table under a view changes its columns."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.catalog import Grant
from consdb_actions.config import DEFAULT_CONFIG, ViewConfig
from consdb_actions.errors import InputError
from tests.support.stage import proven, staged
from tests.support.variants import every
from tests.support.workbench import Data, Workbench, column, schema, table

READER = "DO $$BEGIN CREATE ROLE extra_reader; EXCEPTION WHEN duplicate_object THEN NULL; END$$"


def observatory(**more: Any) -> Data:
    """Two tables with a view on each, and a table that no view reads."""
    exposure = table(
        "exposure",
        [
            column("exposure_id", "long", nullable=False),
            column("airMass", "float"),
            column("order", "int"),
            column("band", "string"),
        ],
        key=["exposure_id"],
    )
    ccd = table(
        "ccdexposure",
        [
            column("ccdexposure_id", "long", nullable=False),
            column("exposure_id", "long"),
            column("detector", "int"),
        ],
        key=["ccdexposure_id"],
        constraints=[
            {
                "name": "fk_ccdexposure_exposure",
                "@type": "ForeignKey",
                "columns": ["exposure_id"],
                "referencedColumns": ["exposure.exposure_id"],
            }
        ],
    )
    flex = table(
        "exposure_flexdata", [column("obs_id", "long", nullable=False), column("key")], key=["obs_id"]
    )
    visit = table("visit1", [column("visit_id", "long", nullable=False)], key=["visit_id"])
    ccdvisit = table("ccdvisit1", [column("ccdvisit_id", "long", nullable=False)], key=["ccdvisit_id"])
    return schema(exposure, ccd, flex, visit, ccdvisit, **more)


def columns_of(data: Data, name: str) -> list[Data]:
    found: list[Data] = next(t["columns"] for t in data["tables"] if t["name"] == name)
    return found


def gain(columns: list[Data]) -> None:
    columns.insert(1, column("user", "double", id="#new"))


def lose(columns: list[Data]) -> None:
    columns.pop()


def retype(columns: list[Data]) -> None:
    columns[-1].update(datatype="text")
    columns[-1].pop("length", None)


def rename(columns: list[Data]) -> None:
    columns[-1]["name"] = "Renamed"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        *(("exposure", change) for change in (gain, lose, retype, rename)),
        ("ccdexposure", rename),
        *(pytest.param("ccdexposure", change, marks=pytest.mark.slow) for change in (gain, lose, retype)),
    ],
)
def test_only_the_view_over_the_changed_table_is_remade(bench: Workbench, name: str, change: Any) -> None:
    before = observatory()
    bench.generate(before, verify=False)
    after = deepcopy(before)
    change(columns_of(after, name))
    outcome = bench.generate(after, base=before, verify=name == "exposure")
    if name == "exposure":
        proven(outcome)
    upgrade, downgrade = outcome.source.split("def downgrade", 1)
    shown, other = ("visit1", "ccdvisit1") if name == "exposure" else ("ccdvisit1", "visit1")
    for part in (upgrade, downgrade):
        assert part.count(f"DROP VIEW cdb_latiss.{shown}") == 1
        assert part.count(f"CREATE VIEW cdb_latiss.{shown} AS") == 1
        assert f"cdb_latiss.{other}" not in part
    words = [op.text for op in outcome.upgrade]
    created = min(i for i, w in enumerate(words) if w.startswith("create view"))
    assert words[0].startswith("drop view")
    assert not any(w.startswith("drop view") for w in words[1:])
    assert all(shown in w for w in words[created:])


def test_nothing_else_touches_a_view(bench: Workbench) -> None:
    before = observatory()
    bench.generate(before, verify=False)
    reordered = deepcopy(before)
    columns_of(reordered, "exposure").reverse()
    assert bench.generate(reordered).status == "unchanged"
    after = deepcopy(reordered)
    columns_of(after, "exposure")[0]["description"] = "Another text."
    columns_of(after, "exposure")[-1]["nullable"] = False
    columns_of(after, "exposure_flexdata").append(column("more", id="#more"))
    columns_of(after, "ccdexposure")[-1]["value"] = 3
    after["tables"][0]["indexes"] = [{"name": "ix_band", "@id": "#ix", "columns": ["#exposure.band"]}]
    after["tables"].append(table("other", [column("a", "int", nullable=False)], key=["a"]))
    outcome = proven(bench.generate(after, base=before))
    assert "VIEW" not in outcome.source
    assert "visit1" not in outcome.source


def without(data: Data, *names: str) -> Data:
    return {**data, "tables": [t for t in data["tables"] if t["name"] not in names]}


@pytest.mark.parametrize("gone", [("ccdvisit1",), ("ccdexposure", "ccdvisit1")], ids=" and ".join)
def test_a_view_that_the_file_no_longer_lists_is_dropped(bench: Workbench, gone: tuple[str, ...]) -> None:
    bench.generate(observatory(), verify=False)
    outcome = proven(bench.generate(without(observatory(), *gone), base=observatory()))
    assert {op.text for op in outcome.upgrade if "view" in op.text} == {"drop view ccdvisit1"}
    with staged(bench, 2) as stage:
        assert not set(gone) & stage.catalog().relations.keys()


def test_a_view_that_no_file_ever_listed_stays(bench: Workbench) -> None:
    bench.generate(observatory(), verify=False)
    unlisted = without(observatory(), "visit1", "ccdvisit1")
    after = deepcopy(unlisted)
    gain(columns_of(after, "exposure"))
    outcome = proven(bench.generate(after, base=unlisted))
    assert [op.text for op in outcome.upgrade if op.text.startswith("create view")] == ["create view visit1"]


def test_a_view_follows_its_table_to_another_name(bench: Workbench) -> None:
    bench.generate(observatory(), verify=False)
    after = observatory()
    after["tables"][0]["name"] = "exposures"
    with pytest.raises(InputError) as caught:
        bench.generate(after, base=observatory())
    assert '"visit1" is a view of "exposure"' in caught.value.cause
    assert "views.visit1.table" in caught.value.remedy
    views = tuple(
        ViewConfig(v.name, "exposures", v.rename) if v.name == "visit1" else v for v in DEFAULT_CONFIG.views
    )
    outcome = proven(
        bench.generate(after, base=observatory(), config=replace(DEFAULT_CONFIG, views=views), keep=False)
    )
    words = [op.text for op in outcome.upgrade]
    assert "rename table exposure to exposures" in words
    assert {w for w in words if "view" in w and "grant" not in w} == {
        "drop view visit1",
        "create view visit1",
    }


@pytest.mark.parametrize(
    ("section", "name", "main"),
    [
        ("startrackerwide", "cdb_startrackerwide", "exposure"),
        ("efd_latiss", "efd_latiss", "exposure_efd"),
    ],
)
def test_a_schema_without_views_gets_none(
    server: ScratchServer, tmp_path: Path, section: str, name: str, main: str
) -> None:
    bench = Workbench(server, tmp_path / "tree", section=section)
    first = table(main, [column("exposure_id", "long", nullable=False)], key=["exposure_id"])
    outcome = proven(bench.generate(schema(first, name=name)))
    more = table(main, [column("exposure_id", "long", nullable=False), column("a")], key=["exposure_id"])
    outcome = proven(bench.generate(schema(more, name=name)))
    assert "VIEW" not in outcome.source


def test_grants_and_the_very_definition_survive(bench: Workbench) -> None:
    bench.generate(observatory(), verify=False)
    bench.revise(
        f'op.execute("{READER}")\n'
        'op.execute("CREATE OR REPLACE VIEW cdb_latiss.visit1 AS SELECT exposure_id AS visit_id, '
        '\\"airMass\\", \\"order\\", band FROM cdb_latiss.exposure WHERE band <> \'it\'\'s  two\'")\n'
        'op.execute("GRANT SELECT, UPDATE ON cdb_latiss.visit1 TO extra_reader WITH GRANT OPTION")\n'
        'op.execute("GRANT SELECT ON cdb_latiss.visit1 TO PUBLIC")\n'
        'op.execute("GRANT UPDATE (band) ON cdb_latiss.visit1 TO extra_reader, PUBLIC")\n'
        "op.execute(\"COMMENT ON VIEW cdb_latiss.visit1 IS '50 % of it"
        "s'\")".replace("it''s", "it''''s")
    )
    after = observatory()
    gain(columns_of(after, "exposure"))
    proven(bench.generate(after))
    with staged(bench, 2) as stage:
        before = stage.catalog()
        stage.upgrade()
        upgraded = stage.catalog()
        stage.downgrade()
        downgraded = stage.catalog()
    assert upgraded.views["visit1"].grants >= before.views["visit1"].grants
    assert Grant("extra_reader", "UPDATE", True) in upgraded.views["visit1"].grants
    assert Grant("PUBLIC", "SELECT") in upgraded.views["visit1"].grants
    assert upgraded.views["visit1"].columns["band"].grants == before.views["visit1"].columns["band"].grants
    assert before.views["visit1"].columns["band"].grants
    assert list(upgraded.views["visit1"].columns) == ["visit_id", "user", "airMass", "order", "band"]
    assert downgraded.views == before.views
    assert "it''''s  two" in downgraded.views["visit1"].definition


def test_views_made_by_hand_are_kept(bench: Workbench) -> None:
    bench.generate(observatory(), verify=False)
    bench.revise(
        f'op.execute("{READER}")\n'
        'op.execute("CREATE VIEW cdb_latiss.\\"Bright\\" AS '
        'SELECT exposure_id, band FROM cdb_latiss.exposure")\n'
        'op.execute("CREATE VIEW cdb_latiss.a_reader AS SELECT visit_id FROM cdb_latiss.visit1")\n'
        'op.execute("CREATE MATERIALIZED VIEW cdb_latiss.counted AS '
        'SELECT count(*) AS n FROM cdb_latiss.exposure")\n'
        'op.execute("GRANT SELECT ON cdb_latiss.\\"Bright\\" TO extra_reader")\n'
        'op.execute("COMMENT ON COLUMN cdb_latiss.\\"Bright\\".band IS \'A band.\'")'
    )
    after = observatory()
    retype(columns_of(after, "exposure"))
    proven(bench.generate(after))
    with staged(bench, 2) as stage:
        before = stage.catalog().views
        stage.upgrade()
        upgraded = stage.catalog().views
    assert upgraded["Bright"].grants == before["Bright"].grants
    assert upgraded["Bright"].columns["band"].comment == "A band."
    assert upgraded["a_reader"].definition == before["a_reader"].definition
    assert upgraded["counted"].kind == "materialized view"


def test_without_a_base_a_view_made_by_hand_that_reads_a_dropped_column_is_an_error(bench: Workbench) -> None:
    bench.generate(observatory(), verify=False)
    bench.revise('op.execute("CREATE VIEW cdb_latiss.bright AS SELECT band FROM cdb_latiss.exposure")')
    after = observatory()
    lose(columns_of(after, "exposure"))
    with pytest.raises(InputError, match="band") as caught:
        bench.generate(after)
    assert "latiss" in (caught.value.place or "")
    assert len(list(bench.versions.glob("*.py"))) == 2


@pytest.mark.parametrize("kind", ["VIEW", "MATERIALIZED VIEW"])
@pytest.mark.parametrize(
    "query",
    every(
        3,
        [
            "SELECT band FROM cdb_latiss.exposure",
            "SELECT exposure_id FROM cdb_latiss.exposure WHERE band > 'a' ORDER BY 1",
            "SELECT 1 AS one FROM cdb_latiss.exposure e "
            "JOIN cdb_latiss.ccdexposure ON e.band = detector::text",
            "WITH b AS (SELECT lower(e.band) AS x FROM cdb_latiss.exposure e) SELECT x FROM b",
            "SELECT * FROM cdb_latiss.exposure",
        ],
    ),
)
def test_a_view_made_by_hand_that_reads_a_dropped_column_is_a_question(
    bench: Workbench, kind: str, query: str
) -> None:
    base = observatory()
    bench.generate(base, verify=False)
    bench.revise(f"op.execute({f'CREATE {kind} cdb_latiss.bright AS {query}'!r})")
    bench.revise("op.execute('CREATE VIEW cdb_latiss.above AS SELECT count(*) FROM cdb_latiss.bright')")
    after = observatory()
    lose(columns_of(after, "exposure"))
    outcome = bench.generate(after, base=base)
    options = [[option for answer in q.answers for option in answer.options] for q in outcome.questions]
    assert outcome.status == "question"
    assert options == [
        ["--take head above", "--take current exposure.band"],
        ["--take head bright", "--take current exposure.band"],
    ]
    assert all(
        "exposure.band is dropped" in proposal for q in outcome.questions for proposal in q.proposals[1:2]
    )
    stays = bench.generate(after, base=base, take=["current exposure.band"])
    assert "drop_column" not in stays.source
    assert "bright" not in stays.source
    goes = proven(bench.generate(after, base=base, take=["head above", "head bright"]))
    assert goes.source.index("cdb_latiss.above") < goes.source.index("cdb_latiss.bright")


def test_a_view_made_by_hand_that_reads_a_column_of_that_name_elsewhere_is_kept(bench: Workbench) -> None:
    def both(*more: Data) -> Data:
        made = observatory()
        columns_of(made, "exposure").append(column("detector", "int"))
        return made

    base = both()
    bench.generate(base, verify=False)
    bench.revise(
        "op.execute('CREATE VIEW cdb_latiss.joined AS SELECT c.detector FROM cdb_latiss.exposure e "
        "JOIN cdb_latiss.ccdexposure c USING (exposure_id)')"
    )
    outcome = proven(bench.generate(observatory(), base=base))
    assert outcome.source.count("CREATE VIEW cdb_latiss.joined") == 2
