"""Rule M17: a revision contains the change of its pull request, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from itertools import permutations
from typing import Any

import pytest

from consdb_actions.catalog import Snapshot, compare
from consdb_actions.errors import InputError
from consdb_actions.migration.outcome import SectionOutcome
from tests.support.stage import proven, staged
from tests.support.variants import every
from tests.support.workbench import Data, Workbench, column, schema, table

Change = Callable[[Data], None]


def observatory() -> Data:
    """A schema with the two views, a child table and one of everything that can change."""
    exposure = table(
        "exposure",
        [
            column("exposure_id", "long", nullable=False),
            column("band", "string"),
            column("seeing", "float"),
            column("airmass", "int"),
        ],
        key=["exposure_id"],
        constraints=[
            {"name": "ck_seeing", "@type": "Check", "expression": "seeing > 0"},
            {"name": "un_band", "@type": "Unique", "columns": ["exposure_id", "band"]},
        ],
        indexes=[{"name": "ix_band", "columns": ["band"]}],
    )
    ccdexposure = table(
        "ccdexposure",
        [
            column("ccdexposure_id", "long", nullable=False),
            column("exposure_id", "long", nullable=False),
            column("detector", "int"),
        ],
        key=["ccdexposure_id"],
        constraints=[
            {
                "name": "fk_exposure",
                "@type": "ForeignKey",
                "columns": ["exposure_id"],
                "referencedColumns": ["exposure.exposure_id"],
            }
        ],
    )
    notes = table(
        "notes", [column("note_id", "long", nullable=False), column("text", "string")], key=["note_id"]
    )
    views = [
        table("visit1", [column("visit_id", "long", nullable=False)], key=["visit_id"]),
        table("ccdvisit1", [column("ccdvisit_id", "long", nullable=False)], key=["ccdvisit_id"]),
    ]
    return schema(exposure, ccdexposure, notes, *views)


def columns_of(data: Data, name: str) -> list[Data]:
    columns: list[Data] = next(t for t in data["tables"] if t["name"] == name)["columns"]
    return columns


def one(data: Data, name: str, of: str = "exposure") -> Data:
    return next(c for c in columns_of(data, of) if c["name"] == name)


def add_column(data: Data) -> None:
    columns_of(data, "exposure").insert(1, column("wind", "double", id="#exposure.wind"))


def add_another(data: Data) -> None:
    columns_of(data, "exposure").append(column("pressure", "double", id="#exposure.pressure"))


def drop_column(data: Data) -> None:
    columns_of(data, "exposure").remove(one(data, "airmass"))


def rename_column(data: Data) -> None:
    one(data, "seeing")["name"] = "seeing_arcsec"
    condition = data["tables"][0]["constraints"][0]
    condition["expression"] = condition["expression"].replace("seeing ", "seeing_arcsec ")


def retype_column(data: Data) -> None:
    one(data, "airmass")["datatype"] = "long"


def comment_column(data: Data) -> None:
    one(data, "band")["description"] = "Another description."


def not_null(data: Data) -> None:
    one(data, "detector", "ccdexposure").update(nullable=False, value=3)


def new_table(data: Data) -> None:
    data["tables"].append(table("weather", [column("day", "int", nullable=False)], key=["day"]))


def drop_table(data: Data) -> None:
    data["tables"] = [t for t in data["tables"] if t["name"] != "notes"]


def change_check(data: Data) -> None:
    condition = data["tables"][0]["constraints"][0]
    condition["expression"] = condition["expression"].replace("> 0", "> 1")


def drop_unique(data: Data) -> None:
    del data["tables"][0]["constraints"][1]


def rename_index(data: Data) -> None:
    data["tables"][0]["indexes"][0]["name"] = "ix_exposure_band"


def foreign_key_option(data: Data) -> None:
    data["tables"][1]["constraints"][0]["on_delete"] = "CASCADE"


def change_key(data: Data) -> None:
    notes = next(t for t in data["tables"] if t["name"] == "notes")
    notes["columns"].append(column("page", "int", nullable=False, value=1, id="#notes.page"))
    notes["primaryKey"] = ["#notes.note_id", "#notes.page"]


def drop_view(data: Data) -> None:
    data["tables"] = [t for t in data["tables"] if t["name"] != "ccdvisit1"]


def table_comment(data: Data) -> None:
    data["tables"][1]["description"] = "Other words."


CHANGES: tuple[Change, ...] = (
    add_column,
    add_another,
    drop_column,
    rename_column,
    retype_column,
    comment_column,
    not_null,
    new_table,
    drop_table,
    change_check,
    drop_unique,
    rename_index,
    foreign_key_option,
    table_comment,
    change_key,
    drop_view,
)

CONFLICTS = {
    (drop_column, retype_column),
    (rename_column, change_check),
    (drop_table, change_key),
    (change_key, drop_table),
}
"""Pairs that change one element in two ways; all others must go together.

