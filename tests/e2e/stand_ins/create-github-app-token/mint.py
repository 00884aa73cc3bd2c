"""Ask for a token of an installation, as actions/create-github-app-token does (the key is not a key here)."""

import json
import os
import sys
import urllib.error
import urllib.request

for variable, name in (("CLIENT", "client-id"), ("KEY", "private-key")):
    if not os.environ[variable]:
        sys.exit(f"Input required and not supplied: {name}")
here = os.environ["GITHUB_REPOSITORY"].partition("/")
owner, name = os.environ["OWNER"] or here[0], os.environ["NAME"] or here[2]
wanted = {
    key.removeprefix("PERMISSION_").lower(): value
    for key, value in sorted(os.environ.items())
    if key.startswith("PERMISSION_") and value
}


def call(method: str, path: str, body: object = None) -> dict[str, object]:
    """Make a call with the app's own token."""
    data = None if body is None else json.dumps(body).encode()
    headers = {
        "Authorization": f"Bearer {os.environ['CLIENT']}:{os.environ['KEY']}",
        "Content-Type": "application/json",
    }
    request = urllib.request.Request(os.environ["GITHUB_API_URL"] + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)  # type: ignore[no-any-return]
    except urllib.error.HTTPError as error:
        sys.exit(f"HTTP {error.code}: {error.read().decode()}")


with open(os.environ["E2E_CALLS"], "a") as calls:  # noqa: PTH123
    shown = " ".join(f"{key}={value}" for key, value in wanted.items())
    calls.write(f"token for {owner}/{name} {shown}\n")
installation = call("GET", f"/repos/{owner}/{name}/installation")["id"]
made = call(
    "POST",
    f"/app/installations/{installation}/access_tokens",
    {"repositories": [name], "permissions": wanted},
)
print(f"::add-mask::{made['token']}")  # noqa: T201
with open(os.environ["GITHUB_OUTPUT"], "a") as output:  # noqa: PTH123
    output.write(f"token={made['token']}\n")
