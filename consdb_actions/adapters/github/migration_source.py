"""The schema change that is meant, as GitHub shows it now."""

from __future__ import annotations

from typing import Any

from consdb_actions.adapters.config_file import parse_config
from consdb_actions.adapters.github.client import GitHub, quoted
from consdb_actions.adapters.github.contents import ApiContents, read_file
from consdb_actions.adapters.github.problems import GitHubError
from consdb_actions.config import CONFIG_PATH, DEFAULT_CONFIG, Config
from consdb_actions.errors import InputError
from consdb_actions.process.answers import read_answers
from consdb_actions.process.memory import MARKER
from consdb_actions.publication.source import Asked, Inputs, PullSeen, Source
from consdb_actions.publication.stack import Stack, stack_of

__all__ = [
    "config_of",
    "date_of",
    "is_trusted",
    "read_answers_on",
    "read_inputs",
    "read_pull",
    "read_source",
    "read_stack",
]

WAITS = (0, 1, 2, 4, 8, 16, 30)
"""Seconds before each look whether GitHub knows by now if a pull request can be merged."""


def read_source(github: GitHub, repository: str, asked: Asked) -> Source:
    """Read the change that is asked for.

    Parameters
    ----------
    github
        A connection that may read the repository.
    repository
        ``owner/name`` of the repository of schemas.
    asked
        What is asked for.

    Returns
    -------
    Source
        The change; with a branch that has an open pull request, that one.

    Raises
    ------
    InputError
        There is no such pull request or branch.
    GitHubError
        GitHub refused, or could not be reached within the bounds.
    """
    root = f"/repos/{repository}"
    if asked.number is not None:
        data = _found(github, f"{root}/pulls/{asked.number}", f"pull request {asked.number}", repository)
        pull = read_pull(data)
        return Source(repository, pull.branch, pull.head, data["base"]["repo"]["default_branch"], pull)
    path = "/".join(quoted(part) for part in asked.branch.split("/"))
    head = _found(github, f"{root}/git/ref/heads/{path}", f"branch {asked.branch}", repository)
    default = github.get(root)["default_branch"]
    owner = repository.partition("/")[0]
    items = github.items(f"{root}/pulls", {"state": "open", "head": f"{owner}:{asked.branch}"})
    pulls = [read_pull(item) for item in items]
    found = next((pull for pull in pulls if pull.branch == asked.branch and not pull.from_fork), None)
    return Source(repository, asked.branch, head["object"]["sha"], default, found)


def read_inputs(github: GitHub, source: Source) -> Inputs:
    """Find the two commits whose difference is the change (rule M18).

    Of a pull request to the default branch these are the merge that GitHub makes of the two for a test, and
    the commit of the default branch in it: whatever else the default branch has is in both. Of a branch, and
    of a pull request that is stacked on another's branch, these are the newest commit and the one at which it
    left the default branch.

    Parameters
    ----------
    github
        A connection that may read the repository.
    source
        The change.

    Returns
    -------
    Inputs
        The commits; without a target.

    Raises
    ------
    GitHubError
        GitHub refused, or could not be reached within the bounds.
    ExternalError
        The branches have nothing in common.
    """
    pull = source.pull
    if pull is not None and pull.is_open and pull.base == source.default:
        return _test_merge(github, source, pull.number)
    tip = read_tip(github, source.repository, source.default)
    base = ApiContents(github, source.repository).fork_point(tip, source.commit)
    return Inputs(source.commit, source.commit, base)


def _test_merge(github: GitHub, source: Source, number: int) -> Inputs:
    """Read the test merge of a pull request, which GitHub starts to make when it is asked."""
    root = f"/repos/{source.repository}"
    for pause in WAITS:
        github.pause(pause)
        data = github.get(f"{root}/pulls/{number}")
        if data["mergeable"] is False:
            why = (
                f"{source.reference} has a conflict with its base branch {data['base']['ref']}. Merge that "
                "branch into it, or rebase it, and resolve the conflict."
            )
            return Inputs(source.commit, conflict=why)
        merge = data.get("merge_commit_sha")
        if data["mergeable"] and merge:
            parents = [
                item["sha"] for item in github.get(f"{root}/git/commits/{merge}", lasting=True)["parents"]
            ]
            # GitHub may show an older merge for a while.
            if parents[1:] == [source.commit]:
                return Inputs(source.commit, merge, parents[0])
    why = f"GitHub does not say yet whether {source.reference} can be merged into its base branch."
    return Inputs(source.commit, conflict=why)


