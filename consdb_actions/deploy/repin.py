"""Replace a merged ticket image by a weekly tag."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from consdb_actions.deploy.components import Values, slots
from consdb_actions.deploy.policy import DeployPolicy
from consdb_actions.deploy.tags import Kind, Tag, read_tag
from consdb_actions.errors import CheckFailed, InputError

__all__ = ["TicketImage", "candidates", "ticket_image"]


@dataclass(frozen=True, slots=True)
class TicketImage:
    """A ticket image and its environments of one stage."""

    tag: Tag
    environments: tuple[str, ...]


def ticket_image(
    policy: DeployPolicy,
    values: Mapping[str, Values],
    *,
    stage: str = "",
    environments: tuple[str, ...] = (),
) -> TicketImage | None:
    """Find the ticket image to replace.

    Without a place, the first stage that has one is used. Returns None if every environment runs a weekly
    tag. Raises `InputError` for an unknown stage or environment, and `CheckFailed` if environments run
    different ticket images.
    """
    for name in environments:
        if name not in values:
            policy.stage_of(name)
            raise InputError(f"consdbtap has no values file for {name}", place="--env")
    groups: list[tuple[str, ...]] = [item.environments for item in policy.stages]
    if stage:
        groups = [policy.stage(stage).environments]
    elif environments:
        groups = [environments]
    for group in groups:
        found: dict[str, list[str]] = {}
        for name in (name for name in policy.environments if name in group and name in values):
            schema = next(slot for slot in slots("consdbtap", values[name]) if slot.component == "tap-schema")
            if read_tag(values[name].tag(schema)).kind is Kind.TICKET:
                found.setdefault(values[name].tag(schema), []).append(name)
        if len(found) > 1:
            words = "; ".join(f"{', '.join(names)}: {tag}" for tag, names in found.items())
            raise CheckFailed(
                f"these environments run different ticket images: {words}",
                remedy="Name those that belong together with --env.",
            )
        for tag, names in found.items():
            return TicketImage(read_tag(tag), tuple(names))
    return None


def candidates(tags: Iterable[str], merged: date) -> tuple[str, ...]:
    """Return the weekly tags that may contain a merge, earliest first.

    Weeks that ended more than a week before the merge are left out.
    """
    year, week, _ = (merged - timedelta(days=7)).isocalendar()
    weeks = [tag for tag in map(read_tag, tags) if tag.kind is Kind.WEEKLY and tag.order >= (year, week)]
    return tuple(tag.text for tag in sorted(weeks, key=lambda tag: tag.order))
