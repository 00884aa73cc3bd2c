"""Rules M22 and M23: what reviewers see in a script, and what a failure says."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from itertools import pairwise

import pytest

from consdb_actions.errors import InputError
from tests.generation.test_three_way import (
    CHANGES,
    add_column,
    changed,
    comment_column,
    drop_unique,
    observatory,
    rename_column,
    retype_column,
)
from tests.support.variants import every
from tests.support.workbench import Workbench, column


def unused_imports(source: str) -> set[str]:
    tree = ast.parse(source)
    imported = {
        (alias.asname or alias.name).split(".")[0]
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    return imported - {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def joined_on_one_line(source: str) -> list[int]:
    tokens = [t for t in tokenize.generate_tokens(io.StringIO(source).readline) if t.type != tokenize.NL]
    return [
        a.start[0]
        for a, b in pairwise(tokens)
        if a.type == b.type == tokenize.STRING and a.end[0] == b.start[0]
    ]


@pytest.mark.parametrize("change", every(3, CHANGES), ids=lambda c: c.__name__)
def test_m22_a_script_passes_the_linters(bench: Workbench, change: object) -> None:
    bench.generate(observatory(), verify=False)
    source = bench.generate(changed(change), base=observatory(), verify=False).source  # type: ignore[arg-type]
    assert unused_imports(source) == set()
    assert joined_on_one_line(source) == []
    assert "please adjust" not in source
    assert max(map(len, source.splitlines())) <= 110


def test_m22_renames_are_alembics_own_calls(bench: Workbench) -> None:
    bench.generate(observatory(), verify=False)
    source = bench.generate(changed(rename_column), base=observatory(), verify=False).source
    assert 'new_column_name="seeing_arcsec"' in source
    assert "RENAME COLUMN" not in source


def test_m22_a_view_has_one_column_a_line(bench: Workbench) -> None:
    data = observatory()
    for number in range(9):
        data["tables"][0]["columns"].append(column(f"a_long_name_{number}", id=f"#e{number}"))
    bench.generate(data, verify=False)
    after = changed(add_column)
    after["tables"][0]["columns"] += data["tables"][0]["columns"][-9:]
    lines = bench.generate(after, base=data, verify=False).source.splitlines()
    for number in range(8):
        assert sum(f'"a_long_name_{number}, "' in line for line in lines) == 2


def test_a_comment_is_nothing_but_a_comment(bench: Workbench) -> None:
    bench.generate(observatory(), verify=False)
    outcome = bench.generate(changed(comment_column), base=observatory(), verify=False)
    assert [op.text for op in outcome.upgrade] == ["change comment on exposure.band"]
    assert outcome.source.count("op.") == 2


def test_a_foreign_key_stays_while_its_own_key_stays(bench: Workbench) -> None:
    bench.generate(observatory(), verify=False)
    outcome = bench.generate(changed(drop_unique), base=observatory(), verify=False)
    assert "foreign" not in outcome.source


@pytest.mark.parametrize(
    ("by_hand", "change", "words"),
    [
        (
            "ALTER TABLE cdb_latiss.exposure ADD COLUMN twice int GENERATED ALWAYS AS (airmass * 2) STORED",
            retype_column,
            ("exposure.airmass", "generated column", "twice"),
        ),
        (
            "CREATE POLICY mine ON cdb_latiss.exposure USING (airmass > 1)",
            retype_column,
            ("exposure.airmass", "policy", "mine"),
        ),
    ],
)
def test_m23_what_postgres_refuses_is_shown_with_the_element_and_its_line(
    bench: Workbench, by_hand: str, change: object, words: tuple[str, ...]
) -> None:
    bench.generate(observatory(), verify=False)
    bench.revise(f"op.execute({by_hand!r})")
    with pytest.raises(InputError) as raised:
        bench.generate(changed(change), base=observatory())  # type: ignore[arg-type]
    text = f"{raised.value.cause} {raised.value.place}"
    assert all(word in text for word in words), text
    assert f"{bench.root / 'schemas'}"[:20] in (raised.value.place or "")
    line = int((raised.value.place or "").split(".yaml:")[1].split(",")[0])
    path = next(bench.root.glob("schemas*/cdb_latiss.yaml")).parent.parent / "schemas2" / "cdb_latiss.yaml"
    assert "airmass" in "\n".join(path.read_text(encoding="utf-8").splitlines()[line - 1 : line + 2])


@pytest.mark.parametrize(
    ("constraint", "message"),
    [
        ({"name": "ck_wrong", "@type": "Check", "expression": "nosuch > 1"}, "nosuch"),
        (
            {"name": "ck_late", "@type": "Check", "expression": "airmass > 1", "deferrable": True},
            "DEFERRABLE",
        ),
        ({"name": "ck_syntax", "@type": "Check", "expression": "airmass >"}, "syntax"),
    ],
)
def test_m23_a_constraint_that_postgres_cannot_make_is_named_with_its_line(
    bench: Workbench, constraint: dict[str, object], message: str
) -> None:
    bench.generate(observatory(), verify=False)
    after = observatory()
    after["tables"][0]["constraints"].append({"@id": "#wrong", **constraint})
    with pytest.raises(InputError) as raised:
        bench.generate(after, base=observatory())
    text = str(raised.value)
    assert f"exposure.{constraint['name']}" in text
    assert message in text
    line = int(re.findall(r"\.yaml:(\d+)", text)[0])
    path = next(p for p in bench.root.glob("schemas*/*.yaml") if str(constraint["name"]) in p.read_text())
    assert str(constraint["name"]) in "\n".join(path.read_text().splitlines()[line - 5 : line + 1])
