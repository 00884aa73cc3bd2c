"""Pull requests: reviews, reviewers, labels, comments, reactions and statuses."""

from __future__ import annotations

from typing import Any

from tests.support.github.routes.git import diff_entry
from tests.support.github.routing import Call, RefusalError, Response, known, route
from tests.support.github.things import Comment, Pull, Repo

_REACTIONS = "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions"


@route("GET", "/repos/{owner}/{repo}/pulls")
def pulls(call: Call) -> Any:
    wanted, head = call.query.get("state", "open"), call.query.get("head", "")
    pulls = sorted(call.repo.pulls.values(), key=lambda pull: -pull.number)
    if call.query.get("sort") == "updated":
        pulls.sort(key=lambda pull: pull.merged_at or pull.at, reverse=True)
    found = [
        call.payloads.pull_simple(call.repo, pull)
        for pull in pulls
        if wanted in (pull.state, "all")
        and head in ("", f"{call.repo.owner}:{pull.branch}")
        and call.query.get("base", pull.base) == pull.base
    ]
    return call.paged(found)


@route("POST", "/repos/{owner}/{repo}/pulls")
def create_pull(call: Call) -> Any:
    branch, base = call.body["head"].rpartition(":")[2], call.body["base"]
    for name in (branch, base):
        if call.repo.store.ref(f"refs/heads/{name}") is None:
            raise RefusalError(422, "Validation Failed", [{"resource": "PullRequest", "code": "invalid"}])
    for pull in call.repo.pulls.values():
        if pull.branch == branch and pull.base == base and pull.state == "open":
            message = f"A pull request already exists for {call.repo.owner}:{branch}."
            raise RefusalError(422, "Validation Failed", [{"message": message, "code": "custom"}])
    made = call.world.open_pull(
        call.repo,
        branch,
        base=base,
        author=call.actor.login,
        title=call.body.get("title", branch),
        draft=bool(call.body.get("draft")),
    )
    made.body = call.body.get("body")
    return Response(201, call.payloads.pull(call.repo, made))


@route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}")
def pull(call: Call) -> Any:
    return call.payloads.pull(call.repo, call.pull)


@route("PATCH", "/repos/{owner}/{repo}/pulls/{pull_number}")
def edit_pull(call: Call) -> Any:
    found = call.pull
    call.world.tick()
    found.title = call.body.get("title", found.title)
    found.body = call.body.get("body", found.body)
    found.base = call.body.get("base", found.base)
    found.state = call.body.get("state", found.state)
    return call.payloads.pull(call.repo, found)


@route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/reviews")
def reviews(call: Call) -> Any:
    found = [call.payloads.review(call.repo, call.pull, review) for review in call.pull.reviews]
    return call.paged(found)


@route("POST", "/repos/{owner}/{repo}/pulls/{pull_number}/reviews")
def create_review(call: Call) -> Any:
    states = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}
    state = states[call.body["event"]]
    if call.actor.id == call.pull.author and state != "COMMENTED":
        raise RefusalError(422, "Unprocessable Entity", ["Can not approve your own pull request"])
    made = call.world.review(call.repo, call.pull, call.actor.login, state, body=call.body.get("body", ""))
    return call.payloads.review(call.repo, call.pull, made)


@route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/commits")
def commits(call: Call) -> Any:
    base, head = call.repo.tip(call.pull.base), call.repo.head(call.pull)
    shas = call.repo.store.between(base, head)[:250]
    return call.paged([call.payloads.commit(call.repo, sha) for sha in shas])


@route("POST", "/repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers")
def request_reviewers(call: Call) -> Any:
    found = call.pull
    if call.actor.type == "Bot" and call.body.get("team_reviewers"):
        raise RefusalError(422, "Could not resolve to a node with the global id of 'T_0'.")
    for login in call.body.get("reviewers", []):
        user = call.world.find_user(login)
        if user is None or user.id == found.author:
            raise RefusalError(422, "Reviews may only be requested from collaborators.")
        if user.id not in found.asked_people:
            found.asked_people.append(user.id)
            call.world.event(found, "review_requested", call.actor.id, user=user.id)
    for slug in call.body.get("team_reviewers", []):
        if f"{call.repo.owner}/{slug}" not in call.world.teams:
            raise RefusalError(422, "Could not resolve to a team.")
        if slug not in found.asked_teams:
            found.asked_teams.append(slug)
            call.world.event(found, "review_requested", call.actor.id, team=slug)
    return Response(201, call.payloads.pull_simple(call.repo, found))


