"""Read the release history and what a deployment brings, and publish tags and releases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from consdb_actions.adapters.github import graphql
from consdb_actions.adapters.github.client import MOST_FILES, GitHub, GitHubError, quoted
from consdb_actions.adapters.github.contents import ApiContents, Objects, read_config
from consdb_actions.config import Config
from consdb_actions.deploy.model import DATALINK_FILE, DeployPlan, branch_tag
from consdb_actions.deploy.plan import TagContents, TicketImage, candidates, replaced_by
from consdb_actions.errors import CheckFailed, ExternalError, InputError
from consdb_actions.migration.summary import read_revision
from consdb_actions.process.board import ConsdbRelease, Releases
from consdb_actions.release.notes import MergedPull, ReleaseContents, ReleasedMigration, arrange
from consdb_actions.release.versions import (
    CheckState,
    CommitCheck,
    GitTag,
    ReleaseFacts,
    ReleasePolicy,
    last_release,
    parse_version,
)

_LATE = timedelta(days=7)  # How much the clock of who made a commit may differ from GitHub's


def _merged(
    github: GitHub, repository: str, branch: str, commits: set[str], since: datetime | None
) -> list[MergedPull]:
    """Find the merged pull requests by the commits that their merging made."""
    query = {"state": "closed", "base": branch, "sort": "updated", "direction": "desc"}
    found = []
    for page in github.pages(f"/repos/{repository}/pulls", query):
        for item in page:
            if item.get("merged_at") and item.get("merge_commit_sha") in commits:
                author = graphql.account(item.get("user"))
                login = author.login if author is not None else ""
                found.append(MergedPull(item["number"], item["title"] or "", item["head"]["ref"], login))
        oldest = graphql.moment(page[-1].get("updated_at")) if page else None
        if oldest is not None and since is not None and oldest < since - _LATE:
            break  # Whatever was merged after that was updated after that.
    return found


def _compared(page: Any, base: str, policy: ReleasePolicy) -> tuple[dict[str, str], dict[str, str]] | None:
    """Take the migrations that differ, before and after, from a comparison; None where it is not whole."""
    files = page.get("files") or []
    # It begins where both have parted, and shows no more than some files.
    if page["merge_base_commit"]["sha"] != base or len(files) >= MOST_FILES:
        return None
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    for item in files:
        path, status = item["filename"], item["status"]
        if policy.is_migration(path) and status != "unchanged":
            if status in ("modified", "changed", "removed"):
                before[path] = ""  # Only that it was there counts.
            if status != "removed":
                after[path] = item["sha"]
        if status == "renamed" and policy.is_migration(item["previous_filename"]):
            before[item["previous_filename"]] = ""
    return before, after


def _migrations(
    objects: Objects, before: Mapping[str, str], after: Mapping[str, str]
) -> tuple[tuple[ReleasedMigration, ...], tuple[tuple[str, str], ...]]:
    """Read the migrations that were added, and name those that were changed or removed."""
    new = sorted(after.keys() - before.keys())
    texts = objects.blobs(after[path] for path in new)
    added = []
    for path in new:
        found = read_revision(texts[after[path]].decode("utf-8", "replace"))
        section = path.split("/")[-3] if path.count("/") >= 2 else ""
        added.append(
            ReleasedMigration(
                section, path, found.id, found.title, found.operations, found.others, found.down
            )
        )
    changed = [
        (path, "changed" if path in after else "removed")
        for path in sorted(before)
        if after.get(path) != before[path]
    ]
    return tuple(added), tuple(changed)


MARK = "Tagged by consdb-actions."  # The last line of the message of a tag that this program made

_GREEN = {"success", "neutral", "skipped"}

# Events whose checks are about a commit; a schedule or a dispatch runs on whatever is newest.
_OF_THE_COMMIT = {"push", "pull_request", "merge_group", "dynamic"}


@dataclass(frozen=True, slots=True)
class _Branch:
    name: str
    head: str


class ReleaseReader:
    """Reads what concerns the releases of one repository.

    `run` is the number of the run of GitHub Actions that this is, whose own checks do not count.
    """

    def __init__(self, github: GitHub, repository: str, *, run: str = "") -> None:
        self._github = github
        self._repository = repository
        self._root = f"/repos/{repository}"
        self._run = run if run.isascii() and run.isdigit() else ""

    @cached_property
    def html_url(self) -> str:
        """The repository's page."""
        return str(self._data["html_url"])

    @cached_property
    def branch(self) -> _Branch:
        """The default branch, with its newest commit as it is when first asked for."""
        name = str(self._data["default_branch"])
        return _Branch(name, self._github.tip(self._repository, name))

    @cached_property
    def _data(self) -> Any:
        data = self._github.get(self._root)
        if data["full_name"].casefold() != self._repository.casefold():
            raise InputError(
                f"the repository {self._repository} is now called {data['full_name']}",
                remedy=f"Give --repo {data['full_name']}.",
            )
        return data

    def config(self) -> Config:
        """Read the configuration of the default branch."""
        return read_config(self._github, self._repository, self.branch.name, self.branch.head)

    def tags(self, commit: str = "") -> tuple[GitTag, ...]:
        """Read all tags: releases with the commit that they are on, others with whatever they name.

        For releases on the given commit, it is read as well whether this program made them.
        """
        # Refs are current and tell the kind; the list tells the commits, and may be a moment old.
        refs = self._github.get(f"{self._root}/git/matching-refs/tags/")
        listed = self._github.items(f"{self._root}/tags")
        commits = {item["name"]: item["commit"]["sha"] for item in listed}
        found = {name: GitTag(name, on) for name, on in commits.items()}
        for ref in refs:
            name, target = ref["ref"].removeprefix("refs/tags/"), ref["object"]["sha"]
            annotated = ref["object"]["type"] == "tag"
            on = target
            if annotated and parse_version(name) is not None:
                on = commits.get(name) or self._peeled(target)
            ours = annotated and on == commit and self._is_ours(target)
            found[name] = GitTag(name, on, annotated, ours, target if annotated else "")
        return tuple(found.values())

    def facts(self, commit: str | None, now: datetime) -> ReleaseFacts:
        """Read what the decision about a tag on a commit rests on; None: the newest commit."""
        branch = self.branch
        sha = commit or branch.head
        contained = sha == branch.head or self._relation(sha, branch.head, sha) in ("ahead", "identical")
        tags = self.tags(sha)
        newest = last_release(tags)
        relation = "ahead" if newest is None else self._relation(newest.commit, sha, sha)
        return ReleaseFacts(
            branch=branch.name,
            commit=sha,
            now=now,
            contained=contained,
            tags=tags,
            checks=tuple(self._checks(sha)),
            released=relation in ("behind", "identical"),
            parted=relation == "diverged",
        )

    def contents(self, previous: GitTag | None, commit: str, policy: ReleasePolicy) -> ReleaseContents:
        """Read the merged pull requests and migrations of a release; the first has nothing to compare."""
        if previous is None:
            return ReleaseContents()
        github, repository = self._github, self._repository
        pages = list(github.pages(f"{self._root}/compare/{previous.commit}...{commit}", lasting=True))
        commits = {item["sha"] for page in pages for item in page["commits"]}
        since = graphql.moment(pages[0]["merge_base_commit"]["commit"]["committer"]["date"])
        files = _compared(pages[0], previous.commit, policy)
        if files is None:
            contents, wanted = ApiContents(github, repository), policy.migrations
            files = contents.files(previous.commit, wanted), contents.files(commit, wanted)
        migrations, changed = _migrations(Objects(github, repository), *files)
        pulls = _merged(github, repository, str(self._data["default_branch"]), commits, since)
        return ReleaseContents(previous.name, len(commits), tuple(pulls), migrations, changed)

    def _peeled(self, sha: str) -> str:
        """Return what a tag object stands for in the end."""
        for _ in range(5):
            target = self._github.get(f"{self._root}/git/tags/{sha}", lasting=True)["object"]
            sha = target["sha"]
            if target["type"] != "tag":
                break
        return str(sha)

    def _is_ours(self, sha: str) -> bool:
        data = self._github.get(f"{self._root}/git/tags/{sha}", lasting=True)
        lines = (data.get("message") or "").strip().splitlines()
        return bool(lines) and lines[-1] == MARK

    def _relation(self, base: str, head: str, sha: str) -> str:
        """Say how a commit stands to another: ahead, behind, identical or diverged; one of them is `sha`."""
        if base == head:
            return "identical"
        try:
            # A whole page, which the contents of the release need as well.
            data = next(self._github.pages(f"{self._root}/compare/{base}...{head}", lasting=True))
        except GitHubError as error:
            if error.status != 404:
                raise
            raise InputError(
                f"GitHub knows no commit {sha} in {self._repository}, or none that has a history in common "
                f"with {self.branch.name}",
                place="--commit",
                remedy="Check the commit and --repo.",
            ) from error
        return str(data["status"])

    def _suites(self, sha: str) -> dict[int, tuple[str, Any]]:
        """Read which event started each run of a workflow on a commit, and which workflow, by its suite."""
        try:
            pages = list(self._github.pages(f"{self._root}/actions/runs", {"head_sha": sha}))
        except GitHubError as error:
            if error.status not in (403, 404):
                raise
            return {}  # Without the permission, all of them count.
        return {
            run["check_suite_id"]: (run["event"], run["workflow_id"])
            for page in pages
            for run in page["workflow_runs"]
        }

    def _checks(self, sha: str) -> list[CommitCheck]:
        """Read check runs and commit statuses, without the jobs of this run and of its earlier tries."""
        runs = [
            item
            for page in self._github.pages(f"{self._root}/commits/{sha}/check-runs")
            for item in page["check_runs"]
        ]
        mine = {
            item["name"]
            for item in runs
            if self._run
            and f"/actions/runs/{self._run}/" in (item.get("details_url") or "")
            and _of_actions(item)
        }
        suites = self._suites(sha)
        newest: dict[tuple[Any, ...], Any] = {}
        for item in sorted(runs, key=lambda item: (item.get("started_at") or "", item["id"])):
            suite, app = (item.get("check_suite") or {}).get("id"), (item.get("app") or {}).get("slug")
            if _of_actions(item):
                event, workflow = suites.get(suite or 0, ("push", suite))
                if item["name"] in mine or event not in _OF_THE_COMMIT:
                    continue
                newest[app, workflow, item["name"]] = item
            else:
                newest[app, item["name"]] = item
        found = [_check(item) for item in newest.values()]
        for page in self._github.pages(f"{self._root}/commits/{sha}/status"):
            for item in page["statuses"]:
                state: CheckState = "success" if item["state"] == "success" else "failure"
                if item["state"] == "pending":
                    state = "pending"
                found.append(CommitCheck(item["context"], state, item["state"]))
        return found


