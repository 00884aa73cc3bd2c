"""Read a pull request, carry out the plans for it, and write its one comment (rule P2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from consdb_actions.adapters.github import graphql
from consdb_actions.adapters.github.client import GitHub, GitHubError, quoted
from consdb_actions.adapters.github.contents import ApiContents, changes_at, read_config
from consdb_actions.approval.facts import (
    NOREPLY,
    Account,
    ApprovalFacts,
    Commit,
    CommitChange,
    Contributor,
    MarkedComment,
    PublishedStatus,
    ReviewState,
    Role,
    Team,
    roles_of,
)
from consdb_actions.approval.plan import (
    CONTEXT,
    MARKER,
    CommentPlan,
    Part,
    PullPlan,
    ReactionPlan,
    StatusPlan,
    own_comments,
    own_sections,
    plan_comment,
    recall,
)
from consdb_actions.config import CONFIG_PATH, Config
from consdb_actions.errors import InputError

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


_IN_MESSAGE = re.compile(r"(?:^Merge pull request |\()#([1-9][0-9]{0,8})\b")


class PullReader:
    """Reads pull requests of one repository.

    A given `config`, with its source, replaces that of the base branch. `identity` is our own account; the
    publisher learns more of it than its login.
    """

    def __init__(self, github: GitHub, repository: str, config: tuple[Config, str] | None = None) -> None:
        self._github = github
        self._repository = repository
        self._root = f"/repos/{repository}"
        self._contents = ApiContents(github, repository)
        self._config = config
        self._accounts: dict[str, Account | None] = {}
        self.identity: Account | None = None

    def approvals(self, number: int, now: datetime, *, base: str = "") -> ApprovalFacts:
        """Read what the approvals of one pull request rest on.

        `base` is the commit that it is compared with: the tip of its base branch by default, which for a
        merged one holds the change already. A team that cannot be read is a fact, not an error (rule A6).
        """
        if self.identity is None:
            self.identity = Account(self._github.viewer())
        data = self._pull(number)
        base = base or self._github.tip(self._repository, data["base"]["ref"])
        pull = graphql.pull_request(data, base)
        config, source = self._config_at(pull.base_branch, base)
        facts = ApprovalFacts(
            repository=self._repository,
            html_url=data["base"]["repo"]["html_url"],
            now=now,
            identity=self.identity,
            pull=pull,
            policy=config.approvals,
            policy_source=source,
            reviews=graphql.reviews(self._github.items(f"{self._root}/pulls/{number}/reviews")),
            timeline=graphql.timeline(self._github.items(f"{self._root}/issues/{number}/timeline")),
            marked=read_comments(self._github, self._repository, self._comments(number)),
            status=self._status(pull.head, CONTEXT),
        )
        head = changes_at(self._contents, base, pull.head, config.approvals.schemas)
        if not head.problem and not head.changes:
            return replace(facts, changes=(head,))
        facts = self._with_people(facts)
        return self._with_commits(replace(facts, changes=(*self._reviewed(facts), head)))

    def _pull(self, number: int) -> Any:
        """Read a pull request that somebody named; a number that is not there is a mistake of theirs."""
        try:
            return self._github.get(f"{self._root}/pulls/{number}")
        except GitHubError as error:  # which a run over all pull requests reports instead
            if error.status != 404:
                raise
            raise InputError(
                f"{self._repository} has no pull request {number}",
                remedy="Check --repo and the number. A token that cannot see the repository gets it, too.",
            ) from error

    def _config_at(self, branch: str, commit: str = "") -> tuple[Config, str]:
        """Read the configuration of a base branch: the pull request's own does not count (rule A8)."""
        if self._config is not None:
            return self._config
        config = read_config(self._github, self._repository, branch, commit)
        return config, config.source or f"default: nothing is set in {CONFIG_PATH} of {branch}"

    def _comments(self, number: int) -> list[Any]:
        return self._github.items(f"{self._root}/issues/{number}/comments")

    def _status(self, head: str, context: str) -> PublishedStatus | None:
        """Read the newest status with a context; GitHub lists the newest first."""
        for page in self._github.pages(f"{self._root}/commits/{head}/statuses"):
            for item in page:
                if item["context"] == context:
                    return graphql.status(item)
        return None

    def _with_people(self, facts: ApprovalFacts) -> ApprovalFacts:
        """Add teams, and the accounts of the people whom the policy names."""
        roles = facts.policy.roles
        names = dict.fromkeys(name for role in roles for name in role.teams)
        logins: dict[str, str] = {}
        for role in roles:
            for login in (*role.people, *(item.login for item in role.designates)):
                logins.setdefault(login.casefold(), login)
        accounts: list[Account] = []
        unknown: list[str] = []
        for login in logins.values():
            found = self._account(login)
            if found is None:
                unknown.append(login)
            else:
                accounts.append(found)
        teams = tuple(self.team(name) for name in names)
        return replace(facts, teams=teams, accounts=tuple(accounts), unknown_people=tuple(unknown))

    def team(self, name: str) -> Team:
        """Read the active members of a team `org/slug`; that it cannot be read is a fact (rule A6)."""
        org, _, slug = name.partition("/")
        try:
            items = self._github.items(f"/orgs/{quoted(org)}/teams/{quoted(slug)}/members")
        except GitHubError as error:
            hint = ""
            if error.status in (403, 404):
                readable = self._can_read_teams(org)
                hint = (
                    "; the token may not read teams" if not readable else "; there is no such team (any more)"
                )
            return Team(name, problem=f"{_short(error)}{hint}")
        return Team(name, tuple(member for item in items if (member := graphql.account(item))))

    def _can_read_teams(self, org: str) -> bool:
        """Tell whether the token may read any teams: a team that is missing looks like one that is hidden."""
        try:
            return bool(self._github.get(f"/orgs/{quoted(org)}/teams", {"per_page": 1}))
        except GitHubError:
            return False

    def _account(self, login: str) -> Account | None:
        """Read an account by its login, once in a run; None when there is none (any more)."""
        if login not in self._accounts:
            self._accounts[login] = graphql.account(self._github.find(f"/users/{quoted(login)}"))
        return self._accounts[login]

    def _reviewed(self, facts: ApprovalFacts) -> list[CommitChange]:
        """Read the schema change at each older commit that a holder of a role approved.

        What an earlier run wrote into the comment stands in for commits that are gone (rule A2).
        """
        stored = own_sections(facts.marked, facts.identity).get(Part.APPROVALS, "")
        remembered = {change.sha: change for change in recall(stored)}
        shas: dict[str, None] = {}
        for review in facts.reviews:
            if review.state is not ReviewState.APPROVED or review.author is None or review.commit is None:
                continue
            day = (review.submitted_at or facts.now).date()
            if review.commit != facts.pull.head and roles_of(facts, review.author, day):
                shas[review.commit] = None
        found = []
        for sha in shas:
            change = changes_at(self._contents, facts.pull.base, sha, facts.policy.schemas)
            found.append(remembered.get(sha, change) if change.problem else change)
        return found

    def _with_commits(self, facts: ApprovalFacts) -> ApprovalFacts:
        """Add the commits with everybody who had a part in them, as far as accounts can be found."""
        path = f"{self._root}/compare/{facts.pull.base}...{facts.pull.head}"
        items = [item for page in self._github.pages(path, lasting=True) for item in page["commits"]]
        approvers: dict[str, Account] = {}
        for review in facts.reviews:
            if review.author is not None and review.state is ReviewState.APPROVED:
                approvers[review.author.login] = review.author
        known: dict[str, Account | None] = {
            person.email.casefold(): person.account
            for item in items
            for person in graphql.commit(item).contributors
            if person.account is not None and person.email
        }
        commits: list[Commit] = []
        nameless: dict[str, None] = {}
        for item in items:
            commit = graphql.commit(item)
            people = tuple(self._resolved(person, known) for person in commit.contributors)
            commit = replace(commit, contributors=people)
            nameless.update({person.name: None for person in people if _unknown(person)})
            accounts = [person.account for person in people]
            approved = any(who.same_as(account) for who in approvers.values() for account in accounts)
            if len(item["parents"]) > 1 and approved:
                commit = replace(commit, update_only=self._is_update(facts, item))
            commits.append(commit)
        facts = replace(facts, commits=tuple(commits))
        if not nameless or not approvers:
            return facts
        # Only the name can tell now whether one of them approved.
        asked = [login for login in approvers if not any(a.login == login for a in facts.accounts)]
        profiles = [profile for login in asked if (profile := self._account(login))]
        notes = tuple(f"No account is known for {name}, who had a part in a commit." for name in nameless)
        return replace(facts, accounts=(*facts.accounts, *profiles), notes=(*facts.notes, *notes))

    def _resolved(self, person: Contributor, known: dict[str, Account | None]) -> Contributor:
        """Find the account behind the address of a co-author, by other commits with that address."""
        email = person.email.casefold()
        if person.account is not None or person.part != "co-author" or not email or NOREPLY.match(email):
            return person
        if email not in known:
            items = self._github.get(f"{self._root}/commits", {"author": person.email, "per_page": 1})
            known[email] = graphql.account(items[0].get("author")) if items else None
        return replace(person, account=known[email])

    def _is_update(self, facts: ApprovalFacts, item: Any) -> bool:
        """Tell whether a merge left the pull request's change as it was, as "Update branch" does."""
        if len(item["parents"]) != 2:
            return False
        merged = changes_at(self._contents, facts.pull.base, item["sha"], facts.policy.schemas)
        before = changes_at(self._contents, facts.pull.base, item["parents"][0]["sha"], facts.policy.schemas)
        if merged.problem or before.problem:
            return False
        return merged.changes == before.changes


