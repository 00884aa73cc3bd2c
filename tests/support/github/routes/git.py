"""Git objects, refs and files, in the bare repository."""

from __future__ import annotations

import base64
import re
from datetime import datetime
from typing import Any

from tests.support.github.routing import Call, RefusalError, Response, known, route
from tests.support.github.store import Signature

_NAME = re.compile(r"refs/(heads|tags)/[^\s~^:?*\[\\]+")
_STATES = {"A": "added", "D": "removed", "M": "modified", "T": "changed"}


@route("GET", "/repos/{owner}/{repo}")
def repository(call: Call) -> Any:
    return call.payloads.repo(call.repo)


@route("GET", "/repos/{owner}/{repo}/git/ref/{ref}")
def git_ref(call: Call) -> Any:
    found = known(call.repo.store.ref(f"refs/{call.params['ref']}"))
    return ref_payload(call, f"refs/{call.params['ref']}", *found)


@route("GET", "/repos/{owner}/{repo}/git/matching-refs/{ref}")
def matching_refs(call: Call) -> Any:
    found = call.repo.store.refs(f"refs/{call.params['ref']}")
    return [ref_payload(call, *row) for row in found]


@route("GET", "/repos/{owner}/{repo}/commits")
def list_commits(call: Call) -> Any:
    start = call.commit(call.query.get("sha", call.repo.default_branch))
    author = call.query.get("author")
    since = datetime.fromisoformat(call.query.get("since", "1970-01-01T00:00:00Z"))
    found = []
    for sha in call.repo.store.history(start, call.query.get("path", "")):
        info = call.repo.store.info(sha)
        if info.committer.date is not None and info.committer.date < since:
            continue
        signature = info.author
        user = call.world.user_of_email(signature.email)
        if author is None or author == signature.email or (user is not None and user.login == author):
            found.append(sha)
    return [call.payloads.commit(call.repo, sha) for sha in call.paged(found)]


@route("GET", "/repos/{owner}/{repo}/compare/{basehead}")
def compare(call: Call) -> Any:
    store = call.repo.store
    one, _, other = call.params["basehead"].partition("...")
    base, head = call.commit(one), call.commit(other)
    fork = known(store.merge_base(base, head), f"No common ancestor between {one} and {other}.")
    ahead, behind = store.between(base, head), store.between(head, base)
    status = "diverged" if ahead and behind else "ahead" if ahead else "behind" if behind else "identical"
    body = {
        "base_commit": call.payloads.commit(call.repo, base),
        "merge_base_commit": call.payloads.commit(call.repo, fork),
        "status": status,
        "ahead_by": len(ahead),
        "behind_by": len(behind),
        "total_commits": len(ahead),
        "commits": [call.payloads.commit(call.repo, sha) for sha in call.paged(ahead)],
        "files": [],
    }
    if call.query.get("page", "1") == "1":
        changed = store.changed(fork, head)
        body["files"] = [diff_entry(call, fork, head, *row) for row in changed[:300]]
    return body


@route("GET", "/repos/{owner}/{repo}/git/trees/{tree_sha}")
def tree(call: Call) -> Any:
    sha = call.params["tree_sha"]
    kind = call.repo.store.type_of(sha)
    if sha in call.repo.lost or kind not in ("commit", "tree"):
        raise RefusalError(404, "Not Found")
    root = call.repo.store.info(sha).tree if kind == "commit" else sha
    entries = call.repo.store.entries(root, recursive="recursive" in call.query)
    limit = call.repo.rows.get("tree limit", [{"entries": 100_000}])[0]["entries"]
    rows = []
    for entry in entries[:limit]:
        row: dict[str, Any] = {"path": entry.path, "mode": entry.mode, "type": entry.type, "sha": entry.sha}
        if entry.size is not None:
            row["size"] = entry.size
        rows.append(row)
    return {"sha": root, "tree": rows, "truncated": len(entries) > limit}


@route("GET", "/repos/{owner}/{repo}/git/blobs/{file_sha}")
def blob(call: Call) -> Any:
    sha = call.params["file_sha"]
    if call.repo.store.type_of(sha) != "blob":
        raise RefusalError(404, "Not Found")
    data = call.repo.store.blob(sha)
    content = call.payloads.content(data)
    return {"content": content, "encoding": "base64", "sha": sha, "size": len(data)}


@route("GET", "/repos/{owner}/{repo}/contents/{path}")
def contents(call: Call) -> Any:
    sha = call.commit(call.query.get("ref", call.repo.default_branch))
    path = call.params["path"]
    entries = call.repo.store.entries(call.repo.store.info(sha).tree, recursive=True)
    found = known(next((entry for entry in entries if entry.path == path and entry.type == "blob"), None))
    return content_payload(call, path, found.sha, sha)


