"""Read the facts of the drift report."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from consdb_actions.commands.terminal import show_note
from consdb_actions.errors import InputError

if TYPE_CHECKING:
    from consdb_actions.adapters.github import GitHub
    from consdb_actions.adapters.values_files import ValuesSource
    from consdb_actions.deploy.drift import ComponentTag, TagDrift
    from consdb_actions.deploy.model import DeployPolicy
    from consdb_actions.deploy.tags import ImageTag

__all__ = ["look", "newest_release", "release_tags", "values_source"]


def newest_release(text: str | None) -> ImageTag | None:
    """Parse the release that a user gave."""
    from consdb_actions.deploy.tags import TagKind, read_tag

    if not text:
        return None
    tag = read_tag(text)
    if tag.kind is not TagKind.RELEASE:
        raise InputError(
            f'"{text[:100]}" is not a release', place="--release", remedy="Give one such as 26.6.2."
        )
    return tag


def look(
    where: Path | GitHub,
    policy: DeployPolicy,
    ref: str | None,
    today: date,
    release: ImageTag | None,
    consdb: Path | None = None,
    progress: Callable[[str, str], None] = lambda *_: None,
) -> tuple[TagDrift, str]:
    """Read values files with their history, and compare; `consdb` is a clone with release tags."""
    from consdb_actions.adapters.github import GitHub
    from consdb_actions.adapters.github.deploy_facts import DeployReader
    from consdb_actions.adapters.values_files import read_history, read_values
    from consdb_actions.deploy.drift import find_drift, standings
    from consdb_actions.deploy.model import APPS
    from consdb_actions.deploy.tags import read_tag
    from consdb_actions.release.versions import newest

    source, name = values_source(where, policy, ref, today)
    if source.history is None:
        show_note("There is no whole history here: since when a tag runs is not known.")
    if release is None:
        tags: Collection[str] = ()
        if consdb is not None:
            tags = release_tags(consdb)
        elif isinstance(where, GitHub):
            tags = DeployReader(where).tags(policy.consdb)
        found = newest(tags)
        release = read_tag(str(found)) if found is not None else None
    seen: list[ComponentTag] = []
    for app in APPS:
        progress(app, "reading values files and their history")
        values = read_values(source, app, policy)
        seen += standings(app, values, read_history(source, app, values))
    if not seen:
        raise InputError(
            "no values files were found for consdb and consdbtap",
            place=name,
            remedy="Check the folder or repository, and the stages in the configuration.",
        )
    return find_drift(policy, seen, today, release, name), name


def release_tags(consdb: Path) -> Collection[str]:
    """Read the tags of a clone of consdb."""
    from consdb_actions.adapters.git_read import GitReader

    reader = GitReader(consdb)
    try:
        reader.commit("HEAD")
    except InputError as error:
        raise InputError(
            error.cause, place=error.place, remedy="Give --consdb a clone of consdb that has its tags."
        ) from error
    return reader.tags()


def values_source(
    where: Path | GitHub, policy: DeployPolicy, ref: str | None, today: date
) -> tuple[ValuesSource, str]:
    """Return the source of values files, and its name; that of a clone includes its age."""
    from consdb_actions.adapters.github.proposals import ProposalReader
    from consdb_actions.adapters.values_files import ApiFiles, CloneFiles, FolderFiles

    if isinstance(where, Path):
        files = FolderFiles(where) if ref is None and (where / "applications").is_dir() else None
        source = files or CloneFiles(where, ref or "HEAD")
        if source.commit is None:
            return source, str(where)
        days = (today - source.commit.day).days
        age = f", {days} day{'' if days == 1 else 's'} old" if days > 0 else ""
        return source, f"{where} at {source.commit.id[:8]} of {source.commit.day}{age}"
    reader = ProposalReader(where)
    branch = ref or policy.base
    commit = reader.commit(policy.repository, branch)
    return ApiFiles(where, policy.repository, commit), f"{policy.repository} at {commit[:8]}"
