"""Names and markers of generated pull requests."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from consdb_actions.errors import InputError

__all__ = ["Marker", "Names", "name_migration", "read_marker"]

_SUFFIX = r"(?P<suffix>(?:[-_.][A-Za-z0-9]+)*)"

LONGEST = 120  # Maximum length of the part taken from the source branch's name


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one migration."""

    ticket: str  # such as ``DM-12345``
    branch: str  # in the repository of migrations
    title: str  # of its pull request
    message: str  # of the revisions; made from the branch, not from a title that people edit (rule M11)


def name_migration(branch: str, title: str, patterns: Sequence[str], *, place: str = "") -> Names:
    """Find the ticket in the branch name or the title's start.

    `patterns` match a whole ticket. Of the branch only a whole match is used, so that names hold letters,
    digits and single marks.
    """
    ticket = "|".join(f"(?:{pattern})" for pattern in patterns)
    in_branch = re.fullmatch(rf"tickets/(?P<ticket>{ticket}){_SUFFIX}", branch, re.ASCII)
    if in_branch is not None and len(branch) <= LONGEST:
        found, name = in_branch["ticket"], branch.removeprefix("tickets/")
    else:
        in_title = re.match(rf"\s*\[?(?P<ticket>{ticket})(?![\w-])", title[:300], re.ASCII)
        if in_title is None:
            raise InputError(
                "no ticket is named, neither by the branch nor at the start of the title",
                place=place,
                remedy="Call the branch tickets/DM-12345, or begin the title with the ticket. Other trackers "
                "are allowed by `tickets: patterns:` in .github/consdb-actions.yaml.",
            )
        found = name = in_title["ticket"]
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", found, re.ASCII):
        raise InputError(
            f"{found[:60]!r} cannot be part of a branch's name",
            place="tickets: patterns:",
            remedy="Let the patterns match letters, digits, dashes and nothing else.",
        )
    return Names(found, f"tickets/{name}-migration", f"{found}: Migrate schema changes", name)


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
