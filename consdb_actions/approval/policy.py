"""The approval policy: which roles must approve, and who holds them (rules A1, A3, A8)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from consdb_actions.errors import InputError

__all__ = ["DEFAULT_POLICY", "Concern", "Designate", "Policy", "Role", "policy_from_mapping", "read_day"]


class Concern(StrEnum):
    """A part of a schema change: what the database does, or what people read."""

    STRUCTURE = "structure"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Designate:
    """Somebody who stands in for a role up to and including a day (UTC); None is without end."""

    login: str
    until: date | None = None

    def active_on(self, day: date) -> bool:
        """Tell whether the designation holds on a day."""
        return self.until is None or day <= self.until


@dataclass(frozen=True, slots=True)
class Role:
    """A role that must approve a schema change."""

    id: str
    title: str
    label: str
    color: str = "0e8a16"
    teams: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    designates: tuple[Designate, ...] = ()
    concerns: tuple[Concern, ...] = (Concern.STRUCTURE,)

    @property
    def names(self) -> frozenset[str]:
        """The words that name this role in a review: its id, and the slugs of its label and its title."""
        label = self.label.rpartition(":")[2]
        return frozenset(_slug(word) for word in (self.id, label, self.title))


@dataclass(frozen=True, slots=True)
class Policy:
    """Roles, and the schema files that they look after.

    Attributes
    ----------
    roles
        The roles, in the order in which they are shown.
    schemas
        Patterns of file paths; ``*`` does not match a slash.
    distinct
        Whether different people must approve for different roles.
    ask_reviewers
        Whether people are asked for the reviews that are missing.
    """

    roles: tuple[Role, ...]
    schemas: tuple[str, ...]
    distinct: bool = False
    ask_reviewers: bool = True

    def matches(self, path: str) -> bool:
        """Tell whether a file is a schema that this policy looks after."""
        parts = path.split("/")
        for pattern in self.schemas:
            wanted = pattern.split("/")
            if len(wanted) == len(parts) and all(map(fnmatchcase, parts, wanted)):
                return True
        return False

    def role_named(self, word: str) -> Role | None:
        """Return the role that a word in a review names, or None."""
        return next((role for role in self.roles if _slug(word) in role.names), None)


DEFAULT_POLICY = Policy(
    roles=(
        Role(
            id="de",
            title="Data Engineering",
            label="approved: data-engineering",
            concerns=(Concern.STRUCTURE, Concern.TEXT),
        ),
        Role(id="po", title="ConsDB Product Owner", label="approved: product-owner"),
        Role(id="consdb", title="ConsDB team", label="approved: consdb"),
    ),
    schemas=(
        "python/lsst/sdm/schemas/cdb_*.yaml",
        "python/lsst/sdm/schemas/efd_*.yaml",
        "yml/cdb_*.yaml",
        "yml/efd_*.yaml",
    ),
)


def policy_from_mapping(values: Mapping[str, Any], *, place: str = "approvals") -> Policy:
    """Build a policy from the ``approvals`` section of the configuration.

    The section has been checked against the configuration's JSON Schema. A role that has the id of a default
    role takes from it what it leaves out; the list of roles itself is taken as it stands.

    Parameters
    ----------
    values
        The section; an empty one gives `DEFAULT_POLICY`.
    place
        Where the section stands, for messages.

    Returns
    -------
    Policy
        The policy.

    Raises
    ------
    InputError
        Two roles share an id, a label or another name, or a date is none.
    """
    policy = DEFAULT_POLICY
    if "schemas" in values:
        policy = replace(policy, schemas=tuple(values["schemas"]))
    if "roles" in values:
        policy = replace(policy, roles=tuple(_roles(values["roles"], f"{place}.roles")))
    return replace(
        policy,
        distinct=bool(values.get("distinct", policy.distinct)),
        ask_reviewers=bool(values.get("ask_reviewers", policy.ask_reviewers)),
    )


def _roles(items: Sequence[Mapping[str, Any]], place: str) -> list[Role]:
    """Build the roles and check that no two can be mistaken for each other."""
    roles: list[Role] = []
    owners: dict[str, str] = {}
    for index, item in enumerate(items):
        role = _role(item, f"{place}[{index}]")
        for name in role.names:
            if name in owners:
                raise InputError(
                    f'the roles "{owners[name]}" and "{role.id}" can both be called "{name}"',
                    place=f"{place}[{index}]",
                    remedy="Give every role an id, a title and a label of its own.",
                )
            owners[name] = role.id
        roles.append(role)
    return roles


def _role(item: Mapping[str, Any], place: str) -> Role:
    """Build one role on top of the default one with the same id."""
    identifier = item["id"]
    default = next((role for role in DEFAULT_POLICY.roles if role.id == identifier), None)
    role = default or Role(id=identifier, title=identifier, label=f"approved: {identifier}")
    return replace(
        role,
        title=item.get("title", role.title),
        label=item.get("label", role.label),
        color=item.get("color", role.color).lstrip("#"),
        teams=tuple(item.get("teams", ())),
        people=tuple(item.get("people", ())),
        designates=tuple(
            Designate(entry["login"], read_day(entry.get("until"), f"{place}.designates[{index}].until"))
            for index, entry in enumerate(item.get("designates", ()))
        ),
        concerns=tuple(Concern(word) for word in item["concerns"]) if "concerns" in item else role.concerns,
    )


def read_day(value: Any, place: str) -> date | None:
    """Read a day that YAML gave as a date or as text; None stays None.

    Raises
    ------
    InputError
        It is no day of the calendar.
    """
    if isinstance(value, datetime):
        return value.date()
    if value is None or isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError as error:
        raise InputError(
            f'"{value}" is not a day of the calendar', place=place, remedy="Write it as YYYY-MM-DD."
        ) from error


def _slug(text: str) -> str:
    """Reduce a name to lower-case words joined by hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")
