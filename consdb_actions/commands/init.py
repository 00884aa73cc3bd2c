"""``consdb-actions init``: write the caller workflows of a repository, and print the next steps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import click

from consdb_actions.commands.options import examples, option
from consdb_actions.commands.terminal import show, verbosity_options
from consdb_actions.errors import InputError

if TYPE_CHECKING:
    from consdb_actions.adapters.github import GitHub

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
    short_help="Write the caller workflows of a repository.",
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
@option("--organization", default="lsst", show_default=True, help="Where the links register the apps.")
@option(
    "--teams", is_flag=True, help="Roles are held by teams: the app may read members of the organization."
)
@option("--force", is_flag=True, help="Replace workflows that exist and differ; a configuration never is.")
@verbosity_options
def command(
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
    from consdb_actions.commands.connection import account_name, commit_id, github_session
    from consdb_actions.config import CONFIG_PATH

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
    from consdb_actions.config import CONFIG_PATH

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