class ApprovalReader(PullReader):
    """Reads the facts of the approvals."""

    def followed(self, now: datetime) -> list[int]:
        """List no merged pull request: its approvals do not change."""
        return []

    def read(self, number: int, now: datetime) -> ApprovalFacts:
        """Read one pull request."""
        return self.approvals(number, now)


def open_pulls(github: GitHub, repository: str) -> list[int]:
    """List the numbers of all open pull requests, oldest first."""
    items = github.items(f"/repos/{repository}/pulls", {"state": "open"})
    return sorted(item["number"] for item in items)


def pulls_of_commit(github: GitHub, repository: str, commit: str) -> list[int]:
    """List the numbers of the open pull requests whose newest commit this is."""
    items = github.items(f"/repos/{repository}/commits/{commit}/pulls")
    return sorted(
        item["number"] for item in items if item["state"] == "open" and item["head"]["sha"] == commit
    )


def pulls_of_group(
    github: GitHub, repository: str, group: tuple[str, str], numbers: Iterable[int]
) -> list[int]:
    """List the open pull requests in a group of the merge queue, by their commits, and by what theirs say."""
    path = f"/repos/{repository}/compare/{group[0]}...{group[1]}"
    commits = [item for page in github.pages(path) for item in page["commits"]]
    heads = {item["sha"] for item in commits}
    named = {int(found) for item in commits for found in _IN_MESSAGE.findall(item["commit"]["message"])}
    named.update(numbers)
    items = github.items(f"/repos/{repository}/pulls", {"state": "open"})
    return sorted(item["number"] for item in items if item["head"]["sha"] in heads or item["number"] in named)


