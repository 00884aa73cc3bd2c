"""Marker with the source of copied EFD schemas, in the pull request's body."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

__all__ = ["EfdOrigin", "efd_mark", "efd_origin"]

_MARK = re.compile(r"<!-- consdb-actions:efd (?P<json>\{[^<>\n]{0,400}\}) -->")
_SOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}(?:#[1-9][0-9]{0,8})?", re.ASCII)
_SHA = re.compile(r"[0-9a-f]{40}", re.ASCII)


@dataclass(frozen=True, slots=True)
class EfdOrigin:
    """The source of copied EFD schemas."""

    source: str  # ``owner/name#number`` for a pull request in consdb, or ``owner/name``
    sha: str  # 40 hexadecimal digits

    @property
    def repository(self) -> str:
        """Return the repository as ``owner/name``."""
        return self.source.partition("#")[0]

    @property
    def number(self) -> int:
        """Return the pull request; 0 for none."""
        return int(self.source.partition("#")[2] or 0)


def efd_mark(origin: EfdOrigin) -> str:
    """Write the marker on one line; raise `ValueError` if invalid."""
    if not _SOURCE.fullmatch(origin.source) or not _SHA.fullmatch(origin.sha):
        raise ValueError(f"{origin.source!r} at {origin.sha!r} is not an origin")
    # Two dashes would end the comment.
    data = json.dumps({"source": origin.source, "sha": origin.sha}).replace("--", "-\\u002d")
    return f"<!-- consdb-actions:efd {data} -->"


def efd_origin(body: str) -> EfdOrigin | None:
    """Parse the marker in a pull request's body; None if missing or invalid."""
    match = _MARK.search(body)
    if match is None:
        return None
    try:
        data = json.loads(match["json"])
        source, sha = data["source"], data["sha"]
    except (ValueError, KeyError, TypeError):
        return None
    if not isinstance(source, str) or not _SOURCE.fullmatch(source):
        return None
    if not isinstance(sha, str) or not _SHA.fullmatch(sha):
        return None
    return EfdOrigin(source, sha)