A CHECK of somebody else follows the column that this change renames. One that this change writes over the
column's name does not follow a column that somebody else renamed.
"""

QUICK = {
    (add_column, add_another),
    (drop_column, add_column),
    (add_column, rename_column),
    (rename_column, add_column),
    (drop_column, retype_column),
    (new_table, drop_table),
}


def changed(*changes: Change) -> Data:
    data = observatory()
    for change in changes:
        change(data)
    return data


def state_after(bench: Workbench, revisions: int) -> Snapshot:
    with staged(bench, revisions) as stage:
        return stage.catalog()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(a, b, marks=() if (a, b) in QUICK else pytest.mark.slow, id=f"{a.__name__}-{b.__name__}")
        for a, b in permutations(CHANGES, 2)
    ],
)
def test_a_change_beside_another_that_was_migrated_first(
    bench: Workbench, first: Change, second: Change
) -> None:
    base = observatory()
    migrated(bench, first)
    outcome = bench.generate(changed(second), base=base)
    if (first, second) in CONFLICTS:
        assert outcome.status == "question"
        assert all("--take head" in q.answers[0].options[0] for q in outcome.questions)
        taken = [q.answers[0].options[0].removeprefix("--take ") for q in outcome.questions]
        outcome = bench.generate(changed(second), base=base, take=taken)
        proven(outcome)
        return
    proven(outcome)
    # Both in one are what comes of one after the other.
    one_after_the_other = state_after(bench, 3)
    for path in (*bench.versions.glob("*000000000003*"), *bench.versions.glob("*000000000002*")):
        path.unlink()
    differences = compare(state_of_both(bench, changed(first, second)), one_after_the_other, positions=False)
    # A view shows a column of somebody else last, and the YAML of both may have it in the middle.
    assert all(d.path[-1] in {"position", "definition"} for d in differences)


MIGRATED: dict[str, dict[str, str]] = {}
BOTH: dict[str, Snapshot] = {}


def migrated(bench: Workbench, change: Change) -> None:
    """Put the revisions of the base and of a change into the tree; they are generated once."""
    if (name := change.__name__) in MIGRATED:
        for file, source in MIGRATED[name].items():
            (bench.versions / file).write_text(source, "utf-8")
        return
    base = observatory()
    bench.generate(base, verify=False)
    assert bench.generate(changed(change), base=base, verify=False).status == "changed"
    MIGRATED[name] = {path.name: path.read_text("utf-8") for path in bench.versions.glob("*.py")}


def state_of_both(bench: Workbench, data: Data) -> Snapshot:
    """Return the database after one revision with both changes; the same data is verified once."""
    if (key := json.dumps(data)) not in BOTH:
        proven(bench.generate(data, base=observatory()))
        BOTH[key] = state_after(bench, 2)
    return BOTH[key]


def drifted(bench: Workbench, statement: str) -> None:
    bench.generate(observatory(), verify=False)
    bench.revise(f"op.execute({statement!r})")


@pytest.mark.parametrize(
    ("statement", "element"),
    every(
        3,
        [
            ("ALTER TABLE cdb_latiss.notes ALTER COLUMN text TYPE varchar(99)", "notes.text.type"),
            ("ALTER TABLE cdb_latiss.exposure ADD COLUMN extra integer", "exposure.extra"),
            ("ALTER TABLE cdb_latiss.exposure DROP CONSTRAINT ck_seeing", "exposure.ck_seeing"),
            ("ALTER TABLE cdb_latiss.exposure RENAME CONSTRAINT un_band TO fk_key", "exposure.un_band.name"),
            ("COMMENT ON COLUMN cdb_latiss.exposure.band IS NULL", "exposure.band.comment"),
            ("COMMENT ON TABLE cdb_latiss.exposure IS NULL", "exposure.comment"),
            ("DROP INDEX cdb_latiss.ix_band", "exposure.ix_band"),
            ("CREATE TABLE cdb_latiss.by_hand (a integer)", "by_hand"),
            ("ALTER TABLE cdb_latiss.notes DROP COLUMN text", "notes.text"),
            ("DROP TABLE cdb_latiss.notes", "notes"),
            ("ALTER TABLE cdb_latiss.exposure ALTER COLUMN band SET NOT NULL", "exposure.band.nullable"),
            ("ALTER TABLE cdb_latiss.exposure ALTER COLUMN band SET DEFAULT 'u'", "exposure.band.default"),
            (
                "ALTER TABLE cdb_latiss.exposure DROP CONSTRAINT exposure_pkey CASCADE; "
                "ALTER TABLE cdb_latiss.exposure ADD PRIMARY KEY (exposure_id, band)",
                "exposure.exposure_pkey",
            ),
        ],
    ),
    ids=lambda value: value if "." in value and " " not in value else "",
)
def test_drift_is_reported_with_its_revision_and_left_alone(
    bench: Workbench, statement: str, element: str
) -> None:
    drifted(bench, statement)
    outcome = proven(bench.generate(changed(add_column), base=observatory()))
    assert [op.text for op in outcome.upgrade if "grant" not in op.text] == [
        "drop view visit1",
        "add column exposure.wind (double precision)",
        "create view visit1",
    ]
    item = next(d for d in outcome.drift if d.element == element)
    assert item.revision.endswith("beef")
    assert item.message == "By hand."


def test_drift_is_included_when_asked_for(bench: Workbench) -> None:
    drifted(bench, "ALTER TABLE cdb_latiss.exposure ADD COLUMN extra integer")
    outcome = proven(bench.generate(changed(add_column), base=observatory(), drift="include"))
    words = [op.text for op in outcome.upgrade]
    assert "drop column exposure.extra" in words
    assert "add column exposure.wind (double precision)" in words


def test_drift_alone_is_a_revision_of_its_own(bench: Workbench) -> None:
    drifted(bench, "ALTER TABLE cdb_latiss.exposure ADD COLUMN extra integer")
    outcome = proven(bench.generate(changed(add_column), base=observatory(), drift="only"))
    words = [op.text for op in outcome.upgrade]
    assert "drop column exposure.extra" in words
    assert not any("wind" in w for w in words)


def test_a_single_drifted_element_is_taken_from_head(bench: Workbench) -> None:
    drifted(bench, "ALTER TABLE cdb_latiss.notes ALTER COLUMN text TYPE varchar(99)")
    outcome = bench.generate(changed(comment_column), base=observatory(), take=["head notes.text"])
    proven(outcome)
    assert any("change type of notes.text" in op.text for op in outcome.upgrade)
    assert outcome.drift == ()


def test_what_is_there_already_is_reported(bench: Workbench) -> None:
    bench.generate(observatory(), verify=False)
    bench.generate(changed(add_column), base=observatory(), verify=False)
    outcome = bench.generate(changed(add_column), base=observatory())
    assert outcome.status == "unchanged"
    assert outcome.present == ("exposure.wind",)


def test_a_conflict_shows_three_states_and_who_made_the_current_one(bench: Workbench) -> None:
    bench.generate(observatory(), verify=False)

    def comment(text: str) -> Change:
        return lambda data: one(data, "band").update(description=text)

    bench.generate(changed(comment("One.")), base=observatory(), verify=False, message="DM-1 one")
    asked: SectionOutcome = bench.generate(changed(comment("Two.")), base=observatory())
    assert asked.status == "question"
    (question,) = asked.questions
    shown = " ".join(question.proposals)
    assert all(text in shown for text in ("The band.", "Two.", "One.", "000000000002", "DM-1 one"))
    kept = bench.generate(
        changed(comment("Two.")), base=observatory(), take=["current exposure.band.comment"], keep=False
    )
    assert kept.status == "unchanged"
    taken = bench.generate(changed(comment("Two.")), base=observatory(), take=["head exposure.band"])
    assert [op.text for op in proven(taken).upgrade] == ["change comment on exposure.band"]


def test_the_shadow_column_is_never_drift(bench: Workbench) -> None:
    base = observatory()
    columns_of(base, "exposure").append(column("s_region", "string", id="#exposure.s_region"))
    bench.generate(base, verify=False)
    bench.revise(
        'op.execute("DROP VIEW cdb_latiss.visit1")\n'
        'op.execute("ALTER TABLE cdb_latiss.exposure DROP COLUMN pgs_region")\n'
        'op.execute("CREATE VIEW cdb_latiss.visit1 AS SELECT exposure_id AS visit_id, band, seeing, airmass, '
        's_region FROM cdb_latiss.exposure")'
    )
    outcome: Any = proven(bench.generate(base, base=deepcopy(base)))
    assert any("pgs_region" in op.text for op in outcome.upgrade)
    assert not any("pgs_region" in d.element for d in outcome.drift)


def test_m5_rows_are_found_by_keys_that_the_database_has(bench: Workbench) -> None:
    def quick(*columns: Data) -> Data:
        items = [column(n, "int", nullable=False) for n in ("quick_id", "day_obs", "seq_num")]
        key = {"name": "un_quick", "@type": "Unique", "columns": ["day_obs", "seq_num"]}
        return table("quick", [*items, *columns], key=["quick_id"], constraints=[key])

    flux = column("flux", "double", description="Flux of the brightest star.")
    new = table(
        "more",
        [column("day_obs", "int", nullable=False), column("seq_num", "int", nullable=False), deepcopy(flux)],
        key=["day_obs", "seq_num"],
    )
    base = schema(quick(flux))
    bench.generate(base, verify=False)
    bench.revise('op.drop_constraint("un_quick", "quick", schema="cdb_latiss")')
    outcome = bench.generate(schema(quick(), new), base=base)
    # Without the key, several rows of the one table could be one of the other.
    if outcome.status != "question":
        proven(outcome)
    assert not any("copy" in op.text for op in outcome.upgrade)


def other_table(data: Data) -> None:
    """A table of somebody else that refers to one of ours."""
    key = {
        "name": "fk_pin",
        "@type": "ForeignKey",
        "columns": ["note_id"],
        "referencedColumns": ["notes.note_id"],
    }
    items = [column("pin_id", "long", nullable=False), column("note_id", "long")]
    data["tables"].append(table("pins", items, key=["pin_id"], constraints=[key]))


def move_key(data: Data) -> None:
    notes = next(t for t in data["tables"] if t["name"] == "notes")
    notes["columns"].append(column("number", "long", nullable=False, value=1, id="#notes.number"))
    notes["primaryKey"] = ["#notes.note_id", "#notes.number"]


@pytest.mark.parametrize("change", [drop_table, move_key])
@pytest.mark.parametrize("side", ["head", "current"])
def test_what_somebody_else_refers_to_goes_only_when_the_answer_says_so(
    bench: Workbench, change: Change, side: str
) -> None:
    bench.generate(observatory(), verify=False)
    bench.generate(changed(other_table), base=observatory(), verify=False)
    asked = bench.generate(changed(change), base=observatory())
    assert asked.status == "question"
    (question,) = asked.questions
    take = [o for answer in question.answers for o in answer.options if o.startswith(f"--take {side}")]
    outcome = bench.generate(
        changed(change), base=observatory(), take=[t.removeprefix("--take ") for t in take]
    )
    words = [op.text for op in outcome.upgrade]
    assert ("drop foreign key fk_pin of pins" in words) is (side == "head")
    if outcome.status != "unchanged":
        proven(outcome)


@pytest.mark.parametrize(
    ("statements", "change", "element", "theirs"),
    [
        (
            ["CREATE VIEW cdb_latiss.theirs AS SELECT note_id FROM cdb_latiss.notes"],
            drop_table,
            "theirs",
            "VIEW cdb_latiss.theirs AS",
        ),
        (
            [
                "DROP VIEW cdb_latiss.visit1",
                "CREATE VIEW cdb_latiss.visit1 AS "
                "SELECT exposure_id AS visit_id, seeing * 2 AS twice FROM cdb_latiss.exposure",
            ],
            add_column,
            "visit1",
            "AS twice",
        ),
    ],
)
def test_a_view_of_somebody_else_is_not_lost_without_a_question(
    bench: Workbench, statements: list[str], change: Change, element: str, theirs: str
) -> None:
    drifted(bench, "; ".join(statements))
    asked = bench.generate(changed(change), base=observatory())
    assert asked.status == "question"
    (question,) = asked.questions
    assert question.text.startswith(f"{element} ")
    for side in ("head", "current"):
        take = [
            o.removeprefix("--take ")
            for answer in question.answers
            for o in answer.options
            if o.startswith(f"--take {side}")
        ]
        outcome = bench.generate(changed(change), base=observatory(), take=take, keep=False)
        dropped = any(op.text == f"drop view {element}" for op in outcome.upgrade)
        upgrade = outcome.source.split("def downgrade")[0]
        assert (dropped and theirs not in upgrade) is (side == "head")
        if outcome.status != "unchanged":
            proven(outcome)


@pytest.mark.parametrize(
    "change", [add_column, rename_column, retype_column, drop_table, new_table], ids=lambda c: c.__name__
)
def test_grants_that_somebody_gave_stay(bench: Workbench, change: Change) -> None:
    names = ("exposure", "visit1", "ccdvisit1")
    drifted(bench, "; ".join(f"GRANT INSERT ON cdb_latiss.{n} TO usdf" for n in names))
    proven(bench.generate(changed(change), base=observatory()))
    relations = state_after(bench, 3).relations
    for name in names:
        assert ("usdf", "INSERT") in {(g.grantee, g.privilege) for g in relations[name].grants}


def test_a_stacked_change_is_smaller_once_the_lower_one_is_merged(bench: Workbench) -> None:
    bench.generate(observatory(), verify=False)
    whole = bench.generate(changed(add_column, add_another), base=observatory(), keep=False)
    bench.generate(changed(add_column), base=observatory(), verify=False)
    # The lower one is merged in both repositories: it is in the base, and in the database.
    rest = proven(bench.generate(changed(add_column, add_another), base=changed(add_column)))
    added = [[op.text for op in o.upgrade if op.text.startswith("add column")] for o in (whole, rest)]
    assert [len(words) for words in added] == [2, 1]
    assert "pressure" in added[1][0]


def test_a_foreign_key_stays_when_another_key_over_its_columns_goes(bench: Workbench) -> None:
    def family(**keys: list[str]) -> Data:
        items = [column(n, "int", nullable=False) for n in ("night_id", "day_obs", "seq_num")]
        uniques = [{"name": k, "@type": "Unique", "columns": c} for k, c in keys.items()]
        night = table("night", items, key=["night_id"], constraints=uniques)
        link = {
            "name": "fk_night",
            "@type": "ForeignKey",
            "columns": ["day_obs", "seq_num"],
            "referencedColumns": ["night.day_obs", "night.seq_num"],
        }
        own = [column(n, "int", nullable=False) for n in ("child_id", "day_obs", "seq_num")]
        return schema(night, table("child", own, key=["child_id"], constraints=[link]))

    first, second = ["day_obs", "seq_num"], ["seq_num", "day_obs"]
    base = family(un_night=first)
    bench.generate(base, verify=False)
    # The second key comes after the foreign key, which goes on relying on the first.
    proven(bench.generate(family(un_night=first, un_second=second), base=base))
    outcome = proven(bench.generate(base, base=family(un_night=first, un_second=second)))
    assert [op.text for op in outcome.upgrade] == ["drop unique un_second of night"]
    assert "foreign" not in outcome.source


def test_a_table_without_columns_is_an_error_with_its_line(bench: Workbench) -> None:
    bench.generate(observatory(), verify=False)
    after = observatory()
    after["tables"].append({"name": "nothing", "@id": "#nothing", "description": "Nothing.", "columns": []})
    with pytest.raises(InputError, match="no columns") as raised:
        bench.generate(after, base=observatory())
    assert "nothing" in str(raised.value)


def test_a_column_that_another_change_let_be_null_is_filled_for_a_new_primary_key(bench: Workbench) -> None:
    """A primary key makes its columns NOT NULL, whatever the database says of them."""

    def notes(key: str, *, nullable: bool) -> Data:
        items = [column("note_id", "long", nullable=False), column("number", "int", nullable=nullable)]
        return schema(table("notes", [*items, column("text", "string")], key=[key]))

    base = notes("note_id", nullable=False)
    bench.generate(base, verify=False)
    bench.generate(notes("note_id", nullable=True), base=base, verify=False)
    after = notes("number", nullable=False)
    asked = bench.generate(after, base=base)
    assert asked.status == "question"
    assert any("number" in question.text for question in asked.questions)
    outcome = proven(bench.generate(after, base=base, fills={("notes", "number"): None}))
    assert "nullable=False" in outcome.source


@pytest.mark.parametrize("item", ["unique", "unique of the key", "index"])
def test_a_name_that_a_table_renamed_by_another_change_keeps_is_a_question(
    bench: Workbench, item: str
) -> None:
    def named(table_name: str, *more: Data) -> Data:
        # Postgres merges a UNIQUE with a primary key over the same columns.
        columns = ["note_id"] if item == "unique of the key" else ["text"]
        unique = {"name": "by_text", "@type": "Unique", "columns": columns}
        index = {"name": "by_text", "columns": ["text"]}
        made = table(
            table_name,
            [column("note_id", "long", nullable=False), column("text", "string"), *more],
            key=["note_id"],
            **({"indexes": [index]} if item == "index" else {"constraints": [unique]}),
        )
        return schema(made | {"@id": "#notes"})

    base = named("notes")
    bench.generate(base, verify=False)
    bench.generate(named("remarks"), "notes=remarks", base=base, verify=False)
    after = named("notes", column("number", "int"))
    outcome = bench.generate(after, base=base, take=["head notes"])
    assert outcome.status == "question"
    (question,) = [q for q in outcome.questions if "notes.by_text" in q.text]
    assert [a.options for a in question.answers] == [
        ("--take current notes.by_text",),
        ("--take head remarks",),
    ]
    left = proven(bench.generate(after, base=base, take=["head notes", "current notes.by_text"], keep=False))
    assert "by_text" not in left.source


def test_a_sequence_that_another_change_dropped_does_not_come_back_with_a_rename(bench: Workbench) -> None:
    """The file's sequence is named after the table, so that a rename of the table changes its name."""

    def notes(name: str, *key: str) -> Data:
        items = [column(n, "long", nullable=False) for n in ("note_id", "number")]
        return schema(table(name, items, key=list(key)) | {"@id": "#notes"})

    base = notes("notes", "note_id")
    bench.generate(base, verify=False)
    bench.generate(notes("notes", "note_id", "number"), base=base, verify=False)
    after = notes("remarks", "note_id")
    outcome = proven(bench.generate(after, "notes=remarks", base=base, keep=False))
    assert "seq" not in outcome.source
    assert [item.element for item in outcome.drift if "sequence" in item.element] == [
        "remarks.note_id.sequence"
    ]
    taken = proven(
        bench.generate(after, "notes=remarks", base=base, take=["head remarks.note_id.sequence"], keep=False)
    )
    assert "CREATE SEQUENCE" in taken.source


