"""Accounts and teams, apps, settings, tags, checks, releases and dispatches."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.support.github.permissions import App
from tests.support.github.routing import Call, RefusalError, Response, known, route
from tests.support.github.things import User

_LEVELS = ("read", "write")


@route("GET", "/user")
def own_account(call: Call) -> Any:
    if call.actor.type == "Bot":
        raise RefusalError(403, "Resource not accessible by integration")
    return call.payloads.profile(call.actor)


@route("GET", "/users/{username}")
def account(call: Call) -> Any:
    return call.payloads.profile(known(call.world.find_user(call.params["username"])))


@route("GET", "/orgs/{org}/teams")
def teams(call: Call) -> Any:
    found = [team for team in call.world.teams.values() if team.org == call.params["org"]]
    if not any(team.fault == 0 for team in found):
        raise RefusalError(403, "Resource not accessible by integration")
    return call.paged([call.payloads.team(team) for team in found])


@route("GET", "/orgs/{org}/teams/{team_slug}/members")
def team_members(call: Call) -> Any:
    team = known(call.world.teams.get(f"{call.params['org']}/{call.params['team_slug']}"))
    if team.fault:
        raise RefusalError(team.fault, "Resource not accessible by integration")
    members = [call.payloads.user(member) for member in team.members]
    return call.paged([member for member in members if member is not None])


@route("GET", "/repos/{owner}/{repo}/collaborators/{username}/permission")
def permission(call: Call) -> Any:
    user = known(call.world.find_user(call.params["username"]))
    level = call.repo.members.get(user.login, "read")
    return {"permission": level, "role_name": level, "user": None}


def _own(call: Call) -> App:
    app = call.world.apps.get(call.token)
    if app is None:
        raise RefusalError(401, "A JSON web token could not be decoded")
    return app


def _installation(call: Call, app: App, owner: User) -> dict[str, Any]:
    return {
        "id": app.id * 1000 + owner.id,
        "account": call.payloads.user(owner.id),
        "app_id": app.id,
        "app_slug": app.slug,
        "target_id": owner.id,
        "target_type": owner.type,
        "permissions": app.permissions,
    }


@route("GET", "/apps/{app_slug}")
def app(call: Call) -> Any:
    slug = call.params["app_slug"]
    found = known(next((app for app in call.world.apps.values() if app.slug == slug and app.public), None))
    return {"id": found.id, "slug": found.slug, "name": found.slug, "permissions": found.permissions}


@route("GET", "/repos/{owner}/{repo}/installation")
def installation(call: Call) -> Any:
    own = _own(call)
    if call.repo.full_name not in own.repositories:
        raise RefusalError(404, "Not Found")
    return _installation(call, own, call.world.user(call.repo.owner))


@route("GET", "/orgs/{org}/installations")
def installations(call: Call) -> Any:
    owner = call.world.user(call.params["org"])
    found = [
        _installation(call, item, owner)
        for item in call.world.apps.values()
        if any(name.startswith(f"{owner.login}/") for name in item.repositories)
    ]
    return {"total_count": len(found), "installations": call.paged(found)}


@route("POST", "/app/installations/{installation_id}/access_tokens")
def mint(call: Call) -> Any:
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


def _named(call: Call, key: str, rows: str) -> Any:
    found = [{**row} for row in call.repo.rows.get(rows, [])]
    return {"total_count": len(found), key: call.paged(found)}


def _environment(call: Call) -> dict[str, Any]:
    rows, name = call.repo.rows.get("environments", []), call.params["environment_name"]
    return known(next((row for row in rows if row["name"] == name), None))


for _key in ("variables", "secrets", "workflows"):
    route("GET", f"/repos/{{owner}}/{{repo}}/actions/{_key}")(partial(_named, key=_key, rows=_key))


@route("GET", "/repos/{owner}/{repo}/environments/{environment_name}")
def environment(call: Call) -> Any:
    found = _environment(call)
    keys = ("name", "deployment_branch_policy")
    return {key: found[key] for key in keys}


@route("GET", "/repos/{owner}/{repo}/environments/{environment_name}/secrets")
def environment_secrets(call: Call) -> Any:
    return _named(call, "secrets", f"secrets of {_environment(call)['name']}")


@route("GET", "/repos/{owner}/{repo}/actions/permissions")
def permissions(call: Call) -> Any:
    return call.repo.rows.get("actions", [{"enabled": True, "allowed_actions": "all"}])[0]


@route("GET", "/repos/{owner}/{repo}/actions/permissions/selected-actions")
def selected_actions(call: Call) -> Any:
    return call.repo.rows["selected actions"][0]


@route("GET", "/repos/{owner}/{repo}/rules/branches/{branch}")
def rules(call: Call) -> Any:
    return call.paged(call.repo.rows.get("rules", []))


@route("GET", "/repos/{owner}/{repo}/tags")
def tags(call: Call) -> Any:
    store = call.repo.store
    names = [name for name, _, _ in reversed(store.refs("refs/tags/"))]
    return call.paged(
        [{"name": name.removeprefix("refs/tags/"), "commit": {"sha": store.resolve(name)}} for name in names]
    )


@route("GET", "/repos/{owner}/{repo}/branches/{branch}")
def branch(call: Call) -> Any:
    name = call.params["branch"]
    _, sha = known(call.repo.store.ref(f"refs/heads/{name}"), "Branch not found")
    return {"name": name, "commit": call.payloads.commit(call.repo, sha), "protected": False}


@route("GET", "/repos/{owner}/{repo}/commits/{ref}")
def commit(call: Call) -> Any:
    return call.payloads.commit(call.repo, call.commit(call.params["ref"]))


@route("GET", "/repos/{owner}/{repo}/commits/{ref}/check-runs")
def check_runs(call: Call) -> Any:
    sha = call.commit(call.params["ref"])
    found = [row for row in call.repo.rows.get("check runs", []) if row["head_sha"] == sha]
    return {"total_count": len(found), "check_runs": call.paged(found)}


@route("GET", "/repos/{owner}/{repo}/actions/runs")
def workflow_runs(call: Call) -> Any:
    """Every suite of Actions is a run; the rows of its checks say what started it."""
    sha = call.query["head_sha"]
    suites = {
        row["check_suite"]["id"]: row
        for row in call.repo.rows.get("check runs", [])
        if row["head_sha"] == sha and row["app"]["slug"] == "github-actions"
    }
    found = []
    for suite in suites:
        event, workflow = call.repo.runs.get(suite, ("push", 1))
        ids = {"id": suite, "check_suite_id": suite, "workflow_id": workflow}
        found.append({**ids, "head_sha": sha, "event": event})
    return {"total_count": len(found), "workflow_runs": call.paged(found)}


@route("GET", "/repos/{owner}/{repo}/releases")
def releases(call: Call) -> Any:
    return call.paged(list(reversed(call.repo.rows.get("releases", []))))


@route("POST", "/repos/{owner}/{repo}/releases")
def create_release(call: Call) -> Any:
    tag, rows = call.body["tag_name"], call.repo.rows.setdefault("releases", [])
    if any(row["tag_name"] == tag for row in rows):
        errors = [{"resource": "Release", "code": "already_exists", "field": "tag_name"}]
        raise RefusalError(422, "Validation Failed", errors)
    target = call.body.get("target_commitish")
    if target is not None and call.commit(target) != call.repo.tip(call.repo.default_branch):
        # Workflows of another commit than the newest may differ.
        raise RefusalError(403, "Resource not accessible by integration")
    if tag in call.repo.refused_tags:
        errors = [{"resource": "Release", "code": "custom", "field": "tag_name"}]
        raise RefusalError(422, "tag_name was used by an immutable release", errors)
    now = call.payloads.moment(call.world.tick())
    rows.append(
        {
            "url": f"{call.payloads.repo_url(call.repo)}/releases/{call.world.new_id()}",
            "html_url": f"{call.payloads.html(call.repo)}/releases/tag/{tag}",
            "id": call.world.new_id(),
            "tag_name": tag,
            "target_commitish": call.body.get("target_commitish", call.repo.default_branch),
            "name": call.body.get("name"),
            "body": call.body.get("body"),
            "draft": bool(call.body.get("draft")),
            "prerelease": bool(call.body.get("prerelease")),
            "created_at": now,
            "published_at": now,
            "author": call.payloads.user(call.actor.id),
            "assets": [],
        }
    )
    return Response(201, rows[-1])


@route("GET", "/repos/{owner}/{repo}/releases/tags/{tag}")
def release_of_tag(call: Call) -> Any:
    rows, tag = call.repo.rows.get("releases", []), call.params["tag"]
    return known(next((row for row in rows if row["tag_name"] == tag), None))


@route("POST", "/repos/{owner}/{repo}/dispatches")
def dispatch(call: Call) -> Any:
    call.repo.rows.setdefault("dispatches", []).append(call.body)
    return Response(204)


@route("POST", "/repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches")
def dispatch_workflow(call: Call) -> Any:
    row: dict[str, Any] = {"workflow": call.params["workflow_id"], **call.body}
    call.repo.rows.setdefault("workflow dispatches", []).append(row)
    return Response(204)
