"""Tags and GitHub releases, made so that each call can be repeated (rules R2 and F1)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from consdb_actions.adapters.github.client import GitHub, quoted
from consdb_actions.adapters.github.problems import GitHubError
from consdb_actions.errors import ExternalError

__all__ = ["Releaser", "TagTakenError"]


class TagTakenError(ExternalError):
    """A tag of this name appeared since the tags were read."""


class Releaser:
    """Makes tags and releases in one repository; never moves or removes one.

    Parameters
    ----------
    github
        The connection.
    repository
        ``owner/name``.
    """

    def __init__(self, github: GitHub, repository: str) -> None:
        self._github = github
        self._root = f"/repos/{repository}"
        self._tagger: dict[str, str] | None = None

    def identity(self) -> str:
        """Return the login of the token's account.

        Raises
        ------
        GitHubError
            GitHub refused, or could not be reached within the bounds.
        """
        return self._whose()["login"]

    def tag(self, name: str, commit: str, message: str, now: datetime) -> None:
        """Make an annotated tag: the object first, which nobody sees, then the ref.

        The object depends on nothing but what is given here and the token's account, so that doing it again
        gives the same one.

        Parameters
        ----------
        name
            The tag.
        commit
            The commit.
        message
            Its message.
        now
            Its date.

        Raises
        ------
        TagTakenError
            There is a tag of this name by now, and it is not this one.
        GitHubError
            GitHub refused, or could not be reached within the bounds.
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
        """Make the GitHub release of a tag, unless there is one.

        Returns
        -------
        tuple
            The address of its page, and whether it was made now.

        Raises
        ------
        GitHubError
            GitHub refused, or could not be reached within the bounds.
        """
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
        data = self._unless_missing(f"{self._root}/releases/tags/{quoted(tag)}")
        return None if data is None else str(data["html_url"])

    def _ref(self, name: str) -> Any:
        return self._unless_missing(f"{self._root}/git/ref/tags/{quoted(name)}")

    def _unless_missing(self, path: str) -> Any:
        """Read something; None when there is none."""
        try:
            return self._github.get(path)
        except GitHubError as error:
            if error.status == 404:
                return None
            raise

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
