"""GitHub's OpenAPI description and webhook examples, fetched once into a cache outside the repository.

Run ``python -m tests.support.github.descriptions`` to fetch them. They are not part of the project.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from functools import partial
from pathlib import Path

OPENAPI = "@octokit/openapi@23.0.2"
GRAPHQL = "@octokit/graphql-schema@15.26.1"
EXAMPLES = "@octokit/webhooks-examples@7.6.1"
SCHEMAS = "@octokit/webhooks-schemas@7.6.1"

_WANTED = {
    OPENAPI: ("package/generated/api.github.com.json", "package/LICENSE"),
    GRAPHQL: ("package/schema.graphql",),
    EXAMPLES: ("package/api.github.com/index.json",),
    SCHEMAS: ("package/schema.json",),
}


class UnavailableError(Exception):
    """The files are neither in the cache nor to be had."""


def cache() -> Path:
    """Return the cache folder: OPENAPI_CACHE_DIR, or one in the user's cache."""
    if chosen := os.environ.get("OPENAPI_CACHE_DIR"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "consdb-actions-tests"


def _file(package: str) -> Path:
    """Return the path of a file, fetched if need be."""
    path = cache() / package.replace("/", "+") / _WANTED[package][0]
    if not path.is_file():
        _fetch(package)
    return path


def _fetch(package: str) -> None:
    """Take the wanted files out of a package of the npm registry; nothing of it is run."""
    npm = shutil.which("npm")
    if npm is None:
        raise UnavailableError(f"{package} is not in {cache()}, and there is no npm to fetch it with")
    target = cache() / package.replace("/", "+")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        done = subprocess.run(
            [npm, "pack", "--silent", "--ignore-scripts", package],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode or not archives:
            reason = (done.stderr.strip().splitlines() or ["npm gave no reason"])[-1]
            raise UnavailableError(f"{package} could not be fetched: {reason}")
        with tarfile.open(archives[0]) as archive:
            for member in _WANTED[package]:
                archive.extract(member, Path(folder) / "out", filter="data")
        if not target.exists():
            (Path(folder) / "out").rename(target)


description_file = partial(_file, OPENAPI)
graphql_schema = partial(_file, GRAPHQL)
webhook_examples = partial(_file, EXAMPLES)
webhook_schema = partial(_file, SCHEMAS)

if __name__ == "__main__":
    try:
        for path in (description_file(), graphql_schema(), webhook_examples(), webhook_schema()):
            sys.stdout.write(f"{path}\n")
    except UnavailableError as error:
        sys.exit(str(error))
