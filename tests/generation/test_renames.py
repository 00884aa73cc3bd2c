"""Rule M4: renames, through the whole generator, with rows that must arrive under the new name."""

from __future__ import annotations

import re

from consdb_actions.migration.outcome import SectionOutcome
from tests.support.stage import proven, staged
from tests.support.workbench import Data, Workbench, column, schema, table


def main(*columns: Data, name: str = "exposure") -> Data:
    return table(name, [column("exposure_id", "long", nullable=False), *columns], key=["exposure_id"])


def renames(outcome: SectionOutcome, old: str, new: str) -> bool:
    """Whether the script renames a column by Alembic's own call."""
    return (
        re.search(rf'alter_column\(\s*"\w+",\s*"{old}",\s*new_column_name="{new}"', outcome.source)
        is not None
    )


def test_a_declared_rename_with_a_change_of_type_and_not_null(bench: Workbench) -> None:
    bench.generate(schema(main(column("seeing", "string"), column("order", "int"))), verify=False)
    after = schema(main(column("Seeing_2", "int", nullable=False), column("user", "int")))
    outcome = proven(
        bench.generate(
            after,
            "exposure.seeing=Seeing_2",
            "exposure.order=user",
            fills={("exposure", "Seeing_2"): "7"},
        )
    )
    named = {(loss.direction, loss.table, loss.column) for loss in outcome.losses}
    assert named == {("upgrade", "exposure", "Seeing_2")}, "leading zeros, and NULL that is filled"
    with staged(bench) as stage:
        stage.execute("INSERT INTO exposure VALUES (1, '42', 5), (2, NULL, 6)")
        stage.upgrade()
        assert stage.rows('SELECT "Seeing_2", "user" FROM exposure ORDER BY exposure_id') == [(42, 5), (7, 6)]
        stage.downgrade()
        assert stage.rows('SELECT seeing, "order" FROM exposure ORDER BY exposure_id') == [
            ("42", 5),
            ("7", 6),
        ]


def test_the_same_id_is_a_rename_and_an_option_wins_over_it(bench: Workbench) -> None:
    before = schema(main(column("a", "double", id="#stays"), column("b", "double", id="#other")))
    bench.generate(before, verify=False)
    after = schema(main(column("c", "double", id="#stays"), column("d", "double", id="#other")))
    outcome = proven(bench.generate(after, base=before, keep=False))
    assert renames(outcome, "a", "c")
    assert renames(outcome, "b", "d")
    outcome = bench.generate(after, "exposure.a=d", "exposure.b=c", base=before, verify=False)
    assert renames(outcome, "a", "d")
    assert renames(outcome, "b", "c")


def test_many_columns_that_change_only_in_case(bench: Workbench) -> None:
    names = [f"salIndex{i}" for i in range(44)]
    bench.generate(schema(main(*(column(n) for n in names))), verify=False)
    outcome = proven(bench.generate(schema(main(*(column(n.lower()) for n in names)))))
    assert outcome.source.count("new_column_name=") == 2 * 44
    assert "drop_column" not in outcome.source


def test_a_swap_and_a_chain_keep_every_value_with_its_meaning(bench: Workbench) -> None:
    before = schema(main(*(column(n, "int", id=f"#{n}") for n in "abxyz")))
    bench.generate(before, verify=False)
    new = {"a": "b", "b": "a", "x": "y", "y": "z", "z": "w"}
    after = schema(main(*(column(n, "int", id=f"#{o}") for o, n in new.items())))
    proven(bench.generate(after, *(f"exposure.{o}={n}" for o, n in new.items()), base=before))
    with staged(bench) as stage:
        stage.execute("INSERT INTO exposure VALUES (1, 1, 2, 3, 4, 5)")
        stage.upgrade()
        assert stage.rows("SELECT b, a, y, z, w FROM exposure") == [(1, 2, 3, 4, 5)]
        stage.downgrade()
        assert stage.rows("SELECT a, b, x, y, z FROM exposure") == [(1, 2, 3, 4, 5)]


def test_a_table_takes_its_constraints_sequence_and_view_along(bench: Workbench) -> None:
    def family(name: str) -> Data:
        parent = main(column("a", "int", nullable=False), name=name)
        parent["constraints"] = [
            {"@id": "#un_a", "@type": "Unique", "name": f"un_{name}_a", "columns": [f"#{name}.a"]}
        ]
        child = table(
            "child",
            [column("child_id", "long", nullable=False), column("a", "int")],
            key=["child_id"],
            constraints=[
                {"name": "fk", "@type": "ForeignKey", "columns": ["a"], "referencedColumns": [f"{name}.a"]}
            ],
        )
        return schema(parent, child)

    bench.generate(family("before"), verify=False)
    bench.revise('op.execute("CREATE VIEW cdb_latiss.by_hand AS SELECT a FROM cdb_latiss.before")')
    outcome = proven(bench.generate(family("After"), "before=After"))
    assert "create_table(" not in outcome.source
    assert "drop_table(" not in outcome.source
    with staged(bench, 2) as stage:
        stage.execute("INSERT INTO before (exposure_id, a) VALUES (1, 2)", "INSERT INTO child VALUES (9, 2)")
        stage.upgrade()
        catalog = stage.catalog()
        assert "un_After_a" in catalog.tables["After"].constraints
        assert catalog.tables["child"].constraints["fk"].references == "After"
        assert "After_exposure_id_seq" in catalog.sequences
        assert stage.rows("SELECT a FROM by_hand") == [(2,)]


def test_a_question_writes_nothing_and_each_answer_is_right(bench: Workbench) -> None:
    before = schema(main(column("guider_t_mean", "double"), column("airmass", "double")))
    bench.generate(before, verify=False)
    after = schema(main(column("guider_psf_mean", "double"), column("airmass", "double")))
    outcome = bench.generate(after)
    assert outcome.status == "question"
    assert not outcome.source
    assert not outcome.path
    assert len(list(bench.versions.glob("*.py"))) == 1
    options = [option for given in outcome.questions[0].answers for option in given.options]
    assert any("exposure.guider_t_mean=guider_psf_mean" in option for option in options)
    renamed = bench.generate(after, "exposure.guider_t_mean=guider_psf_mean", keep=False, verify=False)
    assert renames(renamed, "guider_t_mean", "guider_psf_mean")
    assert not [loss for loss in renamed.losses if loss.direction == "upgrade"]
    dropped = proven(bench.generate(after, "exposure.guider_t_mean=", keep=False))
    assert "new_column_name" not in dropped.source
    assert [loss.column for loss in dropped.losses if loss.direction == "upgrade"] == ["guider_t_mean"]
