"""Ticket, branch, title and message of a generated migration."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from consdb_actions.errors import InputError

__all__ = ["Names", "name_migration"]

_SUFFIX = r"(?P<suffix>(?:[-_.][A-Za-z0-9]+)*)"
LONGEST = 120
"""Maximum length of the part taken from the source branch's name."""


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
    digits and single marks. Raises `InputError` if there is no ticket.
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
