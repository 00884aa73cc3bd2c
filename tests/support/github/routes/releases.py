"""Tags, branches, releases, checks, dispatches and merges."""

from __future__ import annotations

from typing import Any

from tests.support.github.routing import Call, RefusalError, Response, route


@route("GET", "/repos/{owner}/{repo}/tags")
def tags(call: Call) -> Response:
    url, store = call.payloads.repo_url(call.repo), call.repo.store
    rows = []
    for name, _, _ in reversed(store.refs("refs/tags/")):
        sha, short = store.resolve(name), name.removeprefix("refs/tags/")
        rows.append(
            {
                "name": short,
                "commit": {"sha": sha, "url": f"{url}/commits/{sha}"},
                "zipball_url": f"{url}/zipball/{name}",
                "tarball_url": f"{url}/tarball/{name}",
                "node_id": f"REF_{short}",
            }
        )
    return Response(body=call.paged(rows))


@route("GET", "/repos/{owner}/{repo}/branches/{branch}")
def branch(call: Call) -> Response:
    found = call.repo.store.ref(f"refs/heads/{call.params['branch']}")
    if found is None:
        raise RefusalError(404, "Branch not found")
    url = f"{call.payloads.repo_url(call.repo)}/branches/{call.params['branch']}"
    body = {
        "name": call.params["branch"],
        "commit": call.payloads.commit(call.repo, found[1]),
        "_links": {"self": url, "html": call.payloads.html(call.repo)},
        "protected": False,
        "protection": {},
        "protection_url": f"{url}/protection",
    }
    return Response(body=body)


@route("GET", "/repos/{owner}/{repo}/commits/{ref}")
def commit(call: Call) -> Response:
    return Response(body=call.payloads.commit(call.repo, call.commit(call.params["ref"])))


@route("GET", "/repos/{owner}/{repo}/commits/{ref}/check-runs")
def check_runs(call: Call) -> Response:
    sha = call.commit(call.params["ref"])
    found = [row for row in call.repo.rows.get("check runs", []) if row["head_sha"] == sha]
    return Response(body={"total_count": len(found), "check_runs": call.paged(found)})


@route("GET", "/repos/{owner}/{repo}/actions/runs")
def workflow_runs(call: Call) -> Response:
    """Every suite of Actions is a run; the rows of its checks say what started it."""
    sha, url = call.query["head_sha"], call.payloads.repo_url(call.repo)
    suites = {
        row["check_suite"]["id"]: row
        for row in call.repo.rows.get("check runs", [])
        if row["head_sha"] == sha and row["app"]["slug"] == "github-actions"
    }
    found = []
    for suite in suites:
        event, workflow = call.repo.runs.get(suite, ("push", 1))
        run = f"{url}/actions/runs/{suite}"
        minimal = call.payloads.repo(call.repo)
        found.append(
            {
                "id": suite,
                "node_id": f"WFR_{suite}",
                "check_suite_id": suite,
                "head_branch": "main",
                "head_sha": sha,
                "path": ".github/workflows/x.yaml",
                "run_number": 1,
                "event": event,
                "display_title": "x",
                "status": "completed",
                "conclusion": "success",
                "workflow_id": workflow,
                "url": run,
                "html_url": f"https://github.com/{call.repo.full_name}/actions/runs/{suite}",
                "pull_requests": [],
                "created_at": "2026-06-20T10:00:00Z",
                "updated_at": "2026-06-20T10:00:00Z",
                "jobs_url": f"{run}/jobs",
                "logs_url": f"{run}/logs",
                "check_suite_url": f"{url}/check-suites/{suite}",
                "artifacts_url": f"{run}/artifacts",
                "cancel_url": f"{run}/cancel",
                "rerun_url": f"{run}/rerun",
                "workflow_url": f"{url}/actions/workflows/{workflow}",
                "head_commit": None,
                "repository": minimal,
                "head_repository": minimal,
            }
        )
    return Response(body={"total_count": len(found), "workflow_runs": call.paged(found)})


@route("GET", "/repos/{owner}/{repo}/releases")
def releases(call: Call) -> Response:
    return Response(body=call.paged(list(reversed(call.repo.rows.get("releases", [])))))


@route("POST", "/repos/{owner}/{repo}/releases")
def create_release(call: Call) -> Response:
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
    number, now = call.world.new_id(), call.payloads.moment(call.world.tick())
    url, web = call.payloads.repo_url(call.repo), call.payloads.html(call.repo)
    rows.append(
        {
            "url": f"{url}/releases/{number}",
            "html_url": f"{web}/releases/tag/{tag}",
            "assets_url": f"{url}/releases/{number}/assets",
            "upload_url": f"{url}/releases/{number}/assets{{?name,label}}",
            "tarball_url": f"{url}/tarball/{tag}",
            "zipball_url": f"{url}/zipball/{tag}",
            "id": number,
            "node_id": f"RE_{number}",
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
def release_of_tag(call: Call) -> Response:
    for row in call.repo.rows.get("releases", []):
        if row["tag_name"] == call.params["tag"]:
            return Response(body=row)
    raise RefusalError(404, "Not Found")


@route("POST", "/repos/{owner}/{repo}/dispatches")
def dispatch(call: Call) -> Response:
    call.repo.rows.setdefault("dispatches", []).append(call.body)
    return Response(204)


@route("POST", "/repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches")
def dispatch_workflow(call: Call) -> Response:
    row: dict[str, Any] = {"workflow": call.params["workflow_id"], **call.body}
    call.repo.rows.setdefault("workflow dispatches", []).append(row)
    return Response(204)


@route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/files")
def files(call: Call) -> Response:
    store, pull = call.repo.store, call.pull
    head = call.repo.head(pull)
    fork = store.merge_base(call.repo.base_of(pull), head) or head
    words = {"A": "added", "D": "removed", "M": "modified", "T": "changed"}
    web = call.payloads.html(call.repo)
    rows = [
        {
            "sha": sha,
            "filename": path,
            "status": words[letter],
            "additions": 1,
            "deletions": 0,
            "changes": 1,
            "blob_url": f"{web}/blob/{head}/{path}",
            "raw_url": f"{web}/raw/{head}/{path}",
            "contents_url": f"{call.payloads.repo_url(call.repo)}/contents/{path}?ref={head}",
        }
        for letter, path, sha in store.changed(fork, head)[:3000]
    ]
    return Response(body=call.paged(rows))


@route("PUT", "/repos/{owner}/{repo}/pulls/{pull_number}/merge")
def merge(call: Call) -> Response:
    pull = call.pull
    if pull.state != "open" or pull.draft:
        raise RefusalError(405, "Pull Request is not mergeable")
    if call.body and call.body.get("sha") not in (None, call.repo.head(pull)):
        raise RefusalError(409, "Head branch was modified. Review and try the merge again.")
    sha = call.world.merge(call.repo, pull, who=call.actor.login)
    return Response(body={"sha": sha, "merged": True, "message": "Pull Request successfully merged"})
