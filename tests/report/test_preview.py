from __future__ import annotations

import re
from dataclasses import replace

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options
from hypothesis import given
from hypothesis import strategies as st

from consdb_actions.forms import as_json
from consdb_actions.migration.matching.declarations import parse_declaration
from consdb_actions.migration.preview import SchemaPreview, preview_schema
from consdb_actions.report.markdown import MAX_COLUMNS, MAX_TABLES, er_diagram
from consdb_actions.report.preview import Preview, render_markdown, render_text
from consdb_actions.schema.delta import compare
from consdb_actions.schema.model import Column, Constraint, Schema, Table
from tests.support.reports import checked
from tests.support.schemas import schemas, small


def edited() -> Schema:
    """Return the small schema with a column renamed, one new, one gone, and a description changed."""
    exposure, quicklook = small().tables
    columns = [column for column in exposure.columns if column.name not in {"band", "air_temp"}]
    columns[0] = replace(columns[0], description="Number of the exposure.")
    columns.append(replace(exposure.column("band"), name="filter_band"))
    columns.append(Column("gain", "#exposure.gain", "double", description="How much."))
    table = replace(exposure, columns=tuple(columns), indexes=())
    return replace(small(), version="2.0.0", tables=(table, quicklook))


def preview(before: Schema | None, after: Schema | None, **options: object) -> SchemaPreview:
    """Preview one schema without views."""
    return preview_schema(before, after, views={}, severities={}, **options)  # type: ignore[arg-type]


def whole(*schemas: SchemaPreview) -> Preview:
    """Return a preview of several schemas."""
    return Preview("main", "topic", schemas, ("cdb_same",))


COMMENT = """\
### ⚠️ Schema preview: 1 schema changes

4 warnings. `main` → `topic`

| schema | change | version | findings |
| --- | --- | --- | --- |
| `cdb_demo` | 1 new column, 1 column removed, 1 column renamed, 1 column changed, 1 index | 1.2.3 → 2.0.0 | 4 warnings |

<details open>
<summary>Renames, moves and losses (2)</summary>

- `exposure.band` is renamed to `filter_band`: both have the id `#exposure.band`.
- `exposure.air_temp` (double precision) is dropped and its values are lost: no new column is likely to continue it.

</details>

**Findings**

- ⚠️ the description says no more than the name: `filter_band` in `exposure`. _Say how it is measured, or where \
it comes from._ (description-repeats)
- ⚠️ there is no unit, and the description gives no reason for that: `gain` in `exposure`. _Add ivoa:unit, or say \
what makes it a pure number (ratio, fraction, dimensionless)._ (unit-missing)
- ⚠️ there is no UCD: `filter_band`, `gain` in `exposure`. _Add ivoa:ucd, from the IVOA's list of words._ (ucd-missing)

<details open>
<summary>What changes (5)</summary>

**exposure**

- column `air_temp` (`float`) removed
- column `band` is renamed to `filter_band`
- new column `gain` `double`: “How much.”
- column `exposure_id`: description “Unique number of the exposure.” → “Number of the exposure.”
- index `ix_exposure_band` removed

</details>

<details>
<summary>Diagram of the affected tables</summary>

```mermaid
erDiagram
  exposure {
    long exposure_id "description"
    int day_obs PK
    int seq_num PK
    string filter_band "was band"
    double gain "new"
    float air_temp "removed"
  }
```

</details>

Unchanged: `cdb_same`"""  # noqa: E501


def test_the_comment() -> None:
    assert render_markdown(whole(preview(small(), edited()))) == COMMENT


def test_the_text() -> None:
    text = render_text(whole(preview(small(), edited())), lambda words, kind: f"<{kind}>{words}</{kind}>")
    assert text.splitlines()[:6] == [
        "main → topic",
        "",
        "<name>cdb_demo: 1 new column, 1 column removed, 1 column renamed, 1 column changed, 1 index</name>",
        "  version  1.2.3 → 2.0.0: MAJOR needed (column removed or renamed), ok",
        "<name>  exposure</name>",
        "    column air_temp (float) removed",
    ]
    assert "<warning>  warning  there is no UCD (ucd-missing)</warning>" in text
    assert text.endswith("<dim>Unchanged: cdb_same</dim>\n\n<warning>4 warnings</warning>")


