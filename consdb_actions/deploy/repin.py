"""From a ticket image of the TAP schema to the first week that holds what the ticket merged."""

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
    """Environments of one stage that run the same ticket image.

    Attributes
    ----------
    tag
        The image's tag.
    environments
        Where it runs.
    """

    tag: Tag
    environments: tuple[str, ...]


def ticket_image(
    policy: DeployPolicy,
    values: Mapping[str, Values],
    *,
    stage: str = "",
    environments: tuple[str, ...] = (),
) -> TicketImage | None:
    """Find the ticket image that is to be replaced.

    Parameters
    ----------
    policy
        The stages.
    values
        The values of every environment that has consdbtap.
    stage, environments
        Where to look; by default the first stage that has one.

    Returns
    -------
    TicketImage or None
        None where every environment is on a week already.

    Raises
    ------
    InputError
        There is no such stage or environment.
    CheckFailed
        The environments run different ticket images.
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
    """Return the weeks that can be the first to hold a merge, the earliest first.

    Weeks that were over before the merge cannot hold it; a week's margin is kept.

    Parameters
    ----------
    tags
        Names of tags.
    merged
        The day of the merge.
    """
    year, week, _ = (merged - timedelta(days=7)).isocalendar()
    weeks = [tag for tag in map(read_tag, tags) if tag.kind is Kind.WEEKLY and tag.order >= (year, week)]
    return tuple(tag.text for tag in sorted(weeks, key=lambda tag: tag.order))
