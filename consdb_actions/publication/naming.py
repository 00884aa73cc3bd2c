"""What a generated migration is called: its ticket, branch, title and message."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from consdb_actions.errors import InputError

__all__ = ["Names", "name_migration"]

_SUFFIX = r"(?P<suffix>(?:[-_.][A-Za-z0-9]+)*)"
LONGEST = 120
"""Characters of a source branch's name that are taken over."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one migration.

    Attributes
    ----------
    ticket
        Such as ``DM-12345``.
    branch
        Branch of the migration in the repository of migrations.
    title
        Title of its pull request.
    message
        Message of the revisions. It depends on the branch alone, not on a title that people edit: a rerun
        then gives the same files (rule M11).
    """

    ticket: str
    branch: str
    title: str
    message: str


def name_migration(branch: str, title: str, patterns: Sequence[str], *, place: str = "") -> Names:
    """Find the ticket of a change, in its branch's name or else at the start of its title.

    Parameters
    ----------
    branch
        Branch of the change, such as ``tickets/DM-12345-latiss``.
    title
        Title of its pull request; empty when there is none.
    patterns
        Regular expressions, each of which matches a whole ticket.
    place
        The change, for the error.

    Returns
    -------
    Names
        The names; only a whole match of the branch is taken over, so that they hold letters, digits, and
        marks between them, and nothing else.

    Raises
    ------
    InputError
        No ticket is named.
    """
    ticket = "|".join(f"(?:{pattern})" for pattern in patterns)
    in_branch = re.fullmatch(rf"tickets/(?P<ticket>{ticket}){_SUFFIX}", branch, re.ASCII)
    if in_branch is not None and len(branch) <= LONGEST:
        found, name = in_branch["ticket"], branch.removeprefix("tickets/")
    else:
        in_title = re.match(rf"\s*\[?(?P<ticket>{ticket})(?![\w-])", title, re.ASCII)
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
