"""Reading what the drift report rests on."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import click

from consdb_actions.adapters.github import GitHub
from consdb_actions.adapters.github.deploy_facts import DeployReader
from consdb_actions.adapters.github.proposal_facts import ProposalReader
from consdb_actions.adapters.values_api import ApiFiles
from consdb_actions.adapters.values_files import (
    CloneFiles,
    FolderFiles,
    Source,
    read_history,
    read_values,
)
from consdb_actions.deploy.components import APPS
from consdb_actions.deploy.drift import Drift, Standing, find_drift, standings
from consdb_actions.deploy.policy import DeployPolicy
from consdb_actions.deploy.tags import Kind, Tag, read_tag
from consdb_actions.errors import InputError
from consdb_actions.release.versions import newest

__all__ = ["look", "newest_release"]


def newest_release(text: str | None) -> Tag | None:
    """Read the release that a user names."""
    if not text:
        return None
    tag = read_tag(text)
    if tag.kind is not Kind.RELEASE:
        raise InputError(
            f'"{text[:100]}" is no release', place="--release", remedy="Give one such as 26.6.2."
        )
    return tag


def look(
    where: Path | GitHub, policy: DeployPolicy, ref: str | None, today: date, release: Tag | None
) -> tuple[Drift, str]:
    """Read values files and their history, and compare."""
    source, name = _source(where, policy, ref)
    if source.history is None:
        click.echo("There is no whole history here: since when a tag runs is not known.", err=True)
    if release is None and isinstance(where, GitHub):
        found = newest(DeployReader(where).tags(policy.consdb))
        release = read_tag(str(found)) if found is not None else None
    seen: list[Standing] = []
    for app in APPS:
        values = read_values(source, app, policy)
        seen += standings(app, values, read_history(source, app, values))
    if not seen:
        raise InputError(
            "there are no values files of consdb and consdbtap",
            place=name,
            remedy="Check the folder or repository, and the stages in the configuration.",
        )
    return find_drift(policy, seen, today, release), name


def _source(where: Path | GitHub, policy: DeployPolicy, ref: str | None) -> tuple[Source, str]:
    """Return where values files come from, and its name."""
    if isinstance(where, Path):
        if ref is None and (where / "applications").is_dir():
            return FolderFiles(where), str(where)
        clone = CloneFiles(where, ref or "HEAD")
        return clone, f"{where} at {clone.commit[:8]}"
    reader = ProposalReader(where)
    branch = ref or policy.base
    commit = reader.commit(policy.repository, branch)
    return ApiFiles(where, policy.repository, commit), f"{policy.repository} at {commit[:8]}"
