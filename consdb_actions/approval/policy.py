"""The approval policy: required roles and their holders (rules A1, A3, A8)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Annotated

from consdb_actions.forms import Form, Id, WrongValueError, matches_path, unique


class Concern(StrEnum):
    """A part of a schema change: what the database does, or what people read."""

    STRUCTURE = "structure"
    TEXT = "text"


Login = Annotated[str, Form("A GitHub login.", pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,38}(\[bot\])?$")]

Team = Annotated[str, Form("A team, as ORGANIZATION/TEAM.", pattern=r"^[A-Za-z0-9-]+/[a-z0-9._-]+$")]

Title = Annotated[str, Form("Name for people.", min_length=1, max_length=50)]

Label = Annotated[str, Form("A label.", min_length=1, max_length=50)]


@dataclass(frozen=True, slots=True)
class Designate:
    """A deputy for a role, up to and including a day (UTC); None: without end."""

    login: Login
    until: Annotated[date | None, Form("The last day, as YYYY-MM-DD; without it there is no end.")] = None

    def active_on(self, day: date) -> bool:
        """Return whether the designation is valid on a day."""
        return self.until is None or day <= self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Holders:
    """The people who hold a role."""

    teams: Annotated[tuple[Team, ...], Form("Teams whose active members hold the role, as org/slug.")] = ()
    people: Annotated[tuple[Login, ...], Form("Logins of people who hold the role.")] = ()
    designates: Annotated[
        tuple[Designate, ...], Form("People who stand in, up to and including a day (UTC).")
    ] = ()


_DEFAULT_TITLES = {"de": "Data Engineering", "po": "ConsDB Product Owner", "consdb": "ConsDB team"}

_DEFAULT_LABELS = {"de": "data-engineering", "po": "product-owner"}


@dataclass(frozen=True, slots=True)
class Role(Holders):
    """A role that must approve a schema change; a default one takes what is empty from its default."""

    id: Annotated[Id, Form('Short name, as in the line "consdb: po" of a review.')]
    title: Title = ""
    label: Annotated[Label, Form("Label that shows the approval.")] = ""
    color: Annotated[
        str, Form("Colour of the label, six hexadecimal digits.", pattern="^#?[0-9a-fA-F]{6}$")
    ] = "0e8a16"
    concerns: Annotated[
        tuple[Concern, ...],
        Form(
            "The parts of a change after which an approval is stale: structure is tables, columns, types, "
            "keys and constraints; text is descriptions, units and UCDs.",
            min_length=1,
            then=unique,
        ),
    ] = ()

    def __post_init__(self) -> None:
        structure, text = Concern.STRUCTURE, Concern.TEXT
        for name, default in (
            ("title", _DEFAULT_TITLES.get(self.id, self.id)),
            ("label", f"approved: {_DEFAULT_LABELS.get(self.id, self.id)}"),
            ("concerns", (structure, text) if self.id == "de" else (structure,)),
        ):
            if not getattr(self, name):
                object.__setattr__(self, name, default)
        object.__setattr__(self, "color", self.color.lstrip("#"))

    @property
    def names(self) -> frozenset[str]:
        """Names of the role in a review: its id, and the slugs of its label and title."""
        label = self.label.rpartition(":")[2]
        return frozenset(_slug(word) for word in (self.id, label, self.title))


@dataclass(frozen=True, slots=True)
class Policy:
    """Roles, and the schema files that need their approval."""

    roles: Annotated[
        tuple[Role, ...],
        Form(
            "The roles that must approve. A list replaces the default roles de, po and consdb; a role with "
            "one of these ids takes from the default what it leaves out.",
            min_length=1,
        ),
    ] = (Role("de"), Role("po"), Role("consdb"))
    schemas: Annotated[
        tuple[
            Annotated[
                str,
                Form(
                    "Paths from the root of the repository, without a slash at the start.",
                    min_length=1,
                    max_length=300,
                    pattern="^[^/].*$",
                ),
            ],
            ...,
        ],
        Form(
            "Patterns of schema files that need approval; * does not match a slash.",
            min_length=1,
            then=unique,
        ),
    ] = (
        "python/lsst/sdm/schemas/cdb_*.yaml",
        "python/lsst/sdm/schemas/efd_*.yaml",
        "yml/cdb_*.yaml",
        "yml/efd_*.yaml",
    )
    distinct: Annotated[bool, Form("Whether different people must approve for different roles.")] = False
    ask_reviewers: Annotated[bool, Form("Whether people are asked for the reviews that are missing.")] = True

    def __post_init__(self) -> None:
        owners: dict[str, str] = {}
        for index, role in enumerate(self.roles):
            for name in role.names:
                if name in owners:
                    raise WrongValueError(
                        f'the roles "{owners[name]}" and "{role.id}" can both be called "{name}"',
                        "Give every role an id, a title and a label of its own.",
                        ("roles", index),
                    )
                owners[name] = role.id

    def matches(self, path: str) -> bool:
        """Return whether a file needs approval."""
        return matches_path(path, self.schemas)

    def role_named(self, word: str) -> Role | None:
        """Return the role with a name used in reviews, or None."""
        return next((role for role in self.roles if _slug(word) in role.names), None)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")


DEFAULT_POLICY = Policy()
