"""Pull requests, their reviews and their reviewers."""

from __future__ import annotations

from tests.support.github.routing import Call, RefusalError, Response, route
from tests.support.github.things import Pull, Repo


@route("GET", "/repos/{owner}/{repo}/pulls")
def pulls(call: Call) -> Response:
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
    return Response(body=call.paged(found))


@route("POST", "/repos/{owner}/{repo}/pulls")
def create_pull(call: Call) -> Response:
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
def pull(call: Call) -> Response:
    return Response(body=call.payloads.pull(call.repo, call.pull))


@route("PATCH", "/repos/{owner}/{repo}/pulls/{pull_number}")
def edit_pull(call: Call) -> Response:
    found = call.pull
    call.world.tick()
    found.title = call.body.get("title", found.title)
    found.body = call.body.get("body", found.body)
    found.base = call.body.get("base", found.base)
    found.state = call.body.get("state", found.state)
    return Response(body=call.payloads.pull(call.repo, found))


@route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/reviews")
def reviews(call: Call) -> Response:
    found = [call.payloads.review(call.repo, call.pull, review) for review in call.pull.reviews]
    return Response(body=call.paged(found))


@route("POST", "/repos/{owner}/{repo}/pulls/{pull_number}/reviews")
def create_review(call: Call) -> Response:
    states = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}
    state = states[call.body["event"]]
    if call.actor.id == call.pull.author and state != "COMMENTED":
        raise RefusalError(422, "Unprocessable Entity", ["Can not approve your own pull request"])
    made = call.world.review(call.repo, call.pull, call.actor.login, state, body=call.body.get("body", ""))
    return Response(body=call.payloads.review(call.repo, call.pull, made))


@route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/commits")
def commits(call: Call) -> Response:
    base, head = call.repo.tip(call.pull.base), call.repo.head(call.pull)
    shas = call.repo.store.between(base, head)[:250]
    return Response(body=call.paged([call.payloads.commit(call.repo, sha) for sha in shas]))


@route("POST", "/repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers")
def request_reviewers(call: Call) -> Response:
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
def pulls_of_commit(call: Call) -> Response:
    found = pulls_with(call.repo, call.commit(call.params["commit_sha"]))
    return Response(body=call.paged([call.payloads.pull_simple(call.repo, item) for item in found]))


def pulls_with(repo: Repo, sha: str) -> list[Pull]:
    """List the pull requests that brought a commit, or would."""
    return [
        item
        for item in repo.pulls.values()
        if sha == item.merge_sha or sha in repo.store.between(repo.base_of(item), repo.head(item))
    ]
