"""Find holders of roles and attesters of steps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from consdb_actions.approval.facts import Account
from consdb_actions.process.facts import Facts
from consdb_actions.process.finding import listed
from consdb_actions.process.policy import Owner
from consdb_actions.process.steps import APPROVERS, CONTRIBUTOR, Step

__all__ = ["Holders", "attesters", "holders", "owner_names"]


@dataclass(frozen=True, slots=True)
class Holders:
    """Logins of some roles' people, and why a team could not be read."""

    people: tuple[str, ...]
    problems: tuple[str, ...] = ()

    def has(self, account: Account) -> bool:
        """Tell whether an account is among them."""
        return account.login.casefold() in {login.casefold() for login in self.people}


def holders(facts: Facts, identifiers: tuple[str, ...], day: date) -> Holders:
    """List the people of some roles on a day."""
    found: dict[str, str] = {}
    problems: list[str] = []
    for identifier in identifiers:
        for login in _people(facts, facts.policy.owner(identifier), day, problems):
            found.setdefault(login.casefold(), login)
    return Holders(tuple(found.values()), tuple(problems))


def attesters(facts: Facts, step: Step, day: date) -> Holders:
    """List who may attest to a step on a day."""
    return holders(facts, facts.policy.rule(step).attested_by, day)


def owner_names(facts: Facts, step: Step) -> tuple[str, tuple[str, ...]]:
    """Return title and people of a step's owner.

    For the approvals these are the people who can still approve.
    """
    owner = facts.policy.owner(facts.policy.rule(step).owner)
    if owner.id == APPROVERS:
        missing = [role for role in facts.approvals.roles if role.outcome != "approved"]
        people = dict.fromkeys(login for role in missing for login in role.eligible)
        return listed([role.title for role in missing]) or owner.title, tuple(people)
    return owner.title, holders(facts, (owner.id,), facts.now.date()).people


def _people(facts: Facts, owner: Owner, day: date, problems: list[str]) -> list[str]:
    """List the people of a role; add unreadable teams to `problems`."""
    if owner.id == CONTRIBUTOR:
        return [facts.pull.author.login] if facts.pull.author is not None else []
    found = [*owner.people, *(item.login for item in owner.designates if item.active_on(day))]
    for name in owner.teams:
        team = next((team for team in facts.teams if team.name.casefold() == name.casefold()), None)
        if team is None or team.problem:
            problems.append(f"{name}: {team.problem if team else 'it was not looked up'}")
        else:
            found.extend(member.login for member in team.members)
    return found