def test_a_rename_says_what_else_is_different() -> None:
    after = edited()
    table = after.table("exposure")
    columns = tuple(
        replace(column, length=12) if column.name == "filter_band" else column for column in table.columns
    )
    shown = preview(small(), replace(after, tables=(replace(table, columns=columns), after.tables[1])))
    assert "column band is renamed to filter_band: length 8 → 12" in render_text(whole(shown))


def test_nothing_differs() -> None:
    empty = Preview("a", "b", ())
    assert render_text(empty) == "No schema differs between a and b."
    assert render_markdown(empty) == "### Schema preview\n\nNo schema differs. `a` → `b`"
    assert as_json(empty)["schemas"] == []


def question() -> SchemaPreview:
    """Return a preview in which it is not certain what a column became."""
    exposure, quicklook = small().tables
    old = Column(
        "guide_size", "#exposure.guide_size", "int", unit="pixel", description="Size of the guide box."
    )
    new = [
        replace(
            old, name=f"guide_{side}", id=f"#exposure.guide_{side}", description=f"{side} of the guide box."
        )
        for side in ("rows", "cols")
    ]
    before = replace(small(), tables=(replace(exposure, columns=(*exposure.columns, old)), quicklook))
    after = replace(small(), tables=(replace(exposure, columns=(*exposure.columns, *new)), quicklook))
    return preview(before, after)


def test_m4_a_question_is_shown_with_all_answers_ready_to_copy() -> None:
    asked = question()
    assert asked.questions == 1
    comment, text = render_markdown(whole(asked)), render_text(whole(asked))
    assert comment.startswith("### ❌")
    for answer in ("guide_size=guide_rows", "guide_size=guide_cols", "guide_size="):
        assert f"`consdb: rename exposure.{answer}`" in comment
        assert f"--rename exposure.{answer}" in text
    (told,) = as_json(whole(asked))["schemas"][0]["questions"]
    assert ["--rename exposure.guide_size="] in [answer["options"] for answer in told["answers"]]


def test_m4_an_answer_closes_the_question() -> None:
    asked = question()
    answer = parse_declaration("exposure.guide_size=guide_rows", "--rename")
    elsewhere = parse_declaration("other.a=b", "--rename")
    answered = preview(asked.before, asked.after, declarations=[answer, elsewhere])
    assert answered.questions == 0
    assert "`exposure.guide_size` is renamed to `guide_rows`" in render_markdown(whole(answered))


def test_m14_the_version_is_a_finding() -> None:
    small_bump = preview(small(), replace(edited(), version="1.3.0"))
    assert small_bump.errors == 1
    assert small_bump.findings[0].place == ("version",)
    assert '_Write current: "2.0.0"._' in render_markdown(whole(small_bump))
    odd = preview(small(), replace(edited(), version="two"))
    assert odd.findings[0].remedy == 'Write current: "2.0.0".'


@pytest.mark.parametrize("severity", ["off", "warning"])
def test_severities_are_configured(severity: str) -> None:
    shown = preview_schema(
        small(),
        replace(edited(), version="1.3.0"),
        views={},
        severities={"version": severity},  # type: ignore[dict-item]
    )
    assert shown.errors == 0
    assert ("version" in {finding.rule for finding in shown.findings}) is (severity != "off")


