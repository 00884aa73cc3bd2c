"""What the evidence says about one step, before the steps are looked at together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

__all__ = ["Evidence", "Finding", "latest", "listed"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Something that shows it, with its address; the address may be empty."""

    text: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What the evidence says.

    Attributes
    ----------
    done
        Whether it shows that the step is done.
    words
        What it shows, in a sentence without a final stop.
    at
        Since when it is done, as far as that is known.
    by
        Who did it, where that matters.
    evidence
        Where to look.
    stale
        It was done, but for another state of the change.
    unknown
        It could not be read; then it is not taken for done.
    """

    done: bool
    words: str
    at: datetime | None = None
    by: str = ""
    evidence: tuple[Evidence, ...] = ()
    stale: bool = False
    unknown: bool = False


def latest(moments: list[datetime | None]) -> datetime | None:
    """Return the latest of some moments; None when there is none, or one is not known."""
    known = [moment for moment in moments if moment is not None]
    return max(known) if known and len(known) == len(moments) else None


def listed(words: list[str] | tuple[str, ...]) -> str:
    """Join words as in a sentence."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
