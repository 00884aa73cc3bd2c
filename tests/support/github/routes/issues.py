"""Labels, comments and the timeline."""

from __future__ import annotations

from tests.support.github.routing import Call, RefusalError, Response, route
from tests.support.github.things import Comment


@route("GET", "/repos/{owner}/{repo}/labels/{name}")
def label(call: Call) -> Response:
    found = call.repo.labels.get(call.params["name"].casefold())
    if found is None:
        raise RefusalError(404, "Not Found")
    return Response(body=call.payloads.label(call.repo, found))


@route("GET", "/repos/{owner}/{repo}/labels")
def labels(call: Call) -> Response:
    return Response(body=call.paged([call.payloads.label(call.repo, x) for x in call.repo.labels.values()]))


@route("POST", "/repos/{owner}/{repo}/labels")
def create_label(call: Call) -> Response:
    name = call.body["name"]
    if name.casefold() in call.repo.labels:
        errors = [{"resource": "Label", "code": "already_exists", "field": "name"}]
        raise RefusalError(422, "Validation Failed", errors)
    made = call.world.ensure_label(call.repo, name, call.body.get("color", "ededed"))
    made.description = call.body.get("description")
    return Response(201, call.payloads.label(call.repo, made))


@route("GET", "/repos/{owner}/{repo}/issues/{issue_number}/labels")
def labels_of_issue(call: Call) -> Response:
    return Response(body=call.paged(_shown(call)))


@route("POST", "/repos/{owner}/{repo}/issues/{issue_number}/labels")
def add_labels(call: Call) -> Response:
    names = call.body["labels"] if isinstance(call.body, dict) else call.body
    for name in names:
        call.world.add_label(call.repo, call.pull, name, call.actor.id)
    return Response(body=_shown(call))


@route("DELETE", "/repos/{owner}/{repo}/issues/{issue_number}/labels/{name}")
def remove_label(call: Call) -> Response:
    found = [name for name in call.pull.labels if name.casefold() == call.params["name"].casefold()]
    if not found:
        raise RefusalError(404, "Label does not exist")
    call.world.remove_label(call.repo, call.pull, found[0], call.actor.id)
    return Response(body=_shown(call))


@route("GET", "/repos/{owner}/{repo}/issues/{issue_number}/timeline")
def timeline(call: Call) -> Response:
    events = sorted(call.pull.timeline, key=lambda event: (event.at, event.id))
    return Response(body=call.paged([call.payloads.event(call.repo, call.pull, event) for event in events]))


@route("GET", "/repos/{owner}/{repo}/issues/{issue_number}/comments")
def comments(call: Call) -> Response:
    number = call.pull.number
    found = [call.payloads.comment(call.repo, item) for item in call.repo.comments if item.issue == number]
    return Response(body=call.paged(found))


@route("POST", "/repos/{owner}/{repo}/issues/{issue_number}/comments")
def create_comment(call: Call) -> Response:
    refuse_locked(call, call.pull.number)
    if len(call.body["body"]) > 65536:
        raise RefusalError(422, "Validation Failed", [{"field": "body", "code": "too_long"}])
    comment = call.world.comment(call.repo, call.pull.number, call.actor.id, call.body["body"])
    return Response(201, call.payloads.comment(call.repo, comment))


@route("PATCH", "/repos/{owner}/{repo}/issues/comments/{comment_id}")
def edit_comment(call: Call) -> Response:
    comment = _comment(call)
    refuse_locked(call, comment.issue)
    comment.body = call.body["body"]
    comment.edited = call.world.tick()
    return Response(body=call.payloads.comment(call.repo, comment))


@route("DELETE", "/repos/{owner}/{repo}/issues/comments/{comment_id}")
def delete_comment(call: Call) -> Response:
    call.repo.comments.remove(_comment(call))
    return Response(204)


def refuse_locked(call: Call, number: int) -> None:
    if (pull := call.repo.pulls.get(number)) is not None and pull.locked:
        raise RefusalError(403, "Unable to create comment because issue is locked.")


def _comment(call: Call) -> Comment:
    for comment in call.repo.comments:
        if comment.id == int(call.params["comment_id"]):
            return comment
    raise RefusalError(404, "Not Found")


def _shown(call: Call) -> list[object]:
    return [call.payloads.label(call.repo, call.repo.labels[name.casefold()]) for name in call.pull.labels]
