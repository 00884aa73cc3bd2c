"""Settings of a repository: variables, secrets, environments, rules, and what may run."""

from __future__ import annotations

from typing import Any

from tests.support.github.routing import Call, RefusalError, Response, route


def _named(call: Call, key: str, rows: str) -> Response:
    now = call.payloads.moment(call.world.now)
    found = [{"created_at": now, "updated_at": now, **row} for row in call.repo.rows.get(rows, [])]
    return Response(body={"total_count": len(found), key: call.paged(found)})


def _environment(call: Call) -> dict[str, Any]:
    name = call.params["environment_name"]
    for row in call.repo.rows.get("environments", []):
        if row["name"] == name:
            return row
    raise RefusalError(404, "Not Found")


@route("GET", "/repos/{owner}/{repo}/actions/variables")
def variables(call: Call) -> Response:
    return _named(call, "variables", "variables")


@route("GET", "/repos/{owner}/{repo}/actions/secrets")
def secrets(call: Call) -> Response:
    return _named(call, "secrets", "secrets")


@route("GET", "/repos/{owner}/{repo}/environments/{environment_name}")
def environment(call: Call) -> Response:
    name, now = _environment(call)["name"], call.payloads.moment(call.world.now)
    url = f"{call.payloads.repo_url(call.repo)}/environments/{name}"
    body = {"id": 1, "node_id": "EN_1", "name": name, "url": url, "html_url": url}
    policy = {"deployment_branch_policy": _environment(call)["deployment_branch_policy"]}
    return Response(body={**body, "created_at": now, "updated_at": now, **policy})


@route("GET", "/repos/{owner}/{repo}/environments/{environment_name}/secrets")
def environment_secrets(call: Call) -> Response:
    return _named(call, "secrets", f"secrets of {_environment(call)['name']}")


@route("GET", "/repos/{owner}/{repo}/actions/permissions")
def permissions(call: Call) -> Response:
    return Response(body=call.repo.rows.get("actions", [{"enabled": True, "allowed_actions": "all"}])[0])


@route("GET", "/repos/{owner}/{repo}/actions/permissions/selected-actions")
def selected_actions(call: Call) -> Response:
    return Response(body=call.repo.rows["selected actions"][0])


@route("GET", "/repos/{owner}/{repo}/actions/workflows")
def workflows(call: Call) -> Response:
    url = f"{call.payloads.repo_url(call.repo)}/actions/workflows"
    common = {"id": 1, "node_id": "W_1", "url": url, "html_url": url, "badge_url": url}
    rows = [{**common, "name": row["path"], **row} for row in call.repo.rows.get("workflows", [])]
    call.repo.rows.setdefault("shown workflows", [])[:] = rows
    return _named(call, "workflows", "shown workflows")


@route("GET", "/repos/{owner}/{repo}/rules/branches/{branch}")
def rules(call: Call) -> Response:
    return Response(body=call.paged(call.repo.rows.get("rules", [])))
