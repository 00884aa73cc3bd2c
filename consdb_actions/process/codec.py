"""Facts of the process as JSON, so that a state can be replayed away from GitHub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from consdb_actions.approval.codec import decode, encode
from consdb_actions.errors import InputError
from consdb_actions.process.facts import Facts

__all__ = ["FORMAT", "facts_from_json", "facts_to_json"]

FORMAT = "consdb-actions/process-facts/1"


def facts_to_json(facts: Facts) -> dict[str, Any]:
    """Turn facts into values that `json.dumps` takes.

    Parameters
    ----------
    facts
        The facts of one pull request.

    Returns
    -------
    dict
        The same, with the format's name under ``format``.
    """
    return {"format": FORMAT, **encode(facts)}


def facts_from_json(data: object, *, place: str = "facts") -> Facts:
    """Read what `facts_to_json` wrote.

    Parameters
    ----------
    data
        Parsed JSON.
    place
        The file's name, for messages.

    Returns
    -------
    Facts
        The facts.

    Raises
    ------
    InputError
        Something is missing, unknown, or of another type; the message has its path.
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
