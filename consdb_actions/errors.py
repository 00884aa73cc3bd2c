"""The errors that a user can meet, one class per exit code (rule F3).

Every error names its cause, the place where it was found, and the remedy. Only :mod:`consdb_actions.cli`
catches them; everything else lets them pass.
"""

from __future__ import annotations


class ConsdbActionsError(Exception):
    """Base of all expected errors: a cause without a final period, its place, and a remedy."""

    exit_code = 4
    title = "error"

    def __init__(self, cause: str, *, place: str = "", remedy: str = "") -> None:
        super().__init__(cause)
        self.cause = cause
        self.place = place
        self.remedy = remedy

    def __str__(self) -> str:
        parts = [f"{self.place}: {self.cause}" if self.place else self.cause]
        if self.remedy:
            parts.append(self.remedy)
        return "\n".join(parts)


class CheckFailed(ConsdbActionsError):  # noqa: N818 - what failed is the check, not the program
    """A check did not hold, or a question is open: exit code 1."""

    exit_code = 1
    title = "check failed"


class InputError(ConsdbActionsError):
    """Usage, configuration or input files are wrong: exit code 2."""

    exit_code = 2
    title = "bad input"


class ExternalError(ConsdbActionsError):
    """A service outside of this program failed (Postgres, GitHub, a registry): exit code 3."""

    exit_code = 3
    title = "external failure"


class DatabaseChanged(ConsdbActionsError):  # noqa: N818 - what happened, not what is wrong
    """A database was changed, or may have been, and the run did not end as planned: exit code 5 (rule O1)."""

    exit_code = 5
    title = "the database was changed"