def read_stack(github: GitHub, source: Source, label: str) -> Stack:
    """Find out which open pull requests contain the commits of a change, or are contained in it.

    Raises
    ------
    GitHubError
        GitHub refused, or could not be reached within the bounds.
    """
    pull = source.pull
    if pull is None or not pull.is_open or pull.from_fork:
        return Stack()
    items = github.items(f"/repos/{source.repository}/pulls", {"state": "open"})
    others = [other for other in map(read_pull, items) if other.number != pull.number and not other.from_fork]
    if not others:
        return Stack()
    tip = read_tip(github, source.repository, source.default)
    commits = {
        one.number: _commits(github, source.repository, tip, one.head)
        for one in (pull, *(other for other in others if other.has_label(label)))
    }
    return stack_of(pull, others, commits, label)


def read_answers_on(github: GitHub, source: Source) -> tuple[str, ...]:
    """Read the answers to questions that people gave in comments, out of our comment that keeps them.

    Raises
    ------
    GitHubError
        GitHub refused, or could not be reached within the bounds.
    """
    if source.pull is None:
        return ()
    items = github.items(f"/repos/{source.repository}/issues/{source.pull.number}/comments")
    ours = [item for item in items if (item.get("body") or "").startswith(MARKER) and is_trusted(item)]
    ours.sort(key=lambda item: (item["created_at"], item["id"]))
    return read_answers(ours[0]["body"]) if ours else ()


def is_trusted(comment: Any) -> bool:
    """Tell whether a comment with a marker of ours can be ours: it was not written by a stranger.

    This program's account is not known where no token of it is: but only an app that is installed in the
    repository comments as a bot, and a person whose token it uses is a member.
    """
    is_bot = (comment.get("user") or {}).get("type") == "Bot"
    return is_bot or comment.get("author_association") in ("OWNER", "MEMBER", "COLLABORATOR")


def _commits(github: GitHub, repository: str, tip: str, head: str) -> frozenset[str]:
    """Return the commits that a branch has and the default branch does not."""
    pages = github.pages(f"/repos/{repository}/compare/{tip}...{head}", lasting=True)
    return frozenset(commit["sha"] for page in pages for commit in page["commits"])


def read_tip(github: GitHub, repository: str, branch: str) -> str:
    """Return the newest commit of a branch."""
    path = "/".join(map(quoted, branch.split("/")))
    return str(github.get(f"/repos/{repository}/git/ref/heads/{path}")["object"]["sha"])


def config_of(github: GitHub, source: Source) -> Config:
    """Read the configuration on the default branch of the schemas; what the change says does not count.

    Raises
    ------
    InputError
        It is wrong.
    GitHubError
        GitHub refused, or could not be reached within the bounds.
    """
    data = read_file(github, source.repository, CONFIG_PATH, source.default)
    return DEFAULT_CONFIG if data is None else parse_config(data, source=f"{CONFIG_PATH} of {source.default}")


def date_of(github: GitHub, source: Source) -> str:
    """Return the moment of the commit: what is generated for it bears this date, however often it is run.

    Raises
    ------
    GitHubError
        GitHub refused, or could not be reached within the bounds.
    """
    data = github.get(f"/repos/{source.repository}/git/commits/{source.commit}", lasting=True)
    return str(data["committer"]["date"])


def _found(github: GitHub, path: str, what: str, repository: str) -> Any:
    """Read what must be there."""
    try:
        return github.get(path)
    except GitHubError as error:
        if error.status != 404:
            raise
        raise InputError(
            f"{repository} has no {what}",
            remedy="Check the number or the name. A branch that was merged may be gone; then all is done.",
        ) from error


def read_pull(data: Any) -> PullSeen:
    """Read a pull request as GitHub shows it."""
    head, base = data["head"], data["base"]["repo"]
    # A fork that was removed leaves no repository behind.
    name = (head.get("repo") or {}).get("full_name", "")
    return PullSeen(
        number=data["number"],
        url=data["html_url"],
        branch=head["ref"],
        head=head["sha"],
        title=data.get("title") or "",
        body=data.get("body") or "",
        is_open=data["state"] == "open",
        merged=bool(data.get("merged_at")),
        from_fork=name.casefold() != base["full_name"].casefold(),
        labels=tuple(label["name"] for label in data.get("labels") or ()),
        base=data["base"]["ref"],
    )
