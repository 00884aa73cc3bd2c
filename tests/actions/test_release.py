"""A release of this project, up to the push: a signed tag, and callers that use it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="there is nothing to make a key with"
)

ROOT = Path(__file__).resolve().parents[2]
LOG = "# Changelog\n\n## [Unreleased]\n\n- A change.\n"


def run(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "HOME": str(folder.parent), "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Give a repository with callers and a changelog, and a key."""
    clone, key = tmp_path / "clone", tmp_path / "key"
    (clone / "examples/consdb").mkdir(parents=True)
    (clone / "CHANGELOG.md").write_text(LOG)
    caller = (ROOT / "examples/consdb/deploy.yaml").read_text(encoding="utf-8")
    (clone / "examples/consdb/deploy.yaml").write_text(caller, encoding="utf-8")
    run(tmp_path, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    (tmp_path / "signers").write_text(f"maintainer@example.org {(tmp_path / 'key.pub').read_text()}")
    run(clone, "git", "init", "--quiet", "--initial-branch=main")
    for name, value in (
        ("user.name", "maintainer"),
        ("user.email", "maintainer@example.org"),
        ("gpg.format", "ssh"),
        ("gpg.ssh.allowedSignersFile", str(tmp_path / "signers")),
        ("user.signingkey", str(key)),
    ):
        run(clone, "git", "config", name, value)
    run(clone, "git", "add", "-A")
    run(clone, "git", "commit", "--quiet", "-m", "Start")
    return clone


def release(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(clone, sys.executable, ROOT / "actions/release.py", *arguments)


def test_a_release_is_signed_and_callers_use_it(clone: Path) -> None:
    done = release(clone, "0.1.0")
    assert done.returncode == 0, done.stderr
    assert run(clone, "git", "verify-tag", "v0.1.0").returncode == 0
    tagged = run(clone, "git", "rev-parse", "v0.1.0^{commit}").stdout.strip()
    assert run(clone, "git", "rev-parse", "HEAD^").stdout.strip() == tagged
    assert re.search(
        r"^## \[0\.1\.0\] - \d{4}-\d\d-\d\d\n\n- A change\.$", (clone / "CHANGELOG.md").read_text(), re.M
    )
    assert f"deploy.yaml@{tagged} # v0.1.0\n" in (clone / "examples/consdb/deploy.yaml").read_text()
    assert run(clone, "git", "status", "--porcelain").stdout == ""
    again = release(clone, "0.1.1")
    assert (again.returncode, "nothing under [Unreleased]" in again.stderr) == (2, True)


@pytest.mark.parametrize(
    ("version", "change", "words"),
    [
        ("0.1", "", "Give the version"),
        ("", "", "Give the version"),
        ("0.1.0", "echo x >x", "not committed"),
        ("0.1.0", "git tag v0.1.0", "a tag v0.1.0 already"),
        ("0.1.0", "git config --unset user.signingkey", "to sign the tag"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_done(
    clone: Path, version: str, change: str, words: str
) -> None:
    run(clone, "bash", "-c", change)
    before = run(clone, "git", "rev-parse", "HEAD").stdout
    done = release(clone, *([version] if version else []))
    assert (done.returncode, words in done.stderr) == (2, True)
    assert run(clone, "git", "rev-parse", "HEAD").stdout == before
