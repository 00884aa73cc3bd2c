"""Names before a change and after it."""

from __future__ import annotations

from consdb_actions.migration.matching.facts import ForeignKeyFacts, NameMap

NAMES = NameMap.of(
    {"old": "new"}, {("old", "airTemp"): "air_temp", ("old", "n"): "count", ("other", "n"): "m"}
)


def test_columns_and_keys_are_named_as_after_the_change() -> None:
    assert NAMES.table("old") == "new"
    assert NAMES.table("kept") == "kept"
    assert NAMES.columns_of("old", ["n", "z"]) == ("count", "z")
    key = ForeignKeyFacts(("n",), "old", ("airTemp",))
    assert NAMES.foreign_key("other", key) == ForeignKeyFacts(("m",), "new", ("air_temp",))