@pytest.mark.parametrize(("datatype", "statement"), [("long", ""), ("int", "AS bigint")])
def test_a_sequence_that_somebody_widened_stays(bench: Workbench, datatype: str, statement: str) -> None:
    def notes(key: str, *, comment: str = "The number.") -> Data:
        items = [column("note_id", key, nullable=False), column("number", "int") | {"description": comment}]
        return schema(table("notes", items, key=["note_id"]))

    base = notes("int")
    bench.generate(base, verify=False)
    alone = proven(bench.generate(notes("long"), base=base, keep=False))
    assert "SEQUENCE cdb_latiss.notes_note_id_seq AS bigint" in alone.source
    if statement:
        bench.revise(f"op.execute('ALTER SEQUENCE cdb_latiss.notes_note_id_seq {statement}')")
    else:
        bench.generate(notes(datatype), base=base, verify=False)
    outcome = proven(bench.generate(notes("int", comment="Another."), base=base, keep=False))
    assert [op.text for op in outcome.upgrade] == ["change comment on notes.number"]
    if statement:
        both = proven(bench.generate(notes("long"), base=base, keep=False))
        assert "SEQUENCE" not in both.source


@pytest.mark.parametrize("side", ["head", "current"])
def test_a_column_that_two_changes_add_with_other_types_is_one_question(bench: Workbench, side: str) -> None:
    """A default fits one type only."""

    def notes(*more: Data) -> Data:
        return schema(table("notes", [column("note_id", "long", nullable=False), *more], key=["note_id"]))

    base = notes()
    bench.generate(base, verify=False)
    bench.generate(notes(column("flag", "boolean") | {"value": True}), base=base, verify=False)
    after = notes(column("flag", "int") | {"value": 7})
    asked = bench.generate(after, base=base)
    assert [a.options for q in asked.questions for a in q.answers] == [
        ("--take head notes.flag",),
        ("--take current notes.flag",),
    ]
    outcome = bench.generate(after, base=base, take=[f"{side} notes.flag"], keep=False)
    assert outcome.status == ("changed" if side == "head" else "unchanged")
    if side == "head":
        assert 'server_default=sa.text("7")' in proven(outcome).source


