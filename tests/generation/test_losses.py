"""Rule M10: what a direction cannot keep or restore is named, and nothing else is."""

from __future__ import annotations

import pytest

from consdb_actions.migration.outcome import SectionOutcome
from tests.support.stage import proven, staged
from tests.support.workbench import Data, Workbench, column, schema, table


def plain(name: str, *columns: Data) -> Data:
    return table(name, [column("id", "int", nullable=False), *columns], key=["id"])


def test_dropped_and_added_columns_and_tables_are_named(bench: Workbench) -> None:
    bench.generate(schema(plain("kept", column("gone"), column("stays")), plain("lost")), verify=False)
    after = schema(plain("kept", column("fresh", "text"), column("stays")), plain("brand"))
    outcome = proven(bench.generate(after, "kept.gone=", "lost="))
    named = {(loss.direction, loss.table, loss.column) for loss in outcome.losses}
    assert named == {
        ("upgrade", "kept", "gone"),
        ("upgrade", "lost", None),
        ("downgrade", "kept", "fresh"),
        ("downgrade", "brand", None),
    }
    assert all(loss.table in loss.words and (loss.column or "") in loss.words for loss in outcome.losses)


def test_nothing_is_named_where_nothing_is_lost(bench: Workbench) -> None:
    bench.generate(schema(plain("kept", column("old", "int"))), verify=False)
    after = plain("kept", column("new", "long", description="Another text."))
    after["indexes"] = [{"name": "ix", "@id": "#ix", "columns": ["#kept.new"]}]
    outcome = proven(bench.generate(schema(after), "kept.old=new"))
    assert outcome.losses == ()
    assert [r.about for r in outcome.risks] == ["kept.old"]
    assert outcome.risks[0].words.startswith("downgrade")


def test_values_that_no_type_can_hold_are_asked_about_and_named(bench: Workbench) -> None:
    bench.generate(schema(plain("kept", column("x", "timestamp"))), verify=False)
    after = schema(plain("kept", column("x", "boolean")))
    outcome = bench.generate(after)
    assert outcome.status == "question"
    assert not outcome.source
    outcome = proven(bench.generate(after, on_question="drop-add"))
    assert {(loss.direction, loss.column) for loss in outcome.losses} == {
        ("upgrade", "x"),
        ("downgrade", "x"),
    }


def asked(outcome: SectionOutcome) -> list[str]:
    return [
        option for question in outcome.questions for answer in question.answers for option in answer.options
    ]


def test_values_that_no_type_can_hold_in_a_column_that_may_not_be_empty(bench: Workbench) -> None:
    bench.generate(schema(plain("kept", column("x", "timestamp", nullable=False))), verify=False)
    after = schema(plain("kept", column("x", "boolean", nullable=False)))
    outcome = bench.generate(after)
    assert outcome.status == "question"
    assert asked(outcome) == ["--fill kept.x=VALUE", "--no-fill kept.x"]
    assert not bench.generate(after, fills={("kept", "x"): None}, keep=False).questions
    proven(bench.generate(after, fills={("kept", "x"): "true"}))
    with staged(bench) as stage:
        stage.execute("INSERT INTO kept VALUES (1, '2026-01-01'), (2, '2026-01-02')")
        stage.upgrade()
        assert stage.rows("SELECT x FROM kept") == [(True,), (True,)]
        stage.downgrade()
        (first, _) = stage.rows("SELECT x::text FROM kept")
        assert first == ("1970-01-01 00:00:00",), "a stand-in, which is named as a loss"


def test_values_that_no_type_can_hold_give_way_to_the_default(bench: Workbench) -> None:
    bench.generate(schema(plain("kept", column("x", "timestamp"))), verify=False)
    after = schema(plain("kept", column("x", "int", nullable=False, value=7)))
    assert asked(bench.generate(after)) == [
        "--fill kept.x=VALUE",
        "--on-question drop-add",
        "--no-fill kept.x",
    ]
    outcome = proven(bench.generate(after, on_question="drop-add"))
    assert {(loss.direction, loss.column) for loss in outcome.losses} == {
        ("upgrade", "x"),
        ("downgrade", "x"),
    }
    with staged(bench) as stage:
        stage.execute("INSERT INTO kept VALUES (1, '2026-01-01'), (2, NULL)")
        stage.upgrade()
        assert stage.rows("SELECT x FROM kept") == [(7,), (7,)]


def test_a_column_that_may_be_emptied_is(bench: Workbench) -> None:
    bench.generate(schema(plain("kept", column("x", "timestamp", nullable=False))), verify=False)
    outcome = proven(
        bench.generate(schema(plain("kept", column("x", "int"))), on_question="drop-add", keep=False)
    )
    assert "NULL::INTEGER" in outcome.source


