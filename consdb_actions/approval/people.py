"""Determine who holds a role, and who wrote the change (rule A1)."""

from __future__ import annotations

import re
from datetime import date

from consdb_actions.approval.facts import Account, Contributor, Facts
from consdb_actions.approval.policy import Role

__all__ = ["NOREPLY", "eligible", "holder_accounts", "holds", "roles_of", "unreadable_teams", "why_not"]

# The addresses that GitHub gives to accounts with a private address; the number is the account's id.
# https://docs.github.com/en/account-and-profile/reference/email-addresses-reference
NOREPLY = re.compile(r"^(?:(?P<id>\d+)\+)?(?P<login>[^@+]+)@users\.noreply\.github\.com$", re.IGNORECASE)


def unreadable_teams(facts: Facts, role: Role) -> list[str]:
    """Return why members of the role's teams could not be read (rule A6)."""
    problems = []
    for name in role.teams:
        team = facts.team(name)
        if team is None:
            problems.append(f"{name}: it was not looked up")
        elif team.problem:
            problems.append(f"{name}: {team.problem}")
    return problems


def holder_accounts(facts: Facts, role: Role, day: date) -> list[Account]:
    """Return the accounts that hold a role on a day, in the policy's order."""
    known = {account.login.casefold(): account for account in facts.accounts}
    gone = {login.casefold() for login in facts.unknown_people}
    logins = [*role.people, *(item.login for item in role.designates if item.active_on(day))]
    found = [known.get(login.casefold(), Account(login)) for login in logins if login.casefold() not in gone]
    for name in role.teams:
        team = facts.team(name)
        found.extend(team.members if team else ())
    by_id: set[int] = set()
    by_login: set[str] = set()
    holders: list[Account] = []
    for account in found:
        login = account.login.casefold()
        if account.id not in by_id and login not in by_login:
            holders.append(account)
        by_id |= {account.id} - {0}
        by_login.add(login)
    return holders


def holds(facts: Facts, role: Role, account: Account, day: date) -> bool:
    """Return whether an account holds a role on a day."""
    return any(account.same_as(holder) for holder in holder_accounts(facts, role, day))


def roles_of(facts: Facts, account: Account, day: date) -> list[Role]:
    """Return the roles that an account holds on a day."""
    return [role for role in facts.policy.roles if holds(facts, role, account, day)]


def why_not(facts: Facts, account: Account) -> str:
    """Explain why an account cannot approve this pull request; empty when it can."""
    if account.bot:
        return "is a bot"
    if account.same_as(facts.pull.author):
        return "opened the pull request"
    known = next((other for other in facts.accounts if other.same_as(account)), account)
    for commit in facts.commits:
        if commit.update_only:
            continue
        for contributor in commit.contributors:
            if _is_same_person(contributor, known):
                return f"is {contributor.part} of commit {commit.sha[:8]}"
    return ""


def eligible(facts: Facts, role: Role) -> list[str]:
    """Return the logins that could approve for a role today."""
    holders = holder_accounts(facts, role, facts.now.date())
    return [account.login for account in holders if not why_not(facts, account)]


def _is_same_person(contributor: Contributor, account: Account) -> bool:
    if contributor.account is not None:
        return account.same_as(contributor.account)
    if match := NOREPLY.match(contributor.email):
        # The id is decisive: the login in an old address may belong to another account now.
        if match["id"] and account.id:
            return int(match["id"]) == account.id
        return match["login"].casefold() == account.login.casefold()
    # No account is known for the address: an equal name is assumed to be the same person.
    names = {account.login.casefold(), account.name.casefold()} - {""}
    return contributor.name.casefold() in names