def content_payload(call: Call, path: str, sha: str, ref: str) -> dict[str, Any]:
    """Return a content-file."""
    data = call.repo.store.blob(sha)
    return {
        "type": "file",
        "encoding": "base64",
        "size": len(data),
        "name": path.rpartition("/")[2],
        "path": path,
        "content": call.payloads.content(data),
        "sha": sha,
        "html_url": f"{call.payloads.html(call.repo)}/blob/{ref}/{path}",
    }


def ref_payload(call: Call, name: str, kind: str, sha: str) -> dict[str, Any]:
    """Return a git-ref."""
    url = f"{call.payloads.repo_url(call.repo)}/git/{kind}s/{sha}"
    return {"ref": name, "object": {"type": kind, "sha": sha, "url": url}}


def decoded(body: dict[str, Any]) -> bytes:
    """Return the bytes of a body with content and encoding."""
    if body.get("encoding", "utf-8") == "base64":
        return base64.b64decode(body["content"])
    text: str = body["content"]
    return text.encode()


def diff_entry(call: Call, base: str, head: str, letter: str, path: str, sha: str) -> dict[str, Any]:
    patch = call.repo.store.patch(base, head, path)
    added = sum(1 for line in patch.splitlines()[4:] if line.startswith("+"))
    removed = sum(1 for line in patch.splitlines()[4:] if line.startswith("-"))
    return {
        "sha": sha,
        "filename": path,
        "status": _STATES[letter],
        "additions": added,
        "deletions": removed,
        "changes": added + removed,
    }


@route("POST", "/repos/{owner}/{repo}/git/blobs")
def create_blob(call: Call) -> Any:
    sha = call.repo.store.write("blob", decoded(call.body))
    return Response(201, {"sha": sha})


@route("POST", "/repos/{owner}/{repo}/git/trees")
def create_tree(call: Call) -> Any:
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
    rows = store.entries(tree, recursive=False)
    listed = [{"path": row.path, "mode": row.mode, "type": row.type, "sha": row.sha} for row in rows]
    return Response(201, {"sha": tree, "tree": listed, "truncated": False})


@route("POST", "/repos/{owner}/{repo}/git/commits")
def create_commit(call: Call) -> Any:
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
def git_commit(call: Call) -> Any:
    sha = call.params["commit_sha"]
    if call.repo.store.type_of(sha) != "commit" or sha in call.repo.lost:
        raise RefusalError(404, "Not Found")
    return commit_payload(call, sha)


@route("POST", "/repos/{owner}/{repo}/git/tags")
def create_tag(call: Call) -> Any:
    store, body = call.repo.store, call.body
    if store.type_of(body["object"]) != body["type"]:
        raise RefusalError(422, "Could not verify object")
    tagger = _signature(call, body.get("tagger")).line(call.world.tick())
    sha = store.tag(body["tag"], body["object"], body["type"], body["message"], tagger)
    return Response(201, tag_payload(call, sha))


@route("GET", "/repos/{owner}/{repo}/git/tags/{tag_sha}")
def git_tag(call: Call) -> Any:
    if call.repo.store.type_of(call.params["tag_sha"]) != "tag":
        raise RefusalError(404, "Not Found")
    return tag_payload(call, call.params["tag_sha"])


@route("POST", "/repos/{owner}/{repo}/git/refs")
def create_ref(call: Call) -> Any:
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
def update_ref(call: Call) -> Any:
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
def delete_ref(call: Call) -> Any:
    name = f"refs/{call.params['ref']}"
    if call.repo.store.ref(name) is None:
        raise RefusalError(422, "Reference does not exist")
    call.repo.store.delete_ref(name)
    return Response(204)


@route("PUT", "/repos/{owner}/{repo}/contents/{path}")
def put_file(call: Call) -> Any:
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
    return {
        "sha": sha,
        "html_url": f"{call.payloads.html(call.repo)}/commit/{sha}",
        "author": call.payloads.signature(info.author),
        "committer": call.payloads.signature(info.committer),
        "message": info.message,
        "tree": {"sha": info.tree},
        "parents": [{"sha": parent} for parent in info.parents],
    }


def tag_payload(call: Call, sha: str) -> dict[str, Any]:
    """Return a git-tag."""
    tag = call.repo.store.tag_info(sha)
    return {
        "tag": tag.name,
        "sha": sha,
        "message": tag.message,
        "tagger": call.payloads.signature(tag.tagger),
        "object": {"sha": tag.target, "type": tag.type},
    }


def _signature(call: Call, given: dict[str, str] | None) -> Signature:
    if given is None:
        return call.actor.signature()
    date = datetime.fromisoformat(given["date"]) if "date" in given else None
    return Signature(given["name"], given["email"], date)
