"""Evidence from deployed tags: release, TAP_SCHEMA image, weekly tag."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from datetime import datetime

from consdb_actions.process.facts import (
    Deployment,
    Evidence,
    FactSource,
    MigrationPull,
    ProcessFacts,
    StepFinding,
    latest,
    listed,
)

__all__ = [
    "CONSDB",
    "CONSDBTAP",
    "DATALINK",
    "TAP_SCHEMA",
    "deployed",
    "needed",
    "repinned",
    "tap_deployed",
    "ticket_image",
]

CONSDB, CONSDBTAP = "consdb", "consdbtap"  # Applications in phalanx

TAP_SCHEMA, DATALINK = "tap-schema", "datalink"  # Components of consdbtap

Holds = Callable[[str], bool]  # Tells whether a tag contains the change


def ticket_image(branch: str) -> str:
    """Return the image tag of a branch."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", branch)


def needed(facts: ProcessFacts) -> tuple[str, ...]:
    """List the components whose image must contain the change."""
    files = [path for item in facts.migrations if item.live for path in item.files]
    return facts.policy.components(files or [""])


def deployed(facts: ProcessFacts, migrations: Collection[MigrationPull]) -> StepFinding:
    """Check that every environment has a release with the migrations."""
    if trouble := facts.trouble(FactSource.PHALANX):
        return StepFinding(False, trouble, unknown=True)
    if not migrations or not facts.releases:
        return StepFinding(False, "")
    tags = {release.tag for release in facts.releases}
    families = needed(facts)
    return _everywhere(
        facts,
        facts.policy.environments,
        lambda item: item.application == CONSDB and item.component.partition(".")[0] in families,
        tags.__contains__,
    )


def tap_deployed(facts: ProcessFacts) -> StepFinding:
    """Check that every environment has a TAP_SCHEMA with the change."""
    if trouble := facts.trouble(FactSource.PHALANX):
        return StepFinding(False, trouble, unknown=True)
    image = ticket_image(facts.pull.branch)
    found = _everywhere(
        facts,
        facts.policy.tap_environments,
        lambda item: item.application == CONSDBTAP and item.component == TAP_SCHEMA,
        lambda tag: tag == image or tag in facts.weeklies,
    )
    if found.done:
        return found
    return StepFinding(False, f"{found.words}; expected is {image}", found.at, found.by, found.evidence)


def repinned(facts: ProcessFacts) -> StepFinding:
    """Check that every environment has a weekly tag with the merge."""
    if trouble := facts.trouble(FactSource.PHALANX) or facts.trouble(FactSource.TAGS):
        return StepFinding(False, trouble, unknown=True)
    return _everywhere(
        facts,
        facts.policy.tap_environments,
        lambda item: item.application == CONSDBTAP and item.component in (TAP_SCHEMA, DATALINK),
        facts.weeklies.__contains__,
    )


def _everywhere(
    facts: ProcessFacts, environments: tuple[str, ...], wanted: Callable[[Deployment], bool], holds: Holds
) -> StepFinding:
    there: dict[str, list[Deployment]] = {}
    behind: dict[str, list[str]] = {}
    moments: list[datetime | None] = []
    evidence: dict[Evidence, None] = {}
    for environment in environments:
        parts = [
            item
            for item in facts.deployments
            if item.environment == environment and item.enabled and wanted(item)
        ]
        late = [item for item in parts if not holds(item.tag)]
        if not parts:
            behind.setdefault("no component", []).append(environment)
        elif late:
            behind.setdefault(_tags(late), []).append(environment)
        else:
            there.setdefault(_common(parts), []).extend(parts[:1])
            moments += [_since(item, holds) for item in parts]
            evidence.update(dict.fromkeys(_shown(item) for item in parts[:1]))
    words = [f"{listed([item.environment for item in parts])} at {tag}" for tag, parts in there.items()]
    words += [
        f"{listed(names)} {'has' if len(names) == 1 else 'have'} {tags}" for tags, names in behind.items()
    ]
    return StepFinding(
        done=not behind,
        words="; ".join(words),
        at=latest(moments) if not behind else None,
        evidence=tuple(evidence),
    )


def _shown(item: Deployment) -> Evidence:
    """Link the pull request that deployed a tag, or else the values file."""
    url = item.history[-1].url or item.url
    repository, pull, number = url.partition("/pull/")
    if pull:
        return Evidence(f"{repository.rpartition('/')[2]}#{number}", url)
    name = url.rpartition("/")[2] or item.environment
    return Evidence(name[:8] if "/commit/" in url else name, url)


def _tags(parts: list[Deployment]) -> str:
    """List the tags of components; one tag of one family is named once."""
    said = dict.fromkeys(
        f"{item.component.partition('.')[0]} {item.tag or 'without a tag'}" for item in parts
    )
    return listed(list(said))


def _common(parts: list[Deployment]) -> str:
    """Name the tags of an environment."""
    return listed(list(dict.fromkeys(item.tag for item in parts)))


def _since(item: Deployment, holds: Holds) -> datetime | None:
    since = None
    for setting in reversed(item.history):
        if not holds(setting.tag):
            break
        since = setting.at
    return since
