"""Write requirements.lock: every dependency of the project and of its build, with versions and hashes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"


def main() -> int:
    """Resolve with uv; pins that are there stay unless --upgrade is given."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "requirements.in"
        given.write_text("\n".join(wanted) + "\n", encoding="utf-8")
        command = ["uv", "pip", "compile", str(given), "--output-file", str(LOCK), "--quiet"]
        command += ["--generate-hashes", "--universal", "--python-version", "3.11"]
        command += ["--no-header", "--no-annotate", "--no-emit-index-url", *sys.argv[1:]]
        return subprocess.run(command, check=False).returncode  # noqa: S603


if __name__ == "__main__":
    sys.exit(main())
