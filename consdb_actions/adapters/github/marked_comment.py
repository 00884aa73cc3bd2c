"""Read and write the one comment of this program on a pull request (rule P2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from consdb_actions.adapters.github import graphql
from consdb_actions.adapters.github.client import GitHub, GitHubError, quoted
from consdb_actions.approval.comment import (
    MARKER,
    CommentPlan,
    Part,
    own_comments,
    own_sections,
    plan_comment,
)
from consdb_actions.approval.facts import Account, MarkedComment

__all__ = ["CommentWriter", "marked_comments", "read_comments", "read_sections"]

PASSES = 3  # How often a write is looked at again: another run may have written at the same time

_MEMBERS = ("OWNER", "MEMBER", "COLLABORATOR")


def marked_comments(items: Iterable[Any], trusts: Callable[[Account], bool]) -> tuple[MarkedComment, ...]:
    """Read the comments that start with our marker, whoever wrote them; `trusts` decides on members."""
    found = []
    for item in items:
        body, at = item.get("body") or "", graphql.moment(item.get("created_at"))
        if at is not None and body.lstrip().startswith(MARKER):
            author = graphql.account(item.get("user"))
            is_member = item.get("author_association") in _MEMBERS
            trusted = is_member and author is not None and not author.bot and trusts(author)
            found.append(MarkedComment(item["id"], author, at, body, trusted))
    return tuple(found)


def read_comments(github: GitHub, repository: str, items: Iterable[Any]) -> tuple[MarkedComment, ...]:
    """Read the comments that start with our marker, and whose author could edit one of ours."""

    def trusts(author: Account) -> bool:
        if author.login.casefold() == github.viewer().casefold():
            return True
        path = f"/repos/{repository}/collaborators/{quoted(author.login)}/permission"
        found = github.find(path, missing=(403, 404))
        return found is not None and found["permission"] in ("admin", "write")

    return marked_comments(items, trusts)


def read_sections(github: GitHub, repository: str, number: int) -> dict[Part, str]:
    """Read our comment where our own account is not known, since there may be no token of it.

    Only an app that is installed in the repository comments as a bot, and a person whose token this program
    uses is a member.
    """
    items = github.items(f"/repos/{repository}/issues/{number}/comments")
    return own_sections(marked_comments(items, lambda account: True), Account(""))


class CommentWriter:
    """Writes sections of the comment on pull requests of one repository.

    `refusal` says why this token cannot change the comment that is there; a second one is not made.
    """

    def __init__(self, github: GitHub, repository: str) -> None:
        self._github = github
        self._repository = repository
        self._root = f"/repos/{repository}"
        self._written: dict[int, MarkedComment] = {}
        self.refusal = ""

    def settle(self, number: int, section: Part, text: str, *, create: bool = True) -> None:
        """Write a section, and repeat until nothing changes."""
        for _ in range(PASSES):
            if self.refusal or not self.write(number, section, text, create=create):
                return

    def write(self, number: int, section: Part, text: str, *, create: bool = True) -> bool:
        """Write a section, merge further comments of ours, and tell whether anything had to change.

        The other sections are read just before the write: another flow may have changed them.
        """
        identity, comments = Account(self._github.viewer()), self._read(number)
        plan = plan_comment(comments, identity, section, text, create=create)
        if plan is None:
            return False
        if plan.id is None:
            self._post(number, plan, identity)
            return True
        authors = {item.id: item.author for item in comments}
        for comment in (plan.id, *plan.extra):
            if not self.refusal:
                self._change(comment, plan, None if identity.same_as(authors[comment]) else authors[comment])
        return True

    def _change(self, comment: int, plan: CommentPlan, other: Account | None) -> None:
        """Write or remove a comment; that one of another account of ours takes no change is a refusal."""
        path = f"{self._root}/issues/comments/{comment}"
        try:
            if comment == plan.id:
                self._github.write("PATCH", path, {"body": plan.body})
            else:
                self._github.write("DELETE", path)
        except GitHubError as error:
            if error.status == 404:
                self._written = {key: item for key, item in self._written.items() if item.id != comment}
            elif error.status == 403 and "locked" not in error.cause and other is not None:
                self.refusal = f"this token cannot change the comment that {other.login} wrote: {path}"
            else:
                raise

    def _post(self, number: int, plan: CommentPlan, identity: Account) -> None:
        def landed() -> Any:
            own = own_comments(self._read(number), identity)
            return {"id": own[0].id} if own else None

        path = f"{self._root}/issues/{number}/comments"
        done = self._github.write("POST", path, {"body": plan.body}, landed=landed)
        for comment in marked_comments([done], lambda account: True):
            self._written[number] = comment

    def _read(self, number: int) -> tuple[MarkedComment, ...]:
        items = self._github.items(f"{self._root}/issues/{number}/comments")
        found = read_comments(self._github, self._repository, items)
        # A list may lag behind: what this run wrote is there, even when the next look does not show it yet.
        mine = self._written.get(number)
        return found if mine is None or any(item.id == mine.id for item in found) else (*found, mine)
