"""What a decision about a release rests on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

__all__ = ["Check", "CheckState", "Facts", "Tag"]

CheckState = Literal["success", "pending", "failure"]


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag.

    Attributes
    ----------
    name
        Its name.
    commit
        The commit that it is on, whatever stands between.
    annotated
        Whether it is an object of its own, with a message.
    ours
        Whether it was made by this program, which its message says.
    object
        SHA of that object of its own; empty where there is none, or it is not known.
    """

    name: str
    commit: str
    annotated: bool = True
    ours: bool = False
    object: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A check run or a commit status.

    Attributes
    ----------
    name
        Its name or context.
    state
        What it means for a release.
    words
        What it says itself, such as ``cancelled`` or ``in progress``.
    """

    name: str
    state: CheckState
    words: str


@dataclass(frozen=True, slots=True)
class Facts:
    """A repository as it is at the moment of a release.

    Attributes
    ----------
    branch
        The default branch.
    commit
        The commit that is to be tagged.
    now
        The moment of tagging.
    contained
        Whether the commit is in the history of the default branch.
    tags
        All tags.
    checks
        What has reported on the commit, without the run that asks.
    released
        Whether the newest release holds the commit already.
    parted
        Whether the commit does not come after the newest release either: their histories have parted.
    """

    branch: str
    commit: str
    now: datetime
    contained: bool
    tags: tuple[Tag, ...]
    checks: tuple[Check, ...] = ()
    released: bool = False
    parted: bool = False
