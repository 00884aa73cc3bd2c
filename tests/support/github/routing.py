"""What a route gets, what it gives, and the table of all routes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import unquote, urlencode

from tests.support.github.payloads import Payloads
from tests.support.github.permissions import Need
from tests.support.github.things import Pull, Repo, User
from tests.support.github.world import World


class RefusalError(Exception):
    """An answer with an error status."""

    def __init__(
        self, status: int, message: str, errors: list[dict[str, str]] | list[str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = errors


T = TypeVar("T")


def known(found: T | None, message: str = "Not Found") -> T:
    """Return what a call names; refuse the call if there is none."""
    if found is None:
        raise RefusalError(404, message)
    return found


@dataclass
class Response:
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    template: str = ""
    needs: list[tuple[str, Need]] = field(default_factory=list)


@dataclass
class Call:
    """One request, with what its path names already looked up."""

    world: World
    payloads: Payloads
    method: str
    path: str
    params: dict[str, str]
    query: dict[str, str]
    body: Any
    actor: User
    token: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    needs: list[tuple[str, Need]] = field(default_factory=list)

    @property
    def repo(self) -> Repo:
        return known(self.world.repos.get(f"{self.params['owner']}/{self.params['repo']}"))

    @property
    def pull(self) -> Pull:
        number = self.params.get("pull_number") or self.params["issue_number"]
        return known(self.repo.pulls.get(int(number)))

    def require(self, need: Need, where: str) -> None:
        """Refuse what the token was not given, and write down what was needed."""
        self.needs.append((where, need))
        grant = self.world.grants.get(self.token)
        if grant is not None and not grant.allows(need, where):
            raise RefusalError(403, "Resource not accessible by integration")

    def commit(self, name: str) -> str:
        """Return the SHA that a SHA, branch or tag stands for, as the API resolves it."""
        for candidate in (name, f"refs/heads/{name}", f"refs/tags/{name}"):
            sha = self.repo.store.resolve(candidate)
            if sha and sha not in self.repo.lost:
                return sha
        raise RefusalError(404, "Not Found")

    def paged(self, items: list[Any]) -> list[Any]:
        """Cut one page out of a list and set the Link header as GitHub does."""
        size = min(int(self.query.get("per_page", 30)), 100)
        page = int(self.query.get("page", 1))
        last = max((len(items) + size - 1) // size, 1)
        links = [("prev", page - 1)] if page > 1 else []
        links += [("next", page + 1), ("last", last)] if page < last else []
        if links:
            self.headers["Link"] = ", ".join(
                f'<{self.payloads.root}{self.path}?{urlencode({**self.query, "page": number})}>; rel="{rel}"'
                for rel, number in links
            )
        return items[(page - 1) * size : page * size]


Handler = Callable[[Call], Any]
"""Returns a response, or the body of a successful one."""


@dataclass(frozen=True)
class Route:
    method: str
    template: str
    pattern: re.Pattern[str]
    handler: Handler


ROUTES: list[Route] = []

_TAILS = ("ref", "path", "basehead")
"""Parameters that may hold slashes."""


def route(method: str, template: str) -> Callable[[Handler], Handler]:
    """Register a handler under the path as GitHub's description writes it."""
    pattern = re.sub(r"\{(\w+)\}", lambda m: f"(?P<{m[1]}>{'.+' if m[1] in _TAILS else '[^/]+'})", template)

    def register(handler: Handler) -> Handler:
        ROUTES.append(Route(method, template, re.compile(pattern), handler))
        return handler

    return register


def find_route(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """Find the route of a request; the one with the fewest parameters wins."""
    found = [
        (item, match)
        for item in ROUTES
        if item.method == method and (match := item.pattern.fullmatch(path)) is not None
    ]
    if not found:
        return None
    best, match = min(found, key=lambda pair: (pair[0].template.count("{"), -len(pair[0].template)))
    return best, {key: unquote(value) for key, value in match.groupdict().items()}
