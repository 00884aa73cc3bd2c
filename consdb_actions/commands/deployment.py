"""Plan a deployment and open its pull request; read the facts of the drift report."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import date
from pathlib import Path

from consdb_actions.adapters.git_read import GitReader
from consdb_actions.adapters.github import GitHub
from consdb_actions.adapters.github.proposals import ProposalReader, Proposals
from consdb_actions.adapters.github.releases import DeployReader
from consdb_actions.adapters.registry import Registry
from consdb_actions.adapters.values_files import (
    ApiFiles,
    CloneFiles,
    FolderFiles,
    ValuesSource,
    read_history,
    read_values,
)
from consdb_actions.commands.terminal import show_note
from consdb_actions.deploy.drift import ComponentTag, TagDrift, component_tags, find_drift
from consdb_actions.deploy.model import (
    APPS,
    DeployPlan,
    DeployPolicy,
    DeployRequest,
    ImageTag,
    TagKind,
    Values,
    branch_tag,
    read_tag,
)
from consdb_actions.deploy.plan import make_plan, ticket_image, with_found
from consdb_actions.errors import CheckFailed, InputError
from consdb_actions.proposal import Action, Proposal
from consdb_actions.release.notes import tickets_in
from consdb_actions.release.versions import ReleasePolicy, newest
from consdb_actions.report.deploy import DeploymentReport, pull_body, pull_message, pull_title


def _values(source: ValuesSource, app: str, policy: DeployPolicy, place: str) -> dict[str, Values]:
    if not (values := read_values(source, app, policy)):
        raise InputError(
            f"no values files were found for {app}",
            place=place,
            remedy="Check where the values files are, and the stages in the configuration.",
        )
    return values


def plan_locally(
    source: ValuesSource, name: str, policy: DeployPolicy, asked: DeployRequest, tags: Collection[str] | None
) -> DeploymentReport:
    """Plan a deployment from a clone of the values files; without ``tags``, releases are not checked."""
    if tags is not None and asked.app == "consdb" and asked.tag.is_fixed and asked.tag.text not in tags:
        last = newest(tags)
        raise InputError(
            f"there is no release {asked.tag.text} in this clone of consdb",
            place="--tag",
            remedy=f"The newest is {last}. Run `git fetch --tags` if there should be one.",
        )
    plan = make_plan(policy, asked, _values(source, asked.app, policy, name))
    title = pull_title(plan) if plan.changes else ""
    outcome: Action = "opened" if plan.changes else "nothing"
    return DeploymentReport(
        plan, policy.repository, "refused" if plan.refusals else outcome, done=False, title=title, local=name
    )


class Deployer:
    """Plans deployments, and opens their pull requests."""

    def __init__(
        self,
        github: GitHub,
        registry: Registry,
        policy: DeployPolicy,
        releases: ReleasePolicy,
        patterns: tuple[str, ...],
    ) -> None:
        self._github = github
        self._registry = registry
        self._policy = policy
        self._releases = releases
        self._patterns = patterns
        self._reader = DeployReader(github)

    def run(self, asked: DeployRequest, *, write: bool) -> DeploymentReport:
        """Plan a deployment, and with `write` open or update its pull request."""
        repository = self._policy.repository
        base = ProposalReader(self._github).tip(repository, self._policy.base)
        if base is None:
            raise InputError(f"there is no branch {self._policy.base}", place=repository)
        values = _values(ApiFiles(self._github, repository, base), asked.app, self._policy, repository)
        if asked.repin:
            found = self._repinned(asked, values)
            if found is None:
                return DeploymentReport(None, repository, "nothing", done=False)
            asked = found
        plan = make_plan(self._policy, asked, values)
        plan, digests = self._look_up(plan)
        title = pull_title(plan) if plan.changes else ""
        if plan.refusals:
            return DeploymentReport(plan, repository, "refused", done=False, title=title)
        body = ""
        if plan.changes:
            source = self._policy.source(asked.app)
            holds = self._reader.holds(plan, source, self._releases, self._patterns)
            body = pull_body(plan, holds, digests)
        # What does not change is proposed as it is: so an open pull request without a difference is found.
        files = {path: text.encode() for path, text in plan.files.items()}
        proposal = Proposal(
            repository=repository,
            base=self._policy.base,
            branch=plan.branch,
            files=files,
            message=pull_message(plan) if plan.changes else "",
            title=title,
            body=body,
            labels=self._policy.labels,
            reopen=asked.reopen,
            base_commit=base,
        )
        proposals = Proposals(self._github)
        if write:
            done = proposals.publish(proposal)
            return DeploymentReport(plan, repository, done.action, True, title, body, done.number, done.url)
        planned = proposals.plan(proposal)
        number, url = (planned.pull.number, planned.pull.url) if planned.pull else (None, "")
        return DeploymentReport(plan, repository, planned.action, False, title, body, number, url)

    def _look_up(self, plan: DeployPlan) -> tuple[DeployPlan, dict[tuple[str, str], str]]:
        """Check that images and snippets exist before a pull request names them (rule R4)."""
        digests: dict[tuple[str, str], str] = {}
        missing = []
        for image, tag in plan.images:
            there = self._registry.find(image, tag) if image else None
            if there is None:
                missing.append((image, tag))
            else:
                digests[image, tag] = there.digest
        datalink = not plan.datalink or self._reader.has_datalink(
            self._policy.sdm_schemas, plan.request.tag.text
        )
        return with_found(plan, tuple(missing), datalink=datalink), digests

    def _repinned(self, asked: DeployRequest, values: dict[str, Values]) -> DeployRequest | None:
        """Find the tag that replaces a ticket image; None if there is nothing to replace."""
        image = ticket_image(self._policy, values, stage=asked.stage, environments=asked.environments)
        if image is None:
            return None
        week = self._reader.first_week(image, self._policy.sdm_schemas)
        ticket = asked.ticket or next(iter(tickets_in(branch_tag(image.tag), self._patterns)), "")
        if not ticket:
            raise InputError(
                f"the image {image.tag.text} names no ticket",
                place="--ticket",
                remedy="Give the ticket for the pull request with --ticket.",
            )
        # The stage is then that of these environments.
        return replace(asked, tag=read_tag(week), ticket=ticket, stage="", environments=image.environments)


def refusal(plan: DeployPlan) -> CheckFailed:
    """Return the error for a refused deployment."""
    causes = "\n".join(f"{item.rule}: {item.cause}" for item in plan.refusals)
    remedies = "\n".join(dict.fromkeys(f"{item.rule}: {item.remedy}" for item in plan.refusals))
    what = f"{plan.request.app} {plan.request.tag.text} is not deployed to {' and '.join(plan.environments)}"
    return CheckFailed(f"{what}\n{causes}", remedy=remedies)


def newest_release(text: str | None) -> ImageTag | None:
    """Parse the release that a user gave."""
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
        seen += component_tags(app, values, read_history(source, app, values))
    if not seen:
        raise InputError(
            "no values files were found for consdb and consdbtap",
            place=name,
            remedy="Check the folder or repository, and the stages in the configuration.",
        )
    return find_drift(policy, seen, today, release, name), name


def release_tags(consdb: Path) -> Collection[str]:
    """Read the tags of a clone of consdb."""
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
