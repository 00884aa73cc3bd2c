"""Writing git: blobs, trees, commits, annotated tags, refs, and single files."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from tests.support.github.routes.gitdata import content_payload, decoded, ref_payload
from tests.support.github.routing import Call, RefusalError, Response, route
from tests.support.github.store import Signature

_NAME = re.compile(r"refs/(heads|tags)/[^\s~^:?*\[\\]+")


@route("POST", "/repos/{owner}/{repo}/git/blobs")
def create_blob(call: Call) -> Response:
    sha = call.repo.store.write("blob", decoded(call.body))
    return Response(201, {"sha": sha, "url": _url(call, "blobs", sha)})


@route("POST", "/repos/{owner}/{repo}/git/trees")
def create_tree(call: Call) -> Response:
    store = call.repo.store
    base = call.body.get("base_tree")
    if base is not None and store.type_of(base) == "commit":
        base = store.info(base).tree
    files = {}
    if base is not None:
        rows = store.entries(base, recursive=True)
        files = {row.path: (row.mode, row.sha) for row in rows if row.type != "tree"}
    for entry in call.body["tree"]:
        if entry.get("sha", "") is None:
            files.pop(entry["path"], None)
            continue
        sha = entry.get("sha")
        if sha is None:
            sha = store.write("blob", entry["content"].encode())
        if store.type_of(sha) != "blob":
            raise RefusalError(422, f"tree.sha {sha} is not a valid blob")
        files[entry["path"]] = (entry.get("mode", "100644"), sha)
    tree = store.write_tree(files)
    url = _url(call, "trees", tree)
    rows = store.entries(tree, recursive=False)
    listed = [
        {
            "path": row.path,
            "mode": row.mode,
            "type": row.type,
            "sha": row.sha,
            "url": _url(call, f"{row.type}s", row.sha),
        }
        for row in rows
    ]
    return Response(201, {"sha": tree, "url": url, "tree": listed, "truncated": False})


@route("POST", "/repos/{owner}/{repo}/git/commits")
def create_commit(call: Call) -> Response:
    store = call.repo.store
    for sha, kind in [
        (call.body["tree"], "tree"),
        *((parent, "commit") for parent in call.body.get("parents", [])),
    ]:
        if store.type_of(sha) != kind:
            raise RefusalError(422, f"{sha} is not a {kind}")
    who = _signature(call, call.body.get("author"))
    sha = store.commit_tree(
        call.body["tree"],
        parents=call.body.get("parents", []),
        message=call.body["message"],
        author=who,
        committer=_signature(call, call.body.get("committer") or call.body.get("author")),
        at=call.world.tick(),
    )
    return Response(201, commit_payload(call, sha))


@route("GET", "/repos/{owner}/{repo}/git/commits/{commit_sha}")
def git_commit(call: Call) -> Response:
    sha = call.params["commit_sha"]
    if call.repo.store.type_of(sha) != "commit" or sha in call.repo.lost:
        raise RefusalError(404, "Not Found")
    return Response(body=commit_payload(call, sha))


@route("POST", "/repos/{owner}/{repo}/git/tags")
def create_tag(call: Call) -> Response:
    store, body = call.repo.store, call.body
    if store.type_of(body["object"]) != body["type"]:
        raise RefusalError(422, "Could not verify object")
    tagger = _signature(call, body.get("tagger"))
    text = (
        f"object {body['object']}\ntype {body['type']}\ntag {body['tag']}\n"
        f"tagger {tagger.line(call.world.tick())}\n\n{body['message']}\n"
    )
    sha = store.git("mktag", stdin=text.encode()).decode().strip()
    return Response(201, tag_payload(call, sha))


@route("GET", "/repos/{owner}/{repo}/git/tags/{tag_sha}")
def git_tag(call: Call) -> Response:
    if call.repo.store.type_of(call.params["tag_sha"]) != "tag":
        raise RefusalError(404, "Not Found")
    return Response(body=tag_payload(call, call.params["tag_sha"]))


@route("POST", "/repos/{owner}/{repo}/git/refs")
def create_ref(call: Call) -> Response:
    name, sha = call.body["ref"], call.body["sha"]
    store = call.repo.store
    if name.removeprefix("refs/tags/") in call.repo.refused_tags:
        raise RefusalError(422, "Cannot create ref due to creations being restricted.")
    if not _NAME.fullmatch(name):
        raise RefusalError(422, "Reference name is not valid")
    if not (kind := store.type_of(sha)):
        raise RefusalError(422, "Object does not exist")
    if store.ref(name) is not None:
        raise RefusalError(422, "Reference already exists")
    call.world.tick()
    store.set_ref(name, sha)
    return Response(201, ref_payload(call, name, kind, sha))


@route("PATCH", "/repos/{owner}/{repo}/git/refs/{ref}")
def update_ref(call: Call) -> Response:
    name, sha = f"refs/{call.params['ref']}", call.body["sha"]
    store = call.repo.store
    found = store.ref(name)
    if found is None:
        raise RefusalError(422, "Reference does not exist")
    if not call.body.get("force") and store.merge_base(found[1], sha) != found[1]:
        raise RefusalError(422, "Update is not a fast forward")
    call.world.tick()
    store.set_ref(name, sha)
    for pull in call.repo.pulls.values():
        if pull.state == "open" and name == f"refs/heads/{pull.branch}":
            store.set_ref(f"refs/pull/{pull.number}/head", sha)
    return Response(200, ref_payload(call, name, store.type_of(sha), sha))


@route("DELETE", "/repos/{owner}/{repo}/git/refs/{ref}")
def delete_ref(call: Call) -> Response:
    name = f"refs/{call.params['ref']}"
    if call.repo.store.ref(name) is None:
        raise RefusalError(422, "Reference does not exist")
    call.repo.store.delete_ref(name)
    return Response(204)


@route("PUT", "/repos/{owner}/{repo}/contents/{path}")
def put_file(call: Call) -> Response:
    branch, path = call.body.get("branch", call.repo.default_branch), call.params["path"]
    tip = call.repo.tip(branch)
    rows = call.repo.store.entries(call.repo.store.info(tip).tree, recursive=True)
    known = next((row.sha for row in rows if row.path == path), None)
    if known != call.body.get("sha"):
        raise RefusalError(409, f"{path} does not match {call.body.get('sha')}")
    data = decoded({"content": call.body["content"], "encoding": "base64"})
    sha = call.world.commit(
        call.repo, branch, {path: data}, message=call.body["message"], author=call.actor.login
    )
    rows = call.repo.store.entries(call.repo.store.info(sha).tree, recursive=True)
    blob = next(row.sha for row in rows if row.path == path)
    body = {"content": content_payload(call, path, blob, branch), "commit": commit_payload(call, sha)}
    return Response(200 if known else 201, body)


def commit_payload(call: Call, sha: str) -> dict[str, Any]:
    """Return a git-commit."""
    info = call.repo.store.info(sha)
    web = call.payloads.html(call.repo)
    return {
        "sha": sha,
        "node_id": f"C_{sha[:12]}",
        "url": _url(call, "commits", sha),
        "html_url": f"{web}/commit/{sha}",
        "author": call.payloads.signature(info.author),
        "committer": call.payloads.signature(info.committer),
        "message": info.message,
        "tree": {"sha": info.tree, "url": _url(call, "trees", info.tree)},
        "parents": [
            {"sha": parent, "url": _url(call, "commits", parent), "html_url": f"{web}/commit/{parent}"}
            for parent in info.parents
        ],
        "verification": {
            "verified": False,
            "reason": "unsigned",
            "signature": None,
            "payload": None,
            "verified_at": None,
        },
    }


def tag_payload(call: Call, sha: str) -> dict[str, Any]:
    """Return a git-tag."""
    tag = call.repo.store.tag_info(sha)
    return {
        "node_id": f"TAG_{sha[:12]}",
        "tag": tag.name,
        "sha": sha,
        "url": _url(call, "tags", sha),
        "message": tag.message,
        "tagger": call.payloads.signature(tag.tagger),
        "object": {"sha": tag.target, "type": tag.type, "url": _url(call, f"{tag.type}s", tag.target)},
    }


def _signature(call: Call, given: dict[str, str] | None) -> Signature:
    if given is None:
        return call.actor.signature()
    date = datetime.fromisoformat(given["date"]) if "date" in given else None
    return Signature(given["name"], given["email"], date)


def _url(call: Call, kind: str, sha: str) -> str:
    return f"{call.payloads.repo_url(call.repo)}/git/{kind}/{sha}"
