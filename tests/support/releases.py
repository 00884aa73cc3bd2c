"""A repository with merged migrations since the last release."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.support.github.things import Pull, Repo
from tests.support.github.world import World, copied
from tests.support.trees import revision_text

REPOSITORY = "lsst-dm/consdb"
TOKEN = "token-of-actions"
CONFIG = ".github/consdb-actions.yaml"
FIRST = "alembic/lsstcam/versions/aaaaaaaaaaaa_initial.py"


def migration(revision: str, down: str, title: str, *operations: str) -> str:
    """Write a revision's file."""
    title = f"{title}\n\nRevision ID: {revision}\n"
    return revision_text(revision, down or None, "\n".join(operations or ("pass",)), title=title)


class ReleaseScene:
    """consdb after two merges since the manual tag 26.6.1.

    `release` is the section of that name in the configuration; None for no configuration file.
    """

    def __init__(self, world: World, release: Mapping[str, Any] | None = None) -> None:
        self.world = world
        self.repo: Repo = world.repo(REPOSITORY)
        files = {"README.md": "ConsDB.\n", FIRST: migration("aaaaaaaaaaaa", "", "initial")}
        if release is not None:
            files[CONFIG] = json.dumps({"release": release})
        self.base = world.commit(self.repo, "main", files, author="maintainer")
        self.tag("3.0.0", self.base, annotated=False)
        self.tag("26.6.1", self.base)
        self.first = self.merge(
            "tickets/DM-7",
            "DM-7: Add the pointing",
            {
                "alembic/lsstcam/versions/bbbbbbbbbbbb_pointing.py": migration(
                    "bbbbbbbbbbbb",
                    "aaaaaaaaaaaa",
                    "add the pointing",
                    'op.add_column("exposure", sa.Column("azimuth", sa.Double()), schema="cdb_lsstcam")',
                    'op.add_column("exposure", sa.Column("altitude", sa.Double()), schema="cdb_lsstcam")',
                )
            },
        )
        self.second = self.merge(
            "u/po-1/typos", "Mend typos", {"README.md": "ConsDB, mended.\n"}, author="po-1"
        )
        self.green()

    @property
    def head(self) -> str:
        return self.repo.tip("main")

    def merge(
        self, branch: str, title: str, files: Mapping[str, str | bytes | None], *, author: str = "author"
    ) -> Pull:
        """Open a pull request and merge it."""
        self.world.commit(self.repo, branch, files, onto=self.repo.tip("main"), author=author)
        pull = self.world.open_pull(self.repo, branch, title=title, author=author)
        self.world.merge(self.repo, pull)
        return pull

    def tag(self, name: str, commit: str, *, annotated: bool = True) -> None:
        at = datetime.fromtimestamp(1780000000, UTC)
        self.world.tag(self.repo, name, commit, annotated=annotated, who="po-1", at=at)

    def check(
        self,
        name: str,
        conclusion: str | None = "success",
        *,
        status: str = "completed",
        sha: str | None = None,
        run: int = 1,
        app: str = "github-actions",
    ) -> None:
        """Add a check to a commit; without conclusion it is unfinished."""
        done = status if conclusion is not None else "in_progress"
        self.world.check(self.repo, sha or self.head, name, conclusion, status=done, run=run, app=app)

    def green(self, sha: str | None = None) -> None:
        """Add successful checks to a commit: a job and a commit status."""
        self.check("test", sha=sha)
        self.world.status(self.repo, sha or self.head, "ci/docs", "success")

    def copy(self, root: Path) -> ReleaseScene:
        return copied(self, self.world, root)

    @property
    def tags(self) -> dict[str, tuple[str, str, str]]:
        """Return commit, tagger and message of every tag; the latter two if annotated."""
        found = {}
        for name, kind, sha in self.repo.store.refs("refs/tags/"):
            short = name.removeprefix("refs/tags/")
            if kind != "tag":
                found[short] = (sha, "", "")
                continue
            tag = self.repo.store.tag_info(sha)
            found[short] = (tag.target, f"{tag.tagger.name} {tag.tagger.date}", tag.message)
        return found

    @property
    def releases(self) -> list[tuple[str, str | None, str | None]]:
        """Return tag, name and notes of every GitHub release."""
        return [(row["tag_name"], row["name"], row["body"]) for row in self.repo.rows.get("releases", [])]

    def shown(self) -> dict[str, Any]:
        return {"tags": self.tags, "releases": self.releases}
