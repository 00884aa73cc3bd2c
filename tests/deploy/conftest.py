"""Fixtures for the tests of deployments."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.deploy.flow import MakeSite
from tests.support.github import GitHubDouble, World
from tests.support.github.plugin import Double
from tests.support.phalanx import Site
from tests.support.registry import RegistryDouble


@pytest.fixture(scope="session")
def site_template(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Give a site to copy; nobody changes this one."""
    return Site(World(tmp_path_factory.mktemp("site") / "github"))


@pytest.fixture
def make_site(
    site_template: Site, tmp_path: Path, github_double: Double, registry_double: RegistryDouble
) -> MakeSite:
    def make(files: Mapping[str, str] | None = None) -> tuple[Site, GitHubDouble]:
        site = site_template.copy(tmp_path / "site", registry_double)
        if files is not None:
            site.files(files)
        return site, github_double(site.world)

    return make
