"""``consdb-actions init`` and ``doctor``: caller workflows of a repository, and a check of adoption."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import click

from consdb_actions.commands.options import (
    account_name,
    commit_id,
    examples,
    github_session,
    option,
    repository_name,
    schemas_repository_option,
    target_option,
)
from consdb_actions.commands.terminal import show, verbosity_options
from consdb_actions.config import CONFIG_PATH
from consdb_actions.errors import InputError
from consdb_actions.report.markdown import printable

if TYPE_CHECKING:
    from consdb_actions.adapters.github import GitHub
    from consdb_actions.approval.facts import Policy

PROJECT = "lsst-dm/consdb-actions"
WORKFLOWS = ".github/workflows"
PIN = re.compile(r"(?<=@)([0-9a-f]{40}) # (\S+)")
SKELETON = """\
# Who approves schema changes; everything else has ConsDB's values.
# https://github.com/lsst-dm/consdb-actions/blob/main/docs/rules-approvals.md
approvals:
  roles:
    - {id: de, people: []} # Data Engineering; or teams: [lsst/data-engineering]
    - {id: po, people: []} # the ConsDB product owner; or designates: [{login: somebody, until: 2026-12-31}]
    - {id: consdb, people: []} # the ConsDB team
"""


@dataclass(frozen=True, slots=True)
class App:
    """A GitHub App: a proposed name, the prefix of its variable and secret, permissions, and repositories."""

    name: str
    prefix: str
    permissions: dict[str, str]
    repositories: tuple[str, ...]

    @property
    def variable(self) -> str:
        """The variable that holds its client id."""
        return f"{self.prefix}_CLIENT_ID"

    @property
    def secret(self) -> str:
        """The secret that holds its key."""
        return f"{self.prefix}_PRIVATE_KEY"

    def link(self, organization: str, *, teams: bool = False) -> str:
        """Return the registration page with all fields filled in."""
        given = {"name": self.name, "url": f"https://github.com/{PROJECT}", "public": "true"}
        wanted = {**self.permissions, **({"members": "read"} if teams else {})}
        query = urlencode({**given, "webhook_active": "false", **wanted})
        return f"https://github.com/organizations/{organization}/settings/apps/new?{query}"


APPS = (
    App(
        "consdb-migrations",
        "CONSDB_APP",
        {"checks": "read", "contents": "write", "pull_requests": "write", "statuses": "write"},
        ("lsst/sdm_schemas", "lsst-dm/consdb"),
    ),
    App(
        "consdb-releases",
        "CONSDB_RELEASE_APP",
        {
            "actions": "read",
            "checks": "read",
            "contents": "write",
            "pull_requests": "write",
            "statuses": "read",
        },
        ("lsst-dm/consdb", "lsst-sqre/phalanx"),
    ),
)


def callers(kind: str) -> dict[str, str]:
    """Return the caller workflows for a repository by their file names."""
    package = Path(__file__).parents[1]
    inside = package / "callers"
    folder = (inside if inside.is_dir() else package.parent / "examples") / kind
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yaml"))}


def newest_release(github: GitHub) -> tuple[str, str]:
    """Return the tag of this project's newest release, and its commit."""
    for item in github.get(f"/repos/{PROJECT}/releases"):
        if not item["draft"] and not item["prerelease"]:
            return item["tag_name"], github.get(f"/repos/{PROJECT}/commits/{item['tag_name']}")["sha"]
    raise InputError(
        f"{PROJECT} has no release", remedy="Give a trusted commit: --pin SHA [--release v1.2.3]."
    )


