"""One comment of ours on a pull request, known by a marker in its first line."""

from __future__ import annotations

from typing import Any

from consdb_actions.adapters.github.client import GitHub, GitHubError

__all__ = ["MarkedCommentWriter"]


class MarkedCommentWriter:
    """The comment with one marker on one pull request.

    The oldest comment with the marker by our own account is ours; later ones go, since two runs at once may
    each have written one, and so do those by another bot, which is this program with another token. Comments
    by people with the same marker are left alone. Neither counts for anything.

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
        ours, others = self._found()
        for extra in (*ours[1:], *(others if ours else ())):
            self._unless_gone("DELETE", f"{self._root}/issues/comments/{extra['id']}")
        if ours:
            if ours[0]["body"] == text:
                return "unchanged"
            self._unless_gone("PATCH", f"{self._root}/issues/comments/{ours[0]['id']}", {"body": text})
            return "updated"
        if only_update:
            return "nothing"

        def landed() -> Any:
            return next(iter(self._found()[0]), None)

        self._github.write("POST", f"{self._issue}/comments", {"body": text}, landed=landed)
        for extra in others:
            self._unless_gone("DELETE", f"{self._root}/issues/comments/{extra['id']}")
        return "written"

    def _found(self) -> tuple[list[Any], list[Any]]:
        """List the comments with the marker, oldest first: our own, and those of other bots."""
        viewer = self._github.viewer().casefold()
        found = [
            item
            for item in self._github.items(f"{self._issue}/comments")
            if (item.get("body") or "").startswith(self._marker)
        ]
        found.sort(key=lambda item: (item["created_at"], item["id"]))
        ours = [item for item in found if (item.get("user") or {}).get("login", "").casefold() == viewer]
        bots = [item for item in found if (item.get("user") or {}).get("type") == "Bot" and item not in ours]
        return ours, bots

    def _unless_gone(self, verb: str, path: str, body: dict[str, str] | None = None) -> None:
        try:
            self._github.write(verb, path, body)
        except GitHubError as error:
            if error.status != 404:
                raise
