"""The one-to-one assignment against every possible one."""

from __future__ import annotations

from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from consdb_actions.migration.matching.questions import assign

ROWS, COLUMNS = "abcde", "uvwxyz"
pairs = st.tuples(st.sampled_from(ROWS), st.sampled_from(COLUMNS))


def best(weights: dict[tuple[str, str], int]) -> int:
    """Try every assignment."""

    @cache
    def from_row(at: int, free: frozenset[str]) -> int:
        if at == len(ROWS):
            return 0
        row = ROWS[at]
        options = [
            weight + from_row(at + 1, free - {column})
            for (of, column), weight in weights.items()
            if of == row and column in free
        ]
        return max([from_row(at + 1, free), *options])

    return from_row(0, frozenset(COLUMNS))


@given(st.dictionaries(pairs, st.integers(-3, 20)))
@settings(max_examples=300, deadline=None)
def test_no_other_assignment_weighs_more(weights: dict[tuple[str, str], int]) -> None:
    chosen = assign(weights)
    assert len(set(chosen.values())) == len(chosen)
    assert all(weights[pair] > 0 for pair in chosen.items())
    assert sum(weights[pair] for pair in chosen.items()) == best(weights)


@given(st.dictionaries(pairs, st.integers(1, 3)), st.randoms())
@settings(max_examples=100, deadline=None)
def test_ties_do_not_depend_on_the_order_of_the_input(
    weights: dict[tuple[str, str], int], random: object
) -> None:
    items = list(weights.items())
    random.shuffle(items)  # type: ignore[attr-defined]
    assert assign(dict(items)) == assign(weights)


def test_the_best_for_each_may_not_be_the_best_for_all() -> None:
    assert assign({("a", "u"): 10, ("a", "v"): 9, ("b", "u"): 9}) == {"a": "v", "b": "u"}


def test_a_row_may_stay_alone() -> None:
    assert assign({("a", "u"): 10, ("b", "u"): 3, ("b", "v"): 0}) == {"a": "u"}
