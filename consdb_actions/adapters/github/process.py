"""Gather the facts of the process, and publish its state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from consdb_actions.adapters.github.approvals import Gatherer, Shower, named_pull
from consdb_actions.adapters.github.client import GitHub, GitHubError, quoted
from consdb_actions.adapters.github.contents import ContentSource, changes_at, read_file
from consdb_actions.adapters.github.process_facts import ConsdbReader, PhalanxReader, Settings, read_own
from consdb_actions.approval.facts import Account, ApprovalFacts, Team
from consdb_actions.config import CONFIG_PATH
from consdb_actions.deploy.tags import TagKind, read_tag
from consdb_actions.errors import InputError
from consdb_actions.process.deployed import CONSDB, CONSDBTAP, ticket_image
from consdb_actions.process.facts import (
    Deployment,
    FactSource,
    ProcessFacts,
    SourceFailure,
)
from consdb_actions.process.plan import ProcessPlan, ReactionPlan
from consdb_actions.process.policy import ProcessPolicy

__all__ = ["ProcessGatherer", "ProcessPublisher"]

_T = TypeVar("_T")


class ProcessGatherer:
    """Reads the facts of pull requests of one repository.

    Parameters
    ----------
    github
        The connection.
    repository
        ``owner/name`` of the schemas.
    contents
        Where schema files come from.
    approvals
        Reads what the approvals rest on.
    read_settings
        Makes the settings of the configuration file's bytes (None: there is none) and of its name.
    settings
        Settings to use instead of the base branch's, with the name of their source.
    """

    def __init__(
        self,
        github: GitHub,
        repository: str,
        contents: ContentSource,
        approvals: Gatherer,
        read_settings: Callable[[bytes | None, str], Settings],
        settings: tuple[Settings, str] | None = None,
    ) -> None:
        self._github = github
        self._repository = repository
        self._root = f"/repos/{repository}"
        self._contents = contents
        self._approvals = approvals
        self._read_settings = read_settings
        self._settings = settings
        self._phalanx: dict[ProcessPolicy, PhalanxReader] = {}
        self._consdb: dict[ProcessPolicy, ConsdbReader] = {}
        self._teams: dict[str, Team] = {}
        self._held: dict[tuple[str, str], bool] = {}
        self._troubles: dict[FactSource, SourceFailure] = {}

    @property
    def identity(self) -> Account | None:
        """Our own account, once it is known."""
        return self._approvals.identity

    @identity.setter
    def identity(self, account: Account | None) -> None:
        self._approvals.identity = account

    def follow_days(self) -> int:
        """Return how many days after its merge a pull request is followed, by the default branch's policy.

        Raises
        ------
        GitHubError
            GitHub refused, or could not be reached within the bounds.
        InputError
            The configuration is wrong.
        """
        if self._settings is None:
            branch = self._github.get(self._root)["default_branch"]
            return self._settings_at(branch)[0].policy.follow_days
        return self._settings[0].policy.follow_days

    def gather(self, number: int, now: datetime) -> ProcessFacts:
        """Read the facts of one pull request.

        Parameters
        ----------
        number
            The pull request.
        now
            The moment for which designations are looked at.

        Returns
        -------
        Facts
            What GitHub shows. What a token may not read, or what is not there, is a fact of its own.

        Raises
        ------
        GitHubError
            GitHub refused, or could not be reached within the bounds.
        InputError
            The configuration of the base branch is wrong, or the repository has another name now.
        """
        with self._github.moment():
            return self._gather(number, now)

    def _gather(self, number: int, now: datetime) -> ProcessFacts:
        self._troubles = {}
        data = named_pull(self._github, self._root, number)
        seen = self._approvals.gather(number, now, base=self._parent(data))
        settings, source = self._settings or self._settings_at(data["base"]["ref"])
        facts = read_own(self._github, self._contents, data, seen, settings, source)
        self._troubles = {trouble.source: trouble for trouble in facts.troubles}
        if not facts.schemas:
            return facts
        teams = dict.fromkeys(name for owner in settings.policy.owners for name in owner.teams)
        facts = replace(facts, teams=tuple(self._team(name) for name in teams))
        facts = self._with_deployments(self._with_consdb(facts, data.get("body") or "", seen), seen)
        return replace(facts, troubles=tuple(self._troubles.values()))

    def _parent(self, data: Any) -> str:
        """Return what the base branch was before a merge commit; empty where its tip will do."""
        if not data.get("merged_at") or not data.get("merge_commit_sha"):
            return ""
        sha = data["merge_commit_sha"]
        parents = self._github.get(f"{self._root}/git/commits/{sha}", lasting=True)["parents"]
        # A squash or a rebase left the branch's own commits out of the history.
        return str(parents[0]["sha"]) if len(parents) == 2 else ""

    def _settings_at(self, branch: str) -> tuple[Settings, str]:
        """Read the configuration of the base branch, as it is now."""
        path = "/".join(quoted(part) for part in branch.split("/"))
        tip = self._github.get(f"{self._root}/git/ref/heads/{path}")["object"]["sha"]
        content = read_file(self._github, self._repository, CONFIG_PATH, tip)
        place = f"{CONFIG_PATH} of {branch}"
        source = place if content is not None else f"default: {branch} has no {CONFIG_PATH}"
        return self._read_settings(content, place), source

    def _with_consdb(self, facts: ProcessFacts, body: str, seen: ApprovalFacts) -> ProcessFacts:
        """Add migrations and EFD schemas."""
        reader = self._consdb.setdefault(facts.policy, ConsdbReader(self._github, facts.policy))
        migrations = (
            self._tried(
                FactSource.CONSDB,
                facts.policy.consdb,
                lambda: reader.migrations(self._repository, facts.pull, body),
            )
            or ()
        )
        older = dict.fromkeys(item.source for item in migrations if item.source not in ("", facts.pull.head))
        changes = (
            *facts.changes,
            *(changes_at(self._contents, seen.pull.base, sha, seen.policy) for sha in older),
        )
        facts = replace(facts, migrations=migrations, changes=changes)
        efd = {item.path for item in facts.schemas if item.schema.startswith("efd_")}
        if efd:
            files = self._contents.files(facts.pull.head, seen.policy)
            here = {path: files.get(path, "") for path in efd}
            found = self._tried(
                FactSource.CONSDB, facts.policy.consdb, lambda: reader.efd_files(facts.pull, body, here)
            )
            facts = replace(facts, efd_files=found or ())
        return facts

    def _with_deployments(self, facts: ProcessFacts, seen: ApprovalFacts) -> ProcessFacts:
        """Add what is deployed, the releases that hold the change, and since when it is there."""
        policy = facts.policy
        phalanx = self._phalanx.setdefault(policy, PhalanxReader(self._github, policy))
        consdb = self._consdb[policy]
        found = self._tried(FactSource.PHALANX, policy.phalanx, phalanx.deployments) or ()
        images = tuple(item for item in found if item.application == CONSDB)
        taps = tuple(item for item in found if item.application == CONSDBTAP)
        tags = frozenset(item.tag for item in images)
        releases, newest = self._tried(
            FactSource.CONSDB, policy.consdb, lambda: consdb.releases(facts.migrations, tags)
        ) or ((), "")
        weeklies = self._weeklies(facts, taps)
        merges = [item.merged_at for item in facts.migrations if item.live and item.merged_at is not None]
        if releases:
            names = {release.tag for release in releases}
            images = self._dated(phalanx, policy, images, max(merges), names.__contains__)
        image = ticket_image(facts.pull.branch)
        taps = self._dated(
            phalanx, policy, taps, facts.pull.created_at, lambda tag: tag == image or tag in weeklies
        )
        # What was there for a while counts for the order in which things were done.
        weeklies = (*weeklies, *self._weeklies(facts, taps, known=weeklies))
        return replace(
            facts,
            deployments=(*images, *taps),
            releases=releases,
            newest_release=newest,
            weeklies=weeklies,
        )

    def _dated(
        self,
        phalanx: PhalanxReader,
        policy: ProcessPolicy,
        deployments: tuple[Deployment, ...],
        since: datetime,
        holds: Callable[[str], bool],
    ) -> tuple[Deployment, ...]:
        """Add since when the tags that matter are there."""
        found = self._tried(
            FactSource.PHALANX, policy.phalanx, lambda: phalanx.with_history(deployments, since, holds)
        )
        return deployments if found is None else found

    def _weeklies(
        self, facts: ProcessFacts, deployments: tuple[Deployment, ...], *, known: tuple[str, ...] = ()
    ) -> tuple[str, ...]:
        """Find out which deployed weekly tags hold the merge."""
        merge = facts.pull.merge_commit
        if not merge:
            return ()
        tags = dict.fromkeys(
            setting.tag
            for item in deployments
            for setting in item.history
            if read_tag(setting.tag).kind is TagKind.WEEKLY and setting.tag not in known
        )
        held = self._tried(
            FactSource.TAGS, self._repository, lambda: tuple(tag for tag in tags if self._holds(tag, merge))
        )
        return held or ()

    def _holds(self, tag: str, commit: str) -> bool:
        """Tell whether a tag of the repository of the schemas has a commit in its history; it never moves."""
        if (tag, commit) not in self._held:
            self._held[tag, commit] = self._compared(tag, commit)
        return self._held[tag, commit]

    def _compared(self, tag: str, commit: str) -> bool:
        path = f"{self._root}/compare/{commit}...{quoted(tag)}"
        try:
            data = self._github.get(path, {"per_page": 1, "page": 2}, lasting=True)
        except GitHubError as error:
            if error.status == 404:
                return False
            raise
        return data["status"] in ("ahead", "identical")

    def _team(self, name: str) -> Team:
        """Read a team once in a run."""
        if name not in self._teams:
            self._teams[name] = self._approvals.team(name)
        return self._teams[name]

    def _tried(self, source: FactSource, where: str, read: Callable[[], _T]) -> _T | None:
        """Read something; that a token may not, or that it is not there or no good, is a fact."""
        try:
            return read()
        except (GitHubError, InputError) as error:
            if isinstance(error, GitHubError) and error.status not in (403, 404, 451):
                raise
            words = " ".join(f"{where} could not be read: {error.cause}".split())[:300]
            self._troubles[source] = SourceFailure(source, words)
            return None


class ProcessPublisher(Shower):
    """Writes to the pull requests of one repository.

    Parameters
    ----------
    github
        The connection.
    repository
        ``owner/name``.
    """

    def publish(self, plan: ProcessPlan, identity: Account) -> None:
        """Carry out a plan.

        The status comes first, because merging hangs on it, and the comment after the reactions, because it
        remembers them.

        Parameters
        ----------
        plan
            The changes to make.
        identity
            Our own account.

        Raises
        ------
        GitHubError
            GitHub refused, or could not be reached within the bounds. Running again goes on from there.
        """
        self.identity = identity
        if plan.status is not None:
            self.set_status(plan.status)
        for reaction in plan.reactions:
            self.unless_locked(plan.number, partial(self._react, reaction))
        self.write_comment(plan.number, plan.comment)

    def _react(self, reaction: ReactionPlan) -> None:
        """Set a reaction; GitHub keeps one of each kind for each account."""
        path = f"{self._root}/issues/comments/{reaction.comment}/reactions"
        try:
            done = self._github.write("POST", path, {"content": reaction.content})
            self._learn(done.get("user"))
            if reaction.instead_of:
                for item in self._others(path, reaction.instead_of):
                    self.unless_gone("DELETE", f"{path}/{item['id']}")
        except GitHubError as error:
            # Somebody removed the comment meanwhile.
            if error.status != 404:
                raise

    def _others(self, path: str, content: str) -> list[Any]:
        """List our reactions of one kind to a comment."""
        return [
            item for item in self._github.items(path, {"content": content}) if self._ours(item.get("user"))
        ]