@click.command(
    "init",
    epilog=examples("init sdm_schemas", "init consdb --teams"),
)
@click.argument("kind", type=click.Choice(["sdm_schemas", "consdb"]), envvar="CONSDB_KIND")
@option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path(),
    help="Clone of the repository; the current directory by default.",
)
@option("--pin", "commit", metavar="SHA", help="Commit of this project to use instead of its newest release.")
@option(
    "--release", metavar="TAG", help="Release shown next to that commit, such as v1.2.3; main by default."
)
@option("--organization", default="lsst", help="Where the links register the apps.")
@option(
    "--teams", is_flag=True, help="Roles are held by teams: the app may read members of the organization."
)
@option("--force", is_flag=True, help="Replace workflows that exist and differ; a configuration never is.")
@verbosity_options
def init(
    kind: str,
    directory: Path,
    commit: str | None,
    release: str | None,
    organization: str,
    teams: bool,
    force: bool,
) -> int:
    """Write the caller workflows of a repository, and print the next steps.

    KIND is sdm_schemas or consdb. The workflows name the newest release by its commit. For sdm_schemas, a
    configuration to fill in is written, too. Nothing that exists is replaced without --force.
    """
    from consdb_actions.adapters.files import write_all

    account_name(organization, "--organization")
    if commit is not None:
        commit_id(commit, "--pin")
    if release is not None and not re.fullmatch(r"[\w.-]{1,60}", release, re.ASCII):
        raise InputError(f"{release[:60]!r} is not a tag", place="--release", remedy="Give it like v1.2.3.")
    if commit is None:
        with github_session() as github:
            release, commit = newest_release(github)
    pin = f"{commit} # {release or 'main'}"
    files = {
        directory / WORKFLOWS / name: PIN.sub(
            pin, text.replace("teams: false", f"teams: {str(teams).lower()}")
        )
        for name, text in callers(kind).items()
    }
    config = directory / CONFIG_PATH
    if kind == "sdm_schemas" and not config.exists():
        files[config] = SKELETON
    new = {
        path: text for path, text in files.items() if not path.is_file() or path.read_bytes() != text.encode()
    }
    write_all(new, overwrite=force)
    lines = [f"{'wrote' if path in new else 'unchanged'}  {path.relative_to(directory)}" for path in files]
    lines += ["", "Next:"]
    lines += [f"{number}. {step}" for number, step in enumerate(_next(kind, organization, teams), 1)]
    show("\n".join(lines))
    return 0


def _next(kind: str, organization: str, teams: bool) -> list[str]:
    steps = []
    for app in APPS:
        if kind == "sdm_schemas" or app is not APPS[0]:
            where = "; ".join(app.repositories)
            link = app.link(organization, teams=teams and app is APPS[0])
            steps.append(
                f"Register the app {app.name}, make a private key, and install it in {where}:\n   {link}"
            )
        if kind == "consdb" or app is APPS[0]:
            secret = "the secret" if app is APPS[0] else "in an environment consdb-release the secret"
            steps.append(f"Set the variable {app.variable}, and {secret} {app.secret}.")
        if kind == "sdm_schemas":
            break
    if kind == "sdm_schemas":
        steps.append(f"Fill in {CONFIG_PATH}, and create the label “consdb: migrate”.")
        steps.append(
            "Require the statuses consdb/approvals and consdb/ready-to-merge, from the app as source."
        )
    else:
        steps.append("Disable the workflows migrate.yaml and efd_schema_sync.yaml that these replace.")
        steps.append("Require the check “revisions / Revisions”, and branches to be up to date.")
    return [*steps, "Open a pull request with these files. When it is merged: consdb-actions doctor"]


SIGNS = {"ok": "✓", "wrong": "✗", "unknown": "?"}
ENVIRONMENT = "consdb-release"
LABEL = "consdb: migrate"
STATUSES = ("consdb/approvals", "consdb/ready-to-merge")
CHECK = "revisions / Revisions"
REPLACED = ("migrate.yaml", "efd_schema_sync.yaml")


class _HiddenError(Exception):
    pass


@dataclass(frozen=True, slots=True)
class CheckedPoint:
    """A checked point, with a remedy if it is wrong."""

    title: str
    state: str
    text: str = ""
    remedy: str = ""


