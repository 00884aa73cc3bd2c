"""Apps, their installations, and the tokens that they are given."""

from __future__ import annotations

from typing import Any

from tests.support.github.permissions import App
from tests.support.github.routing import Call, RefusalError, Response, route
from tests.support.github.things import User

_LEVELS = ("read", "write")


def _own(call: Call) -> App:
    app = call.world.apps.get(call.token)
    if app is None:
        raise RefusalError(401, "A JSON web token could not be decoded")
    return app


def _installation(call: Call, app: App, owner: User) -> dict[str, Any]:
    now, number = call.payloads.moment(call.world.now), app.id * 1000 + owner.id
    url = f"{call.payloads.root}/app/installations/{number}"
    return {
        "id": number,
        "account": call.payloads.user(owner.id),
        "repository_selection": "selected",
        "access_tokens_url": f"{url}/access_tokens",
        "repositories_url": f"{call.payloads.root}/installation/repositories",
        "html_url": f"https://github.com/organizations/{owner.login}/settings/installations/{number}",
        "app_id": app.id,
        "app_slug": app.slug,
        "target_id": owner.id,
        "target_type": owner.type,
        "permissions": app.permissions,
        "events": [],
        "created_at": now,
        "updated_at": now,
        "single_file_name": None,
        "suspended_at": None,
        "suspended_by": None,
    }


@route("GET", "/apps/{app_slug}")
def app(call: Call) -> Response:
    found = next((item for item in call.world.apps.values() if item.slug == call.params["app_slug"]), None)
    if found is None or not found.public:
        raise RefusalError(404, "Not Found")
    now, owner = call.payloads.moment(call.world.now), call.world.user(f"{found.slug}[bot]").id
    body = {
        "id": found.id,
        "node_id": f"A_{found.id}",
        "slug": found.slug,
        "owner": call.payloads.user(owner),
        "name": found.slug,
        "description": None,
        "external_url": "https://github.com",
        "html_url": f"https://github.com/apps/{found.slug}",
        "created_at": now,
        "updated_at": now,
        "permissions": found.permissions,
        "events": [],
    }
    return Response(body=body)


@route("GET", "/repos/{owner}/{repo}/installation")
def installation(call: Call) -> Response:
    own = _own(call)
    if call.repo.full_name not in own.repositories:
        raise RefusalError(404, "Not Found")
    return Response(body=_installation(call, own, call.world.user(call.repo.owner)))


@route("GET", "/orgs/{org}/installations")
def installations(call: Call) -> Response:
    owner = call.world.user(call.params["org"])
    found = [
        _installation(call, item, owner)
        for item in call.world.apps.values()
        if any(name.startswith(f"{owner.login}/") for name in item.repositories)
    ]
    return Response(body={"total_count": len(found), "installations": call.paged(found)})


@route("POST", "/app/installations/{installation_id}/access_tokens")
def mint(call: Call) -> Response:
    """Give a token for some repositories of one owner, with some of the app's permissions."""
    own = _own(call)
    owner = call.world.users[int(call.params["installation_id"]) - own.id * 1000].login
    names = [f"{owner}/{name}" for name in call.body.get("repositories", [])]
    wanted: dict[str, str] = call.body.get("permissions") or own.permissions
    for name, level in wanted.items():
        had = own.permissions.get(name, "")
        if had not in _LEVELS or _LEVELS.index(level) > _LEVELS.index(had):
            raise RefusalError(
                422, "The permissions requested are not granted to this installation.", errors=None
            )
    if not set(names) <= own.repositories:
        raise RefusalError(
            422, "There is at least one repository that does not exist or is not accessible to the parent."
        )
    token = f"ghs_{own.id}_double.{call.world.new_id()}"
    call.world.tokens[token] = call.actor.id
    call.world.restrict(
        token,
        names or [n for n in own.repositories if n.startswith(f"{owner}/")],
        {"metadata": "read", **wanted},
    )
    expires = call.payloads.moment(call.world.now)
    return Response(201, {"token": token, "expires_at": expires, "permissions": wanted})
