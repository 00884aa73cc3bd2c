"""A plan for approvals, carried out. Each step can be repeated without harm (rule F1)."""

from __future__ import annotations

from consdb_actions.adapters.github.client import GitHub, quoted
from consdb_actions.adapters.github.problems import GitHubError
from consdb_actions.adapters.github.showing import Shower
from consdb_actions.approval.facts import Account
from consdb_actions.approval.memory import MARKER
from consdb_actions.approval.plan import Plan
from consdb_actions.approval.policy import Role

__all__ = ["Publisher"]


class Publisher(Shower):
    """Writes to the pull requests of one repository.

    Parameters
    ----------
    github
        The connection.
    repository
        ``owner/name``.

    Attributes
    ----------
    asking
        False once somebody could not be asked for a review: trying again would fail again.
    """

    def __init__(self, github: GitHub, repository: str) -> None:
        super().__init__(github, repository, MARKER)
        self.asking = True

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
            self.set_status(plan.status)
        for label in plan.labels_remove:
            self.unless_gone("DELETE", f"{issue}/labels/{quoted(label)}")
        for role in plan.labels_add:
            self._ensure_label(role)
        if plan.labels_add:
            labels = [role.label for role in plan.labels_add]
            self._github.write("POST", f"{issue}/labels", {"labels": labels})
        self.unless_locked(
            plan.number, lambda: self.write_comments(plan.number, plan.comment, plan.comments_delete)
        )
        if self.asking:
            self._ask(plan)

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
