"""What a pull request remembers about how it was made, in an HTML comment that nobody sees."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["COMMENT_MARKER", "Marker", "read_marker"]

COMMENT_MARKER = "<!-- consdb-actions:migration-comment -->"
"""The first line of our comment on the pull request of the schema change."""

_MARKER = re.compile(r"<!-- consdb-actions:migration (?P<json>\{[^\n]{0,60000}\}) -->")
_SHA = re.compile(r"[0-9a-f]{40}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Marker:
    """Where the migration of a pull request comes from.

    Attributes
    ----------
    source
        The schema change: ``owner/name#12``, or ``owner/name@branch``.
    sha
        Its commit from which the migration was generated.
    files
        The generated files, with their blobs as git names them.
    """

    source: str
    sha: str
    files: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        data = {"source": self.source, "sha": self.sha, "files": dict(sorted(self.files.items()))}
        text = json.dumps(data)
        # Two dashes or a bracket could end the comment.
        return f"<!-- consdb-actions:migration {re.sub('(?<=-)-|[<>]', _escaped, text)} -->"


def read_marker(body: str) -> Marker | None:
    """Read the marker of a pull request's text; None when there is none of the expected form."""
    match = _MARKER.search(body)
    if match is None:
        return None
    try:
        data = json.loads(match["json"])
        files = data.get("files", {})
        marker = Marker(data["source"], data["sha"], dict(files))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    texts = (marker.source, marker.sha, *marker.files, *marker.files.values())
    if not all(isinstance(text, str) for text in texts) or not _SHA.fullmatch(marker.sha):
        return None
    return marker


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
