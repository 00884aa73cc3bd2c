"""JSON form of the facts, to reproduce a status without GitHub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from consdb_actions.approval.codec import decode, encode
from consdb_actions.errors import InputError
from consdb_actions.process.facts import Facts

__all__ = ["FORMAT", "facts_from_json", "facts_to_json"]

FORMAT = "consdb-actions/process-facts/1"


def facts_to_json(facts: Facts) -> dict[str, Any]:
    """Convert facts to JSON values, with the format's name under ``format``."""
    return {"format": FORMAT, **encode(facts)}


def facts_from_json(data: object, *, place: str = "facts") -> Facts:
    """Parse the JSON values of facts.

    Raises `InputError` with the path of a missing, unknown or mistyped value; `place` is the file's name.
    """
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        raise InputError(
            f'this file does not say "format": "{FORMAT}"',
            place=place,
            remedy="Give a file that process status --dump-facts of this version wrote.",
        )
    try:
        facts = decode({key: value for key, value in data.items() if key != "format"}, Facts, "")
    except InputError as error:
        where = f"{place}: {error.place.removeprefix('.')}" if error.place else place
        remedy = "Give a file that process status --dump-facts wrote, as it is."
        raise InputError(error.cause, place=where, remedy=remedy) from error
    assert isinstance(facts, Facts)
    return facts
