"""Reactions to comments."""

from __future__ import annotations

from typing import Any

from tests.support.github.routes.issues import refuse_locked
from tests.support.github.routing import Call, RefusalError, Response, route

_PATH = "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions"


@route("GET", _PATH)
def reactions(call: Call) -> Response:
    wanted = call.query.get("content")
    return Response(body=call.paged([row for row in _rows(call) if wanted in (None, row["content"])]))


@route("POST", _PATH)
def react(call: Call) -> Response:
    content = call.body["content"]
    rows, number = _rows(call), int(call.params["comment_id"])
    refuse_locked(call, next(item.issue for item in call.repo.comments if item.id == number))
    for row in rows:
        if row["content"] == content and row["user"]["id"] == call.actor.id:
            return Response(200, row)
    number = call.world.new_id()
    row = {
        "id": number,
        "node_id": f"REA_{number}",
        "user": call.payloads.user(call.actor.id),
        "content": content,
        "created_at": call.payloads.moment(call.world.tick()),
    }
    _all(call).append({"comment": int(call.params["comment_id"]), "row": row})
    return Response(201, row)


@route("DELETE", _PATH + "/{reaction_id}")
def remove(call: Call) -> Response:
    number = int(call.params["reaction_id"])
    found = [item for item in _all(call) if item["row"]["id"] == number]
    if not found:
        raise RefusalError(404, "Not Found")
    _all(call).remove(found[0])
    return Response(204)


def _all(call: Call) -> list[dict[str, Any]]:
    return call.repo.rows.setdefault("reactions", [])


def _rows(call: Call) -> list[dict[str, Any]]:
    number = int(call.params["comment_id"])
    if not any(comment.id == number for comment in call.repo.comments):
        raise RefusalError(404, "Not Found")
    return [item["row"] for item in _all(call) if item["comment"] == number]
