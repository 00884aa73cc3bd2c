"""The order of operations."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from consdb_actions.migration.data import KeyLink
from consdb_actions.migration.rewrite.plan import Fill, order_fills, parents_first


def fill(table: int, parent: int) -> Fill:
    return Fill(f"t{table}", ("c",), ("c",), (KeyLink(("k",), f"t{parent}", ("k",)),))


def test_fills_along_a_chain_of_any_length_start_at_its_end() -> None:
    chain = [fill(number, number + 1) for number in range(3_000)]
    assert order_fills(chain) == chain[::-1]


def test_fills_in_a_ring_have_an_order() -> None:
    ring = [fill(1, 2), fill(2, 3), fill(3, 1)]
    assert order_fills(ring) == [ring[2], ring[1], ring[0]]


@given(st.dictionaries(st.integers(0, 9), st.sets(st.integers(0, 9))))
def test_parents_come_first_where_there_is_no_ring(given: dict[int, set[int]]) -> None:
    without_rings = {item: {p for p in parents if p < item} for item, parents in given.items()}
    order = parents_first(sorted(given, reverse=True), lambda item: sorted(without_rings.get(item, ())))
    assert set(order) == set(given).union(*without_rings.values())
    assert all(order.index(p) < order.index(item) for item, ps in without_rings.items() for p in ps)
    assert sorted(parents_first(given, lambda item: given.get(item, set()))) == sorted(
        set(given).union(*given.values())
    )
