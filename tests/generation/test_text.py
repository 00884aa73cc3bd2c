"""Rule M13: text of a schema file comes out as data, whatever it holds."""

from __future__ import annotations

import ast

import pytest

from tests.support.stage import proven, staged
from tests.support.workbench import Data, Workbench, column, schema, table

NASTY = 'it\'s "50 %" :x :12: ::y ${x} %(z)s {b} """ \'\'\' \\n \\ Größe ☉\nnew line\ttab; DROP TABLE a; -- #'


def full(text: str, quoted: str) -> Data:
    item = table(
        "exposure",
        [
            column("exposure_id", "long", nullable=False, description=text),
            column("Order", "text", value=text, nullable=False),
            column("user", "string", length=64, value=quoted),
        ],
        key=["exposure_id"],
        description=text,
        constraints=[
            {
                "name": "ck_Text",
                "@type": "Check",
                "description": text,
                "expression": f"\"user\" <> '{quoted.replace(chr(39), chr(39) * 2)}x'",
            }
        ],
    )
    visit = table("visit1", [column("visit_id", "long", nullable=False)], key=["visit_id"])
    return schema(item, visit)


def test_descriptions_defaults_and_checks(bench: Workbench) -> None:
    quoted = "a:12:b :x 5%% \\ ${x} it's {c}"
    outcome = proven(bench.generate(full(NASTY, quoted)))
    assert ast.get_docstring(ast.parse(outcome.source))
    with staged(bench) as stage:
        stage.execute("INSERT INTO exposure (exposure_id) VALUES (1)")
        assert stage.rows('SELECT "Order", "user" FROM exposure') == [(NASTY, quoted)]
        read = stage.catalog().tables["exposure"]
    assert read.comment == NASTY
    assert read.columns["exposure_id"].comment == NASTY
    assert bench.generate(full(NASTY, quoted)).status == "unchanged"
    proven(bench.generate(full("plain", "b")))
    proven(bench.generate(full(NASTY[::-1], quoted[::-1])))


@pytest.mark.parametrize(
    "message",
    ['"""', 'ends with "', "back\\", "\\N{oops} \\x", "${1/0} <% raise %> ## %>", "é ☉ it's 5%", "a\nb"],
)
def test_the_message_of_a_revision(bench: Workbench, message: str) -> None:
    data = schema(table("a", [column("id", "long", nullable=False)], key=["id"]))
    outcome = bench.generate(data, message=message, verify=False)
    text = ast.get_docstring(ast.parse(outcome.source), clean=False)
    assert text is not None
    assert text.startswith(message)
    assert "op.create_table" in outcome.source
    assert bench.generate(data).status == "unchanged"


def test_names_of_tables_and_columns(bench: Workbench) -> None:
    def named(*names: str) -> Data:
        first, *rest = names
        items = [column("id", "long", nullable=False), *(column(n, "int") for n in rest)]
        index = {"name": f"ix_{first}", "columns": [rest[0]]}
        link = {
            "name": f"fk_{first}",
            "@type": "ForeignKey",
            "columns": [rest[1]],
            "referencedColumns": ["Order.key"],
        }
        parent = table("Order", [column("key", "int", nullable=False)], key=["key"])
        return schema(parent, table(first, items, key=["id"], indexes=[index], constraints=[link]))

    proven(bench.generate(named("user", "Select", "order", "check")))
    proven(bench.generate(named("user", "select", "Order", "end"), "user.check=end"))


def test_m13_percent_and_colon_in_names_of_columns_that_are_filled_and_retyped(bench: Workbench) -> None:
    def named(datatype: str, nullable: bool) -> Data:
        key = column("id", "long", nullable=False)
        names = ("frac%", "k:v", "%s", 'a"b%%c')
        columns = [column(n, datatype, nullable=nullable, id=f"#x.{i}") for i, n in enumerate(names)]
        return schema(table("x", [key, *columns], key=["id"]))

    bench.generate(named("string", nullable=True), verify=False)
    fills: dict[tuple[str, str], str | None] = {
        ("x", name): str(n) for n, name in enumerate(("frac%", "k:v", "%s", 'a"b%%c'))
    }
    proven(bench.generate(named("int", nullable=False), fills=fills))
    with staged(bench) as stage:
        stage.execute("INSERT INTO x (id) VALUES (1)")
        stage.upgrade()
        assert stage.rows("SELECT * FROM x") == [(1, 0, 1, 2, 3)]
        stage.downgrade()
        assert stage.rows("SELECT * FROM x") == [(1, "0", "1", "2", "3")]