def test_a_key_whose_values_no_type_can_hold_stays_a_question(bench: Workbench) -> None:
    def keyed(datatype: str) -> Data:
        return schema(table("kept", [column("x", datatype, nullable=False)], key=["x"]))

    bench.generate(keyed("timestamp"), verify=False)
    outcome = bench.generate(keyed("long"), on_question="drop-add")
    assert outcome.status == "question"
    assert asked(outcome) == []
    assert "in the primary key" in outcome.questions[0].words


def test_what_the_upgrade_put_in_place_of_null_is_null_again(bench: Workbench) -> None:
    bench.generate(schema(plain("kept", column("x", "int"))), verify=False)
    text = "it's 5% \\ :x"
    after = schema(plain("kept", column("x", "text", nullable=False, value=text)))
    proven(bench.generate(after))
    with staged(bench) as stage:
        stage.execute("INSERT INTO kept VALUES (1, NULL), (2, 3)")
        stage.upgrade()
        assert stage.rows("SELECT x FROM kept ORDER BY id") == [(text,), ("3",)]
        stage.downgrade()
        assert stage.rows("SELECT x FROM kept ORDER BY id") == [(None,), (3,)]


def test_what_reads_as_a_value_is_not_taken_for_null(bench: Workbench) -> None:
    bench.generate(schema(plain("kept", column("x", "short"), column("y", "short"))), verify=False)
    after = schema(
        plain(
            "kept",
            column("x", "boolean", nullable=False, value=True),
            column("y", "text", nullable=False, value="7"),
        )
    )
    outcome = proven(bench.generate(after, keep=False))
    assert "nullif" not in outcome.source


def test_a_stand_in_of_the_downgrade_is_a_loss(bench: Workbench) -> None:
    bench.generate(
        schema(plain("kept", column("x", "int", nullable=False), column("y", "int"))), verify=False
    )
    outcome = proven(bench.generate(schema(plain("kept", column("y", "int"))), "kept.x="))
    words = [loss.words for loss in outcome.losses if loss.direction == "downgrade"]
    assert len(words) == 1
    assert "kept.x" in words[0]
    assert "placeholder" in words[0]


@pytest.mark.parametrize(
    ("expression", "datatype"),
    [
        ("kind IN (1, 2)", "int"),
        ("kind IN ('a', 'b')", "string"),
        ("kind LIKE 'sci%'", "string"),
        ("kind >= exposure_id", "int"),
        ("kind BETWEEN 10 AND 20 AND band > 0", "int"),
        ("length(kind) > 3", "string"),
        ("kind > '2020-01-01'", "timestamp"),
        ("kind", "boolean"),
    ],
)
def test_a_required_column_that_is_dropped_with_its_check_can_come_back(
    bench: Workbench, expression: str, datatype: str
) -> None:
    kept = [column("exposure_id", "int", nullable=False), column("band", "int")]
    check = {"name": "ck", "@type": "Check", "expression": expression}
    kind = column("kind", datatype, nullable=False)
    base = schema(table("exposure", [*kept, kind], key=["exposure_id"], constraints=[check]))
    bench.generate(base, verify=False)
    outcome = proven(bench.generate(schema(table("exposure", kept, key=["exposure_id"])), base=base))
    assert any("get a placeholder" in loss.words for loss in outcome.losses)


def test_a_dropped_ring_with_checks_can_come_back(bench: Workbench) -> None:
    later = {"deferrable": True, "initially": "DEFERRED"}
    exposure = table(
        "exposure",
        [column("exposure_id", "int", nullable=False), column("ccd", "int", nullable=False)],
        key=["exposure_id"],
        constraints=[
            {
                "name": "fk_ccd",
                "@type": "ForeignKey",
                "columns": ["ccd"],
                "referencedColumns": ["ccd.ccd_id"],
                **later,
            }
        ],
    )
    ccd = table(
        "ccd",
        [
            column("ccd_id", "int", nullable=False),
            column("exposure", "int", nullable=False),
            column("side", "int", nullable=False),
        ],
        key=["ccd_id"],
        constraints=[
            {
                "name": "fk_exposure",
                "@type": "ForeignKey",
                "columns": ["exposure"],
                "referencedColumns": ["exposure.exposure_id"],
                **later,
            },
            {"name": "ck_side", "@type": "Check", "expression": "side IN (7, 8)"},
        ],
    )
    base = schema(exposure, ccd)
    bench.generate(base, verify=False)
    alone = table("exposure", [column("exposure_id", "int", nullable=False)], key=["exposure_id"])
    proven(bench.generate(schema(alone), base=base))