def _of_actions(item: Any) -> bool:
    return bool((item.get("app") or {}).get("slug") == "github-actions")


def _check(item: Any) -> CommitCheck:
    if item["status"] != "completed":
        return CommitCheck(item["name"], "pending", str(item["status"]).replace("_", " "))
    conclusion = str(item["conclusion"])
    return CommitCheck(
        item["name"], "success" if conclusion in _GREEN else "failure", conclusion.replace("_", " ")
    )


def read_releases(
    github: GitHub, repository: str, policy: ReleasePolicy, tickets: Sequence[str], count: int
) -> Releases:
    """Read the newest releases; what cannot be read of one does not hide the others."""
    reader = ReleaseReader(github, repository)
    tags = reader.tags()
    versions = {tag: version for tag in tags if (version := parse_version(tag.name)) is not None}
    ordered = sorted(versions, key=lambda tag: (versions[tag], tag.name), reverse=True)
    pages = {item["tag_name"]: item for item in github.items(f"/repos/{repository}/releases")}
    shown = ordered[:count]
    objects = [tag.object for tag in shown if tag.object]
    found = []
    for tag in shown:
        page = pages.get(tag.name)
        url = page["html_url"] if page else f"{reader.html_url}/tree/{quoted(tag.name)}"
        at: datetime | None = None
        of_commit = False
        try:
            at = Objects(github, repository).tagged(objects).get(tag.object)
            if at is None:
                at, of_commit = _moment(github, repository, tag, page)
            contents = reader.contents(last_release(tags, versions[tag]), tag.commit, policy)
        except GitHubError as error:
            text = " ".join(error.cause.split())[:300]
            found.append(ConsdbRelease(tag.name, url, at, of_commit, tag.annotated, trouble=text))
        else:
            notes = arrange(contents, tickets)
            found.append(ConsdbRelease(tag.name, url, at, of_commit, tag.annotated, notes))
    return Releases(tuple(found), len(ordered) - len(found), reader.html_url)


