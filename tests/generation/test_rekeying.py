"""Rule M7: new NOT NULL columns on filled tables: from the parent row, from a default, from an answer."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from consdb_actions.adapters.autogenerate import engine
from consdb_actions.adapters.autogenerate.render import render_revision
from tests.support.stage import proven, staged
from tests.support.workbench import Data, Workbench, column, schema, table

DAY = ("day_obs", "seq_num")


def link(name: str, columns: list[str], parent: str, referenced: list[str]) -> Data:
    return {
        "name": name,
        "@type": "ForeignKey",
        "columns": columns,
        "referencedColumns": [f"{parent}.{c}" for c in referenced],
    }


def whole(*names: str) -> list[Data]:
    return [column(n, "int", nullable=False) for n in names]


def family(*, rekeyed: bool) -> Data:
    exposure = table(
        "exposure",
        whole("exposure_id", *DAY),
        key=["exposure_id"],
        constraints=[{"name": "un_exposure", "@type": "Unique", "columns": list(DAY)}],
    )
    days = list(DAY)
    if not rekeyed:
        quick = table(
            "quick",
            [*whole("exposure_id"), column("seeing")],
            key=["exposure_id"],
            constraints=[link("fk_quick", ["exposure_id"], "exposure", ["exposure_id"])],
        )
        ccd = table(
            "ccd",
            whole("ccd_id", "exposure_id", "detector"),
            key=["ccd_id"],
            constraints=[link("fk_ccd", ["exposure_id"], "exposure", ["exposure_id"])],
        )
        ccd_quick = table(
            "ccd_quick",
            [*whole("ccd_id"), column("psf")],
            key=["ccd_id"],
            constraints=[link("fk_ccd_quick", ["ccd_id"], "ccd", ["ccd_id"])],
        )
        return schema(exposure, quick, ccd, ccd_quick)
    quick = table(
        "quick",
        [*whole("exposure_id", *DAY), column("seeing")],
        key=days,
        constraints=[link("fk_quick_day", days, "exposure", days)],
    )
    ccd = table(
        "ccd",
        whole("ccd_id", "exposure_id", "detector", *DAY),
        key=[*days, "detector"],
        constraints=[link("fk_ccd_day", days, "exposure", days)],
    )
    ccd_quick = table(
        "ccd_quick",
        [*whole("ccd_id", *DAY, "detector"), column("psf")],
        key=[*days, "detector"],
        constraints=[link("fk_ccd_quick_day", [*days, "detector"], "ccd", [*days, "detector"])],
    )
    return schema(exposure, quick, ccd, ccd_quick)


def test_a_family_gets_its_new_key_from_its_parents(bench: Workbench) -> None:
    bench.generate(family(rekeyed=False), verify=False)
    outcome = proven(bench.generate(family(rekeyed=True)))
    assert not outcome.questions
    with staged(bench) as stage:
        stage.execute(
            "INSERT INTO exposure VALUES (1, 20250101, 7), (2, 20250102, 8)",
            "INSERT INTO quick (exposure_id, seeing) VALUES (1, 0.5), (2, 0.75)",
            "INSERT INTO ccd (ccd_id, exposure_id, detector) VALUES (10, 1, 90), (11, 1, 91), (20, 2, 90)",
            "INSERT INTO ccd_quick (ccd_id, psf) VALUES (10, 1.5), (11, 2.5), (20, 3.5)",
        )
        before = stage.catalog()
        stage.upgrade()
        assert stage.rows("SELECT day_obs, seq_num, seeing FROM quick ORDER BY 1") == [
            (20250101, 7, 0.5),
            (20250102, 8, 0.75),
        ]
        assert stage.rows("SELECT day_obs, seq_num, detector, psf FROM ccd_quick ORDER BY ccd_id") == [
            (20250101, 7, 90, 1.5),
            (20250101, 7, 91, 2.5),
            (20250102, 8, 90, 3.5),
        ]
        keys = [
            c.definition
            for c in stage.catalog().tables["ccd_quick"].constraints.values()
            if c.kind == "primary key"
        ]
        assert keys == ["PRIMARY KEY (day_obs, seq_num, detector)"]
        stage.downgrade()
        assert stage.catalog() == before
        assert stage.rows("SELECT * FROM ccd_quick ORDER BY 1") == [(10, 1.5), (11, 2.5), (20, 3.5)]


def plain(*columns: Data) -> Data:
    return schema(table("plain", [*whole("id"), *columns], key=["id"]))


def test_a_fill_over_a_column_that_goes_away_need_not_run_twice(bench: Workbench) -> None:
    def family(child: Data, parent: str) -> Data:
        key = f"{parent}_id"
        up = link("fk_quick", ["exposure_id"], "exposure", ["exposure_id"])
        return schema(
            table("exposure", whole("exposure_id"), key=["exposure_id"]),
            table("quick", whole("quick_id", "exposure_id"), key=["quick_id"], constraints=[up]),
            table(
                "child",
                [*whole("child_id"), child],
                key=["child_id"],
                constraints=[link("fk_child", [key], parent, [key])],
            ),
        )

    bench.generate(family(column("quick_id", "int"), "quick"), verify=False)
    after = family(column("exposure_id", "int", nullable=False), "exposure")
    outcome = proven(bench.generate(after, "child.quick_id="))
    assert "FROM cdb_latiss.quick AS parent1, cdb_latiss.exposure AS parent" in outcome.source
    assert outcome.checks[-1].name == "operator"


def test_a_fill_over_a_table_that_goes_away_comes_before(bench: Workbench) -> None:
    def family(quick: list[Data], *more: Data, keys: list[Data]) -> Data:
        # The key that the table refers to, as long as it is there.
        number = {"name": "un_number", "@type": "Unique", "columns": ["number"]}
        return schema(
            table(
                "exposure",
                whole("exposure_id", "number"),
                key=["exposure_id"],
                constraints=[number] if more else [],
            ),
            *more,
            table("quick", [*whole("quick_id"), *quick], key=["quick_id"], constraints=keys),
        )

    to_exposure = link("fk_quick", ["exposure_id"], "exposure", ["exposure_id"])
    to_flex = link("fk_quick_flex", ["flex_id"], "flex", ["flex_id"])
    of_flex = link("fk_flex", ["exposure_id"], "exposure", ["exposure_id"])
    numbered = link("fk_flex_number", ["number"], "exposure", ["number"])
    flex = table(
        "flex", whole("flex_id", "exposure_id", "number"), key=["flex_id"], constraints=[of_flex, numbered]
    )
    apart = family(whole("exposure_id"), keys=[to_exposure])
    between = family(
        [column("exposure_id", "int"), column("flex_id", "int")], flex, keys=[to_exposure, to_flex]
    )
    bench.generate(deepcopy(apart), verify=False)
    proven(bench.generate(deepcopy(between)))
    outcome = proven(bench.generate(deepcopy(apart), "flex=", "quick.flex_id="))
    upgrade = outcome.source.split("def downgrade")[0]
    assert upgrade.index("parent1.flex_id = child.flex_id") < upgrade.index('op.drop_table("flex"')
    with staged(bench, 2) as stage:
        stage.execute("INSERT INTO exposure VALUES (1, 5), (2, 6)")
        stage.execute("INSERT INTO flex VALUES (10, 1, 5), (20, 2, 6)")
        stage.execute("INSERT INTO quick VALUES (100, NULL, 10), (200, NULL, 20), (201, 1, 20)")
        stage.upgrade()
        assert stage.rows("SELECT * FROM quick ORDER BY 1") == [(100, 1), (200, 2), (201, 1)]


def test_not_null_asks_what_the_rows_should_hold(bench: Workbench) -> None:
    bench.generate(plain(column("old", "string")), verify=False)
    after = plain(column("old", "string", nullable=False), column("new", "int", nullable=False))
    outcome = bench.generate(after)
    assert outcome.status == "question"
    assert not outcome.source
    said = [option for q in outcome.questions for answer in q.answers for option in answer.options]
    for name in ("old", "new"):
        assert any(f"--fill plain.{name}=" in option for option in said)
        assert any(f"--no-fill plain.{name}" in option for option in said)
    assert len(list(bench.versions.glob("*.py"))) == 1


def test_not_null_with_an_answer(bench: Workbench) -> None:
    bench.generate(plain(column("old", "string")), verify=False)
    after = plain(column("old", "string", nullable=False), column("new", "int", nullable=False))
    text = "it's 5% :x\\"
    proven(bench.generate(after, fills={("plain", "old"): text, ("plain", "new"): "-3"}))
    with staged(bench) as stage:
        stage.execute("INSERT INTO plain VALUES (1, NULL), (2, 'kept')")
        stage.upgrade()
        assert stage.rows("SELECT old, new FROM plain ORDER BY id") == [(text, -3), ("kept", -3)]


def test_not_null_where_no_row_is_without_a_value(bench: Workbench) -> None:
    bench.generate(plain(column("old", "int")), verify=False)
    after = plain(column("old", "int", nullable=False), column("new", "int", nullable=False))
    outcome = bench.generate(after, fills={("plain", "old"): None, ("plain", "new"): None})
    proven(outcome)
    assert "UPDATE" not in outcome.source.split("def downgrade")[0]
    with staged(bench) as stage:
        stage.execute("INSERT INTO plain VALUES (1, 2)")
        with pytest.raises(Exception, match="new"):
            stage.upgrade()


def test_not_null_with_a_default(bench: Workbench) -> None:
    bench.generate(plain(column("old", "int")), verify=False)
    after = plain(
        column("old", "int", nullable=False, value=4),
        column("new", "string", nullable=False, value="it's :x:1: 5%"),
    )
    proven(bench.generate(after))
    with staged(bench) as stage:
        stage.execute("INSERT INTO plain VALUES (1, NULL), (2, 9)")
        stage.upgrade()
        assert stage.rows("SELECT old, new FROM plain ORDER BY id") == [
            (4, "it's :x:1: 5%"),
            (9, "it's :x:1: 5%"),
        ]


def of_a_day(day: Data | None) -> Data:
    """A child that refers to its parent, and by its day to a day that there is."""
    days = {"name": "un_day", "@type": "Unique", "columns": ["day_obs"]}
    exposure = table("exposure", whole("exposure_id", "day_obs"), key=["exposure_id"], constraints=[days])
    keys = [link("fk_child", ["exposure_id"], "exposure", ["exposure_id"])]
    if day is not None and not day["nullable"]:
        keys.append(link("fk_child_day", ["day_obs"], "exposure", ["day_obs"]))
    columns = [*whole("child_id", "exposure_id"), *([day] if day else [])]
    return schema(exposure, table("child", columns, key=["child_id"], constraints=keys))


TO_FOUR = (
    plain(column("old", "int")),
    plain(column("old", "int", nullable=False, value=4)),
    'SET "old" = 4 ',
    'SET "old" = 5 ',
)
BY_PARENT = (
    of_a_day(column("day_obs", "int", nullable=False)),
    "SET day_obs = parent.day_obs ",
    "SET day_obs = (SELECT max(day_obs) FROM cdb_latiss.exposure) ",
)


@pytest.mark.parametrize(
    ("before", "after", "statement", "wrong", "said"),
    [
        (*TO_FOUR, "plain.old: "),
        (of_a_day(column("day_obs", "int", nullable=True)), *BY_PARENT, "child.day_obs: "),
        (of_a_day(None), *BY_PARENT, "child.day_obs: "),
    ],
    ids=["default", "parent", "new column"],
)
def test_m15_a_fill_is_proven_on_rows_that_lack_a_value(
    bench: Workbench,
    monkeypatch: pytest.MonkeyPatch,
    before: Data,
    after: Data,
    statement: str,
    wrong: str,
    said: str,
) -> None:
    bench.generate(deepcopy(before), verify=False)
    outcome = proven(bench.generate(deepcopy(after), keep=False))
    assert outcome.source.count(statement) == 1, outcome.source

    def tampered(*arguments: Any) -> str:
        return render_revision(*arguments).replace(statement, wrong)

    monkeypatch.setattr(engine, "render_revision", tampered)
    (rows,) = [c for c in bench.generate(deepcopy(after), keep=False).checks if c.name == "rows"]
    assert not rows.holds
    assert rows.details[0].startswith(said)


def test_m7_a_new_column_that_numbers_itself_numbers_the_rows_that_there_are(bench: Workbench) -> None:
    day = column("day", "int", nullable=False)
    bench.generate(schema(table("log", [day], key=["day"])), verify=False)
    number = column("id", "long", nullable=False, autoincrement=True)
    outcome = bench.generate(schema(table("log", [column("day", "int", nullable=False), number], key=["id"])))
    proven(outcome)
    with staged(bench) as stage:
        stage.execute("INSERT INTO log (day) VALUES (5), (7)")
        stage.upgrade()
        stage.execute("INSERT INTO log (day) VALUES (9)")
        assert sorted(stage.rows("SELECT id FROM log")) == [(1,), (2,), (3,)]
