"""Accounts and teams."""

from __future__ import annotations

from tests.support.github.routing import Call, RefusalError, Response, route


@route("GET", "/user")
def own_account(call: Call) -> Response:
    if call.actor.type == "Bot":
        raise RefusalError(403, "Resource not accessible by integration")
    return Response(body=call.payloads.profile(call.actor))


@route("GET", "/users/{username}")
def account(call: Call) -> Response:
    user = call.world.find_user(call.params["username"])
    if user is None:
        raise RefusalError(404, "Not Found")
    return Response(body=call.payloads.profile(user))


@route("GET", "/orgs/{org}/teams")
def teams(call: Call) -> Response:
    found = [team for team in call.world.teams.values() if team.org == call.params["org"]]
    if not any(team.fault == 0 for team in found):
        raise RefusalError(403, "Resource not accessible by integration")
    return Response(body=call.paged([call.payloads.team(team) for team in found]))


@route("GET", "/orgs/{org}/teams/{team_slug}/members")
def team_members(call: Call) -> Response:
    team = call.world.teams.get(f"{call.params['org']}/{call.params['team_slug']}")
    if team is None:
        raise RefusalError(404, "Not Found")
    if team.fault:
        raise RefusalError(team.fault, "Resource not accessible by integration")
    members = [call.payloads.user(member) for member in team.members]
    return Response(body=call.paged([member for member in members if member is not None]))


@route("GET", "/repos/{owner}/{repo}/collaborators/{username}/permission")
def permission(call: Call) -> Response:
    user = call.world.find_user(call.params["username"])
    if user is None:
        raise RefusalError(404, "Not Found")
    level = call.repo.members.get(user.login, "read")
    return Response(body={"permission": level, "role_name": level, "user": None})
