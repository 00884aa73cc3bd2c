"""Commit statuses."""

from __future__ import annotations

from tests.support.github.routing import Call, RefusalError, Response, route


@route("POST", "/repos/{owner}/{repo}/statuses/{sha}")
def create_status(call: Call) -> Response:
    sha = call.commit(call.params["sha"])
    description = call.body.get("description")
    if description is not None and len(description) > 140:
        errors = [{"resource": "Status", "code": "custom", "field": "description", "message": "is too long"}]
        raise RefusalError(422, "Validation Failed", errors)
    status = call.world.status(
        call.repo,
        sha,
        call.body.get("context", "default"),
        call.body["state"],
        who=call.actor.id,
        description=description,
        target_url=call.body.get("target_url"),
    )
    return Response(201, call.payloads.status(call.repo, status))


@route("GET", "/repos/{owner}/{repo}/commits/{ref}/statuses")
def list_statuses(call: Call) -> Response:
    sha = call.commit(call.params["ref"])
    found = [status for status in reversed(call.repo.statuses) if status.sha == sha]
    return Response(body=call.paged([call.payloads.status(call.repo, status) for status in found]))


@route("GET", "/repos/{owner}/{repo}/commits/{ref}/status")
def combined_status(call: Call) -> Response:
    sha = call.commit(call.params["ref"])
    latest = {status.context: status for status in call.repo.statuses if status.sha == sha}
    states = {status.state for status in latest.values()}
    failed = states & {"failure", "error"}
    state = "failure" if failed else "success" if states == {"success"} else "pending"
    url = f"{call.payloads.repo_url(call.repo)}/commits/{sha}"
    statuses = [
        {key: value for key, value in call.payloads.status(call.repo, status).items() if key != "creator"}
        for status in latest.values()
    ]
    body = {
        "state": state,
        "statuses": call.paged(statuses),
        "sha": sha,
        "total_count": len(latest),
        "repository": call.payloads.repo(call.repo),
        "commit_url": url,
        "url": f"{url}/status",
    }
    return Response(body=body)
