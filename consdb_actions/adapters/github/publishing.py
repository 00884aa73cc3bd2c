"""A plan for approvals, carried out. Each step can be repeated without harm (rule F1)."""

from __future__ import annotations

from typing import Any

from consdb_actions.adapters.github import reading
from consdb_actions.adapters.github.client import GitHub, quoted
from consdb_actions.adapters.github.problems import GitHubError
from consdb_actions.approval.facts import Account
from consdb_actions.approval.memory import MARKER
from consdb_actions.approval.plan import CommentPlan, Plan, StatusPlan
from consdb_actions.approval.policy import Role

__all__ = ["Publisher"]


class Publisher:
    """Writes to the pull requests of one repository.

    Parameters
    ----------
    github
        The connection.
    repository
        ``owner/name``.

    Attributes
    ----------
    identity
        Our own account, by which our comments are known, as GitHub showed it with what we wrote last.
    warnings
        What could not be done and does not matter enough to fail.
    asking
        False once somebody could not be asked for a review: trying again would fail again.
    """

    def __init__(self, github: GitHub, repository: str) -> None:
        self._github = github
        self._root = f"/repos/{repository}"
        self.identity: Account | None = None
        self.warnings: list[str] = []
        self.asking = True
        self._written: int | None = None

    def publish(self, plan: Plan, identity: Account) -> None:
        """Carry out a plan; the status comes first, because merging hangs on it.

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
        issue = f"{self._root}/issues/{plan.number}"
        if plan.status is not None:
            self._set_status(plan.status)
        for label in plan.labels_remove:
            self._unless_gone("DELETE", f"{issue}/labels/{quoted(label)}")
        for role in plan.labels_add:
            self._ensure_label(role)
            self._github.write("POST", f"{issue}/labels", {"labels": [role.label]})
        if plan.comment is not None:
            self._comment(issue, plan.comment)
        for comment in plan.comments_delete:
            self._unless_gone("DELETE", f"{self._root}/issues/comments/{comment}")
        if self.asking:
            self._ask(plan)

    def _set_status(self, status: StatusPlan) -> None:
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

    def _comment(self, issue: str, comment: CommentPlan) -> None:
        """Write our comment: a new one, or a new body."""
        body = {"body": comment.body}
        # A list may lag behind: what this run wrote is there, even when the next look does not show it yet.
        known = comment.id or self._written
        if known is not None:
            self._unless_gone("PATCH", f"{self._root}/issues/comments/{known}", body)
            return

        def landed() -> Any:
            for item in self._github.items(f"{issue}/comments"):
                if self._ours(item.get("user")) and (item.get("body") or "").lstrip().startswith(MARKER):
                    return item
            return None

        done = self._github.write("POST", f"{issue}/comments", body, landed=landed)
        self._written = done["id"]
        self._learn(done.get("user"))

    def _ensure_label(self, role: Role) -> None:
        """Make a role's label with its colour when the repository does not have it."""
        try:
            self._github.get(f"{self._root}/labels/{quoted(role.label)}")
        except GitHubError as error:
            if error.status != 404:
                raise
        else:
            return
        body = {"name": role.label, "color": role.color, "description": f"Approved for {role.title}"[:100]}
        try:
            self._github.write("POST", f"{self._root}/labels", body)
        except GitHubError as error:
            # Somebody else made it meanwhile, or our own first try did.
            if error.status != 422 or "already_exists" not in error.cause:
                raise

    def _ask(self, plan: Plan) -> None:
        """Ask for reviews; that somebody cannot be asked is a warning."""
        path = f"{self._root}/pulls/{plan.number}/requested_reviewers"
        for people, teams in ((plan.ask_people, ()), *(((), (name,)) for name in plan.ask_teams)):
            if not people and not teams:
                continue
            if self._asked(path, people, teams):
                continue
            for login in people:
                if len(people) == 1 or not self._asked(path, (login,), ()):
                    self._warn(login)
            for name in teams:
                self._warn(f"the team {name}")

    def _asked(self, path: str, people: tuple[str, ...], teams: tuple[str, ...]) -> bool:
        """Ask people and teams; tell whether GitHub took it."""
        body = {
            **({"reviewers": list(people)} if people else {}),
            **({"team_reviewers": [name.rpartition("/")[2] for name in teams]} if teams else {}),
        }
        try:
            self._github.write("POST", path, body)
        except GitHubError as error:
            if error.status in (403, 404, 422):
                return False
            raise
        return True

    def _warn(self, who: str) -> None:
        """Note that somebody could not be asked."""
        self.asking = False
        self.warnings.append(
            f"{who} could not be asked for a review; the token or their access does not allow it"
        )

    def _unless_gone(self, verb: str, path: str, body: dict[str, str] | None = None) -> None:
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
