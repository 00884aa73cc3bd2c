"""A plan of the process, carried out. Each step can be repeated without harm (rule F1)."""

from __future__ import annotations

from typing import Any

from consdb_actions.adapters.github.client import GitHub
from consdb_actions.adapters.github.problems import GitHubError
from consdb_actions.adapters.github.showing import Shower
from consdb_actions.approval.facts import Account
from consdb_actions.process.memory import MARKER
from consdb_actions.process.plan import Plan, ReactionPlan

__all__ = ["ProcessPublisher"]


class ProcessPublisher(Shower):
    """Writes to the pull requests of one repository.

    Parameters
    ----------
    github
        The connection.
    repository
        ``owner/name``.
    """

    def __init__(self, github: GitHub, repository: str) -> None:
        super().__init__(github, repository, MARKER)

    def publish(self, plan: Plan, identity: Account) -> None:
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
        self.unless_locked(plan.number, lambda: self._answer(plan))

    def _answer(self, plan: Plan) -> None:
        for reaction in plan.reactions:
            self._react(reaction)
        self.write_comments(plan.number, plan.comment, plan.comments_delete)

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
