"""The JSON that GitHub gives for each thing; members of no meaning here come from its description."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

from tests.support.github.store import Signature
from tests.support.github.things import Comment, Event, Label, Pull, Repo, Review, Status, Team, User
from tests.support.github.world import World


class Payloads:
    """Payloads of one world, with URLs below the server's."""

    def __init__(self, world: World, root: str) -> None:
        self.world = world
        self.root = root

    def repo_url(self, repo: Repo) -> str:
        return f"{self.root}/repos/{repo.full_name}"

    def html(self, repo: Repo) -> str:
        return f"https://github.com/{repo.full_name}"

    def user(self, user_id: int | None) -> dict[str, Any] | None:
        """Return a simple-user, or None for an account that is gone."""
        user = self.world.users.get(user_id or 0)
        return None if user is None else self._simple(user)

    def _simple(self, user: User) -> dict[str, Any]:
        return {
            "login": user.login,
            "id": user.id,
            "url": f"{self.root}/users/{user.login}",
            "html_url": f"https://github.com/{user.login}",
            "type": user.type,
        }

    def profile(self, user: User) -> dict[str, Any]:
        return {
            **self._simple(user),
            "user_view_type": "public",
            "name": user.name or None,
            "email": user.email,
        }

    def team(self, team: Team) -> dict[str, Any]:
        return {"id": team.id, "name": team.slug, "slug": team.slug}

    def repo(self, repo: Repo) -> dict[str, Any]:
        return {
            "id": repo.id,
            "name": repo.name,
            "full_name": repo.full_name,
            "owner": self._simple(self.world.user(repo.owner)),
            "html_url": self.html(repo),
            "url": self.repo_url(repo),
            "default_branch": repo.default_branch,
        }

    def label(self, repo: Repo, label: Label) -> dict[str, Any]:
        return {"id": label.id, "name": label.name, "description": label.description, "color": label.color}

    def pull_simple(self, repo: Repo, pull: Pull) -> dict[str, Any]:
        """Return a pull request as lists show it."""
        closed = self.moment(pull.merged_at or pull.at) if pull.state == "closed" else None
        shown = self.repo(repo)
        return {
            "url": f"{self.repo_url(repo)}/pulls/{pull.number}",
            "id": pull.number * 7919,
            "html_url": f"{self.html(repo)}/pull/{pull.number}",
            "number": pull.number,
            "state": pull.state,
            "locked": pull.locked,
            "title": pull.title,
            "user": self.user(pull.author),
            "body": pull.body,
            "labels": [self.label(repo, repo.labels[name.casefold()]) for name in pull.labels],
            "created_at": self.moment(pull.at),
            "updated_at": self.moment(pull.merged_at or pull.at),
            "closed_at": closed,
            "merged_at": self.moment(pull.merged_at) if pull.merged_at else None,
            "merge_commit_sha": pull.merge_sha or (repo.test_merge(pull) if pull.state == "open" else None),
            "requested_reviewers": [self.user(user) for user in pull.asked_people],
            "requested_teams": [
                self.team(self.world.teams[f"{repo.owner}/{slug}"]) for slug in pull.asked_teams
            ],
            "head": {
                "label": f"{repo.owner}:{pull.branch}",
                "ref": pull.branch,
                "sha": repo.head(pull),
                "repo": self._head_repo(pull, shown),
            },
            "base": {
                "label": f"{repo.owner}:{pull.base}",
                "ref": pull.base,
                "sha": repo.tip(pull.base),
                "repo": shown,
            },
            "author_association": "CONTRIBUTOR",
            "draft": pull.draft,
        }

    def pull(self, repo: Repo, pull: Pull) -> dict[str, Any]:
        """Return a pull request as its own page shows it."""
        mergeable = self._mergeable(repo, pull)
        return {
            **self.pull_simple(repo, pull),
            "merged": pull.merged_at is not None,
            "mergeable": mergeable,
            "mergeable_state": {True: "clean", False: "dirty", None: "unknown"}[mergeable],
            "comments": sum(1 for item in repo.comments if item.issue == pull.number),
            "commits": len(repo.store.between(repo.tip(pull.base), repo.head(pull))),
        }

    def _head_repo(self, pull: Pull, shown: dict[str, Any]) -> dict[str, Any] | None:
        if pull.fork is None:
            return None
        if not pull.fork:
            return shown
        return {**shown, "id": shown["id"] + 1, "full_name": pull.fork, "fork": True}

    def _mergeable(self, repo: Repo, pull: Pull) -> bool | None:
        """Say whether a pull request can be merged; GitHub finds that out only once somebody asks."""
        if pull.state != "open":
            return None
        if pull.undecided:
            pull.undecided -= 1
            return None
        return repo.renew_test_merge(pull)

    def review(self, repo: Repo, pull: Pull, review: Review) -> dict[str, Any]:
        return {
            "id": review.id,
            "user": self.user(review.user),
            "body": review.body,
            "state": review.state,
            "html_url": f"{self.html(repo)}/pull/{pull.number}#pullrequestreview-{review.id}",
            "submitted_at": self.moment(review.at),
            "commit_id": review.commit,
            "author_association": "MEMBER",
        }

    def event(self, repo: Repo, pull: Pull, event: Event) -> dict[str, Any]:
        """Return a timeline event."""
        payload: dict[str, Any] = {
            "id": event.id,
            "actor": self.user(event.actor),
            "event": event.kind,
            "created_at": self.moment(event.at),
        }
        if "label" in event.data:
            label = repo.labels[event.data["label"].casefold()]
            payload["label"] = {"name": label.name, "color": label.color}
        if event.kind.startswith("review_request"):
            payload["review_requester"] = self.user(event.actor)
            if "team" in event.data:
                payload["requested_team"] = self.team(self.world.teams[f"{repo.owner}/{event.data['team']}"])
            else:
                payload["requested_reviewer"] = self.user(event.data["user"])
        return payload

    def comment(self, repo: Repo, comment: Comment) -> dict[str, Any]:
        author = self.world.users.get(comment.user or 0)
        return {
            "id": comment.id,
            "url": f"{self.repo_url(repo)}/issues/comments/{comment.id}",
            "html_url": f"{self.html(repo)}/pull/{comment.issue}#issuecomment-{comment.id}",
            "body": comment.body,
            "user": self.user(comment.user),
            "created_at": self.moment(comment.at),
            "updated_at": self.moment(comment.edited),
            "author_association": "MEMBER" if author is not None and author.login in repo.members else "NONE",
        }

    def status(self, repo: Repo, status: Status) -> dict[str, Any]:
        return {
            "id": status.id,
            "state": status.state,
            "description": status.description,
            "target_url": status.target_url,
            "context": status.context,
            "created_at": self.moment(status.at),
            "updated_at": self.moment(status.at),
            "creator": self.user(status.creator),
        }

    def commit(self, repo: Repo, sha: str) -> dict[str, Any]:
        info = repo.store.info(sha)
        author = self.world.user_of_email(info.author.email)
        committer = self.world.user_of_email(info.committer.email)
        return {
            "url": f"{self.repo_url(repo)}/commits/{sha}",
            "sha": sha,
            "html_url": f"{self.html(repo)}/commit/{sha}",
            "commit": {
                "author": self.signature(info.author),
                "committer": self.signature(info.committer),
                "message": info.message,
                "tree": {"sha": info.tree},
            },
            "author": self._simple(author) if author else None,
            "committer": self._simple(committer) if committer else None,
            "parents": [{"sha": parent} for parent in info.parents],
        }

    def signature(self, signature: Signature) -> dict[str, Any]:
        assert signature.date is not None
        return {"name": signature.name, "email": signature.email, "date": self.moment(signature.date)}

    def content(self, data: bytes) -> str:
        """Return base64 with line breaks, as GitHub writes it."""
        return base64.encodebytes(data).decode()

    def moment(self, at: datetime) -> str:
        return at.strftime("%Y-%m-%dT%H:%M:%SZ")