@dataclass
class _Doctor:
    github: GitHub
    schemas: str
    target: str
    phalanx: str
    slugs: dict[str, str]
    cache: dict[str, Any] = field(default_factory=dict)

    def points(self) -> Iterator[CheckedPoint]:
        from consdb_actions.adapters.github.client import quoted

        for app in APPS:
            yield from self._app(app)
        for kind, repository in (("sdm_schemas", self.schemas), ("consdb", self.target)):
            yield from self._repository(kind, repository)
        yield from self._policy()
        yield self._point(
            f"{self.schemas}: label “{LABEL}”",
            lambda: "" if self._get(f"/repos/{self.schemas}/labels/{quoted(LABEL)}") else "it does not exist",
            "Create it: it requests a migration.",
        )
        yield self._required(self.schemas, STATUSES, self.slugs[APPS[0].name])
        yield self._required(self.target, (CHECK,))
        for name in REPLACED:
            yield self._point(
                f"{self.target}: old workflow {name} is disabled",
                lambda name=name: self._is_off(name),  # type: ignore[misc]
                f"gh workflow disable {name} --repo {self.target}",
            )

    def _app(self, app: App) -> Iterator[CheckedPoint]:
        slug = self.slugs[app.name]
        page = "https://github.com/settings/apps"
        yield self._point(
            f"app {slug} is public",
            lambda: "" if self._get(f"/apps/{slug}") else "there is no public app of this name",
            f"Register it with the link that `init` prints, or make it public at {page}.",
        )
        yield self._point(
            f"app {slug} has exactly the required permissions",
            lambda: _difference(app, (self._get(f"/apps/{slug}") or {}).get("permissions", {})),
            f"Change them at {page}; each owner then accepts them.",
        )
        repositories = {"lsst/sdm_schemas": self.schemas, "lsst-dm/consdb": self.target}
        names = [repositories.get(name, self.phalanx) for name in app.repositories]
        for owner in dict.fromkeys(name.partition("/")[0] for name in names):
            yield self._point(
                f"app {slug} is installed for {owner}",
                lambda owner=owner: self._installed(app, slug, owner),  # type: ignore[misc]
                f"https://github.com/apps/{slug}/installations/new; for an update, accept it at "
                f"https://github.com/organizations/{owner}/settings/installations.",
            )

    def _installed(self, app: App, slug: str, owner: str) -> str:
        found = self._get(f"/orgs/{owner}/installations?per_page=100")
        if found is None:
            raise _HiddenError
        for item in found["installations"]:
            if item["app_slug"] == slug:
                return _difference(app, item["permissions"])
        return "it is not"

    def _repository(self, kind: str, repository: str) -> Iterator[CheckedPoint]:
        root = f"/repos/{repository}"
        for app in APPS if kind == "consdb" else APPS[:1]:
            yield self._point(
                f"{repository}: variable {app.variable}",
                lambda app=app: self._named(f"{root}/actions/variables", "variables", app.variable),  # type: ignore[misc]
                f"gh variable set {app.variable} --repo {repository}",
            )
            place = root if app is APPS[0] else f"{root}/environments/{ENVIRONMENT}"
            path = f"{place}/actions/secrets" if app is APPS[0] else f"{place}/secrets"
            where = "" if app is APPS[0] else f" --env {ENVIRONMENT}"
            yield self._point(
                f"{repository}: secret {app.secret}{where and f' in the environment {ENVIRONMENT}'}",
                lambda path=path, app=app: self._named(path, "secrets", app.secret),  # type: ignore[misc]
                f"gh secret set {app.secret}{where} --repo {repository} < KEY.pem",
            )
        if kind == "consdb":
            yield self._point(
                f"{repository}: environment {ENVIRONMENT} is restricted to selected branches",
                lambda: self._environment(root),
                "Settings, Environments: deployment branches are the default branch.",
            )
            yield self._point(
                f"{repository}: the key of {self.slugs[APPS[1].name]} is not stored elsewhere",
                lambda: (
                    "every workflow can read it"
                    if not self._named(f"{root}/actions/secrets", "secrets", APPS[1].secret)
                    else ""
                ),
                f"gh secret delete {APPS[1].secret} --repo {repository}",
            )
        yield self._point(
            f"{repository}: caller workflows on the newest release",
            lambda: self._callers(kind, repository),
            f"consdb-actions init {kind} --force, and a pull request.",
        )
        yield self._point(
            f"{repository}: the used actions are allowed",
            lambda: self._allowed(root),
            f"Settings, Actions: allow actions/*, astral-sh/setup-uv@* and {PROJECT}/*.",
        )
        yield self._point(
            f"{repository}: the default branch requires pull requests",
            lambda: (
                "" if self._rules(repository, "pull_request") else "everyone with write access can push to it"
            ),
            "Add a rule that requires a pull request before merging.",
        )
        yield self._point(
            f"{repository}: required workflows run in the merge queue",
            lambda: self._queue(kind, repository),
            "Add merge_group to the triggers of these workflows.",
        )

    def _environment(self, root: str) -> str:
        found = self._get(f"{root}/environments/{ENVIRONMENT}")
        if found is None:
            return "it does not exist"
        return "" if found.get("deployment_branch_policy") else "every branch can use it"

    def _callers(self, kind: str, repository: str) -> str:
        tag, commit = self._once("release", self._newest)
        wrong = []
        for name in callers(kind):
            text = self._file(repository, f"{WORKFLOWS}/{name}")
            used = PIN.search(text)
            if not text:
                wrong.append(f"{name} is missing")
            elif used is None or used[1] != commit:
                wrong.append(f"{name} uses {used[2] if used else 'no commit'}, and {tag} is the newest")
        return "; ".join(wrong)

    def _newest(self) -> tuple[str, str]:
        from consdb_actions.adapters.github import GitHubError

        try:
            return newest_release(self.github)
        except GitHubError as error:
            raise (_HiddenError if error.status == 404 else error) from error

    def _allowed(self, root: str) -> str:
        found = self._get(f"{root}/actions/permissions") or {}
        if not found.get("enabled"):
            return "actions are disabled"
        if found.get("allowed_actions") != "selected":
            return (
                "" if found.get("allowed_actions", "all") == "all" else "only the owner's actions are allowed"
            )
        chosen = self._get(f"{root}/actions/permissions/selected-actions") or {}
        patterns = chosen.get("patterns_allowed", [])
        wanted = [PROJECT, "astral-sh/setup-uv", *([] if chosen.get("github_owned_allowed") else ["actions"])]
        refused = [
            name
            for name in wanted
            if not any(item.startswith((name, f"{name.partition('/')[0]}/*")) for item in patterns)
        ]
        return f"these are refused: {', '.join(refused)}" if refused else ""

    def _queue(self, kind: str, repository: str) -> str:
        if not self._rules(repository, "merge_queue"):
            return ""
        names = (
            ("consdb-approvals.yaml", "consdb-process.yaml")
            if kind == "sdm_schemas"
            else ("consdb-revisions.yaml",)
        )
        late = [name for name in names if "merge_group" not in self._file(repository, f"{WORKFLOWS}/{name}")]
        return f"it would wait forever for {', '.join(late)}" if late else ""

    def _policy(self) -> Iterator[CheckedPoint]:
        from consdb_actions.adapters.github.client import quoted

        policy: list[Policy] = []
        yield self._point(
            f"{self.schemas}: {CONFIG_PATH} is valid, and each role has members",
            lambda: self._read_policy(policy),
            "consdb-actions init sdm_schemas writes one to fill in.",
        )
        roles = policy[0].roles if policy else ()
        people = {
            name for role in roles for name in (*role.people, *(item.login for item in role.designates))
        }
        yield self._point(
            "the people of the roles exist",
            lambda: _listed(
                "no account", (name for name in people if not self._get(f"/users/{quoted(name)}"))
            ),
            f"Correct their logins in {CONFIG_PATH}.",
        )
        teams = {name for role in roles for name in role.teams}
        yield self._point(
            "the teams of the roles can be read",
            lambda: _listed("cannot be read", (name for name in teams if not self._team(name))),
            "Check their names, or name people instead of teams.",
        )
        yield self._point(
            "workflows can read the members of teams",
            lambda: self._members(bool(teams)),
            "consdb-actions init sdm_schemas --teams --force; the app needs the permission members: read.",
        )

    def _read_policy(self, policy: list[Policy]) -> str:
        from consdb_actions.adapters.typed_files import parse_config

        text = self._file(self.schemas, CONFIG_PATH)
        if not text:
            return "it does not exist"
        try:
            policy.append(parse_config(text.encode(), source=CONFIG_PATH).approvals)
        except InputError as error:
            return error.cause
        empty = (r.title for r in policy[0].roles if not (r.people or r.teams or r.designates))
        return _listed("without members", empty)

    def _team(self, name: str) -> Any:
        owner, _, slug = name.partition("/")
        return self._get(f"/orgs/{owner}/teams/{slug}/members") is not None

    def _members(self, teams: bool) -> str:
        names = ("consdb-approvals.yaml", "consdb-process.yaml")
        wrong = [
            name
            for name in names
            if teams and "teams: true" not in self._file(self.schemas, f"{WORKFLOWS}/{name}")
        ]
        return _listed("without teams: true", wrong)

    def _required(self, repository: str, contexts: Iterable[str], slug: str = "") -> CheckedPoint:
        def check() -> str:
            found = self._checks(repository)
            poster = (self._get(f"/apps/{slug}") or {}).get("id") if slug else None
            missing = [name for name in contexts if name not in found]
            others = [name for name in contexts if found.get(name) and poster and found[name] != poster]
            anybody = [name for name in contexts if found.get(name) == 0]
            parts = (
                ("not required", missing),
                ("accepted from anybody", anybody),
                ("from another app", others),
            )
            return "; ".join(_listed(*part) for part in parts if part[1])

        names = ", ".join(contexts)
        source = f"the app {slug}" if slug else "GitHub Actions"
        remedy = f"Settings, Rules: require them, with {source} as their source."
        return self._point(f"{repository}: {names} required, with their source", check, remedy)

    def _checks(self, repository: str) -> dict[str, int]:
        """Return the required checks with the number of the app that must post them, 0 for any."""
        from consdb_actions.adapters.github.client import quoted

        found = {
            item["context"]: item.get("integration_id") or 0
            for rule in self._rules(repository, "required_status_checks")
            for item in rule["parameters"]["required_status_checks"]
        }
        name = self._branch(repository)
        classic = (self._get(f"/repos/{repository}/branches/{quoted(name)}") or {}).get("protection") or {}
        for item in (classic.get("required_status_checks") or {}).get("checks", []):
            found.setdefault(item["context"], max(item.get("app_id") or 0, 0))
        return found

    def _rules(self, repository: str, kind: str) -> list[Any]:
        from consdb_actions.adapters.github.client import quoted

        found = self._get(f"/repos/{repository}/rules/branches/{quoted(self._branch(repository))}") or []
        return [rule for rule in found if rule["type"] == kind]

    def _is_off(self, name: str) -> str:
        found = (self._get(f"/repos/{self.target}/actions/workflows?per_page=100") or {}).get("workflows", [])
        path = f"{WORKFLOWS}/{name}"
        return "it is active" if any((w["path"], w["state"]) == (path, "active") for w in found) else ""

    def _branch(self, repository: str) -> str:
        return self._head(repository)[0]

    def _head(self, repository: str) -> tuple[str, str]:
        name = self._once(f"branch {repository}", lambda: self.github.default_branch(repository))
        return name, self._once(f"head {repository}", lambda: self.github.tip(repository, name))

    def _file(self, repository: str, path: str) -> str:
        from consdb_actions.adapters.github.contents import read_file

        data = self._once(
            f"{repository} {path}",
            lambda: read_file(self.github, repository, path, self._head(repository)[1]),
        )
        return (data or b"").decode("utf-8", "replace")

    def _named(self, path: str, key: str, name: str) -> str:
        found = (self._get(f"{path}?per_page=100") or {}).get(key, [])
        return "" if any(item["name"] == name for item in found) else "it is not set"

    def _get(self, path: str) -> Any:
        return self._once(path, lambda: self._fetch(path))

    def _fetch(self, path: str) -> Any:
        from consdb_actions.adapters.github import GitHubError

        try:
            return self.github.get(path)
        except GitHubError as error:
            if error.status == 404:
                return None
            if error.status in (401, 403):
                raise _HiddenError from error
            raise

    def _once(self, key: str, read: Callable[[], Any]) -> Any:
        if key not in self.cache:
            self.cache[key] = read()
        return self.cache[key]

    def _point(self, title: str, check: Callable[[], str], remedy: str) -> CheckedPoint:
        try:
            text = check()
        except _HiddenError:
            return CheckedPoint(
                title,
                "unknown",
                "this token cannot read it",
                "Run this as an owner, or check it in the settings.",
            )
        except InputError as error:
            return CheckedPoint(title, "wrong", error.cause, error.remedy)
        return CheckedPoint(title, "wrong", text, remedy) if text else CheckedPoint(title, "ok")


