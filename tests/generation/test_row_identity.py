"""Rule M7: rows are changed while they have a primary key, as a publication asks for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

import pytest
import sqlalchemy as sa

from consdb_actions.migration.outcome import SectionOutcome
from tests.generation.test_rekeying import family, link, whole
from tests.support.stage import Stage, proven, staged
from tests.support.workbench import Data, Workbench, column, schema, table


@contextmanager
def published(bench: Workbench, revisions: int = 1) -> Iterator[Stage]:
    """Give a database whose tables are all published, in which the first revisions have run."""
    with staged(bench, revisions) as stage:
        stage.execute("CREATE PUBLICATION everything FOR ALL TABLES")
        yield stage


def unidentified(outcome: SectionOutcome) -> list[str]:
    """Return the tables whose rows are changed without a key, each as often as it is said."""
    return [risk.about for risk in outcome.risks if "no primary key" in risk.text]


def under_the_old_key(outcome: SectionOutcome) -> list[str]:
    """Return the tables, by direction, whose changed rows a migrated replica does not take."""
    risks = [risk for risk in outcome.risks if "under the old primary key" in risk.text]
    return [f"{risk.text.partition(':')[0]} {risk.about}" for risk in risks]


def plain(*columns: Data, key: list[str], **more: list[Data]) -> Data:
    return schema(table("plain", [*whole("id", "number"), *columns], key=key, **more))


def note(**more: object) -> Data:
    return column("note", "int", **more)


FILLED = {"nullable": False, "value": 4}


def test_m7_a_publication_takes_the_fill_of_a_new_key(bench: Workbench) -> None:
    bench.generate(family(rekeyed=False), verify=False)
    outcome = proven(bench.generate(family(rekeyed=True)))
    assert not unidentified(outcome)
    assert under_the_old_key(outcome) == ["upgrade ccd", "upgrade ccd_quick", "upgrade quick"]
    with published(bench) as stage:
        stage.execute(
            "INSERT INTO exposure VALUES (1, 20250101, 7)",
            "INSERT INTO quick (exposure_id, seeing) VALUES (1, 0.5)",
            "INSERT INTO ccd (ccd_id, exposure_id, detector) VALUES (10, 1, 90)",
            "INSERT INTO ccd_quick (ccd_id, psf) VALUES (10, 1.5)",
        )
        stage.upgrade()
        stage.downgrade()


def test_m7_a_publication_takes_the_fill_of_an_old_key(bench: Workbench) -> None:
    bench.generate(family(rekeyed=True), verify=False)
    outcome = proven(bench.generate(family(rekeyed=False)))
    assert not unidentified(outcome)
    assert under_the_old_key(outcome) == ["downgrade ccd", "downgrade ccd_quick", "downgrade quick"]
    with published(bench) as stage:
        stage.execute(
            "INSERT INTO exposure VALUES (1, 20250101, 7)",
            "INSERT INTO quick VALUES (1, 20250101, 7, 0.5)",
            "INSERT INTO ccd VALUES (10, 1, 90, 20250101, 7)",
            "INSERT INTO ccd_quick VALUES (10, 20250101, 7, 90, 1.5)",
        )
        stage.upgrade()
        stage.downgrade()
        assert stage.rows("SELECT day_obs, seq_num, psf FROM ccd_quick") == [(20250101, 7, 1.5)]


@pytest.mark.parametrize(
    ("before", "after", "order"),
    [
        # What the fill gives is in the new key: the old one stands until then.
        (
            plain(note(), key=["id"]),
            plain(note(**FILLED), key=["id", "note"]),
            ["UPDATE", "DROP KEY", "NOT NULL", "KEY id note"],
        ),
        # The new key can stand before: then the rows are known by it, at a replica, too.
        (
            plain(note(), key=["id"]),
            plain(note(**FILLED), key=["number"]),
            ["DROP KEY", "KEY number", "UPDATE", "NOT NULL"],
        ),
        (
            plain(note(), key=[]),
            plain(note(**FILLED), key=["number"]),
            ["KEY number", "UPDATE", "NOT NULL"],
        ),
        (
            plain(note(), key=["id"]),
            plain(note(**FILLED), key=[]),
            ["UPDATE", "DROP KEY", "NOT NULL"],
        ),
        # A column of the old key may be empty afterwards.
        (
            plain(note(), column("free", "int", nullable=False), key=["id", "free"]),
            plain(note(**FILLED), column("free", "int"), key=["id", "note"]),
            ["UPDATE", "DROP KEY", "NULL", "NOT NULL", "KEY id note"],
        ),
        # The old key takes the change of type of its column.
        (
            plain(note(), column("size", "int", nullable=False), key=["size"]),
            plain(note(**FILLED), column("size", "long", nullable=False), key=["id", "note"]),
            ["TYPE", "UPDATE", "DROP KEY", "NOT NULL", "KEY id note"],
        ),
        # Integers that do not fit are refused anyway.
        (
            plain(note(), column("size", "long", nullable=False), key=["size"]),
            plain(note(**FILLED), column("size", "int", nullable=False), key=["id", "note"]),
            ["TYPE", "UPDATE", "DROP KEY", "NOT NULL", "KEY id note"],
        ),
        # Without a fill, nothing moves.
        (plain(key=["id"]), plain(key=["number"]), ["DROP KEY", "KEY number"]),
    ],
    ids=["old", "new", "none before", "none after", "free", "wider", "integers", "no fill"],
)
def test_m7_rows_are_changed_while_a_key_stands(
    bench: Workbench, before: Data, after: Data, order: list[str]
) -> None:
    bench.generate(deepcopy(before), verify=False)
    outcome = proven(bench.generate(deepcopy(after)))
    assert not unidentified(outcome)
    waits = {"UPDATE", "DROP KEY"} <= set(order) and order.index("UPDATE") < order.index("DROP KEY")
    assert ("upgrade plain" in under_the_old_key(outcome)) == waits
    with published(bench) as stage:
        names = [c["name"] for c in before["tables"][0]["columns"]]
        stage.execute(
            f"INSERT INTO plain ({', '.join(names)}) "
            f"VALUES ({', '.join('NULL' if n == 'note' else '1' for n in names)})"
        )
        assert steps(stage) == order
        stage.downgrade()
        stage.upgrade()


def steps(stage: Stage) -> list[str]:
    """Upgrade, and return what concerns rows and keys."""
    words = {
        "UPDATE": "UPDATE",
        "DROP CONSTRAINT": "DROP KEY",
        "DROP NOT NULL": "NULL",
        "SET NOT NULL": "NOT NULL",
        " TYPE ": "TYPE",
    }
    found: list[str] = []

    def listen(_c: object, _u: object, statement: str, *_more: object) -> None:
        if "PRIMARY KEY" in statement:
            found.append("KEY " + statement.rpartition("(")[2].strip(" )").replace(",", ""))
        else:
            found.extend(said for part, said in words.items() if part in statement)

    sa.event.listen(stage.engine, "before_cursor_execute", listen)
    stage.upgrade()
    sa.event.remove(stage.engine, "before_cursor_execute", listen)
    return [step for step in found if step != "UPDATE version"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (plain(note(), key=[]), plain(note(**FILLED), key=[])),
        # 01 and 1 are one number: the old key could not stand any longer.
        (
            plain(note(), column("name", "string", nullable=False), key=["name"]),
            plain(note(**FILLED), column("name", "int", nullable=False), key=["id", "note"]),
        ),
    ],
    ids=["never", "narrower"],
)
def test_m7_rows_that_cannot_have_a_key_are_named(bench: Workbench, before: Data, after: Data) -> None:
    bench.generate(deepcopy(before), verify=False)
    outcome = proven(bench.generate(deepcopy(after)))
    assert unidentified(outcome) == ["plain"]
    with published(bench) as stage:
        row = ", ".join(c["name"] for c in before["tables"][0]["columns"] if c["name"] != "note")
        stage.execute(f"INSERT INTO plain ({row}) VALUES ({', '.join('1' for _ in row.split(', '))})")
        with pytest.raises(sa.exc.DBAPIError, match="replica identity"):
            stage.upgrade()
        stage.execute("ALTER TABLE plain REPLICA IDENTITY FULL")
        stage.upgrade()


def test_m7_the_name_of_the_old_key_is_free_for_a_new_table(bench: Workbench) -> None:
    def visit(name: str) -> Data:
        return table(name, [*whole("visit_id"), note()], key=["visit_id"])

    # A renamed table keeps the name of its key, which is also that of the new table's.
    bench.generate(schema(visit("exposure")), verify=False)
    bench.generate(schema(visit("visit")), "exposure=visit", verify=False)
    rekeyed = table("visit", [*whole("visit_id"), note(**FILLED)], key=["visit_id", "note"])
    outcome = proven(bench.generate(schema(rekeyed, table("exposure", whole("number"), key=["number"]))))
    assert not unidentified(outcome)
    with published(bench, 2) as stage:
        before = stage.catalog()
        stage.execute("INSERT INTO visit VALUES (1, NULL)")
        stage.upgrade()
        stage.downgrade()
        assert stage.catalog() == before


def test_m7_a_column_that_moves_into_a_key_is_copied_under_the_old_one(bench: Workbench) -> None:
    up = link("fk_ccd", ["exposure_id"], "exposure", ["exposure_id"])

    def pair(exposure: list[Data], ccd: list[Data], key: list[str]) -> Data:
        return schema(
            table("exposure", [*whole("exposure_id"), *exposure], key=["exposure_id"]),
            table("ccd", [*whole("exposure_id"), *ccd], key=key, constraints=[up]),
        )

    day = {"nullable": False}
    bench.generate(pair([column("day", "int", **day)], [], ["exposure_id"]), verify=False)
    after = pair([], [column("day", "int", **day)], ["exposure_id", "day"])
    outcome = proven(bench.generate(after, "exposure.day=ccd.day", fills={("ccd", "day"): None}))
    assert not unidentified(outcome)
    with published(bench) as stage:
        stage.execute("INSERT INTO exposure VALUES (1, 5)", "INSERT INTO ccd VALUES (1)")
        stage.upgrade()
        stage.downgrade()
        assert stage.rows("SELECT * FROM exposure") == [(1, 5)]


def test_m7_a_new_table_does_not_hold_the_old_key(bench: Workbench) -> None:
    days = ["day_obs", "seq_num"]
    unique = {"name": "un_night", "@type": "Unique", "columns": days[::-1]}

    def night(key: list[str], *constraints: Data, **filled: object) -> Data:
        columns = [*whole("id", *days), note(**filled)]
        return table("night", columns, key=key, constraints=list(constraints))

    bench.generate(schema(night(days)), verify=False)
    bench.generate(schema(night(days, unique)), verify=False)
    up = link("fk_flex", days[::-1], "night", days[::-1])
    flex = table("flex", whole("flex_id", *days), key=["flex_id"], constraints=[up])
    outcome = proven(bench.generate(schema(night(["id", "note"], unique, **FILLED), flex)))
    assert not unidentified(outcome)
