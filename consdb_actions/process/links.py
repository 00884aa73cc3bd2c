"""How a pull request in one repository names what it was made from: a mark at the start of its text."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

__all__ = ["EFD_MARK", "MIGRATION_MARK", "Origin", "mark", "origin_of"]

MIGRATION_MARK = "migration"
"""Marks a migration in consdb; its source is the pull request in sdm_schemas."""

EFD_MARK = "efd"
"""Marks a copy of EFD schemas in sdm_schemas; its source is the pull request in consdb, or consdb itself."""

_MARK = re.compile(r"\s*<!-- consdb-actions:(?P<kind>[a-z]+) (?P<json>\{[^<>]{0,400}\}) -->")
_SOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}(?:#[1-9][0-9]{0,8})?")
_SHA = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Origin:
    """What a pull request was made from.

    Attributes
    ----------
    source
        ``owner/name#number``, or ``owner/name`` where no pull request is meant.
    sha
        The commit, 40 hexadecimal digits.
    asked
        For a migration, the newest comment whose wishes it fulfils, by its id; 0 for none.
    """

    source: str
    sha: str
    asked: int = 0

    @property
    def repository(self) -> str:
        """The repository, as ``owner/name``."""
        return self.source.partition("#")[0]

    @property
    def number(self) -> int:
        """The pull request; 0 where none is meant."""
        return int(self.source.partition("#")[2] or 0)


def mark(kind: str, origin: Origin) -> str:
    """Write the mark, an HTML comment; it has to be the first thing in the text of the pull request.

    Parameters
    ----------
    kind
        `MIGRATION_MARK` or `EFD_MARK`.
    origin
        What the pull request is made from.

    Returns
    -------
    str
        The mark, on one line.

    Raises
    ------
    ValueError
        The source is no repository or pull request, or the commit is none.
    """
    if not _SOURCE.fullmatch(origin.source) or not _SHA.fullmatch(origin.sha):
        raise ValueError(f"{origin.source!r} at {origin.sha!r} is no source")
    data: dict[str, Any] = {"source": origin.source, "sha": origin.sha}
    if origin.asked:
        data["asked"] = origin.asked
    return f"<!-- consdb-actions:{kind} {json.dumps(data)} -->"


def origin_of(body: str, kind: str) -> Origin | None:
    """Read the mark at the start of a text.

    Parameters
    ----------
    body
        The text of a pull request, whoever wrote it.
    kind
        The mark that is looked for.

    Returns
    -------
    Origin or None
        What it says; None when there is no such mark, or one that does not have the expected form.
    """
    match = _MARK.match(body)
    if match is None or match["kind"] != kind:
        return None
    try:
        data = json.loads(match["json"])
        source, sha, asked = data["source"], data["sha"], data.get("asked", 0)
    except (ValueError, KeyError):
        return None
    if not isinstance(source, str) or not _SOURCE.fullmatch(source):
        return None
    if not isinstance(sha, str) or not _SHA.fullmatch(sha):
        return None
    if not isinstance(asked, int) or isinstance(asked, bool) or asked < 0:
        return None
    return Origin(source, sha, asked)
