"""Hidden marker in a pull request: the inputs of its generated migration."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

__all__ = ["COMMENT_MARKER", "REBASE_MARKER", "Marker", "read_marker"]

COMMENT_MARKER = "<!-- consdb-actions:migration-comment -->"
"""First line of our comment on the pull request of the schema change."""

REBASE_MARKER = "<!-- consdb-actions:rebase-comment -->"
"""First line of our comment on a migration pull request that needs a manual rebase."""

_MARKER = re.compile(r"<!-- consdb-actions:migration (?P<json>\{[^\n]{0,60000}\}) -->")
_SHA = re.compile(r"[0-9a-f]{40}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Marker:
    """The inputs of a generated migration."""

    source: str  # ``owner/name#12`` or ``owner/name@branch``
    sha: str  # commit of the source
    files: Mapping[str, str] = field(default_factory=dict)  # blob ids of the generated files
    base: str = ""  # commit of the schemas to compare with
    target: str = ""  # commit of the target
    also: Mapping[str, str] = field(default_factory=dict)  # commits of other changes in this migration
    state: str = "published"  # a value of `publication.plan.State`

    def commit_of(self, references: Collection[str]) -> str:
        """Return the source commit of a change; empty if this migration lacks it."""
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
    """Parse the marker of a pull request; None if missing or invalid."""
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
