"""Prepare a release of this project: python actions/release.py 1.2.3. Nothing is pushed.

Two commits are made. The first closes the changelog, and gets a tag signed with git's user.signingkey; the
second lets the callers in examples/ use it. A commit cannot name itself, so these cannot be one.
"""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

CALLERS = ("examples/consdb", "examples/sdm_schemas")
PIN = re.compile(r"(?<=@)[0-9a-f]{40} # \S+")


def main() -> int:
    """Check everything first, then commit, tag and commit."""
    version = sys.argv[1] if len(sys.argv) == 2 else ""
    changelog = Path("CHANGELOG.md")
    text = changelog.read_text(encoding="utf-8")
    body = text.partition("## [Unreleased]\n")[2].partition("\n## ")[0]
    for wrong, problem in (
        (not re.fullmatch(r"\d+\.\d+\.\d+", version), "Give the version, such as 1.2.3."),
        (git("status", "--porcelain"), "There are changes that are not committed."),
        (git("tag", "--list", f"v{version}"), f"There is a tag v{version} already."),
        (not body.strip(), "CHANGELOG.md has nothing under [Unreleased]."),
        (
            not git("config", "--default", "", "user.signingkey"),
            "git has no user.signingkey to sign the tag with.",
        ),
    ):
        if wrong:
            sys.stderr.write(f"{problem}\n")
            return 2
    heading = f"## [Unreleased]\n\n## [{version}] - {datetime.now(UTC):%Y-%m-%d}\n"
    changelog.write_text(text.replace("## [Unreleased]\n", heading, 1), encoding="utf-8")
    git("commit", "--all", "--quiet", "--message", f"Release {version}")
    git("tag", "--sign", f"v{version}", "--message", f"consdb-actions {version}")
    commit = git("rev-parse", "HEAD")
    for path in (path for folder in CALLERS for path in Path(folder).glob("*.yaml")):
        path.write_text(PIN.sub(f"{commit} # v{version}", path.read_text(encoding="utf-8")), encoding="utf-8")
    git("commit", "--all", "--quiet", "--message", f"Callers use {version}")
    sys.stdout.write(f"Look at it, then: git push --atomic origin HEAD:main v{version}\n")
    return 0


def git(*arguments: str) -> str:
    """Run git here."""
    command = ["git", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603


if __name__ == "__main__":
    sys.exit(main())