def test_the_default_of_a_column_with_three_types_follows_the_type(bench: Workbench) -> None:
    def notes(kind: str, value: Any) -> Data:
        flag = column("flag", kind) | {"value": value}
        return schema(table("notes", [column("note_id", "long", nullable=False), flag], key=["note_id"]))

    base = notes("int", 1)
    bench.generate(base, verify=False)
    bench.generate(notes("boolean", True), base=base, verify=False)
    after = notes("text", "one")
    asked = bench.generate(after, base=base)
    assert ["notes.flag.type" in q.text for q in asked.questions] == [True]
    proven(bench.generate(after, base=base, take=["head notes.flag.type"], keep=False))
    assert bench.generate(after, base=base, take=["current notes.flag.type"]).status == "unchanged"


def test_a_default_that_was_kept_through_a_change_of_type_stays_with_that_type(bench: Workbench) -> None:
    def notes(kind: str) -> Data:
        number = column("number", kind) | {"value": "7" if kind == "text" else 1}
        return schema(table("notes", [column("note_id", "long", nullable=False), number], key=["note_id"]))

    base = notes("int")
    bench.generate(base, verify=False)
    bench.generate(notes("long"), base=base, verify=False)
    assert bench.generate(notes("short"), base=base, take=["current notes.number.type"]).status == "unchanged"
    taken = proven(bench.generate(notes("text"), base=base, take=["head notes.number.type"], keep=False))
    assert "'7'" in taken.source
    assert bench.generate(notes("text"), base=base, take=["current notes.number.type"]).status == "unchanged"


def test_m10_a_sequence_of_another_type_than_its_column_comes_back(bench: Workbench) -> None:
    def notes(*key: str) -> Data:
        items = [column(name, "int", nullable=False) for name in ("note_id", "number")]
        return schema(table("notes", items, key=list(key)))

    bench.generate(notes("note_id"), verify=False)
    bench.revise("op.execute('ALTER SEQUENCE cdb_latiss.notes_note_id_seq AS bigint')")
    outcome = proven(bench.generate(notes("note_id", "number"), base=notes("note_id")))
    assert "CREATE SEQUENCE cdb_latiss.notes_note_id_seq AS bigint" in outcome.source
