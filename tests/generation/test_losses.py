"""Rule M10: what a direction cannot keep or restore is named, and nothing else is."""

from __future__ import annotations

from tests.support.stage import proven
from tests.support.workbench import Data, Workbench, column, schema, table


def plain(name: str, *columns: Data) -> Data:
    return table(name, [column("id", "int", nullable=False), *columns], key=["id"])


def test_dropped_and_added_columns_and_tables_are_named(bench: Workbench) -> None:
    bench.generate(schema(plain("kept", column("gone"), column("stays")), plain("lost")), prove=False)
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
    bench.generate(schema(plain("kept", column("old", "int"))), prove=False)
    after = plain("kept", column("new", "long", description="Another text."))
    after["indexes"] = [{"name": "ix", "@id": "#ix", "columns": ["#kept.new"]}]
    outcome = proven(bench.generate(schema(after), "kept.old=new"))
    assert outcome.losses == ()
    assert [r.about for r in outcome.risks] == ["kept.old"]
    assert outcome.risks[0].words.startswith("downgrade")


def test_values_that_no_type_can_hold_are_asked_about_and_named(bench: Workbench) -> None:
    bench.generate(schema(plain("kept", column("x", "timestamp"))), prove=False)
    after = schema(plain("kept", column("x", "boolean")))
    outcome = bench.generate(after)
    assert outcome.status == "question"
    assert not outcome.source
    outcome = proven(bench.generate(after, on_question="drop-add"))
    assert {(loss.direction, loss.column) for loss in outcome.losses} == {
        ("upgrade", "x"),
        ("downgrade", "x"),
    }


def test_a_stand_in_of_the_downgrade_is_a_loss(bench: Workbench) -> None:
    bench.generate(schema(plain("kept", column("x", "int", nullable=False), column("y", "int"))), prove=False)
    outcome = proven(bench.generate(schema(plain("kept", column("y", "int"))), "kept.x="))
    words = [loss.words for loss in outcome.losses if loss.direction == "downgrade"]
    assert len(words) == 1
    assert "kept.x" in words[0]
    assert "stand-in" in words[0]
