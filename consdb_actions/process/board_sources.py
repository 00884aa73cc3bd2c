"""Derive deployments and releases from facts of pull requests alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date

from consdb_actions.deploy.drift import Drift, Standing, find_drift
from consdb_actions.deploy.history import Since
from consdb_actions.deploy.policy import DeployPolicy
from consdb_actions.deploy.tags import Kind, read_tag
from consdb_actions.process.board import Released
from consdb_actions.process.facts import Facts
from consdb_actions.release.versions import parse_version

__all__ = ["drift_of_facts", "releases_of_facts"]


def drift_of_facts(known: Sequence[Facts], policy: DeployPolicy, today: date) -> Drift | None:
    """Find drift from the newest facts with deployments; None if there are none.

    Dates are known only for tags that matter to the pull request.
    """
    holding = [facts for facts in known if facts.deployments]
    if not holding:
        return None
    facts = max(holding, key=lambda item: (item.now, item.pull.number))
    seen = []
    for item in facts.deployments:
        at = item.history[-1].at if item.history else None
        since = None if at is None else Since("", at.astimezone(UTC).date())
        seen.append(
            Standing(
                item.application, item.environment, item.component, read_tag(item.tag), item.enabled, since
            )
        )
    release = read_tag(facts.newest_release)
    return find_drift(policy, seen, today, release if release.kind is Kind.RELEASE else None)


def releases_of_facts(known: Iterable[Facts]) -> tuple[Released, ...]:
    """List the releases named in facts, newest first, without notes."""
    found: dict[str, Released] = {}
    for facts in known:
        for item in facts.releases:
            there = found.get(item.tag)
            # Facts date only the first release that contains their migration.
            if there is None or there.at is None:
                found[item.tag] = Released(
                    item.tag, item.release_url or item.url, item.at, annotated=item.annotated
                )
    order = {tag: version for tag in found if (version := parse_version(tag)) is not None}
    return tuple(found[tag] for tag in sorted(order, key=lambda tag: (order[tag], tag), reverse=True))
