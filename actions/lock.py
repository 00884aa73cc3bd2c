"""Write requirements.lock, which runners install from, and constraints.txt, which nox installs with."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT = ROOT / "pyproject.toml"
LOCK = ROOT / "requirements.lock"
CONSTRAINTS = ROOT / "constraints.txt"


def main() -> int:
    """Resolve with uv; existing pins are kept unless --upgrade is given."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        build = Path(folder) / "build.in"
        build.write_text("\n".join(project["build-system"]["requires"]) + "\n", encoding="utf-8")
        groups = [f"--group={PROJECT}:{group}" for group in project["dependency-groups"]]
        # Sessions test what runners install, so the second file takes the pins of the first.
        failed = compile_pins(LOCK, build, "--generate-hashes") or compile_pins(
            CONSTRAINTS, build, *groups, f"--constraint={LOCK}"
        )
    return failed or pin_uv()


def pin_uv() -> int:
    """Make the actions install the uv of constraints.txt."""
    pinned = re.search(r"^uv==(\S+)$", CONSTRAINTS.read_text(encoding="utf-8"), re.MULTILINE)
    assert pinned is not None, "uv is a requirement of the end-to-end tests"
    for path in (ROOT / "action.yml", *ROOT.glob("actions/*/action.yml")):
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"(?m)^( +version: )[0-9.]+$", rf"\g<1>{pinned[1]}", text), encoding="utf-8")
    return 0


def compile_pins(output: Path, build: Path, *options: str) -> int:
    """Write the pins of the project, its build and what the options add; return uv's exit code."""
    command = ["uv", "pip", "compile", str(PROJECT), str(build), f"--output-file={output}", "--quiet"]
    command += ["--universal", "--python-version=3.11", "--no-header", "--no-annotate", "--no-emit-index-url"]
    return subprocess.run([*command, *options, *sys.argv[1:]], check=False).returncode  # noqa: S603


if __name__ == "__main__":
    sys.exit(main())
