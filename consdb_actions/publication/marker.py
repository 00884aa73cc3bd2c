"""What a pull request remembers about how it was made, in an HTML comment that nobody sees."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

__all__ = ["COMMENT_MARKER", "REBASE_MARKER", "Marker", "read_marker"]

COMMENT_MARKER = "<!-- consdb-actions:migration-comment -->"
"""The first line of our comment on the pull request of the schema change."""

REBASE_MARKER = "<!-- consdb-actions:rebase-comment -->"
"""The first line of our comment on a pull request with a migration that a person has to change."""

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
    base
        The commit of the schemas with which it was compared.
    target
        The commit of the target on which it was generated.
    also
        Other changes that this migration holds, with their commits.
    state
        What came of the change: a value of `publication.plan.State`.
    """

    source: str
    sha: str
    files: Mapping[str, str] = field(default_factory=dict)
    base: str = ""
    target: str = ""
    also: Mapping[str, str] = field(default_factory=dict)
    state: str = "published"

    def commit_of(self, references: Collection[str]) -> str:
        """Return the commit of a change from which this was generated; empty when it is not about it."""
        wanted = {name.casefold() for name in references}
        every = {**self.also, self.source: self.sha}
        return next((sha for name, sha in every.items() if name.casefold() in wanted), "")

    def __str__(self) -> str:
        text = json.dumps(
            {
                "source": self.source,
                "sha": self.sha,
                "base": self.base,
                "target": self.target,
                "state": self.state,
                "also": dict(sorted(self.also.items())),
                "files": dict(sorted(self.files.items())),
            }
        )
        # Two dashes or a bracket could end the comment.
        return f"<!-- consdb-actions:migration {re.sub('(?<=-)-|[<>]', _escaped, text)} -->"


def read_marker(body: str) -> Marker | None:
    """Read the marker of a pull request's text; None when there is none of the expected form."""
    match = _MARKER.search(body)
    if match is None:
        return None
    try:
        data = json.loads(match["json"])
        marker = Marker(
            data["source"],
            data["sha"],
            dict(data.get("files", {})),
            base=data.get("base", ""),
            target=data.get("target", ""),
            also=dict(data.get("also", {})),
            state=data.get("state", "published"),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    commits = (marker.sha, marker.base, marker.target, *marker.also.values())
    texts = (marker.source, *commits, marker.state, *marker.files, *marker.files.values(), *marker.also)
    if not all(isinstance(text, str) for text in texts) or not marker.sha:
        return None
    if not all(_SHA.fullmatch(commit) for commit in commits if commit):
        return None
    return marker


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