def _short(error: GitHubError) -> str:
    """Shorten an error to what fits into a sentence; GitHub's words may hold anything."""
    return re.sub(r"\s+", " ", error.cause)[:160]


def _unknown(person: Contributor) -> bool:
    """Tell whether neither an account nor an address tells who somebody is."""
    return person.account is None and bool(person.name) and not NOREPLY.match(person.email)


class PullPublisher:
    """Writes to the pull requests of one repository. Each step can be repeated without harm.

    `identity` is our own account as GitHub showed it last. `warnings` are what could not be done and does not
    matter enough to fail.
    """

    def __init__(self, github: GitHub, repository: str) -> None:
        self._github = github
        self._root = f"/repos/{repository}"
        self._comments = CommentWriter(github, repository)
        self.identity: Account | None = None
        self.warnings: list[str] = []
        self.silent = False  # no comment can be written: statuses and labels do not depend on it
        self._asking = True  # False once somebody could not be asked: trying again would fail again

    def possible(self, plan: PullPlan) -> PullPlan:
        """Leave out of a plan what has turned out to be impossible."""
        if self.silent:
            plan = replace(plan, comment=None, reactions=())
        return plan if self._asking else replace(plan, ask_people=(), ask_teams=())

    def publish(self, plan: PullPlan, identity: Account) -> None:
        """Carry out a plan; a run that fails is continued by the next one.

        The status comes first, because merging hangs on it, and the comment after the reactions, because it
        remembers them.
        """
        self.identity = identity
        issue = f"{self._root}/issues/{plan.number}"
        if plan.status is not None:
            self.set_status(plan.status)
        for label in plan.labels_remove:
            self._unless_gone("DELETE", f"{issue}/labels/{quoted(label)}")
        for role in plan.labels_add:
            self._ensure_label(role)
        if plan.labels_add:
            labels = [role.label for role in plan.labels_add]
            self._github.write("POST", f"{issue}/labels", {"labels": labels})
        for reaction in plan.reactions:
            self._unless_locked(plan.number, partial(self._react, reaction))
        if (comment := plan.comment) is not None:
            write = partial(self._comments.write, plan.number, comment.section, comment.text, create=True)
            self._unless_locked(plan.number, write)
            if self._comments.refusal and not self.silent:
                self.silent = True
                self.warnings.append(self._comments.refusal)
        self._ask(plan)

    def set_status(self, status: StatusPlan) -> None:
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

    def set_group_status(self, sha: str, context: str, verdicts: Sequence[tuple[str, str, str]]) -> None:
        """Set the status of a group in the merge queue, of which `sha` is the head (rule A11).

        `verdicts` are state, text and address for each pull request. What is not a success now is a failure:
        the queue would wait for it.
        """
        missing = ("failure", "No pull request is known for this group", "")
        order = ("error", "failure", "pending", "success")
        state, text, url = min(verdicts or [missing], key=lambda verdict: order.index(verdict[0]))
        state = "failure" if state == "pending" else state
        self.set_status(StatusPlan(sha, state, text, url, context))

    def _unless_locked(self, number: int, act: Callable[[], object]) -> None:
        """Comment or react; that the conversation is locked is a warning."""
        if self.silent:
            return
        try:
            act()
        except GitHubError as error:
            if error.status != 403 or "locked" not in error.cause:
                raise
            self.silent = True
            self.warnings.append(f"the conversation of pull request {number} is locked; it gets no comment")

    def _unless_gone(self, verb: str, path: str, body: dict[str, str] | None = None) -> None:
        """Change something that somebody else may have removed meanwhile."""
        try:
            self._github.write(verb, path, body)
        except GitHubError as error:
            if error.status != 404:
                raise

    def _ours(self, user: Any) -> bool:
        return self.identity is not None and self.identity.same_as(graphql.account(user))

    def _learn(self, user: Any) -> None:
        self.identity = graphql.account(user) or self.identity

    def _react(self, reaction: ReactionPlan) -> None:
        """Set a reaction; GitHub keeps one of each kind for each account."""
        path = f"{self._root}/issues/comments/{reaction.comment}/reactions"
        try:
            done = self._github.write("POST", path, {"content": reaction.content})
            self._learn(done.get("user"))
            if reaction.instead_of:
                for item in self._others(path, reaction.instead_of):
                    self._unless_gone("DELETE", f"{path}/{item['id']}")
        except GitHubError as error:
            # Somebody removed the comment meanwhile.
            if error.status != 404:
                raise

    def _others(self, path: str, content: str) -> list[Any]:
        return [
            item for item in self._github.items(path, {"content": content}) if self._ours(item.get("user"))
        ]

    def _ensure_label(self, role: Role) -> None:
        """Make a role's label with its colour when the repository does not have it."""
        if self._github.find(f"{self._root}/labels/{quoted(role.label)}") is not None:
            return
        body = {"name": role.label, "color": role.color, "description": f"Approved for {role.title}"[:100]}
        try:
            self._github.write("POST", f"{self._root}/labels", body)
        except GitHubError as error:
            # Somebody else made it meanwhile, or our own first try did.
            if error.status != 422 or "already_exists" not in error.cause:
                raise

    def _ask(self, plan: PullPlan) -> None:
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
        self._asking = False
        self.warnings.append(
            f"{who} could not be asked for a review; the token or their access does not allow it"
        )
