"""For random pairs of schemas, the script runs on rows, reaches its target, and takes itself back."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis import strategies as st

from consdb_actions.adapters.postgres import ScratchServer
from tests.support.workbench import Data, Workbench, column, schema, table

PAIRS = int(os.environ.get("PAIRS", "1024"))
"""How many pairs the long session tries."""

TYPES = ("int", "long", "short", "float", "double", "boolean", "string", "text", "timestamp")
TEXTS = st.sampled_from(
    [
        "plain",
        "50 % of it's",
        'a "quoted" word',
        "back\\slash",
        ":name and ${x}",
        '"""',
        "Größe\nzweite",
        "::x :1:",
    ]
)
NAMES = ("alpha", "Beta", "gamma_ray", "order", "e5", "zeta")


@st.composite
def columns(draw: st.DrawFn) -> Data:
    """One column of any type, sometimes with a default that suits it."""
    datatype = draw(st.sampled_from(TYPES))
    more: dict[str, Any] = {"description": draw(TEXTS), "nullable": draw(st.booleans())}
    if datatype == "string":
        more["length"] = draw(st.sampled_from([32, 64]))  # any other value fits as text
    if datatype == "timestamp" and draw(st.booleans()):
        more["precision"] = 6
    values = {"int": 7, "long": 8, "double": 0.5, "boolean": True, "string": "x:1:y", "text": "it's 5%"}
    if datatype in values and draw(st.booleans()):
        more["value"] = values[datatype]
    return column("", datatype, **more)


@st.composite
def tables(draw: st.DrawFn, name: str, parents: tuple[str, ...]) -> Data:
    """A table with a key of one or two columns, others, and perhaps constraints."""
    size = draw(st.integers(1, 2))
    key = [f"k{i}" for i in range(size)]
    items = [column(k, draw(st.sampled_from(["int", "long"])), nullable=False) for k in key]
    chosen = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=5))
    items.extend({**draw(columns()), "name": chosen_name} for chosen_name in chosen)
    constraints: list[Data] = []
    if draw(st.booleans()):
        order = draw(st.permutations(key))
        constraints.append({"name": f"un_{name}", "@type": "Unique", "columns": order})
    numbers = [i["name"] for i in items if i["datatype"] == "int" and i["name"] not in key]
    if draw(st.booleans()) and numbers:
        expression = f'"{numbers[0]}" > -1000'
        constraints.append({"name": f"ck_{name}", "@type": "Check", "expression": expression})
    for parent in parents:
        if draw(st.booleans()):
            wanted = f"{parent}_k0"
            items.append(column(wanted, "long", nullable=draw(st.booleans())))
            constraints.append(
                {
                    "name": f"fk_{name}_{parent}",
                    "@type": "ForeignKey",
                    "columns": [wanted],
                    "referencedColumns": [f"{parent}.u"],
                }
            )
    items.append(column("u", "long", nullable=False))
    constraints.append({"name": f"un_{name}_u", "@type": "Unique", "columns": ["u"]})
    indexes = [{"name": f"ix_{name}", "columns": [items[-1]["name"]]}] if draw(st.booleans()) else []
    return table(
        name,
        items,
        key=key if draw(st.booleans()) else ["u"],
        constraints=constraints,
        indexes=indexes,
        description=draw(TEXTS),
    )


@st.composite
def schemas(draw: st.DrawFn) -> Data:
    """A family of tables; sometimes with a view over one of them."""
    names = ["exposure", *draw(st.lists(st.sampled_from(["ccd", "quick", "flex"]), unique=True, max_size=2))]
    made: list[Data] = []
    for i, name in enumerate(names):
        made.append(draw(tables(name, tuple(names[:i]))))
    if draw(st.booleans()):
        made.append(table("visit1", [column("visit_id", "long", nullable=False)], key=["visit_id"]))
    return schema(*made)


def check_pair(server: ScratchServer, before: Data, after: Data, *, operator: bool = True) -> None:
    """Make a history of the one, generate the other, and look at every statement of the proof."""
    directory = Path(tempfile.mkdtemp(prefix="pair"))
    try:
        bench = Workbench(server, directory / "tree", shadow=True)
        bench.operator = operator
        first = bench.generate(before, on_question="drop-add", verify=False)
        assert first.status == "changed", first.questions
        outcome = bench.generate(after, on_question="drop-add", keep=False)
        note(outcome.source)
        for check in outcome.checks:
            note(f"{check.name}: {check.holds} {check.words} {check.details}")
        assert outcome.status in {"changed", "unchanged", "question"}
        assert all(check.holds for check in outcome.checks)
        assert bool(outcome.checks) == (outcome.status == "changed")
    finally:
        shutil.rmtree(directory)


QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(
    max_examples=6,
    derandomize=True,
    deadline=None,
    suppress_health_check=QUIET,
    phases=[Phase.explicit, Phase.generate],
)
@given(before=schemas(), after=schemas())
def test_pairs(server: ScratchServer, before: Data, after: Data) -> None:
    check_pair(server, before, after)


@pytest.mark.pairs
@pytest.mark.parametrize("part", range(8))
def test_a_thousand_pairs(server: ScratchServer, part: int) -> None:
    """Eight parts, so that they can run side by side; each has a seed of its own."""

    @seed(part)
    @settings(max_examples=PAIRS // 8, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(before=schemas(), after=schemas())
    def check(before: Data, after: Data) -> None:
        check_pair(server, before, after, operator=False)

    check()
