"""Evidence on one step, before steps are compared with each other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

__all__ = ["Evidence", "Finding", "latest", "listed"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence with its URL, which may be empty."""

    text: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """The conclusion from the evidence on a step."""

    done: bool
    words: str  # a sentence without full stop
    at: datetime | None = None  # since when it is done, if known
    by: str = ""
    evidence: tuple[Evidence, ...] = ()
    stale: bool = False  # done, but for another state of the change
    unknown: bool = False  # unreadable; counts as not done


def latest(moments: list[datetime | None]) -> datetime | None:
    """Return the latest time; None if there is none or one is unknown."""
    known = [moment for moment in moments if moment is not None]
    return max(known) if known and len(known) == len(moments) else None


def listed(words: list[str] | tuple[str, ...]) -> str:
    """Join words as in a sentence."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