@route("GET", "/repos/{owner}/{repo}/commits/{commit_sha}/pulls")
def pulls_of_commit(call: Call) -> Any:
    found = pulls_with(call.repo, call.commit(call.params["commit_sha"]))
    return call.paged([call.payloads.pull_simple(call.repo, item) for item in found])


def pulls_with(repo: Repo, sha: str) -> list[Pull]:
    """List the pull requests that brought a commit, or would."""
    return [
        item
        for item in repo.pulls.values()
        if sha == item.merge_sha or sha in repo.store.between(repo.base_of(item), repo.head(item))
    ]


@route("GET", "/repos/{owner}/{repo}/labels/{name}")
def label(call: Call) -> Any:
    return call.payloads.label(call.repo, known(call.repo.labels.get(call.params["name"].casefold())))


@route("GET", "/repos/{owner}/{repo}/labels")
def labels(call: Call) -> Any:
    return call.paged([call.payloads.label(call.repo, x) for x in call.repo.labels.values()])


@route("POST", "/repos/{owner}/{repo}/labels")
def create_label(call: Call) -> Any:
    name = call.body["name"]
    if name.casefold() in call.repo.labels:
        errors = [{"resource": "Label", "code": "already_exists", "field": "name"}]
        raise RefusalError(422, "Validation Failed", errors)
    made = call.world.ensure_label(call.repo, name, call.body.get("color", "ededed"))
    made.description = call.body.get("description")
    return Response(201, call.payloads.label(call.repo, made))


@route("GET", "/repos/{owner}/{repo}/issues/{issue_number}/labels")
def labels_of_issue(call: Call) -> Any:
    return call.paged(_shown(call))


@route("POST", "/repos/{owner}/{repo}/issues/{issue_number}/labels")
def add_labels(call: Call) -> Any:
    names = call.body["labels"] if isinstance(call.body, dict) else call.body
    for name in names:
        call.world.add_label(call.repo, call.pull, name, call.actor.id)
    return _shown(call)


@route("DELETE", "/repos/{owner}/{repo}/issues/{issue_number}/labels/{name}")
def remove_label(call: Call) -> Any:
    found = [name for name in call.pull.labels if name.casefold() == call.params["name"].casefold()]
    if not found:
        raise RefusalError(404, "Label does not exist")
    call.world.remove_label(call.repo, call.pull, found[0], call.actor.id)
    return _shown(call)


@route("GET", "/repos/{owner}/{repo}/issues/{issue_number}/timeline")
def timeline(call: Call) -> Any:
    events = sorted(call.pull.timeline, key=lambda event: (event.at, event.id))
    return call.paged([call.payloads.event(call.repo, call.pull, event) for event in events])


@route("GET", "/repos/{owner}/{repo}/issues/{issue_number}/comments")
def comments(call: Call) -> Any:
    number = call.pull.number
    found = [call.payloads.comment(call.repo, item) for item in call.repo.comments if item.issue == number]
    return call.paged(found)


@route("POST", "/repos/{owner}/{repo}/issues/{issue_number}/comments")
def create_comment(call: Call) -> Any:
    refuse_locked(call, call.pull.number)
    if len(call.body["body"]) > 65536:
        raise RefusalError(422, "Validation Failed", [{"field": "body", "code": "too_long"}])
    comment = call.world.comment(call.repo, call.pull.number, call.actor.id, call.body["body"])
    return Response(201, call.payloads.comment(call.repo, comment))


@route("PATCH", "/repos/{owner}/{repo}/issues/comments/{comment_id}")
def edit_comment(call: Call) -> Any:
    comment = _comment(call)
    refuse_locked(call, comment.issue)
    comment.body = call.body["body"]
    comment.edited = call.world.tick()
    return call.payloads.comment(call.repo, comment)


