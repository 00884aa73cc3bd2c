"""Rule M3: new tables can be read by those who read their siblings, and a rename keeps grants."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.catalog import Grant
from consdb_actions.config import DEFAULT_CONFIG, GrantRule
from tests.support.stage import proven, staged
from tests.support.workbench import Data, Workbench, column, schema, table

READER = "DO $$BEGIN CREATE ROLE extra_reader; EXCEPTION WHEN duplicate_object THEN NULL; END$$"


def plain(name: str, *extra: str) -> Data:
    return table(name, [column("id", "long", nullable=False), *(column(e) for e in extra)], key=["id"])


def test_a_new_table_can_be_read_by_the_roles_of_the_configuration(bench: Workbench) -> None:
    outcome = proven(bench.generate(schema(plain("first"))))
    assert outcome.source.count("GRANT SELECT ON cdb_latiss.first") == 2
    with staged(bench) as stage:
        assert stage.catalog().tables["first"].grants == {Grant("usdf", "SELECT"), Grant("oods", "SELECT")}


def test_the_oods_of_an_efd_schema_holds_everything_on_new_tables_too(
    server: ScratchServer, tmp_path: Path
) -> None:
    bench = Workbench(server, tmp_path / "tree", section="efd_latiss")
    bench.generate(schema(plain("first"), name="efd_latiss"), verify=False)
    bench.revise('op.execute("GRANT ALL ON efd_latiss.first TO oods")')
    proven(bench.generate(schema(plain("first"), plain("second"), name="efd_latiss")))
    with staged(bench, 3) as stage:
        tables = stage.catalog().tables
    assert tables["second"].grants == tables["first"].grants
    assert Grant("oods", "DELETE") in tables["second"].grants


def test_siblings_that_carry_more_are_followed(bench: Workbench) -> None:
    bench.generate(schema(plain("a"), plain("b"), plain("c")), verify=False)
    bench.revise(
        f'op.execute("{READER}")\n'
        'op.execute("GRANT SELECT, INSERT ON cdb_latiss.a, cdb_latiss.b TO extra_reader")\n'
        'op.execute("GRANT DELETE ON cdb_latiss.c TO extra_reader")'
    )
    proven(bench.generate(schema(plain("a"), plain("b"), plain("c"), plain("order"))))
    with staged(bench, 3) as stage:
        grants = stage.catalog().tables["order"].grants
    assert {g for g in grants if g.grantee == "extra_reader"} == {
        Grant("extra_reader", "SELECT"),
        Grant("extra_reader", "INSERT"),
    }


def test_renames_keep_grants_and_drops_bring_them_back(bench: Workbench) -> None:
    bench.generate(schema(plain("old", "x", "y"), plain("gone", "z")), verify=False)
    bench.revise(
        f'op.execute("{READER}")\n'
        'op.execute("GRANT UPDATE ON cdb_latiss.old TO extra_reader WITH GRANT OPTION")\n'
        'op.execute("GRANT SELECT (x), INSERT (x), SELECT (y) ON cdb_latiss.old TO extra_reader")\n'
        'op.execute("REVOKE SELECT ON cdb_latiss.gone FROM usdf")\n'
        'op.execute("GRANT TRUNCATE ON cdb_latiss.gone TO PUBLIC")\n'
        'op.execute("GRANT SELECT (z) ON cdb_latiss.gone TO extra_reader WITH GRANT OPTION")'
    )
    proven(bench.generate(schema(plain("new", "x2")), "old=new", "old.x=x2", "old.y=", "gone="))
    with staged(bench, 2) as stage:
        before = stage.catalog().tables
        stage.upgrade()
        after = stage.catalog().tables
        stage.downgrade()
        back = stage.catalog().tables
    assert after["new"].grants == before["old"].grants
    assert after["new"].columns["x2"].grants == before["old"].columns["x"].grants != frozenset()
    assert back == before


def test_a_renamed_column_of_a_view_keeps_its_grant_and_comment(bench: Workbench) -> None:
    def observed(name: str) -> Data:
        visit = table("visit1", [column("visit_id", "int", nullable=False)], key=["visit_id"])
        key = column("exposure_id", "int", nullable=False)
        return schema(table("exposure", [key, column(name), column("other")], key=["exposure_id"]), visit)

    bench.generate(observed("before"), verify=False)
    bench.revise(
        f'op.execute("{READER}")\n'
        'op.execute("GRANT SELECT (before) ON cdb_latiss.visit1 TO extra_reader")\n'
        'op.execute("GRANT SELECT (visit_id) ON cdb_latiss.visit1 TO extra_reader")\n'
        'op.execute("COMMENT ON COLUMN cdb_latiss.visit1.before IS $$Seen.$$")'
    )
    proven(bench.generate(observed("after"), "exposure.before=after"))
    with staged(bench, 2) as stage:
        before = stage.catalog().views["visit1"]
        stage.upgrade()
        after = stage.catalog().views["visit1"].columns
        stage.downgrade()
        assert stage.catalog().views["visit1"] == before
    assert after["after"].comment == "Seen."
    assert after["after"].grants == before.columns["before"].grants != frozenset()
    assert after["visit_id"].grants == before.columns["visit_id"].grants != frozenset()


def test_other_roles_in_the_configuration(bench: Workbench) -> None:
    bench.generate(schema(plain("a")), verify=False)
    bench.revise(f'op.execute("{READER}")')
    config = replace(DEFAULT_CONFIG, grants=(GrantRule("cdb_l*", "extra_reader", ("SELECT", "INSERT")),))
    proven(bench.generate(schema(plain("a"), plain("b")), config=config))
    with staged(bench, 3) as stage:
        assert {Grant("extra_reader", p) for p in ("SELECT", "INSERT")} <= stage.catalog().tables["b"].grants
