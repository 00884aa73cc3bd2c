"""The approval policy: required roles and their holders (rules A1, A3, A8)."""

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
    """A deputy for a role, up to and including a day (UTC); None: without end."""

    login: str
    until: date | None = None

    def active_on(self, day: date) -> bool:
        """Return whether the designation is valid on a day."""
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
        """Names of the role in a review: its id, and the slugs of its label and title."""
        label = self.label.rpartition(":")[2]
        return frozenset(_slug(word) for word in (self.id, label, self.title))


@dataclass(frozen=True, slots=True)
class Policy:
    """Roles, and the schema files that need their approval."""

    roles: tuple[Role, ...]
    schemas: tuple[str, ...]
    """Patterns of file paths; ``*`` does not match a slash."""
    distinct: bool = False
    """Whether different people must approve for different roles."""
    ask_reviewers: bool = True

    def matches(self, path: str) -> bool:
        """Return whether a file needs approval."""
        parts = path.split("/")
        for pattern in self.schemas:
            wanted = pattern.split("/")
            if len(wanted) == len(parts) and all(map(fnmatchcase, parts, wanted)):
                return True
        return False

    def role_named(self, word: str) -> Role | None:
        """Return the role with a name used in reviews, or None."""
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

    An empty section gives `DEFAULT_POLICY`; roles with the id of a default role inherit from it. InputError
    for ambiguous names and invalid dates; ``place`` locates them.
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
    """Build the roles, and check that their names are unambiguous."""
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
    """Build one role, inheriting from the default with this id."""
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
    """Read a date from YAML, given as date or text; InputError if invalid."""
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
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")