def _moment(github: GitHub, repository: str, tag: GitTag, page: Any) -> tuple[datetime | None, bool]:
    """Say when a release was made that its tag does not date, and whether that is its commit's date."""
    if page and (at := graphql.moment(page.get("published_at"))) is not None:
        return at, False
    commit = github.get(f"/repos/{repository}/git/commits/{tag.commit}", lasting=True)
    return graphql.moment(commit["committer"]["date"]), True


class TagTakenError(ExternalError):
    """A tag of this name appeared since the tags were read."""


class Releaser:
    """Makes tags and releases in one repository; never moves or removes one."""

    def __init__(self, github: GitHub, repository: str) -> None:
        self._github = github
        self._root = f"/repos/{repository}"
        self._tagger: dict[str, str] | None = None

    def identity(self) -> str:
        """Return the login of the token's account."""
        return self._whose()["login"]

    def tag(self, name: str, commit: str, message: str, now: datetime) -> None:
        """Make an annotated tag: the object first, which nobody sees, then the ref.

        The object depends only on what is given here and the token's account, so that a repetition gives the
        same one. Raises `TagTakenError` if another tag has this name by now.
        """
        who = self._whose()
        body = {
            "tag": name,
            "message": message,
            "object": commit,
            "type": "commit",
            "tagger": {
                "name": who["name"],
                "email": who["email"],
                "date": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            },
        }
        sha = self._github.write("POST", f"{self._root}/git/tags", body)["sha"]

        def landed() -> Any:
            ref = self._ref(name)
            return ref if ref is not None and ref["object"]["sha"] == sha else None

        try:
            self._github.write(
                "POST", f"{self._root}/git/refs", {"ref": f"refs/tags/{name}", "sha": sha}, landed=landed
            )
        except GitHubError as error:
            if error.status != 422:
                raise
            # Rules of the repository, or a deleted immutable release, can forbid a tag with the same status.
            if self._ref(name) is None:
                raise _refused_for_good(name, error) from error
            if landed() is None:
                raise TagTakenError(
                    f"a tag {name} appeared while {commit[:12]} was to be tagged",
                    place=error.place,
                    remedy="Run the command again; it takes the next version.",
                ) from error

    def release(self, tag: str, notes: str) -> tuple[str, bool]:
        """Make the GitHub release of a tag, unless there is one; return its address and whether it is new."""
        known = self.release_url(tag)
        if known is not None:
            return known, False
        # Where the tag is gone, GitHub would tag whatever is newest. Naming the commit needs a permission for
        # workflows where it is not the newest.
        if self._ref(tag) is None:
            raise GitHubError(
                f"the tag {tag} is gone again",
                place=f"GitHub, {self._root}",
                remedy="See who removed it, and run the command again.",
            )
        body = {"tag_name": tag, "name": tag, "body": notes}

        def landed() -> Any:
            url = self.release_url(tag)
            return None if url is None else {"html_url": url}

        try:
            data = self._github.write("POST", f"{self._root}/releases", body, landed=landed)
        except GitHubError as error:
            if error.status != 422:
                raise
            if (known := self.release_url(tag)) is None:
                raise _refused_for_good(tag, error) from error
            return known, False
        return str(data["html_url"]), True

    def release_url(self, tag: str) -> str | None:
        """Return the address of a tag's release; None when it has none."""
        data = self._github.find(f"{self._root}/releases/tags/{quoted(tag)}")
        return None if data is None else str(data["html_url"])

    def _ref(self, name: str) -> Any:
        return self._github.find(f"{self._root}/git/ref/tags/{quoted(name)}")

    def _whose(self) -> dict[str, str]:
        """Return login, name and address of the token's account, as GitHub writes them into commits."""
        if self._tagger is None:
            login = self._github.viewer()
            data = self._github.get(f"/users/{quoted(login)}")
            email = f"{data['id']}+{data['login']}@users.noreply.github.com"
            self._tagger = {
                "login": data["login"],
                "name": data.get("name") or data["login"],
                "email": email,
            }
        return self._tagger


