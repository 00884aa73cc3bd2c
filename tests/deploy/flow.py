"""Runs of the program at a site, as the tests of whole deployments need them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from consdb_actions.adapters.github import connect
from consdb_actions.adapters.registry import Registry
from consdb_actions.commands.deployment import Deployer
from consdb_actions.config import DEFAULT_CONFIG
from consdb_actions.deploy.model import DeployPolicy, DeployRequest, read_tag
from consdb_actions.release.versions import ReleasePolicy
from consdb_actions.report.deploy import DeploymentReport
from tests.support.github import GitHubDouble, TestClock
from tests.support.phalanx import TOKEN, Site

__all__ = ["TODAY", "MakeSite", "deploy"]

TODAY = date(2026, 6, 10)

MakeSite = Callable[..., tuple[Site, GitHubDouble]]


def deploy(
    site: Site,
    double: GitHubDouble,
    *,
    write: bool = True,
    policy: DeployPolicy | None = None,
    tag: str = "26.6.2",
    **values: Any,
) -> DeploymentReport:
    """Plan or open a deployment once."""
    where = {} if values.keys() & {"stage", "environments", "repin"} else {"stage": "test-stands"}
    asked = DeployRequest(
        **{
            "app": "consdb",
            "today": TODAY,
            "tag": read_tag("" if values.get("repin") else tag),
            "ticket": "" if values.get("repin") else "DM-1",
            **where,
            **values,
        }
    )
    github = connect(TOKEN, double.url, clock=TestClock())
    try:
        assert site.registry is not None
        with Registry(site.registry.url, clock=TestClock()) as registry:
            deployer = Deployer(
                github,
                registry,
                policy or DeployPolicy(labels=("consdb",)),
                ReleasePolicy(),
                DEFAULT_CONFIG.ticket_patterns,
            )
            return deployer.run(asked, write=write)
    finally:
        github.close()
