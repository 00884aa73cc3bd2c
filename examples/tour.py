"""The tour: five commands on example repositories, as text in docs/tour.md.

``python examples/tour.py`` writes the page; ``--check`` tells whether it is current, but for times.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "tour.md"
NOW = "2026-06-10"
RELEASED = "alembic/latiss/versions/06f2de78b88a_add_visit1_quicklook.py"

STEPS: Sequence[tuple[str, str, str]] = (
    (
        "What runs where",
        "Environments against the newest release, from a clone of phalanx and the tags of consdb. Exit "
        "code 1: the image of a branch runs in production.",
        f"deploy drift --phalanx phalanx --consdb consdb --now {NOW}",
    ),
    (
        "What an open change means",
        "The branch that is checked out in sdm_schemas, against its merge base with main. No database.",
        "migrations preview main... --git sdm_schemas",
    ),
    (
        "The migration of it",
        "Generated and verified on a temporary Postgres; nothing is written.",
        'migrations generate --consdb consdb --sdm-schemas sdm_schemas --message "DM-12345 wind" --dry-run',
    ),
    (
        "The runbook of the newest release",
        "The steps at each site with their owners, in order. This is the overview; the file contains "
        "every command.",
        "process runbook --consdb consdb --ticket DM-12300 --since 26.5.1 --tag 26.6.1 --output runbook.md",
    ),
    (
        "A rehearsal of that runbook",
        "On two local replicating Postgres servers, while rows are written: aborted start, migration, and "
        "rollback.",
        "process rehearse --consdb consdb --runbook runbook.md",
    ),
)

HEAD = """\
# A tour

Five commands on example repositories, as they print in a terminal of 100 columns. None of them needs a token,
and none changes a repository. This page is made by `nox -s docs` ([examples/tour.py](../examples/tour.py));
what differs from run to run is written as `N`. The same commands on the real repositories are in the
[README](../README.md).
"""


def main() -> int:
    """Write the page, or check it; return the exit code."""
    page = render()
    if "--check" in sys.argv:
        return 0 if TARGET.is_file() and TARGET.read_text(encoding="utf-8") == page else 1
    TARGET.write_text(page, encoding="utf-8")
    return 0


def render(count: int = len(STEPS)) -> str:
    """Return the page with its first steps."""
    parts = [HEAD]
    with tempfile.TemporaryDirectory(prefix="consdb-actions-tour-") as name:
        place = Path(name)
        make_repositories(place)
        for title, words, command in STEPS[:count]:
            printed = masked(run(place, command))
            parts.append(f"## {title}\n\n{words}\n\n```text\n$ consdb-actions {command}\n{printed}\n```\n")
    return "\n".join(parts)


def make_repositories(place: Path) -> None:
    """Make clones of a consdb with two releases, of sdm_schemas with an open change, and of a phalanx."""
    consdb = place / "consdb"
    shutil.copytree(ROOT / "migrations", consdb, ignore=shutil.ignore_patterns("__pycache__"))
    newest = (consdb / RELEASED).read_text(encoding="utf-8")
    (consdb / RELEASED).unlink()
    commit(consdb, "Begin", "2026-05-04", tag="26.5.1")
    (consdb / RELEASED).write_text(newest, encoding="utf-8")
    commit(consdb, "DM-12300: Add visit1_quicklook", "2026-06-01", tag="26.6.1")

    schemas = place / "sdm_schemas"
    folder = schemas / "python" / "lsst" / "sdm" / "schemas"
    shutil.copytree(ROOT / "examples" / "schemas" / "before", folder)
    commit(schemas, "Begin", "2026-05-04")
    git(schemas, "switch", "--quiet", "--create", "tickets/DM-12345")
    shutil.copytree(ROOT / "examples" / "schemas" / "after", folder, dirs_exist_ok=True)
    commit(schemas, "DM-12345: Wind, and a quick look per detector", "2026-06-08")

    tags = {
        "base": "26.6.1",
        "tucson-teststand": "26.6.1",
        "summit": "26.5.1",
        "usdfdev": "26.5.1",
        "usdfint": "26.5.1",
        "usdfprod": "tickets-DM-12288",
    }
    for environment, tag in tags.items():
        file = place / "phalanx" / "applications" / "consdb" / f"values-{environment}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        on = str(not environment.startswith("usdf")).lower()
        hinfo = f'hinfo:\n  latiss:\n    enable: {on}\n    tag: "26.5.1"\n'
        file.write_text(f'{hinfo}pq:\n  image:\n    tag: "{tag}"\n', encoding="utf-8")
    commit(place / "phalanx", "Deploy", "2026-06-02")


def commit(folder: Path, message: str, day: str, *, tag: str = "") -> None:
    """Commit all files, in a repository that is made where there is none."""
    if not (folder / ".git").is_dir():
        git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message, day=day)
    if tag:
        git(folder, "tag", tag, day=day)


def git(folder: Path, *arguments: str, day: str = NOW) -> None:
    """Run git with an author and a date that are always the same."""
    moment = f"{day}T12:00:00Z"
    person = {
        f"GIT_{role}_{what}": text
        for role in ("AUTHOR", "COMMITTER")
        for what, text in (("NAME", "Example"), ("EMAIL", "example@example.org"), ("DATE", moment))
    }
    own = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *arguments], cwd=folder, env={**os.environ, **person, **own}, check=True)  # noqa: S603, S607


def run(place: Path, command: str) -> str:
    """Run a command beside the clones; return what it prints."""
    environment: Mapping[str, str] = {
        **{name: text for name, text in os.environ.items() if not name.startswith(("CONSDB_", "GITHUB_"))},
        "PYTHONPATH": str(ROOT),
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "NO_COLOR": "1",
    }
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "consdb_actions", *shlex.split(command)],
        cwd=place,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode not in (0, 1):
        sys.exit(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout.rstrip()


def masked(text: str) -> str:
    """Take out what differs from run to run and from machine to machine, and fold long lines."""
    from consdb_actions.commands.terminal import fold

    text = re.sub(r"[0-9.]+ (s\b|seconds)", r"N \1", text)
    text = re.sub(r"[0-9]+ (rows written)", r"N \1", text)
    text = re.sub(r"all [0-9]+ rows", "all N rows", text)
    lines = [line for line in text.splitlines() if "Postgres" not in line or " in " in line]
    return "\n".join(part.rstrip() for line in lines for part in fold(line, 100).split("\n"))


if __name__ == "__main__":
    sys.exit(main())
