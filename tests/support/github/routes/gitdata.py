"""Everything that is git, answered from the bare repository."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

from tests.support.github.routing import Call, RefusalError, Response, route


@route("GET", "/repos/{owner}/{repo}")
def repository(call: Call) -> Response:
    return Response(body=call.payloads.repo(call.repo))


@route("GET", "/repos/{owner}/{repo}/git/ref/{ref}")
def git_ref(call: Call) -> Response:
    found = call.repo.store.ref(f"refs/{call.params['ref']}")
    if found is None:
        raise RefusalError(404, "Not Found")
    return Response(body=ref_payload(call, f"refs/{call.params['ref']}", *found))


@route("GET", "/repos/{owner}/{repo}/git/matching-refs/{ref}")
def matching_refs(call: Call) -> Response:
    found = call.repo.store.refs(f"refs/{call.params['ref']}")
    return Response(body=[ref_payload(call, *row) for row in found])


@route("GET", "/repos/{owner}/{repo}/commits")
def list_commits(call: Call) -> Response:
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
    return Response(body=[call.payloads.commit(call.repo, sha) for sha in call.paged(found)])


@route("GET", "/repos/{owner}/{repo}/compare/{basehead}")
def compare(call: Call) -> Response:
    store = call.repo.store
    one, _, other = call.params["basehead"].partition("...")
    base, head = call.commit(one), call.commit(other)
    fork = store.merge_base(base, head)
    if fork is None:
        raise RefusalError(404, f"No common ancestor between {one} and {other}.")
    ahead, behind = store.between(base, head), store.between(head, base)
    status = "diverged" if ahead and behind else "ahead" if ahead else "behind" if behind else "identical"
    web = f"{call.payloads.html(call.repo)}/compare/{base}...{head}"
    body = {
        "url": f"{call.payloads.repo_url(call.repo)}/compare/{base}...{head}",
        "html_url": web,
        "permalink_url": web,
        "diff_url": f"{web}.diff",
        "patch_url": f"{web}.patch",
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
        body["files"] = [_diff_entry(call, fork, head, *row) for row in changed[:300]]
    return Response(body=body)


@route("GET", "/repos/{owner}/{repo}/git/trees/{tree_sha}")
def tree(call: Call) -> Response:
    sha = call.params["tree_sha"]
    kind = call.repo.store.type_of(sha)
    if sha in call.repo.lost or kind not in ("commit", "tree"):
        raise RefusalError(404, "Not Found")
    root = call.repo.store.info(sha).tree if kind == "commit" else sha
    url = f"{call.payloads.repo_url(call.repo)}/git"
    entries = call.repo.store.entries(root, recursive="recursive" in call.query)
    limit = call.repo.rows.get("tree limit", [{"entries": 100_000}])[0]["entries"]
    rows = []
    for entry in entries[:limit]:
        row: dict[str, Any] = {
            "path": entry.path,
            "mode": entry.mode,
            "type": entry.type,
            "sha": entry.sha,
            "url": f"{url}/{entry.type}s/{entry.sha}",
        }
        if entry.size is not None:
            row["size"] = entry.size
        rows.append(row)
    body = {"sha": root, "url": f"{url}/trees/{root}", "tree": rows, "truncated": len(entries) > limit}
    return Response(body=body)


@route("GET", "/repos/{owner}/{repo}/git/blobs/{file_sha}")
def blob(call: Call) -> Response:
    sha = call.params["file_sha"]
    if call.repo.store.type_of(sha) != "blob":
        raise RefusalError(404, "Not Found")
    data = call.repo.store.blob(sha)
    body = {
        "content": call.payloads.content(data),
        "encoding": "base64",
        "url": f"{call.payloads.repo_url(call.repo)}/git/blobs/{sha}",
        "sha": sha,
        "size": len(data),
        "node_id": f"B_{sha[:12]}",
    }
    return Response(body=body)


@route("GET", "/repos/{owner}/{repo}/contents/{path}")
def contents(call: Call) -> Response:
    sha = call.commit(call.query.get("ref", call.repo.default_branch))
    path = call.params["path"]
    entries = call.repo.store.entries(call.repo.store.info(sha).tree, recursive=True)
    found = next((entry for entry in entries if entry.path == path and entry.type == "blob"), None)
    if found is None:
        raise RefusalError(404, "Not Found")
    return Response(body=content_payload(call, path, found.sha, sha))


def content_payload(call: Call, path: str, sha: str, ref: str) -> dict[str, Any]:
    """Return a content-file."""
    data = call.repo.store.blob(sha)
    api = f"{call.payloads.repo_url(call.repo)}/contents/{path}?ref={ref}"
    web = f"{call.payloads.html(call.repo)}/blob/{ref}/{path}"
    git = f"{call.payloads.repo_url(call.repo)}/git/blobs/{sha}"
    return {
        "type": "file",
        "encoding": "base64",
        "size": len(data),
        "name": path.rpartition("/")[2],
        "path": path,
        "content": call.payloads.content(data),
        "sha": sha,
        "url": api,
        "git_url": git,
        "html_url": web,
        "download_url": f"https://raw.githubusercontent.com/{call.repo.full_name}/{ref}/{path}",
        "_links": {"self": api, "git": git, "html": web},
    }


def ref_payload(call: Call, name: str, kind: str, sha: str) -> dict[str, Any]:
    """Return a git-ref."""
    url = f"{call.payloads.repo_url(call.repo)}/git"
    return {
        "ref": name,
        "node_id": "REF_1",
        "url": f"{url}/{name}",
        "object": {"type": kind, "sha": sha, "url": f"{url}/{kind}s/{sha}"},
    }


def decoded(body: dict[str, Any]) -> bytes:
    """Return the bytes of a body with content and encoding."""
    if body.get("encoding", "utf-8") == "base64":
        return base64.b64decode(body["content"])
    text: str = body["content"]
    return text.encode()


def _diff_entry(call: Call, base: str, head: str, letter: str, path: str, sha: str) -> dict[str, Any]:
    words = {"A": "added", "D": "removed", "M": "modified", "T": "changed"}
    url = call.payloads.repo_url(call.repo)
    web = call.payloads.html(call.repo)
    patch = call.repo.store.patch(base, head, path)
    added = sum(1 for line in patch.splitlines()[4:] if line.startswith("+"))
    removed = sum(1 for line in patch.splitlines()[4:] if line.startswith("-"))
    return {
        "sha": sha,
        "filename": path,
        "status": words[letter],
        "additions": added,
        "deletions": removed,
        "changes": added + removed,
        "blob_url": f"{web}/blob/{head}/{path}",
        "raw_url": f"{web}/raw/{head}/{path}",
        "contents_url": f"{url}/contents/{path}?ref={head}",
    }