OURS = {"h3", "h4", "p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "strong", "em", "details"}
OURS |= {"summary", "pre", "span"}


def rendered(comment: str) -> str:
    """Return a comment as GitHub's renderer makes HTML of it, with all HTML in it let through."""
    page: str = cmarkgfm.github_flavored_markdown_to_html(comment, options=Options.CMARK_OPT_UNSAFE)
    return page


HOSTILE = "`@everyone` | <!-- x --> </details> ![x](http://e.x) #1 ```\n::error::x \u202e\x1b[31m"


def hostile() -> SchemaPreview:
    """Return a preview of a schema in which every text is hostile."""
    column = Column(HOSTILE, HOSTILE, "double", description=HOSTILE, unit=HOSTILE, ucd=HOSTILE)
    key = Constraint("foreign key", HOSTILE, "#k", (HOSTILE,), HOSTILE, (HOSTILE,))
    table = Table(HOSTILE, "#t", HOSTILE, (HOSTILE,), (column,), (key,))
    return preview(small(), Schema(HOSTILE, "#s", HOSTILE, HOSTILE, (table,)), notes=(HOSTILE,))


def test_s5_a_hostile_schema_leaves_no_mark_on_a_comment() -> None:
    """Judged by GitHub's own renderer."""
    comment = render_markdown(whole(hostile()))
    assert "<!--" not in comment
    assert not re.search("[\x1b\u202e]", comment)
    page = rendered(comment)
    outside = re.sub(r"<code>.*?</code>", "", page, flags=re.DOTALL)
    assert set(re.findall(r"<([a-z0-9]+)", outside)) <= OURS
    assert outside.count("<details") == outside.count("</details>") == 3
    assert not re.search(r"@\w|#\d|://", outside)
    assert page.count("<tr>") == 2
    assert page.count("<td>") == page.count("<th>") == 4


def test_a_hostile_schema_does_not_control_a_terminal() -> None:
    text = render_text(whole(hostile()))
    assert not re.search("[\x1b\u202e]", text)
    assert not any(line.startswith("::") for line in text.splitlines())


@given(schemas() | st.none(), schemas())
def test_any_change_has_all_three_forms(before: Schema | None, after: Schema) -> None:
    shown = whole(preview(before, after))
    checked(shown)
    assert render_text(shown)
    assert len(render_markdown(shown, limit=3000)) <= 3000


def test_a_large_comment_fits_and_keeps_what_matters() -> None:
    exposure, quicklook = small().tables
    many = tuple(
        Column(f"column_{number}", f"#c{number}", "double", description="long words " * 12)
        for number in range(900)
    )
    after = replace(small(), tables=(replace(exposure, columns=(*exposure.columns, *many)), quicklook))
    one = preview(small(), after)
    shown = [replace(one, name=f"cdb_{number}") for number in range(12)]
    comment = render_markdown(whole(*shown))
    assert 20_000 < len(comment) <= 65_536
    assert re.search(r"_\d+ more parts do not fit", comment)
    assert comment.count("**Findings**") == 12
    assert "… and 840 more" in comment


def test_the_picture_of_new_and_removed_tables() -> None:
    delta = compare(None, small())
    assert er_diagram(None, small(), delta).splitlines()[:4] == [
        "erDiagram",
        "  exposure {",
        '    long exposure_id "new"',
        '    int day_obs PK "new"',
    ]
    assert '  exposure ||--o{ exposure_quicklook : "exposure_id"' in er_diagram(None, small(), delta)
    gone = compare(small(), replace(small(), tables=small().tables[:1]))
    assert '"removed"' in er_diagram(small(), small(), gone)
    assert er_diagram(small(), small(), compare(small(), small())) == ""


@given(st.text(max_size=30), st.text(max_size=30))
def test_s5_a_picture_cannot_be_broken_by_names(table: str, column: str) -> None:
    schema = Schema(
        "s",
        tables=(
            Table(
                table,
                "#t",
                primary_key=(column,),
                columns=(Column(column, "#c", "int"),),
                constraints=(Constraint("foreign key", "k", "#k", (column,), table, (column,)),),
            ),
        ),
    )
    renamed = {(table, column): f"old {table}"}
    lines = er_diagram(None, schema, compare(None, schema), renamed).splitlines()
    word = r"[A-Za-z]\w*"
    assert re.fullmatch(rf"  {word} \{{", lines[1], re.ASCII)
    assert re.fullmatch(rf'    int {word} PK "was {word}"', lines[2], re.ASCII)
    assert lines[3] == "  }"
    assert re.fullmatch(rf'  {word} \|\|--o\{{ {word} : "[\w ,]*"', lines[4], re.ASCII)
    assert len(lines) == 5


def test_a_picture_stays_small() -> None:
    columns = tuple(Column(f"c{number}", "#c", "int") for number in range(MAX_COLUMNS + 5))
    tables = tuple(Table(f"t{number}", "#t", columns=columns) for number in range(MAX_TABLES + 5))
    schema = Schema("s", tables=tables)
    lines = er_diagram(None, schema, compare(None, schema)).splitlines()
    assert len(lines) == 1 + MAX_TABLES * (MAX_COLUMNS + 3)
    assert lines.count("    columns and_5_more") == MAX_TABLES
