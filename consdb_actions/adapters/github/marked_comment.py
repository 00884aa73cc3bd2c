"""One comment of ours on a pull request, known by a marker in its first line."""

from __future__ import annotations

from typing import Any

from consdb_actions.adapters.github.client import GitHub
from consdb_actions.adapters.github.problems import GitHubError

__all__ = ["MarkedComment"]


class MarkedComment:
    """The comment with one marker on one pull request.

    The oldest comment with the marker by our own account is ours; later ones go, since two runs at once may
    each have written one. Comments by others with the same marker are left alone and count for nothing.

    Parameters
    ----------
    github
        The connection.
    repository, number
        The pull request.
    marker
        The first line of the comment.
    """

    def __init__(self, github: GitHub, repository: str, number: int, marker: str) -> None:
        self._github = github
        self._root = f"/repos/{repository}"
        self._issue = f"{self._root}/issues/{number}"
        self._marker = marker

    def write(self, body: str, *, only_update: bool = False) -> str:
        """Make the comment say something.

        Parameters
        ----------
        body
            The text, without the marker.
        only_update
            Whether nothing is written where there is no comment yet.

        Returns
        -------
        str
            ``written``, ``updated``, ``unchanged``, or ``nothing`` where there is none and none was wanted.

        Raises
        ------
        GitHubError
            GitHub refused, or could not be reached within the bounds. Running again goes on from there.
        """
        text = f"{self._marker}\n{body}"
        ours = self._ours()
        for extra in ours[1:]:
            self._unless_gone("DELETE", f"{self._root}/issues/comments/{extra['id']}")
        if ours:
            if ours[0]["body"] == text:
                return "unchanged"
            self._unless_gone("PATCH", f"{self._root}/issues/comments/{ours[0]['id']}", {"body": text})
            return "updated"
        if only_update:
            return "nothing"

        def landed() -> Any:
            return next(iter(self._ours()), None)

        self._github.write("POST", f"{self._issue}/comments", {"body": text}, landed=landed)
        return "written"

    def _ours(self) -> list[Any]:
        """List our comments, oldest first."""
        viewer = self._github.viewer().casefold()
        found = [
            item
            for item in self._github.items(f"{self._issue}/comments")
            if (item.get("user") or {}).get("login", "").casefold() == viewer
            and (item.get("body") or "").startswith(self._marker)
        ]
        return sorted(found, key=lambda item: (item["created_at"], item["id"]))

    def _unless_gone(self, verb: str, path: str, body: dict[str, str] | None = None) -> None:
        try:
            self._github.write(verb, path, body)
        except GitHubError as error:
            if error.status != 404:
                raise
