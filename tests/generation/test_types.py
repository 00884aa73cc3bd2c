"""Rule M8: a change of type runs in both directions on rows, and what can fail is said by name."""

from __future__ import annotations

from copy import deepcopy
from datetime import datetime

import pytest

from tests.support.stage import proven, staged
from tests.support.workbench import Data, Workbench, column, schema, table


def plain(*columns: Data) -> Data:
    key = column("id", "int", nullable=False, autoincrement=False)
    return schema(table("plain", [key, *columns], key=["id"]))


def test_text_numbers_and_truth_there_and_back(bench: Workbench) -> None:
    bench.generate(
        plain(
            column("to_int", "string"),
            column("to_text", "int"),
            column("Flag", "float"),
            column("order", "boolean"),
            column("narrow", "long"),
            column("short", "text"),
        ),
        verify=False,
    )
    outcome = proven(
        bench.generate(
            plain(
                column("to_int", "int"),
                column("to_text", "string"),
                column("Flag", "boolean"),
                column("order", "int"),
                column("narrow", "short"),
                column("short", "string", length=8),
            )
        )
    )
    upgrade = {risk.about for risk in outcome.risks if risk.text.startswith("upgrade")}
    assert {"plain.to_int", "plain.narrow", "plain.short", "plain.Flag"} <= upgrade
    assert "plain.order" not in upgrade
    with staged(bench) as stage:
        stage.execute(
            "INSERT INTO plain VALUES (1, '42', 7, 0.5, true, 9, 'x'), (2, NULL, -1, 0, false, 1, '')"
        )
        before = stage.rows('SELECT id, to_int, to_text, "order", narrow, short FROM plain ORDER BY id')
        stage.upgrade()
        assert stage.rows('SELECT to_int, to_text, "Flag", "order" FROM plain ORDER BY id') == [
            (42, "7", True, 1),
            (None, "-1", False, 0),
        ]
        stage.downgrade()
        after = stage.rows('SELECT id, to_int, to_text, "order", narrow, short FROM plain ORDER BY id')
        assert after == before


def test_the_precision_of_a_timestamp(bench: Workbench) -> None:
    bench.generate(plain(column("t", "timestamp", precision=6)), verify=False)
    outcome = proven(bench.generate(plain(column("t", "timestamp", precision=3))))
    assert [r.about for r in outcome.risks if r.text.startswith("upgrade")] == ["plain.t"]
    with staged(bench) as stage:
        stage.execute("INSERT INTO plain VALUES (1, '2025-01-01 00:00:00.123456')")
        stage.upgrade()
        assert stage.rows("SELECT t FROM plain") == [(datetime(2025, 1, 1, 0, 0, 0, 123000),)]
    back = proven(bench.generate(plain(column("t", "timestamp", precision=6)), keep=False))
    assert not [r for r in back.risks if r.text.startswith("upgrade")]


def test_a_default_that_changes_with_the_type(bench: Workbench) -> None:
    bench.generate(
        plain(
            column("a", "string", value="7"),
            column("b", "int", value=1),
            column("c", "string", value="it's"),
            column("d", "boolean", value=True),
        ),
        verify=False,
    )
    proven(
        bench.generate(
            plain(
                column("a", "int", value=8),
                column("b", "string", value="50 %"),
                column("c", "int"),
                column("d", "int", value=1),
            ),
            on_question="drop-add",
        )
    )
    with staged(bench) as stage:
        stage.upgrade()
        stage.execute("INSERT INTO plain (id) VALUES (1)")
        assert stage.rows("SELECT a, b, c, d FROM plain") == [(8, "50 %", None, 1)]
        stage.execute("UPDATE plain SET b = '6'")
        stage.downgrade()
        stage.execute("INSERT INTO plain (id) VALUES (2)")
        assert stage.rows("SELECT a, b, c, d FROM plain WHERE id = 2") == [("7", 1, "it's", True)]


def test_a_sequence_appears_and_disappears(bench: Workbench) -> None:
    def numbered(autoincrement: bool) -> Data:
        key = column("id", "int", nullable=False, autoincrement=autoincrement)
        return schema(table("plain", [key, column("x")], key=["id"]))

    bench.generate(numbered(False), verify=False)
    proven(bench.generate(numbered(True)))
    with staged(bench) as stage:
        stage.execute("INSERT INTO plain VALUES (41, 0)")
        stage.upgrade()
        stage.execute("INSERT INTO plain (x) VALUES (1)")
        assert stage.rows("SELECT id FROM plain WHERE x = 1") == [(42,)]
    proven(bench.generate(numbered(False)))


@pytest.mark.slow
def test_m16_more_columns_than_fit_twice_are_proven_once(bench: Workbench) -> None:
    """Postgres counts dropped columns on, up to 1,600: a second time there is no room for them."""
    few = [column("id", "long", nullable=False)]
    many = [column(f"reading_{number}") for number in range(900)]
    bench.generate(schema(table("wide", deepcopy(few), key=["id"])))
    outcome = bench.generate(schema(table("wide", [*few, *many], key=["id"])))
    assert outcome.status == "changed"
    assert [(c.name, c.holds) for c in outcome.checks if not c.holds] == [("operator", None)]
    assert "fit into a table only once" in outcome.checks[-1].text
