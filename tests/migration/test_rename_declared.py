"""What people may declare about a change, and what is refused (rule M4)."""

from __future__ import annotations

import pytest

from consdb_actions.errors import InputError
from consdb_actions.migration.matching.declarations import (
    Declarations,
    parse_declaration,
    parse_directives,
    parse_sidecar,
    parse_take,
)
from consdb_actions.migration.rename import check_used, decide, select
from tests.support.schema_pairs import changed, column, decided, declared, lost, renames, table

BEFORE = [table("t", ["day", "air_temp", "flux"]), table("u", ["day"])]
AFTER = [table("t", ["day", "dome_temp", "size"]), table("u", ["day", "flux_two"])]


def test_m4_a_declared_rename_wins_over_every_other_evidence() -> None:
    before = [column("a", "First.", id="#1"), column("B", "Second.")]
    after = [column("x", "First.", id="#1"), column("b", "Second.")]
    decisions = changed(before, after, "t.a=b", "t.B=x")
    assert renames(decisions) == {"t.a": "b", "t.B": "x"}
    assert {rename.kind for rename in decisions.renames} == {"declared"}


def test_m4_a_declared_drop_wins_over_the_same_id() -> None:
    decisions = changed([column("a", id="#1")], [column("b", id="#1")], "t.a=")
    assert lost(decisions) == {"t.a"}
    assert decisions.drops[0].reason == "declared (option)"


def test_m4_a_declared_rename_may_change_the_type_and_says_so() -> None:
    decisions = changed([column("a", type="text")], [column("b", type="integer")], "t.a=b")
    assert decisions.notes == (
        "`t.a` becomes `t.b` and changes its type from text to integer: not every value may fit.",
    )


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (
            ["t.air_tmp=dome_temp"],
            "no column in `t` called `air_tmp` before the change\nDid you mean `air_temp`?",
        ),
        (["t.air_temp=dome"], "no column in `t` called `dome` after the change\nDid you mean `dome_temp`?"),
        (["t.zzz=size"], "What changes there: `air_temp`, `flux`."),
        (["tt.flux=size"], "no table called `tt` before the change"),
        (["t.day=size"], "`t.day` still exists after the change"),
        (["t.flux=day"], "`t.day` exists before the change already"),
        (["t.day="], "`t.day` still exists after the change, so it is not dropped"),
        (["t.nope="], "there is nothing to do for it"),
        (["t.flux=size", "t.air_temp=size"], "it contradicts `t.air_temp=size` (option)"),
        (["t.flux=size", "t.flux=dome_temp"], "it contradicts"),
        (["t.flux=size", "t.flux="], "it contradicts"),
        (["t.flux=u.flux_two", "t.flux="], "it contradicts"),
        (["t.flux=u.nope"], "no column in `u` called `nope` after the change"),
        (["t.day=u.flux_two"], "`t.day` still exists after the change, so it does not move"),
        (["t.flux=u.day"], "`u.day` exists before the change already"),
        (["t=v"], "no table called `v` after the change"),
        (["v=t"], "`t` has that name already, so there is nothing to do for it"),
        (["t=u"], "exists before and after the change"),
        (["t="], "still exists after the change"),
    ],
)
def test_m4_what_cannot_be_meant_is_refused(texts: list[str], message: str) -> None:
    with pytest.raises(InputError) as error:
        decided(BEFORE, AFTER, *texts)
    assert message in str(error.value)


def test_m4_a_target_that_is_given_up_may_be_taken() -> None:
    before, after = [table("t", ["a", "b"])], [table("t", ["b"])]
    decisions = decided(before, after, "t.a=b", "t.b=")
    assert renames(decisions) == {"t.a": "b"}
    assert lost(decisions) == {"t.b"}


@pytest.mark.parametrize("source", ["pull request", "sidecar file"])
@pytest.mark.parametrize("text", ["t.old=day", "u.day=t.day", "gone=t", "t.gone=", "gone="])
def test_m4_what_a_file_declares_and_is_done_already_is_noted(source: str, text: str) -> None:
    if text == "u.day=t.day":
        text = "u.old=t.day"
    decisions = decide(BEFORE, AFTER, declared(text, source=source), "drop-add")
    assert decisions.notes[0].startswith(f"`{text}` ({source}) is ignored: ")
    with pytest.raises(InputError, match="there is nothing to do for it"):
        decided(BEFORE, AFTER, text)


