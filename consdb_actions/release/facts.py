"""Facts for the decision about a release."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

__all__ = ["Check", "CheckState", "Facts", "Tag"]

CheckState = Literal["success", "pending", "failure"]


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag of the repository."""

    name: str
    commit: str  # after peeling the tag object
    annotated: bool = True
    ours: bool = False  # created by this program, according to its message
    object: str = ""  # SHA of the tag object; empty if lightweight or unknown


@dataclass(frozen=True, slots=True)
class Check:
    """A check run or a commit status."""

    name: str
    state: CheckState  # its meaning for a release
    words: str  # its own wording, such as ``cancelled`` or ``in progress``


@dataclass(frozen=True, slots=True)
class Facts:
    """The state of the repository at a release."""

    branch: str  # the default branch
    commit: str  # to be tagged
    now: datetime  # the time of tagging
    contained: bool  # whether the default branch contains the commit
    tags: tuple[Tag, ...]
    checks: tuple[Check, ...] = ()  # on the commit, without those of the present run
    released: bool = False  # whether the newest release contains the commit
    parted: bool = False  # whether the newest release is neither an ancestor nor a descendant
