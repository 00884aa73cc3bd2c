"""What the double knows: accounts, teams, repositories, pull requests; and what people do to them.

Methods here are what people do in a test. Calls over HTTP change the same state through the routes.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from tests.support.github.permissions import App, Grant
from tests.support.github.store import GitStore, Signature
from tests.support.github.things import BOT, Comment, Event, Label, Pull, Repo, Review, Status, Team, User

T = TypeVar("T")


class World:
    """The state of the double: bare repositories below `root`, and a clock of a minute for every action."""

    def __init__(self, root: Path, start: datetime = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)) -> None:
        self.root = root
        self.users: dict[int, User] = {}
        self.teams: dict[str, Team] = {}
        self.repos: dict[str, Repo] = {}
        self.tokens: dict[str, int] = {}
        self.grants: dict[str, Grant] = {}
        self.apps: dict[str, App] = {}
        self.moved: dict[str, str] = {}
        self._now = start
        self._next = 1000
        self.tokens["token-of-actions"] = self.user(BOT, kind="Bot").id

    def copy(self, root: Path | None = None) -> World:
        """Return an independent world; bare repositories are shared unless a folder for copies is given."""
        return copied(self, self, root)

    def tick(self) -> datetime:
        self._now += timedelta(minutes=1)
        return self._now

    @property
    def now(self) -> datetime:
        return self._now

    def new_id(self) -> int:
        self._next += 1
        return self._next

    # Accounts

    def user(self, login: str, *, kind: str = "User", name: str = "", emails: Sequence[str] = ()) -> User:
        """Return the account of this login, made when there is none."""
        known = self.find_user(login)
        if known is None:
            known = User(self.new_id(), login, kind, name, emails=list(emails))
            self.users[known.id] = known
        return known

    def find_user(self, login: str) -> User | None:
        return next((u for u in self.users.values() if u.login.casefold() == login.casefold()), None)

    def rename_user(self, old: str, new: str) -> None:
        """Give an account another login; its id stays, and its old login is nobody's."""
        self.user(old).login = new

    def delete_user(self, login: str) -> None:
        """Remove an account: whatever it did is shown with `user: null`."""
        del self.users[self.user(login).id]

    def user_of_email(self, email: str) -> User | None:
        """Return the account that GitHub would show for the address of a commit."""
        for user in self.users.values():
            if email in user.emails or email.casefold() == user.noreply.casefold():
                return user
            if email.startswith(f"{user.id}+") and email.endswith("@users.noreply.github.com"):
                return user
        return None

    def restrict(self, token: str, repositories: Sequence[str], permissions: Mapping[str, str]) -> None:
        """Let a token do no more than that; one of which nothing is said may do everything."""
        self.grants[token] = Grant(frozenset(repositories), dict(permissions))

    def app(self, slug: str, key: str, permissions: Mapping[str, str], repositories: Sequence[str]) -> App:
        """Register an app with a key, and install it in repositories."""
        app = App(slug, dict(permissions), set(repositories), id=self.new_id())
        self.apps[key] = app
        self.tokens[key] = self.user(f"{slug}[bot]", kind="Bot").id
        self.restrict(key, (), {})
        return app

    def team(self, name: str, members: Sequence[str] = ()) -> Team:
        org, _, slug = name.partition("/")
        self.teams[name] = Team(org, slug, [self.user(login).id for login in members], self.new_id())
        return self.teams[name]

    def tag(
        self,
        repo: Repo,
        name: str,
        commit: str = "",
        *,
        annotated: bool = True,
        who: str = "carl",
        at: datetime | None = None,
    ) -> None:
        """Tag a commit, by default the newest of main, as a person does with git."""
        sha = commit or repo.tip("main")
        if annotated:
            signature = Signature(who, f"{who}@example.org", at)
            sha = repo.store.tag(name, sha, "commit", f"Tag {name}", signature.line(self._now))
        repo.store.set_ref(f"refs/tags/{name}", sha)

    # Repositories and commits

    def repo(self, full_name: str) -> Repo:
        """Return the repository of this name, made with an empty first commit when there is none."""
        if full_name not in self.repos:
            owner, _, name = full_name.partition("/")
            self.user(owner, kind="Organization")
            store = GitStore.create(self.root / f"{owner}+{name}.git")
            self.repos[full_name] = Repo(self.new_id(), owner, name, store)
        return self.repos[full_name]

    def rename_repo(self, repo: Repo, name: str) -> None:
        """Give a repository another name; calls with the old one are redirected, as GitHub does."""
        old = repo.full_name
        repo.name = name
        self.repos[repo.full_name] = self.repos.pop(old)
        self.moved[old] = repo.full_name

    def commit(
        self,
        repo: Repo,
        branch: str,
        files: Mapping[str, str | bytes | None],
        *,
        message: str = "Change",
        author: str = "author",
        committer: str | None = None,
        onto: str | None = None,
        merge: Sequence[str] = (),
    ) -> str:
        """Put a commit on a branch; with `onto` the branch is rewritten to start there (a force-push)."""
        tip = repo.store.ref(f"refs/heads/{branch}")
        first = onto or (tip[1] if tip else None)
        who = self.user(author).signature()
        sha = repo.store.commit(
            files,
            parents=[*([first] if first else []), *merge],
            message=message,
            author=who,
            committer=self.user(committer).signature() if committer else who,
            at=self.tick(),
        )
        repo.store.set_ref(f"refs/heads/{branch}", sha)
        for pull in repo.pulls.values():
            if pull.branch == branch and pull.state == "open":
                repo.store.set_ref(f"refs/pull/{pull.number}/head", sha)
        return sha

    # Pull requests

    def open_pull(
        self,
        repo: Repo,
        branch: str,
        *,
        base: str = "main",
        author: str = "author",
        title: str = "Add columns",
        draft: bool = False,
    ) -> Pull:
        number = max(repo.pulls, default=0) + 1
        pull = Pull(number, title, None, self.user(author).id, base, branch, self.tick(), draft)
        repo.pulls[number] = pull
        repo.store.set_ref(f"refs/pull/{number}/head", repo.tip(branch))
        return pull

    def review(
        self,
        repo: Repo,
        pull: Pull,
        who: str,
        state: str = "APPROVED",
        *,
        body: str = "",
        commit: str | None = None,
    ) -> Review:
        """Submit a review for the newest commit, or for another one."""
        user = self.user(who)
        review = Review(self.new_id(), user.id, state, commit or repo.head(pull), body, self.tick())
        pull.reviews.append(review)
        if user.id in pull.asked_people:
            pull.asked_people.remove(user.id)
        return review

    def merge(self, repo: Repo, pull: Pull, *, who: str = "maintainer") -> str:
        """Merge a pull request with a merge commit."""
        head = repo.head(pull)
        tip = repo.tip(pull.base)
        rows = repo.store.changed(repo.store.merge_base(tip, head) or head, head)
        files = {path: None if letter == "D" else repo.store.blob(sha) for letter, path, sha in rows}
        message = f"Merge pull request #{pull.number} from {pull.branch}"
        sha = self.commit(repo, pull.base, files, message=message, author=who, merge=[head])
        pull.state, pull.merged_at, pull.merge_sha = "closed", self.now, sha
        return sha

    def event(self, pull: Pull, kind: str, actor: int | None, **data: Any) -> Event:
        event = Event(self.new_id(), kind, actor, self.tick(), data)
        pull.timeline.append(event)
        return event

    def ensure_label(self, repo: Repo, name: str, color: str = "ededed") -> Label:
        return repo.labels.setdefault(name.casefold(), Label(self.new_id(), name, color))

    def add_label(self, repo: Repo, pull: Pull, name: str, actor: int | str) -> None:
        """Set a label; setting one that is there already leaves no trace, as on GitHub."""
        label = self.ensure_label(repo, name)
        if label.name not in pull.labels:
            pull.labels.append(label.name)
            self.event(pull, "labeled", self._id(actor), label=label.name)

    def remove_label(self, repo: Repo, pull: Pull, name: str, actor: int | str) -> None:
        label = self.ensure_label(repo, name)
        pull.labels.remove(label.name)
        self.event(pull, "unlabeled", self._id(actor), label=label.name)

    def comment(self, repo: Repo, issue: int, who: int | str, body: str) -> Comment:
        at = self.tick()
        comment = Comment(self.new_id(), issue, self._id(who), body, at, at)
        repo.comments.append(comment)
        return comment

    def status(
        self,
        repo: Repo,
        sha: str,
        context: str,
        state: str,
        *,
        who: int | str = BOT,
        description: str | None = None,
        target_url: str | None = None,
    ) -> Status:
        status = Status(
            self.new_id(), sha, context, state, description, target_url, self._id(who), self.tick()
        )
        repo.statuses.append(status)
        return status

    def check(
        self,
        repo: Repo,
        sha: str,
        name: str,
        conclusion: str | None,
        *,
        status: str = "completed",
        run: int = 1,
        app: str = "github-actions",
    ) -> dict[str, Any]:
        """Add a check run to a commit, and return it."""
        number, at = self.new_id(), "2026-06-20T10:00:00Z"
        row = {
            "id": number,
            "name": name,
            "head_sha": sha,
            "details_url": f"https://github.com/{repo.full_name}/actions/runs/{run}/job/{number}",
            "status": status,
            "conclusion": conclusion,
            "started_at": at,
            "completed_at": at if conclusion is not None else None,
            "check_suite": {"id": run},
            "app": {"id": 15368, "slug": app},
        }
        repo.rows.setdefault("check runs", []).append(row)
        return row

    def _id(self, who: int | str) -> int:
        return who if isinstance(who, int) else self.user(who).id

    # What a person sees

    def shown(self, repo: Repo, pull: Pull) -> dict[str, Any]:
        """Return what a person sees of a pull request, without ids and times: for comparing two runs."""
        latest: dict[tuple[str, str], tuple[str, str | None]] = {}
        for status in repo.statuses:
            latest[status.sha, status.context] = (status.state, status.description)
        logins = {user.id: user.login for user in self.users.values()}
        return {
            "labels": sorted(pull.labels),
            "repository labels": sorted((item.name, item.color) for item in repo.labels.values()),
            "comments": [
                (logins.get(item.user or 0), item.body) for item in repo.comments if item.issue == pull.number
            ],
            "statuses": latest,
            "asked": sorted(logins[user] for user in pull.asked_people) + sorted(pull.asked_teams),
        }


def copied(scene: T, world: World, root: Path | None = None, *shared: object) -> T:
    """Copy a scene and its world; bare repositories are shared unless a folder for copies is given."""
    kept = [*(repo.store for repo in world.repos.values()), *shared]
    twin, made = copy.deepcopy((scene, world), {id(item): item for item in kept})
    for repo in made.repos.values() if root is not None else ():
        assert root is not None
        made.root = root
        repo.store = repo.store.copy(root / repo.store.path.name)
    return twin
