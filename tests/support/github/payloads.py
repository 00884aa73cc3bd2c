"""The JSON that GitHub gives for each thing, with every member that its description requires."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

from tests.support.github.addresses import REPO_TEMPLATES, USER_TEMPLATES
from tests.support.github.store import Signature
from tests.support.github.things import Comment, Event, Label, Pull, Repo, Review, Status, Team, User
from tests.support.github.world import World

__all__ = ["Payloads"]


class Payloads:
    """Payloads of one world, with addresses below one root.

    Parameters
    ----------
    world
        The world.
    root
        Address of the server, without a slash at its end.
    """

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
        url = f"{self.root}/users/{user.login}"
        return {
            "login": user.login,
            "id": user.id,
            "node_id": f"U_{user.id}",
            "avatar_url": f"https://avatars.githubusercontent.com/u/{user.id}",
            "gravatar_id": "",
            "url": url,
            "html_url": f"https://github.com/{user.login}",
            "type": user.type,
            "site_admin": False,
            **{key: f"{url}/{tail}" for key, tail in USER_TEMPLATES.items()},
        }

    def profile(self, user: User) -> dict[str, Any]:
        return {
            **self._simple(user),
            "user_view_type": "public",
            "name": user.name or None,
            "company": None,
            "blog": None,
            "location": None,
            "email": user.email,
            "hireable": None,
            "bio": None,
            "public_repos": 0,
            "public_gists": 0,
            "followers": 0,
            "following": 0,
            "created_at": "2015-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
        }

    def team(self, team: Team) -> dict[str, Any]:
        url = f"{self.root}/organizations/1/team/{team.id}"
        return {
            "id": team.id,
            "node_id": f"T_{team.id}",
            "url": url,
            "members_url": f"{url}/members{{/member}}",
            "name": team.slug,
            "slug": team.slug,
            "description": None,
            "permission": "pull",
            "html_url": f"https://github.com/orgs/{team.org}/teams/{team.slug}",
            "repositories_url": f"{url}/repos",
            "parent": None,
            "type": "organization",
        }

    def repo(self, repo: Repo) -> dict[str, Any]:
        url = self.repo_url(repo)
        web = self.html(repo)
        owner = self._simple(self.world.user(repo.owner))
        return {
            "id": repo.id,
            "node_id": f"R_{repo.id}",
            "name": repo.name,
            "full_name": repo.full_name,
            "owner": owner,
            "private": False,
            "html_url": web,
            "description": None,
            "fork": False,
            "url": url,
            **{key: f"{url}/{tail}" for key, tail in REPO_TEMPLATES.items()},
            "git_url": f"git://github.com/{repo.full_name}.git",
            "ssh_url": f"git@github.com:{repo.full_name}.git",
            "clone_url": f"{web}.git",
            "svn_url": web,
            "mirror_url": None,
            "homepage": None,
            "language": None,
            "license": None,
            "default_branch": repo.default_branch,
            **dict.fromkeys(("archived", "disabled", "has_wiki", "has_pages", "has_downloads"), False),
            **dict.fromkeys(("has_issues", "has_projects", "has_discussions"), True),
            **dict.fromkeys(("pushed_at", "created_at", "updated_at"), "2026-01-01T00:00:00Z"),
            **dict.fromkeys(
                (
                    "forks",
                    "forks_count",
                    "stargazers_count",
                    "watchers",
                    "watchers_count",
                    "size",
                    "open_issues",
                    "open_issues_count",
                    "subscribers_count",
                    "network_count",
                ),
                0,
            ),
        }

    def label(self, repo: Repo, label: Label) -> dict[str, Any]:
        return {
            "id": label.id,
            "node_id": f"LA_{label.id}",
            "url": f"{self.repo_url(repo)}/labels/{label.id}",
            "name": label.name,
            "description": label.description,
            "color": label.color,
            "default": False,
        }

    def pull_simple(self, repo: Repo, pull: Pull) -> dict[str, Any]:
        """Return a pull request as lists show it."""
        api, web = f"{self.repo_url(repo)}/pulls/{pull.number}", f"{self.html(repo)}/pull/{pull.number}"
        issue = f"{self.repo_url(repo)}/issues/{pull.number}"
        head, base = repo.head(pull), repo.tip(pull.base)
        owner, shown = self._simple(self.world.user(repo.owner)), self.repo(repo)
        links = {
            "self": api,
            "html": web,
            "issue": issue,
            "comments": f"{issue}/comments",
            "review_comments": f"{api}/comments",
            "review_comment": f"{self.repo_url(repo)}/pulls/comments{{/number}}",
            "commits": f"{api}/commits",
            "statuses": f"{self.repo_url(repo)}/statuses/{head}",
        }
        closed = self.moment(pull.merged_at or pull.at) if pull.state == "closed" else None
        return {
            "url": api,
            "id": pull.number * 7919,
            "node_id": f"PR_{pull.number}",
            "html_url": web,
            "diff_url": f"{web}.diff",
            "patch_url": f"{web}.patch",
            "issue_url": issue,
            "commits_url": links["commits"],
            "review_comments_url": links["review_comments"],
            "review_comment_url": links["review_comment"],
            "comments_url": links["comments"],
            "statuses_url": links["statuses"],
            "number": pull.number,
            "state": pull.state,
            "locked": pull.locked,
            "title": pull.title,
            "user": self.user(pull.author),
            "body": pull.body,
            "labels": [self.label(repo, repo.labels[name.casefold()]) for name in pull.labels],
            "milestone": None,
            "created_at": self.moment(pull.at),
            "updated_at": self.moment(pull.merged_at or pull.at),
            "closed_at": closed,
            "merged_at": self.moment(pull.merged_at) if pull.merged_at else None,
            "merge_commit_sha": pull.merge_sha or (repo.test_merge(pull) if pull.state == "open" else None),
            "assignee": None,
            "assignees": [],
            "requested_reviewers": [self.user(user) for user in pull.asked_people],
            "requested_teams": [
                self.team(self.world.teams[f"{repo.owner}/{slug}"]) for slug in pull.asked_teams
            ],
            "head": {
                "label": f"{repo.owner}:{pull.branch}",
                "ref": pull.branch,
                "sha": head,
                "repo": self._head_repo(pull, shown),
                "user": owner,
            },
            "base": {
                "label": f"{repo.owner}:{pull.base}",
                "ref": pull.base,
                "sha": base,
                "repo": shown,
                "user": owner,
            },
            "_links": {key: {"href": url} for key, url in links.items()},
            "author_association": "CONTRIBUTOR",
            "auto_merge": None,
            "draft": pull.draft,
        }

    def pull(self, repo: Repo, pull: Pull) -> dict[str, Any]:
        """Return a pull request as its own page shows it."""
        base, head = repo.tip(pull.base), repo.head(pull)
        mergeable = self._mergeable(repo, pull)
        return {
            **self.pull_simple(repo, pull),
            "merged": pull.merged_at is not None,
            "mergeable": mergeable,
            "mergeable_state": {True: "clean", False: "dirty", None: "unknown"}[mergeable],
            "merged_by": None,
            "comments": sum(1 for item in repo.comments if item.issue == pull.number),
            "review_comments": 0,
            "maintainer_can_modify": False,
            "commits": len(repo.store.between(base, head)),
            "additions": 1,
            "deletions": 0,
            "changed_files": 1,
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
        web = f"{self.html(repo)}/pull/{pull.number}#pullrequestreview-{review.id}"
        api = f"{self.repo_url(repo)}/pulls/{pull.number}"
        return {
            "id": review.id,
            "node_id": f"PRR_{review.id}",
            "user": self.user(review.user),
            "body": review.body,
            "state": review.state,
            "html_url": web,
            "pull_request_url": api,
            "_links": {"html": {"href": web}, "pull_request": {"href": api}},
            "submitted_at": self.moment(review.at),
            "commit_id": review.commit,
            "author_association": "MEMBER",
        }

    def event(self, repo: Repo, pull: Pull, event: Event) -> dict[str, Any]:
        """Return a timeline event."""
        payload: dict[str, Any] = {
            "id": event.id,
            "node_id": f"E_{event.id}",
            "url": f"{self.repo_url(repo)}/issues/events/{event.id}",
            "actor": self.user(event.actor),
            "event": event.kind,
            "commit_id": None,
            "commit_url": None,
            "created_at": self.moment(event.at),
            "performed_via_github_app": None,
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
        issue = f"{self.repo_url(repo)}/issues/{comment.issue}"
        return {
            "id": comment.id,
            "node_id": f"IC_{comment.id}",
            "url": f"{self.repo_url(repo)}/issues/comments/{comment.id}",
            "html_url": f"{self.html(repo)}/pull/{comment.issue}#issuecomment-{comment.id}",
            "body": comment.body,
            "user": self.user(comment.user),
            "created_at": self.moment(comment.at),
            "updated_at": self.moment(comment.edited),
            "issue_url": issue,
            "author_association": "MEMBER" if author is not None and author.login in repo.members else "NONE",
            "performed_via_github_app": None,
        }

    def status(self, repo: Repo, status: Status) -> dict[str, Any]:
        return {
            "url": f"{self.repo_url(repo)}/statuses/{status.sha}",
            "avatar_url": None,
            "id": status.id,
            "node_id": f"SC_{status.id}",
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
        api, web = f"{self.repo_url(repo)}/commits/{sha}", f"{self.html(repo)}/commit/{sha}"
        author, committer = (
            self.world.user_of_email(info.author.email),
            self.world.user_of_email(info.committer.email),
        )
        return {
            "url": api,
            "sha": sha,
            "node_id": f"C_{sha[:12]}",
            "html_url": web,
            "comments_url": f"{api}/comments",
            "commit": {
                "url": f"{self.repo_url(repo)}/git/commits/{sha}",
                "author": self.signature(info.author),
                "committer": self.signature(info.committer),
                "message": info.message,
                "comment_count": 0,
                "tree": {"sha": info.tree, "url": f"{self.repo_url(repo)}/git/trees/{info.tree}"},
            },
            "author": self._simple(author) if author else None,
            "committer": self._simple(committer) if committer else None,
            "parents": [
                {
                    "sha": parent,
                    "url": f"{self.repo_url(repo)}/commits/{parent}",
                    "html_url": f"{self.html(repo)}/commit/{parent}",
                }
                for parent in info.parents
            ],
        }

    def signature(self, signature: Signature) -> dict[str, Any]:
        assert signature.date is not None
        return {"name": signature.name, "email": signature.email, "date": self.moment(signature.date)}

    def content(self, data: bytes) -> str:
        """Return base64 with line breaks, as GitHub writes it."""
        return base64.encodebytes(data).decode()

    def moment(self, at: datetime) -> str:
        return at.strftime("%Y-%m-%dT%H:%M:%SZ")