@route("DELETE", "/repos/{owner}/{repo}/issues/comments/{comment_id}")
def delete_comment(call: Call) -> Any:
    call.repo.comments.remove(_comment(call))
    return Response(204)


def refuse_locked(call: Call, number: int) -> None:
    if (pull := call.repo.pulls.get(number)) is not None and pull.locked:
        raise RefusalError(403, "Unable to create comment because issue is locked.")


def _comment(call: Call) -> Comment:
    number = int(call.params["comment_id"])
    return known(next((comment for comment in call.repo.comments if comment.id == number), None))


def _shown(call: Call) -> list[object]:
    return [call.payloads.label(call.repo, call.repo.labels[name.casefold()]) for name in call.pull.labels]


@route("GET", _REACTIONS)
def reactions(call: Call) -> Any:
    wanted = call.query.get("content")
    return call.paged([row for row in _rows(call) if wanted in (None, row["content"])])


@route("POST", _REACTIONS)
def react(call: Call) -> Any:
    content = call.body["content"]
    refuse_locked(call, _comment(call).issue)
    for row in _rows(call):
        if row["content"] == content and row["user"]["id"] == call.actor.id:
            return row
    row = {
        "id": call.world.new_id(),
        "user": call.payloads.user(call.actor.id),
        "content": content,
        "created_at": call.payloads.moment(call.world.tick()),
    }
    _all(call).append({"comment": int(call.params["comment_id"]), "row": row})
    return Response(201, row)


@route("DELETE", _REACTIONS + "/{reaction_id}")
def remove(call: Call) -> Any:
    number = int(call.params["reaction_id"])
    _all(call).remove(known(next((item for item in _all(call) if item["row"]["id"] == number), None)))
    return Response(204)


def _all(call: Call) -> list[dict[str, Any]]:
    return call.repo.rows.setdefault("reactions", [])


def _rows(call: Call) -> list[dict[str, Any]]:
    return [item["row"] for item in _all(call) if item["comment"] == _comment(call).id]


@route("POST", "/repos/{owner}/{repo}/statuses/{sha}")
def create_status(call: Call) -> Any:
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
def list_statuses(call: Call) -> Any:
    sha = call.commit(call.params["ref"])
    found = [status for status in reversed(call.repo.statuses) if status.sha == sha]
    return call.paged([call.payloads.status(call.repo, status) for status in found])


@route("GET", "/repos/{owner}/{repo}/commits/{ref}/status")
def combined_status(call: Call) -> Any:
    sha = call.commit(call.params["ref"])
    latest = {status.context: status for status in call.repo.statuses if status.sha == sha}
    states = {status.state for status in latest.values()}
    failed = states & {"failure", "error"}
    state = "failure" if failed else "success" if states == {"success"} else "pending"
    statuses = [
        {key: value for key, value in call.payloads.status(call.repo, status).items() if key != "creator"}
        for status in latest.values()
    ]
    return {
        "state": state,
        "statuses": call.paged(statuses),
        "sha": sha,
        "total_count": len(latest),
        "repository": call.payloads.repo(call.repo),
    }


@route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/files")
def files(call: Call) -> Any:
    store, head = call.repo.store, call.repo.head(call.pull)
    fork = store.merge_base(call.repo.base_of(call.pull), head) or head
    return call.paged([diff_entry(call, fork, head, *row) for row in store.changed(fork, head)[:3000]])


@route("PUT", "/repos/{owner}/{repo}/pulls/{pull_number}/merge")
def merge(call: Call) -> Any:
    pull = call.pull
    if pull.state != "open" or pull.draft:
        raise RefusalError(405, "Pull Request is not mergeable")
    if call.body and call.body.get("sha") not in (None, call.repo.head(pull)):
        raise RefusalError(409, "Head branch was modified. Review and try the merge again.")
    sha = call.world.merge(call.repo, pull, who=call.actor.login)
    return {"sha": sha, "merged": True, "message": "Pull Request successfully merged"}