def _difference(app: App, given: dict[str, str]) -> str:
    """List missing and excess permissions, except metadata and members of the organization."""
    missing = [
        f"{name}: {level}"
        for name, level in app.permissions.items()
        if given.get(name) not in (level, "write")
    ]
    more = [
        f"{name}: {level}"
        for name, level in given.items()
        if name not in {*app.permissions, "metadata", "members"}
    ]
    return "; ".join(part for part in (_listed("missing", missing), _listed("not needed", more)) if part)


def _listed(text: str, names: Iterable[str]) -> str:
    found = sorted(names)
    return f"{text}: {', '.join(found)}" if found else ""


@click.command(
    "doctor",
    epilog=examples("doctor", "doctor --repo lsst/sdm_schemas --format json"),
)
@schemas_repository_option
@target_option
@option(
    "--phalanx", metavar="OWNER/NAME", default="lsst-sqre/phalanx", help="Repository of the values files."
)
@option("--migrations-app", "app", default=APPS[0].name, help="Name of the app in its address.")
@option("--releases-app", "release_app", default=APPS[1].name, help="The same of the app for releases.")
@option("--format", "output_format", type=click.Choice(["text", "json"]), default="text", help="Output.")
@verbosity_options
def doctor(repo: str, target: str, phalanx: str, app: str, release_app: str, output_format: str) -> int:
    """Check each point of adoption, and print what to do. Nothing is changed.

    Give a maintainer's own token as GITHUB_TOKEN (`gh auth token`); what it cannot read is reported as
    unknown. Exit code 1 if a point is wrong.
    """
    names = [
        repository_name(name, option=f"--{key}")
        for key, name in (("repo", repo), ("target", target), ("phalanx", phalanx))
    ]
    slugs = {
        APPS[0].name: account_name(app, "--migrations-app"),
        APPS[1].name: account_name(release_app, "--releases-app"),
    }
    with github_session() as github:
        points = list(_Doctor(github, names[0], names[1], names[2], slugs).points())
    wrong = sum(point.state == "wrong" for point in points)
    if output_format == "json":
        click.echo(json.dumps([asdict(point) for point in points], indent=2))
        return int(wrong > 0)
    lines = []
    for point in points:
        lines.append(f"{SIGNS[point.state]} {point.title}{point.text and f': {point.text}'}")
        lines += [f"    {point.remedy}"] if point.remedy else []
    unknown = sum(point.state == "unknown" for point in points)
    fine = len(points) - wrong - unknown
    lines += ["", f"{len(points)} points: {fine} correct, {wrong} wrong, {unknown} unknown."]
    show("\n".join(map(printable, lines)))
    return int(wrong > 0)