def _refused_for_good(name: str, error: GitHubError) -> GitHubError:
    return GitHubError(
        error.cause,
        place=error.place,
        remedy=f"If GitHub can never take {name} (a rule, or a deleted immutable release of this name), "
        "list it under release: skip: in the configuration; the next version is then taken.",
        status=error.status,
    )


SCHEMAS = ("cdb_", "efd_")


class DeployReader:
    """Reads releases of consdb and of sdm_schemas."""

    def __init__(self, github: GitHub) -> None:
        self._github = github

    def tags(self, repository: str, prefix: str = "") -> tuple[str, ...]:
        """Return the names of all tags that begin so."""
        refs = self._github.get(f"/repos/{repository}/git/matching-refs/tags/{quoted(prefix)}")
        return tuple(ref["ref"].removeprefix("refs/tags/") for ref in refs)

    def has_datalink(self, repository: str, tag: str) -> bool:
        """Tell whether a release has datalink snippets (rule R4)."""
        data = self._github.find(f"/repos/{repository}/releases/tags/{quoted(tag)}") or {}
        return any(asset.get("name") == DATALINK_FILE for asset in data.get("assets") or ())

    def holds(
        self, plan: DeployPlan, repository: str, policy: ReleasePolicy, patterns: Sequence[str]
    ) -> TagContents:
        """Read what a deployment brings, or why that is not known: nothing depends on it.

        `patterns` are regular expressions of tickets.
        """
        tag = plan.request.tag
        if not tag.is_fixed:
            return TagContents(repository)
        try:
            if plan.request.app == "consdb":
                return self._release(plan, repository, policy, patterns)
            since = replaced_by(plan)
            if since is None:
                return TagContents(repository)
            data = self._github.get(f"/repos/{repository}/compare/{since.text}...{tag.text}", lasting=True)
            names = [item["filename"] for item in data.get("files") or ()]
            schemas = {
                name
                for name in names
                if name.endswith(".yaml") and name.rpartition("/")[2].startswith(SCHEMAS)
            }
            return TagContents(repository, since.text, schemas=tuple(sorted(schemas)))
        except GitHubError as error:
            if error.status not in (403, 404):
                raise
            return TagContents(repository, problem=f"{repository} could not be read (HTTP {error.status})")

    def _release(
        self, plan: DeployPlan, repository: str, policy: ReleasePolicy, patterns: Sequence[str]
    ) -> TagContents:
        reader = ReleaseReader(self._github, repository)
        tags = {tag.name: tag for tag in reader.tags()}
        since = replaced_by(plan, tags)
        missing = [
            name for name in (plan.request.tag.text, since.text if since else "") if name and name not in tags
        ]
        if missing:
            return TagContents(repository, problem=f"{repository} has no tag {missing[0]}")
        if since is None:
            return TagContents(repository)
        contents = reader.contents(tags[since.text], tags[plan.request.tag.text].commit, policy)
        return TagContents(repository, since.text, arrange(contents, patterns))

    def first_week(self, image: TicketImage, repository: str) -> str:
        """Find the first week of sdm_schemas with what a ticket's branch merged, else raise `CheckFailed`."""
        branch = branch_tag(image.tag)
        number, sha, day = self._merge(repository, branch)
        tags = {
            name for year in range(day.year - 1, day.year + 3) for name in self.tags(repository, f"w.{year}.")
        }
        for name in candidates(tags, day):
            if self._github.contains(repository, name, sha):
                return name
        raise CheckFailed(
            f"no week of {repository} holds pull request {number} yet, which was merged on {day}",
            remedy="Run this again after the next weekly tag.",
        )

    def _merge(self, repository: str, branch: str) -> tuple[int, str, Any]:
        items = self._github.pulls_of(repository, branch)
        merged = [item for item in items if item.get("merged_at") and item.get("merge_commit_sha")]
        still_open = [item["number"] for item in items if item["state"] == "open"]
        if still_open or not merged:
            text = f"pull request {still_open[0]} is open" if still_open else "it has no merged pull request"
            raise CheckFailed(
                f"the branch {branch} of {repository} is not merged: {text}",
                remedy="Merge it first; until then the ticket image stays.",
            )
        last = max(merged, key=lambda item: str(item["merged_at"]))
        moment = graphql.moment(last["merged_at"])
        assert moment is not None
        return last["number"], last["merge_commit_sha"], moment.date()
