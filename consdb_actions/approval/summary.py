"""The description of the commit status (rule A9)."""

from __future__ import annotations

from consdb_actions.approval.verdict import Outcome, RoleVerdict, State

__all__ = ["LIMIT", "describe", "fit"]

LIMIT = 140
"""GitHub's maximum length of a status description, in characters."""


def describe(state: State, roles: tuple[RoleVerdict, ...], *, draft: bool) -> str:
    """Summarize the verdicts in at most `LIMIT` characters."""
    if state is State.SUCCESS or not _open(roles):
        people = ", ".join(
            f"{item.role.title} ({item.approver.author.login})" for item in roles if item.approver is not None
        )
        long = f"Approved by {people}"
        short = f"All {len(roles)} roles have approved"
        prefix = "Draft; " if draft else ""
        return fit((prefix + _lower(long, draft), prefix + _lower(short, draft)))
    parts = []
    for outcome, words in (
        (Outcome.ERROR, "Team unreadable"),
        (Outcome.BLOCKED, "Changes requested"),
        (Outcome.STALE, "Approval stale"),
        (Outcome.MISSING, "Missing"),
    ):
        titles = [item.role.title for item in roles if item.outcome is outcome]
        ids = [item.role.id for item in roles if item.outcome is outcome]
        if titles:
            parts.append((f"{words}: {', '.join(titles)}", f"{words}: {', '.join(ids)}"))
    prefix = "Draft; " if draft else ""
    done = f"{len(roles) - len(_open(roles))} of {len(roles)} roles have approved"
    return fit(
        (prefix + "; ".join(long for long, _ in parts), prefix + "; ".join(short for _, short in parts), done)
    )


def fit(choices: tuple[str, ...]) -> str:
    """Return the first choice that fits, or the last one truncated."""
    for choice in choices:
        if len(choice) <= LIMIT:
            return choice
    return choices[-1][: LIMIT - 3].rstrip() + "..."


def _open(roles: tuple[RoleVerdict, ...]) -> list[RoleVerdict]:
    return [item for item in roles if item.outcome is not Outcome.APPROVED]


def _lower(text: str, wanted: bool) -> str:
    return text[0].lower() + text[1:] if wanted else text