def test_m4_what_is_said_twice_counts_once_under_the_nearest_source() -> None:
    found = Declarations.of(
        parse_declaration("t.flux=size", source) for source in ("sidecar file", "option", "pull request")
    )
    assert [d.source for d in found.matches] == ["option"]
    assert [r.source for r in decide(BEFORE, AFTER, found, "drop-add").remembered][:1] == ["option"]


ELSEWHERE = [table("t", ["day", "air_temp", "flux", "other"]), table("w", ["x"])]
ELSEWHERE_AFTER = [table("t", ["day", "air_temp", "flux", "more"]), table("w", ["x"])]


@pytest.mark.parametrize(
    ("texts", "mine"),
    [
        (["t.flux=size"], True),
        (["t.flux="], True),
        (["t.flux=u.flux_two"], True),
        (["t.nope=size"], False),
        (["t.flux=nope"], False),
        (["t.flux=w.x"], False),
        (["u="], False),
    ],
)
def test_m4_a_schema_is_only_told_what_it_is_about(texts: list[str], mine: bool) -> None:
    assert bool(select(declared(*texts), BEFORE, AFTER).matches) == mine
    assert select(declared(*texts), ELSEWHERE, ELSEWHERE_AFTER).matches == ()


def test_m4_declarations_that_need_each_other_are_told_together() -> None:
    before, after = [table("t", ["n_1", "n_2", "n_3"])], [table("t", ["n_2", "n_3", "n_4"])]
    chain = declared("t.n_1=n_2", "t.n_2=n_3", "t.n_3=n_4")
    found = select(chain, before, after)
    assert found == chain
    assert renames(decide(before, after, found, "fail")) == {"t.n_1": "n_2", "t.n_2": "n_3", "t.n_3": "n_4"}
    assert select(declared("t.n_2=n_3", "t.n_3=n_4"), before, after).matches == ()
    # Nothing but the declarations says that these two change places; so it may be meant for another schema.
    assert select(declared("t.n_2=n_3", "t.n_3=n_2"), before, after).matches == ()


def test_m4_every_answer_passes_the_selection() -> None:
    before = [table("t", [column("a", "A.", id="#1"), column("b", "B.", id="#2")])]
    after = [table("t", [column("a", "A.", id="#2"), column("b", "B.", id="#1")])]
    for texts in (["t.a=b", "t.b=a"], ["t.a=a", "t.b=b"]):
        assert select(declared(*texts), before, after) == declared(*texts)


def test_m4_an_option_that_is_about_no_schema_is_refused() -> None:
    schemas = [(ELSEWHERE, ELSEWHERE_AFTER), (BEFORE, AFTER)]
    check_used(declared("t.flux=size"), schemas)
    check_used(declared("t.nope=nothing", source="pull request"), schemas)
    with pytest.raises(InputError, match="Did you mean `flux`"):
        check_used(declared("t.flx=size"), [(BEFORE, AFTER)])
    with pytest.raises(InputError, match="matches nothing that changes"):
        check_used(declared("v.flux=size"), schemas)
    # Run again once it is carried out, the same command has nothing to say against.
    check_used(declared("t.flux=size"), [(AFTER, AFTER)])


@pytest.mark.parametrize("text", ["t.flux=size", "t.flux=", "t.day=day", "t.flux=u.flux_two", "v=w", "v="])
def test_m4_a_declaration_reads_back_as_it_was_written(text: str) -> None:
    assert parse_declaration(f" {text} ", "option").text == text


@pytest.mark.parametrize(
    "text",
    ["", "t", "t.flux", "=x", "t.flux=a.b.c", "a.b.c=d", "t=u.x", "t=t", "t.a=b=c", "t.a b=c", "t.a=;drop"],
)
def test_m4_anything_else_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(InputError) as error:
        parse_declaration(text, "option")
    assert error.value.place == "--rename"


def test_m4_lines_of_a_pull_request() -> None:
    text = """Adds things.
<!-- For a rename write
consdb: rename TABLE.OLD=NEW
-->
consdb: rename t.flux=size
- `consdb: rename t.air_temp=dome_temp`
> consdb: rename quoted.is=ignored
The line consdb: rename within.text=ignored is not a directive.
"""
    assert [d.text for d in parse_directives(text)] == ["t.flux=size", "t.air_temp=dome_temp"]
    with pytest.raises(InputError) as error:
        parse_directives("one\n\nconsdb: rename me please")
    assert error.value.place == "pull request, line 3"


