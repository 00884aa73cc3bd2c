"""The whole way once on the real GitHub, in throw-away copies of the repositories: see docs/live.md."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

from consdb_actions.adapters.github import GitHub, GitHubError, connect
from consdb_actions.adapters.github.client import DEFAULT_API, quoted_path
from consdb_actions.adapters.github.contents import read_file
from consdb_actions.adapters.github.proposals import Proposals
from consdb_actions.adapters.runner import Runner
from consdb_actions.approval.plan import MARKER
from consdb_actions.errors import ConsdbActionsError, InputError
from consdb_actions.proposal import Proposal
from consdb_actions.report.markdown import escape, table

REAL = ("lsst", "lsst-dm", "lsst-sqre")
LABEL = "consdb: migrate"
STATUSES = ("consdb/approvals", "consdb/ready-to-merge")
PAUSE, PATIENCE = 20, 1500
"""Seconds between two looks, and until something is given up."""

Row = tuple[str, bool, str]
"""What should be so, whether it is, and what was seen."""


class Live:
    """A change that is made, labelled, looked at and cleaned up; `github` is the connection of a person."""

    def __init__(
        self,
        github: GitHub,
        schemas: str,
        target: str,
        phalanx: str,
        number: int,
        schema: str,
        apps: tuple[str, str],
    ) -> None:
        for name in (schemas, target, phalanx):
            if not re.fullmatch(r"[\w-]+/[\w.-]+", name) or name.partition("/")[0].casefold() in REAL:
                raise InputError(f"{name} is not a throw-away repository", remedy="Name copies of your own.")
        self.github, self.schemas, self.target = github, schemas, target
        self.where = ("--repo", schemas, "--target", target, "--phalanx", phalanx)
        self.apps = ("--migrations-app", apps[0], "--releases-app", apps[1])
        self.branch, self.schema = f"tickets/DM-{number}", schema
        self.pull = 0

    def rows(self) -> Iterator[Row]:
        """Yield one fact after the other; everything is cleaned up, whatever happens."""
        code, printed = self._command("doctor", *self.where, *self.apps, "--format", "json")
        wrong = [point["title"] for point in json.loads(printed or "[]") if point["state"] == "wrong"]
        yield "doctor finds nothing wrong", code == 0, "; ".join(wrong)
        try:
            yield from self._change()
            before = self._tags()
            code, printed = self._command("release", "tag", "--repo", self.target, "--dry-run")
            yield "release tag, dry run", code == 0, printed.partition("\n")[0]
            yield "the dry run tags nothing", self._tags() == before, ""
        finally:
            withdrawn = self._clean_up()
        yield "closing withdraws the migration", withdrawn, ""

    def _change(self) -> Iterator[Row]:
        """Open the pull request, label it, and look at what comes of it."""
        ticket = self.branch.partition("/")[2]
        base = str(self.github.get(f"/repos/{self.schemas}")["default_branch"])
        text = (read_file(self.github, self.schemas, self.schema, base) or b"").decode()
        files: dict[str, bytes | None] = {
            self.schema: with_column(text, f"consdb_live_{ticket[3:]}").encode()
        }
        title = f"{ticket}: Test of consdb-actions"
        made = Proposals(self.github).publish(
            Proposal(
                self.schemas,
                base,
                self.branch,
                files,
                title,
                title,
                "A test; it closes itself.",
                labels=(LABEL,),
            )
        )
        self.pull = made.number or 0
        yield "a labelled pull request", self.pull > 0, made.url
        found = self._await(self._migration)
        yield (
            "a draft pull request with the migration",
            bool(found and found["draft"]),
            (found or {}).get("html_url", ""),
        )
        if found:
            ours = f"{self.schemas}#{self.pull}"
            yield "its text names the change", ours in (found["body"] or ""), ours
            differ = self.github.get(
                f"/repos/{self.target}/compare/{found['base']['sha']}...{found['head']['sha']}"
            )["files"]
            paths = [item["filename"] for item in differ]
            only = all(re.fullmatch(r"alembic/[^/]+/versions/[^/]+\.py", path) for path in paths)
            yield "its branch adds revisions and nothing else", bool(paths) and only, ", ".join(paths)
        states = self._await(lambda: self._states(made.commit)) or {}
        shown = ", ".join(f"{name}: {state}" for name, state in states.items())
        yield "both statuses are there and hold the merge", set(states.values()) == {"pending"}, shown
        yield "the author cannot approve", self._refuses_approval(), ""
        comments = [
            item["html_url"]
            for item in self.github.items(f"/repos/{self.schemas}/issues/{self.pull}/comments")
            if MARKER in (item["body"] or "")
        ]
        yield "one comment has everything", len(comments) == 1, ", ".join(comments)

    def _migration(self) -> Any:
        owner = self.target.partition("/")[0]
        query = {"head": f"{owner}:{self.branch}-migration", "state": "open"}
        return next(iter(self.github.items(f"/repos/{self.target}/pulls", query)), None)

    def _states(self, commit: str) -> dict[str, str] | None:
        rows = self.github.get(f"/repos/{self.schemas}/commits/{commit}/status")["statuses"]
        found = {row["context"]: row["state"] for row in rows if row["context"] in STATUSES}
        return found if len(found) == len(STATUSES) else None

    def _refuses_approval(self) -> bool:
        try:
            self.github.write(
                "POST", f"/repos/{self.schemas}/pulls/{self.pull}/reviews", {"event": "APPROVE", "body": ""}
            )
        except GitHubError as error:
            return error.status == 422
        return False

    def _tags(self) -> set[str]:
        return {item["ref"] for item in self.github.get(f"/repos/{self.target}/git/matching-refs/tags/")}

    def _clean_up(self) -> bool:
        """Close what is open and remove the branches; tell whether the app did its part."""
        if self.pull:
            self._close(self.schemas, self.pull)
        left = self._migration()
        withdrawn = left is not None and self._await(lambda: self._migration() is None) is not None
        if left is not None and not withdrawn:
            self._close(self.target, left["number"])
        for repository, branch in ((self.schemas, self.branch), (self.target, f"{self.branch}-migration")):
            try:
                self.github.write("DELETE", f"/repos/{repository}/git/refs/heads/{quoted_path(branch)}")
            except GitHubError as error:
                if error.status not in (404, 422):
                    raise
        return withdrawn

    def _close(self, repository: str, number: int) -> None:
        self.github.write("PATCH", f"/repos/{repository}/pulls/{number}", {"state": "closed"})

    def _await(self, look: Callable[[], Any]) -> Any:
        """Look until something is there; None if it never is."""
        for _ in range(PATIENCE // PAUSE):
            if found := look():
                return found
            self.github.pause(PAUSE)
        return None

    def _command(self, *words: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "consdb_actions", *words], capture_output=True, text=True, check=False
        )
        sys.stderr.write(done.stderr)
        return done.returncode, done.stdout


def with_column(text: str, name: str) -> str:
    """Add a column to the first table of a schema file."""
    found = re.search(r"^ *columns:\n(?P<indent> *)- name:", text, re.MULTILINE)
    if found is None:
        raise InputError("the schema file has no table with columns", remedy="Name another one.")
    indent = found["indent"]
    lines = (f"- name: {name}", f'  "@id": "#live.{name}"', "  datatype: double", "  description: A test.")
    at = found.start("indent")
    return text[:at] + "".join(f"{indent}{line}\n" for line in lines) + text[at:]


def tell(rows: Iterator[Row]) -> int:
    """Print each fact when it is known, and the table on the run's page; return the exit code."""
    seen: list[Row] = []
    trouble = ""
    try:
        for row in rows:
            seen.append(row)
            print(f"{'ok   ' if row[1] else 'WRONG'} {row[0]}  {row[2]}", flush=True)  # noqa: T201
    except ConsdbActionsError as error:
        trouble = str(error)
        print(trouble, file=sys.stderr)  # noqa: T201
    cells = [(escape(title), "✅" if fine else "❌", escape(words)) for title, fine, words in seen]
    Runner.from_environ(os.environ).summary(table(("fact", "", "seen"), cells) + f"\n\n{escape(trouble)}")
    return int(bool(trouble) or not all(fine for _, fine, _ in seen))


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("schemas", "target", "phalanx", "schema", "migrations-app", "releases-app"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--number", required=True, type=int)
    given = parser.parse_args()
    url = os.environ.get("GITHUB_API_URL") or DEFAULT_API
    apps = (given.migrations_app, given.releases_app)
    github = connect(os.environ.get("GITHUB_TOKEN", ""), url)
    live = Live(github, given.schemas, given.target, given.phalanx, given.number, given.schema, apps)
    return tell(live.rows())


if __name__ == "__main__":
    sys.exit(main())
