"""Which permission each call needs, by GitHub's documentation; and what tokens and apps were given."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_RULES = (
    (r"/graphql|/user.*|/apps?/.*|/app|.*/installation", ""),
    (r"/orgs/\{org\}/teams(/.*)?", "members"),
    (r".*/check-runs", "checks"),
    (r".*/(status|statuses|statuses/\{sha\})", "statuses"),
    (r".*/pulls/\{pull_number\}/merge", "contents"),
    # Permission for issues would do as well for what issues and pull requests share; nothing asks for it.
    (r".*/(pulls|issues|labels)(/.*)?", "pull_requests"),
    (r".*/actions/permissions.*", "administration"),
    (r"/orgs/\{org\}/installations", "organization_administration"),
    (r".*/actions/variables", "actions_variables"),
    (r".*/actions/secrets", "secrets"),
    (r".*/environments/\{environment_name\}/secrets", "environments"),
    (r".*/actions/.*|.*/environments/.*", "actions"),
    (r"/repos/\{owner\}/\{repo\}(/tags|/rules/branches/.*|/collaborators/.*)?", "metadata"),
    (r"/repos/.*", "contents"),
)
"""Patterns of paths, as GitHub's description writes them; the first one that fits counts."""

PUBLIC = ("checks", "contents", "pull_requests", "statuses")
"""What anybody may read in a public repository."""


@dataclass(frozen=True)
class Need:
    """A permission and its level; without a name none is needed."""

    name: str
    level: str

    def __str__(self) -> str:
        return f"{self.name}: {self.level}" if self.name else "none"


def need_of(method: str, template: str) -> Need:
    """Return the permission that a call needs of a token for the repository or organization."""
    name = next(name for pattern, name in _RULES if re.fullmatch(pattern, template))
    return Need(name, "read" if method == "GET" else "write")


@dataclass(frozen=True)
class Grant:
    """What a token may do: permissions on some repositories, and what everybody may read of the others.

    Permissions are taken at their word: GitHub lets any token read some of what is public.
    """

    repositories: frozenset[str]
    permissions: Mapping[str, str]

    def allows(self, need: Need, where: str) -> bool:
        """Tell whether a call on a repository, or on an organization, is allowed."""
        if need.name in ("", "metadata"):
            return True
        ours = {*self.repositories, *(name.partition("/")[0] for name in self.repositories)}
        if where not in ours:
            return need.level == "read" and need.name in PUBLIC
        return self.permissions.get(need.name) in (need.level, "write")


@dataclass
class App:
    """An app: its bot, what it was registered with, and where it is installed."""

    slug: str
    permissions: dict[str, str]
    repositories: set[str]
    public: bool = True
    id: int = 0
