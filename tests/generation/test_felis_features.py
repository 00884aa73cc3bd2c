"""What Felis can say and what people add by hand: one type everywhere, and nothing is lost without a word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from felis.db._variants import _process_variant_override

from consdb_actions.adapters.postgres import ScratchServer
from consdb_actions.adapters.schema_fields import NUMBERS, POSTGRES_TYPES, drops_time_zone, type_remedy
from consdb_actions.adapters.yaml_tree import FileError
from consdb_actions.catalog import compare
from consdb_actions.errors import InputError
from consdb_actions.migration.outcome import SectionOutcome
from tests.support.stage import broken, proven, staged
from tests.support.variants import every
from tests.support.workbench import Data, Workbench, column, schema, table

OVERRIDE = "postgresql:datatype"


def plain(*columns: Data, name: str = "plain") -> Data:
    key = column("id", "int", nullable=False, autoincrement=False)
    return table(name, [key, *columns], key=["id"])


# Types by postgresql:datatype.


def test_the_types_are_those_that_felis_makes_in_postgres(server: ScratchServer) -> None:
    names = [n for n in dir(sa.dialects.postgresql) if _is_type(getattr(sa.dialects.postgresql, n))]
    assert set(names) >= POSTGRES_TYPES
    made: dict[str, str | None] = {}
    with server.database("types"), server.open_database("types") as engine, engine.connect() as connection:
        for name in names:
            made |= {text: _made(connection, text) for text in (name, f"{name}(3)")}
    usable = {text for text, found in made.items() if found is not None}
    assert {n for n in names if n in usable} == POSTGRES_TYPES
    # Where we take a number, Postgres has it; of the rest Felis drops it, or makes a time zone of it.
    kept = {n for n in names if f"{n}(3)" in usable and made[f"{n}(3)"] not in {None, made[n]}}
    assert kept - {"TIME"} == NUMBERS.keys()
    assert "with time zone" in str(made["TIMESTAMP(3)"])
    assert drops_time_zone("TIMESTAMP(3)")
    refused = {text for text in made if type_remedy(text)}
    assert refused == {n for n in names if n not in POSTGRES_TYPES} | {
        f"{n}(3)" for n in names if n not in NUMBERS
    }


def _is_type(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, sa.types.TypeEngine) and value.__name__.isupper()


def _made(connection: sa.Connection, text: str) -> str | None:
    """Return the type that Postgres makes of what Felis makes of a text."""
    try:
        with connection.begin_nested():
            made = sa.Table("t", sa.MetaData(), sa.Column("a", _process_variant_override("postgresql", text)))
            made.create(connection)
            query = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 't'::regclass"
            found = connection.exec_driver_sql(f"{query} AND attnum = 1").scalar()
            made.drop(connection)
            return str(found)
    except (ValueError, TypeError, AttributeError, sa.exc.SQLAlchemyError):
        return None


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("NUMERIC(10,2)", "NUMERIC"),
        ("NUMERIC(10, 2)", "NUMERIC"),
        ("decimal(8)", "NUMERIC(8)"),
        ("jsonb", "JSONB"),
        ("Json", "JSON"),
        ("VARCHAR (8)", "VARCHAR(8)"),
        ("varchar(8)", "VARCHAR(8)"),
        ("int4", "INTEGER"),
        ("BOOL", "BOOLEAN"),
        ("double precision", "DOUBLE_PRECISION"),
        ("TIMESTAMPTZ", "time zone"),
        ("timestamp(3) with time zone", "time zone"),
        ("TIME(3)", "Write TIME"),
        ("timestamp without time zone", "TIMESTAMP"),
        ("ENUM", "Check"),
        ("ENUM('a','b')", "Check"),
        ("DOMAIN", "Check"),
        ("HSTORE", "JSONB"),
        ("citext", "lower()"),
        ("ARRAY", "JSONB"),
        ("INTEGER[]", "JSONB"),
        ("BIGSERIAL", "autoincrement"),
        ("JSONB(3)", "Write JSONB"),
        ("TEXT(5)", "Write TEXT"),
        ("BIGINT(3)", "Write BIGINT"),
        ("VARCHAR(0)", "from 1 to 10485760"),
        ("TIMESTAMP(9)", "from 0 to 6"),
        ("JSNOB", "JSONB"),
        ("GEOMETRY", "remove the override"),
        ("JSONB; DROP TABLE x", "override"),
        ("BITE)", "BIT"),
        ("TypeEngine", "override"),
    ],
)
def test_m13_a_type_that_felis_cannot_make_is_refused_with_what_to_write(
    bench: Workbench, text: str, remedy: str
) -> None:
    bench.generate(schema(plain()), verify=False)
    with pytest.raises(FileError) as caught:
        bench.generate(schema(plain(column("odd", "text", **{OVERRIDE: text}))), base=schema(plain()))
    (problem,) = caught.value.problems
    assert text in problem.cause
    assert "plain.odd" in problem.cause
    assert problem.line
    assert remedy in problem.remedy


def test_a_type_of_mysql_is_not_a_matter_of_this_database(bench: Workbench) -> None:
    data = schema(plain(column("x", "text", **{"mysql:datatype": "NO_SUCH_TYPE(3,4)"})))
    assert "plain.x" not in str(proven(bench.generate(data)).risks)


def timed(name: str = "t", **more: object) -> Data:
    return column(name, "timestamp", **more)


def test_a_number_that_felis_takes_for_a_time_zone_is_refused_for_a_new_column(bench: Workbench) -> None:
    old = schema(plain(timed(**{OVERRIDE: "TIMESTAMP(6)"})))
    bench.revise("op.execute('CREATE TABLE cdb_latiss.plain (id int PRIMARY KEY, t timestamp(6))')")
    # An old column has what was meant: no time zone. It may stay, beside a new one, and may be corrected.
    outcome = proven(bench.generate(schema(plain(timed(**{OVERRIDE: "TIMESTAMP(6)"}), timed("u"))), base=old))
    assert [o.text for o in outcome.upgrade] == ["add column plain.u (timestamp without time zone)"]
    corrected = schema(plain(timed(precision=6), timed("u")))
    before = schema(plain(timed(**{OVERRIDE: "TIMESTAMP(6)"}), timed("u")))
    assert bench.generate(corrected, base=before).status == "unchanged"
    for base in (before, None):
        with pytest.raises(FileError) as caught:
            bench.generate(
                schema(plain(timed(), timed("u"), timed("v", **{OVERRIDE: "TIMESTAMP(3)"}))), base=base
            )
        (problem,) = caught.value.problems
        assert "plain.v" in problem.cause
        assert "precision: 3" in problem.remedy
        assert problem.line
    # Without a base, the database tells what is old.
    bench.generate(before, keep=False, verify=False)
    changed = schema(plain(timed(**{OVERRIDE: "TIMESTAMP(3)"}), timed("u")))
    with pytest.raises(FileError, match=r"plain\.t"):
        bench.generate(changed, base=before)


def test_a_column_of_a_view_has_the_type_of_its_table(bench: Workbench) -> None:
    exposure = table(
        "exposure", [column("exposure_id", "long", nullable=False), timed()], key=["exposure_id"]
    )
    bench.generate(schema(exposure), verify=False)
    visit = table(
        "visit1",
        [column("visit_id", "long", nullable=False), timed(**{OVERRIDE: "TIMESTAMP(6)"})],
        key=["visit_id"],
    )
    outcome = proven(bench.generate(schema(exposure, visit), base=schema(exposure)))
    assert outcome.upgrade[0].text == "create view visit1"


# What people add by hand to a table, and what becomes of it when the table or a column goes and comes back.

FUNCTION = "CREATE FUNCTION cdb_latiss.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"


def made_by_hand(bench: Workbench, *statements: str) -> Data:
    """Make a table with things that no schema file has; return the file."""
    data = schema(
        plain(column("a", "int"), column("b", "int"), column("c", "text"), name="t"), plain(name="other")
    )
    bench.generate(data, verify=False)
    for statement in statements:
        bench.revise(f"op.execute({statement!r})")
    return data


def without_columns() -> Data:
    return schema(plain(column("a", "int"), name="t"), plain(name="other"))


def retyped() -> Data:
    columns = column("a", "long"), column("b", "long"), column("c", "string", length=40)
    return schema(plain(*columns, name="t"), plain(name="other"))


CHANGES: dict[str, tuple[Callable[[], Data], tuple[str, ...]]] = {
    "columns": (without_columns, ("t.b=", "t.c=")),
    "table": (lambda: schema(plain(name="other")), ("t=",)),
    "types": (retyped, ()),
}


def changed(bench: Workbench, data: Data, change: str) -> SectionOutcome:
    after, renames = CHANGES[change]
    return bench.generate(after(), *renames, base=data)


@pytest.mark.parametrize("change", CHANGES)
def test_m10_what_was_told_to_the_planner_and_the_storage_comes_back(bench: Workbench, change: str) -> None:
    data = made_by_hand(
        bench,
        "CREATE STATISTICS cdb_latiss.plan (ndistinct) ON a, b FROM cdb_latiss.t",
        "ALTER STATISTICS cdb_latiss.plan SET STATISTICS 77",
        "COMMENT ON STATISTICS cdb_latiss.plan IS 'it''s 5% of \\:x'",
        'CREATE STATISTICS cdb_latiss."Odd" ON (a + b), id FROM cdb_latiss.t',
        "CREATE STATISTICS cdb_latiss.stays ON a, id FROM cdb_latiss.t",
        "ALTER TABLE cdb_latiss.t ALTER b SET STATISTICS 55, ALTER b SET (n_distinct = 5)",
        "ALTER TABLE cdb_latiss.t ALTER c SET STORAGE EXTERNAL, ALTER c SET COMPRESSION pglz",
    )
    outcome = proven(changed(bench, data, change))
    assert not outcome.drift
    with staged(bench, len(list(bench.versions.glob("*.py"))) - 1) as stage:
        before = stage.catalog()
        stage.upgrade()
        found = stage.catalog().relations.get("t")
        assert {"columns": {"stays"}, "table": None, "types": {"Odd", "plan", "stays"}}[change] == (
            set(found.statistics) if found else None
        )
        stage.downgrade()
        assert compare(before, stage.catalog()) == []


@pytest.mark.parametrize(
    ("statements", "name"),
    every(
        2,
        [
            (["ALTER TABLE cdb_latiss.t FORCE ROW LEVEL SECURITY"], "row-level security"),
            (["ALTER TABLE cdb_latiss.t ENABLE ROW LEVEL SECURITY"], "row-level security"),
            (["CREATE POLICY only_some ON cdb_latiss.t USING (id > 1)"], "only_some"),
            (["CREATE RULE never AS ON DELETE TO cdb_latiss.t DO INSTEAD NOTHING"], "never"),
            (["ALTER TABLE cdb_latiss.t REPLICA IDENTITY FULL"], "replica identity"),
            (["ALTER TABLE cdb_latiss.t SET UNLOGGED"], "UNLOGGED"),
            (["ALTER TABLE cdb_latiss.t CLUSTER ON t_pkey"], "CLUSTER"),
            (["ALTER TABLE cdb_latiss.t SET (fillfactor = 70)"], "fillfactor"),
            (
                [FUNCTION, "CREATE TRIGGER tr BEFORE UPDATE ON cdb_latiss.t EXECUTE FUNCTION cdb_latiss.f()"],
                "tr",
            ),
        ],
    ),
)
def test_m10_what_a_table_takes_with_it_is_named(bench: Workbench, statements: list[str], name: str) -> None:
    bench.operator = False
    data = made_by_hand(bench, *statements)
    assert changed(bench, data, "columns").status == "changed"
    data = without_columns()
    outcome = bench.generate(schema(plain(name="other")), "t=", base=data)
    assert outcome.status == "failed"
    assert any(name in text and "is not restored" in text for text in broken(outcome)) or any(
        name in text for text in broken(outcome) if text.startswith("downgrade")
    )


@pytest.mark.parametrize("change", ["columns", "types"])
@pytest.mark.parametrize(
    ("statements", "name"),
    every(
        2,
        [
            (
                [
                    FUNCTION,
                    "CREATE TRIGGER tr BEFORE UPDATE OF b ON cdb_latiss.t EXECUTE FUNCTION cdb_latiss.f()",
                ],
                "trigger tr",
            ),
            (
                [
                    FUNCTION,
                    "CREATE TRIGGER tr BEFORE UPDATE ON cdb_latiss.t FOR EACH ROW WHEN (OLD.b > 1) "
                    "EXECUTE FUNCTION cdb_latiss.f()",
                ],
                "trigger tr",
            ),
            (["CREATE POLICY few ON cdb_latiss.t USING (b > 1)"], "policy few"),
            (["CREATE RULE r AS ON INSERT TO cdb_latiss.t WHERE NEW.b > 5 DO INSTEAD NOTHING"], "rule r"),
            (["ALTER TABLE cdb_latiss.t ADD g int GENERATED ALWAYS AS (b + 1) STORED"], "column"),
            (["CREATE PUBLICATION pu FOR TABLE cdb_latiss.t (id, b)"], "publication pu"),
        ],
    ),
)
def test_m23_what_stands_in_the_way_of_a_column_is_named(
    bench: Workbench, statements: list[str], name: str, change: str
) -> None:
    data = made_by_hand(bench, *statements)
    with pytest.raises(InputError) as caught:
        changed(bench, data, change)
    assert "DETAIL" in caught.value.cause
    assert name in caught.value.cause
    assert "t.b" in caught.value.place
    assert any(c.isdigit() for c in caught.value.place.rpartition(":")[2])


# Values that change in silence.


@pytest.mark.parametrize(
    ("before", "after", "value", "words"),
    every(
        2,
        [
            (("string", {"length": 8}), ("int", {}), "007", "zeros"),
            (("string", {"length": 40}), ("timestamp", {}), "2026-01-01 12:00:00+02", "offset"),
            (("text", {}), ("timestamp", {"precision": 3}), "2026-01-01T00:00:00Z", "offset"),
            (("string", {"length": 9}), ("boolean", {}), "yes", "yes"),
            (("string", {"length": 9}), ("char", {"length": 9}), "q ", "blanks"),
            (("text", {}), ("char", {"length": 12}), "q ", "blanks"),
            (("text", {}), ("double", {}), "0.10000000000000000001", "digits"),
            (("text", {OVERRIDE: "NUMERIC"}), ("double", {}), "0.1234567890123456789", "digits"),
            (("long", {}), ("double", {}), "9007199254740993", "digits"),
            (("double", {}), ("float", {OVERRIDE: "REAL"}), "0.1234567890123", "single precision"),
            (("double", {}), ("int", {}), "1.5", "rounded"),
            (
                ("timestamp", {"precision": 6}),
                ("timestamp", {"precision": 0}),
                "2026-01-01 00:00:00.5",
                "fractions",
            ),
            (("text", {}), ("text", {OVERRIDE: "JSONB"}), '{"b":1,  "a":2}', "spelling"),
            (("text", {}), ("text", {OVERRIDE: "UUID"}), "A0EEBC999C0B4EF8BB6D6BB9BD380A11", "spelling"),
        ],
    ),
)
def test_m8_m10_a_value_that_does_not_come_back_is_a_risk_and_a_loss_of_its_column(
    bench: Workbench,
    before: tuple[str, dict[str, object]],
    after: tuple[str, dict[str, object]],
    value: str,
    words: str,
) -> None:
    bench.operator = False
    old, new = (schema(plain(column("x", kind, **more))) for kind, more in (before, after))
    bench.generate(old, verify=False)
    outcome = proven(bench.generate(new, base=old))
    risks = [r.text for r in outcome.risks if r.about == "plain.x" and r.text.startswith("upgrade")]
    losses = [loss.text for loss in outcome.losses if (loss.table, loss.column) == ("plain", "x")]
    assert any(words in text for text in risks), risks
    assert any(words in text for text in losses), losses
    with staged(bench) as stage:
        stage.execute(f"INSERT INTO plain VALUES (1, '{value}')")
        held = stage.rows("SELECT x::text FROM plain")
        stage.upgrade()
        stage.downgrade()
        assert stage.rows("SELECT x::text FROM plain") != held, (
            "nothing is lost: then nothing should be named"
        )


@pytest.mark.parametrize(
    ("before", "after", "value"),
    [
        (("text", {}), ("binary", {"length": 9}), "é\\x"),
        (("binary", {"length": 9}), ("text", {}), "\\x6162"),
        (("int", {}), ("double", {}), "7"),
        (("int", {}), ("string", {"length": 11}), "-7"),
        (("float", {OVERRIDE: "REAL"}), ("double", {}), "0.1"),
        (("boolean", {}), ("string", {"length": 5}), "t"),
        (("timestamp", {"precision": 3}), ("timestamp", {"precision": 6}), "2026-01-01 00:00:00.123"),
        (("double", {}), ("text", {}), "1e-300"),
    ],
)
def test_m10_nothing_is_named_where_every_value_comes_back(
    bench: Workbench,
    before: tuple[str, dict[str, object]],
    after: tuple[str, dict[str, object]],
    value: str,
) -> None:
    bench.operator = False
    old, new = (schema(plain(column("x", kind, **more))) for kind, more in (before, after))
    bench.generate(old, verify=False)
    outcome = proven(bench.generate(new, base=old))
    assert not outcome.losses
    with staged(bench) as stage:
        quoted = value.replace("\\", "\\\\")
        stage.execute(f"INSERT INTO plain VALUES (1, E'{quoted}')")
        held = stage.rows("SELECT x::text FROM plain")
        stage.upgrade()
        stage.downgrade()
        assert stage.rows("SELECT x::text FROM plain") == held


def test_m10_nulls_that_were_filled_are_a_loss(bench: Workbench) -> None:
    old = schema(plain(column("x", "int"), column("y", "int")))
    bench.generate(old, verify=False)
    after = schema(plain(column("x", "int", nullable=False, value=7), column("y", "int", nullable=False)))
    outcome = proven(bench.generate(after, base=old, fills={("plain", "y"): "8"}))
    assert {(loss.table, loss.column) for loss in outcome.losses} == {("plain", "x"), ("plain", "y")}


def test_a_table_takes_columns_from_the_file_beside(bench: Workbench) -> None:
    old = schema(plain(column("x", "int")))
    bench.generate(old, verify=False)
    after = schema(plain(column("x", "int")))
    after["resources"] = {"weather": {"uri": "weather.yaml"}}
    after["tables"][0]["columnRefs"] = {"weather": {"station": {"wind": None, "gust": {"ref_name": "wind"}}}}
    bench.beside = {"weather.yaml": schema(plain(column("wind"), name="station"), name="weather")}
    outcome = proven(bench.generate(after, base=old))
    assert [o.text.split(" (")[0] for o in outcome.upgrade] == [
        "add column plain.wind",
        "add column plain.gust",
    ]
    assert bench.generate(after, base=after).status == "unchanged"
    # The change of the file beside is a change of this schema.
    narrower = schema(plain(column("wind", "int"), name="station"), name="weather")
    written_out = schema(plain(column("x", "int"), column("wind"), column("gust")))
    bench.beside = {"weather.yaml": narrower}
    outcome = proven(bench.generate(after, base=written_out))
    assert [o.text.split(" from ")[0] for o in outcome.upgrade] == [
        "change type of plain.wind",
        "change type of plain.gust",
    ]


# What Felis can say besides.


def annotated() -> Data:
    """The file of :func:`test_annotations_are_not_a_matter_of_the_database`, with every annotation."""
    words: dict[str, Any] = {
        "ivoa:unit": "deg",
        "ivoa:ucd": "pos.eq.ra",
        "tap:principal": 1,
        "tap:std": 1,
        "tap:column_index": 3,
        "votable:arraysize": "8*",
        "votable:datatype": "char",
        "votable:utype": "a.b",
        "votable:xtype": "adql:timestamp",
        "mysql:datatype": "DOUBLE",
    }
    made = plain(column("x", **words), column("y", **{"fits:tunit": "m"}))
    made |= {"tap:table_index": 4, "mysql:engine": "InnoDB", "mysql:charset": "latin1", "votable:utype": "t"}
    group = {"name": "both", "@id": "#both", "columns": ["#plain.x", "#plain.y"], "ivoa:ucd": "pos.eq"}
    made["columnGroups"] = [group]
    data = schema(made, version="1.0.1")
    data["version"] |= {"compatible": ["1.0.0"], "read_compatible": ["0.9.0"]}
    data["votable:utype"] = "s"
    return data


def test_annotations_are_not_a_matter_of_the_database(bench: Workbench) -> None:
    old = schema(plain(column("x"), column("y")))
    bench.generate(old, verify=False)
    assert bench.generate(annotated(), base=old).status == "unchanged"
    assert bench.generate(annotated()).status == "unchanged"


def keyed(**options: object) -> Data:
    made = plain(column("a", "int"), column("b", "int"))
    made["constraints"] = [
        {"@type": "Unique", "name": "u", "@id": "#u", "columns": ["#plain.a"], **options},
        {"@type": "Check", "name": "k", "@id": "#k", "expression": "a < b", "description": "Why."},
    ]
    made["indexes"] = [{"name": "i", "@id": "#i", "columns": ["#plain.b"], "description": "Why."}]
    return schema(made)


def test_m6_options_and_descriptions_of_constraints(bench: Workbench) -> None:
    bench.generate(schema(plain(column("a", "int"), column("b", "int"))), verify=False)
    proven(bench.generate(keyed()))
    deferred = {"deferrable": True, "initially": "DEFERRED", "description": "It's 5 %."}
    outcome = proven(bench.generate(keyed(**deferred), base=keyed()))
    assert [o.text for o in outcome.upgrade] == [
        "drop unique u of plain",
        "add unique u to plain (a)",
        "change comment on constraint u",
    ]
    assert bench.generate(keyed(**deferred), base=keyed()).status == "unchanged"
    with staged(bench, 3) as stage:
        constraints = stage.catalog().tables["plain"].constraints
        assert dict(constraints["u"].options) == {"deferrable": True, "initially": "DEFERRED"}
        assert {n: constraints[n].comment for n in ("u", "k")} == {"u": "It's 5 %.", "k": "Why."}


def test_m23_a_check_that_can_be_deferred_is_refused(bench: Workbench) -> None:
    bench.generate(keyed(), verify=False)
    after = keyed()
    after["tables"][0]["constraints"][1]["deferrable"] = True
    with pytest.raises(InputError, match="DEFERRABLE"):
        bench.generate(after, base=keyed())


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT", "NO ACTION"])
def test_m6_actions_of_foreign_keys(bench: Workbench, action: str) -> None:
    bench.operator = False

    def referring(**actions: str) -> Data:
        child = plain(column("parent_id", "int"), name="child")
        key = {"@type": "ForeignKey", "name": "fk", "@id": "#fk", "columns": ["#child.parent_id"]}
        child["constraints"] = [{**key, "referencedColumns": ["#parent.id"], **actions}]
        return schema(plain(name="parent"), child)

    bench.generate(referring(), verify=False)
    bench.generate(referring(on_delete=action, on_update=action), base=referring())
    with staged(bench, len(list(bench.versions.glob("*.py")))) as stage:
        options = dict(stage.catalog().tables["child"].constraints["fk"].options)
        expected = {} if action == "NO ACTION" else {"ondelete": action, "onupdate": action}
        assert options == expected


def test_every_datatype_and_what_it_takes(bench: Workbench) -> None:
    kinds = ["boolean", "byte", "short", "int", "long", "float", "double", "text", "timestamp"]
    sized = ["char", "string", "unicode", "binary"]
    columns = [column(f"c_{k}", k) for k in (*kinds, *sized)]
    columns += [
        column("exact", "timestamp", precision=3),
        column("now", "timestamp", value="CURRENT_TIMESTAMP"),
    ]
    columns += [column("lengthy", "int", length=4), column("filled", "string", value="it's")]
    proven(bench.generate(schema(plain(*columns))))
    with staged(bench) as stage:
        found = {n: c.type for n, c in stage.catalog().tables["plain"].columns.items()}
    assert found == {
        "id": "integer",
        "c_boolean": "boolean",
        "c_byte": "smallint",
        "c_short": "smallint",
        "c_int": "integer",
        "c_long": "bigint",
        "c_float": "double precision",
        "c_double": "double precision",
        "c_text": "text",
        "c_timestamp": "timestamp without time zone",
        "c_char": "character(16)",
        "c_string": "character varying(16)",
        "c_unicode": "character varying(16)",
        "c_binary": "bytea",
        "exact": "timestamp(3) without time zone",
        "now": "timestamp without time zone",
        "lengthy": "integer",
        "filled": "character varying(16)",
    }
