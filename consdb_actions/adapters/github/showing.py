"""What approvals and process both show on a pull request: a status and one comment (rules F1 and P2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from consdb_actions.adapters.github import reading
from consdb_actions.adapters.github.client import GitHub
from consdb_actions.adapters.github.problems import GitHubError
from consdb_actions.approval.facts import Account
from consdb_actions.approval.plan import CommentPlan, StatusPlan

__all__ = ["Shower"]


class Shower:
    """Writes statuses and comments of one repository. Each step can be repeated without harm.

    Parameters
    ----------
    github
        The connection.
    repository
        ``owner/name``.
    marker
        The start of our comment.

    Attributes
    ----------
    identity
        Our own account, by which our comments are known, as GitHub showed it with what we wrote last.
    warnings
        What could not be done and does not matter enough to fail.
    locked
        Whether the conversation takes no comments and reactions: status and labels do not depend on it.
    """

    def __init__(self, github: GitHub, repository: str, marker: str) -> None:
        self._github = github
        self._root = f"/repos/{repository}"
        self._marker = marker
        self._written: dict[int, int] = {}
        self.identity: Account | None = None
        self.warnings: list[str] = []
        self.locked = False

    def set_status(self, status: StatusPlan) -> None:
        """Set a commit status, once."""
        body = {
            "state": status.state,
            "context": status.context,
            "description": status.description,
            "target_url": status.target_url,
        }

        def landed() -> Any:
            page = next(self._github.pages(f"{self._root}/commits/{status.sha}/statuses"))
            newest = next((item for item in page if item["context"] == status.context), None)
            if newest is None or not self._ours(newest.get("creator")):
                return None
            return newest if all(newest.get(key) == value for key, value in body.items()) else None

        done = self._github.write("POST", f"{self._root}/statuses/{status.sha}", body, landed=landed)
        self._learn(done.get("creator"))

    def set_group_status(self, sha: str, context: str, verdicts: Sequence[tuple[str, str, str]]) -> None:
        """Set the status of a group in the merge queue (rule A11).

        Parameters
        ----------
        sha
            The head of the group.
        context
            The name of the status.
        verdicts
            State, text and address for each pull request. What is not a success now is a failure: the queue
            would wait for it.
        """
        missing = ("failure", "No pull request is known for this group", "")
        order = ("error", "failure", "pending", "success")
        state, words, url = min(verdicts or [missing], key=lambda verdict: order.index(verdict[0]))
        state = "failure" if state == "pending" else state
        self.set_status(StatusPlan(sha, state, words, url, context))

    def unless_locked(self, number: int, act: Callable[[], None]) -> None:
        """Comment or react; that the conversation is locked is a warning."""
        if self.locked:
            return
        try:
            act()
        except GitHubError as error:
            if error.status != 403 or "locked" not in error.cause:
                raise
            self.locked = True
            self.warnings.append(f"the conversation of pull request {number} is locked; it gets no comment")

    def write_comments(self, number: int, comment: CommentPlan | None, extra: Iterable[int]) -> None:
        """Write our comment on a pull request, and remove those beside it."""
        if comment is not None:
            self._write_comment(number, comment)
        for other in extra:
            self.unless_gone("DELETE", f"{self._root}/issues/comments/{other}")

    def _write_comment(self, number: int, comment: CommentPlan) -> None:
        body = {"body": comment.body}
        issue = f"{self._root}/issues/{number}"
        # A list may lag behind: what this run wrote is there, even when the next look does not show it yet.
        known = comment.id or self._written.get(number)
        if known is not None:
            self.unless_gone("PATCH", f"{self._root}/issues/comments/{known}", body)
            return

        def landed() -> Any:
            for item in self._github.items(f"{issue}/comments"):
                if self._ours(item.get("user")) and (item.get("body") or "").lstrip().startswith(
                    self._marker
                ):
                    return item
            return None

        done = self._github.write("POST", f"{issue}/comments", body, landed=landed)
        self._written[number] = done["id"]
        self._learn(done.get("user"))

    def unless_gone(self, verb: str, path: str, body: dict[str, str] | None = None) -> None:
        """Change something that somebody else may have removed meanwhile."""
        try:
            self._github.write(verb, path, body)
        except GitHubError as error:
            if error.status != 404:
                raise

    def _ours(self, user: Any) -> bool:
        """Tell whether an account is our own."""
        return self.identity is not None and self.identity.same_as(reading.account(user))

    def _learn(self, user: Any) -> None:
        """Take our own account from an answer."""
        self.identity = reading.account(user) or self.identity
