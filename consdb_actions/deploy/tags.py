"""Classify image tags: releases, weekly tags, and tags that can move."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from consdb_actions.errors import InputError
from consdb_actions.forms import Public
from consdb_actions.release.versions import parse_version

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
_WEEK = re.compile(r"w\.(?P<year>20[0-9]{2})\.(?P<week>[0-9]{1,2})", re.ASCII)
_NUMBERS = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}", re.ASCII)
_TICKET = re.compile(r"tickets-(?P<rest>[A-Za-z0-9][A-Za-z0-9._-]*)", re.ASCII)


class TagKind(StrEnum):
    """The kind of a tag."""

    RELEASE = "release"
    WEEKLY = "weekly"
    TICKET = "ticket image"
    MAIN = "main"
    EMPTY = "empty"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class ImageTag(Public):
    """A classified image tag."""

    PUBLIC: ClassVar[str] = "text kind"

    text: str
    kind: TagKind
    order: tuple[int, ...] = ()  # sort key among tags of one kind; empty if they have no order

    @property
    def is_fixed(self) -> bool:
        """Return whether the tag always names the same image."""
        return self.kind in (TagKind.RELEASE, TagKind.WEEKLY)

    def is_older_than(self, other: ImageTag) -> bool:
        """Tell whether both are of one kind, and this one comes first."""
        return self.kind is other.kind and bool(self.order) and self.order < other.order

    def is_at_least(self, other: ImageTag) -> bool:
        """Tell whether this is the same or a later tag."""
        return (
            self.text == other.text
            or (bool(self.order) and self.order == other.order)
            or other.is_older_than(self)
        )


def read_tag(text: str) -> ImageTag:
    """Classify a tag.

    Examples
    --------
    >>> read_tag("26.6.2").kind, read_tag("w.2026.18").order, read_tag("tickets-DM-1").kind
    (<Kind.RELEASE: 'release'>, (2026, 18), <Kind.TICKET: 'ticket image'>)
    """
    if not text:
        return ImageTag(text, TagKind.EMPTY)
    if version := parse_version(text):
        return ImageTag(text, TagKind.RELEASE, (version.year, version.month, version.number))
    if week := _WEEK.fullmatch(text):
        return ImageTag(text, TagKind.WEEKLY, (int(week["year"]), int(week["week"])))
    if _NUMBERS.fullmatch(text):
        # The versions before calendar versions are older than all of those.
        return ImageTag(text, TagKind.RELEASE, tuple(map(int, text.split("."))))
    if _TICKET.fullmatch(text):
        return ImageTag(text, TagKind.TICKET)
    return ImageTag(text, TagKind.MAIN if text == "main" else TagKind.OTHER)


def check_tag(text: str) -> ImageTag:
    """Classify a tag from user input, or raise `InputError`."""
    if not _TAG.fullmatch(text):
        raise InputError(
            f'"{text[:100]}" is not a tag of an image',
            place="--tag",
            remedy="Tags are such as 26.6.2, w.2026.18, or tickets-DM-12345 for a branch.",
        )
    return read_tag(text)


def branch_tag(tag: ImageTag) -> str:
    """Return the branch of a ticket image; empty if unknown.

    Examples
    --------
    >>> branch_tag(read_tag("tickets-DM-12345"))
    'tickets/DM-12345'
    """
    match = _TICKET.fullmatch(tag.text)
    return f"tickets/{match['rest']}" if match else ""