def test_m4_lines_of_a_sidecar_file() -> None:
    text = "# renames\n\nt.flux=size  # agreed\n t = w \n"
    assert [d.text for d in parse_sidecar(text)] == ["t.flux=size", "t=w"]
    with pytest.raises(InputError) as error:
        parse_sidecar("t.flux=size\nnonsense\n")
    assert error.value.place == "sidecar file, line 2"


def test_a_schema_that_lists_a_name_twice_is_refused() -> None:
    with pytest.raises(InputError, match=r"column t\.a is listed twice in the schema after the change"):
        decided([table("t", ["a"])], [table("t", ["a", "b", "a"])])
    with pytest.raises(InputError, match="table t is listed twice in the schema before the change"):
        decided([table("t", ["a"]), table("t", ["b"])], [])


@pytest.mark.parametrize(
    ("text", "side", "element"),
    [
        ("head exposure.ra", "head", "exposure.ra"),
        ("  current   exposure  ", "current", "exposure"),
        ("HEAD exposure.ra.type", "head", "exposure.ra.type"),
        ("current exposure.un_exposure_day obs id", "current", "exposure.un_exposure_day obs id"),
        ("head a$b.c$d", "head", "a$b.c$d"),
    ],
)
def test_m17_a_side_is_taken_for_an_element(text: str, side: str, element: str) -> None:
    take = parse_take(text, "option")
    assert (take.side, take.element, take.text) == (side, element, f"{side} {element}")
    assert parse_take(take.text, "option") == take


@pytest.mark.parametrize(
    "text",
    [
        "", "head", "exposure.ra", "both exposure.ra", "head .ra", "head a..b", "head a.b.c.d.e",
        "head a.b=c", "head a;drop", "headexposure.ra", "head a\nb", "head a.",
    ],
)  # fmt: skip
def test_m17_any_other_form_of_a_side_is_refused(text: str) -> None:
    with pytest.raises(InputError) as error:
        parse_take(text, "option")
    assert error.value.place == "--take"


def test_m17_sides_in_the_text_of_a_pull_request() -> None:
    text = """Adds things.
<!-- consdb: take head hidden.ra -->
consdb: take head exposure.ra
- `consdb: take current exposure.dec`
> consdb: take head quoted.ra
consdb: rename t.flux=size
consdb: taken head exposure.ra
"""
    found = Declarations.of(parse_directives(text))
    assert [take.text for take in found.takes] == ["current exposure.dec", "head exposure.ra"]
    assert [item.text for item in found.matches] == ["t.flux=size"]
    with pytest.raises(InputError) as error:
        parse_directives("one\n\nconsdb: take exposure.ra")
    assert error.value.place == "pull request, line 3"


def test_m17_the_nearest_source_says_which_side() -> None:
    takes = [parse_take("head t.a", "pull request"), parse_take("current t.a", "option")]
    assert [take.text for take in Declarations.of(takes).takes] == ["current t.a"]
    both = [parse_take(f"{side} t.a", "pull request") for side in ("head", "current")]
    for declarations in (both, [*both, parse_take("current t.b", "pull request")]):
        with pytest.raises(InputError, match=r"both sides are taken of t\.a"):
            Declarations.of(declarations)
    assert len(Declarations.of([both[0], both[0]]).takes) == 1


def test_m17_a_side_is_not_about_one_schema() -> None:
    takes = Declarations.of([parse_take("head t.a", "option")])
    assert select(takes, [], []) == takes


def test_m4_a_column_of_a_dropped_table_is_not_renamed() -> None:
    with pytest.raises(InputError, match="dropped as a whole"):
        decided([table("t", ["a"])], [], "t=", "t.a=b")


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("t.a=b", "`t.a` is renamed to `b`"),
        ("t.a=a", "`t.a` stays what it is"),
        ("t.a=", "`t.a` is dropped and nothing continues it"),
        ("t.a=u.b", "`t.a` moves to `u.b`"),
        ("t=u", "table `t` is renamed to `u`"),
        ("t=", "table `t` is dropped and nothing continues it"),
    ],
)
def test_m4_every_declaration_has_a_meaning(text: str, meaning: str) -> None:
    assert parse_declaration(text, "option").meaning == meaning
