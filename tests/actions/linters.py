"""Run every linter over workflows, actions, callers and scripts; exit code 0 only if all are content."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yaml"))
ACTIONS = [ROOT / "action.yml", *sorted(ROOT.glob("actions/*/action.yml"))]
CALLERS = sorted(ROOT.glob("examples/*/*.yaml"))
SCRIPTS = [ROOT / ".ci/run", *sorted(ROOT.glob("actions/**/*.sh"))]


def main() -> int:
    """Run them all, also after one has failed."""
    callers = [
        path for path in CALLERS if path.parent.name != "schemas" and path.parent.parent.name == "examples"
    ]
    with tempfile.TemporaryDirectory() as folder:
        laid_out = lay_out(Path(folder), callers)
        config = str(ROOT / ".github/zizmor.yml")
        zizmor = ["zizmor", "--offline", "--persona=auditor", "--strict-collection", "--no-progress"]
        zizmor += ["--config", config]
        runs = [
            [*zizmor, str(ROOT)],
            [*zizmor, folder],
            ["actionlint", "-oneline", *map(str, [*WORKFLOWS, *laid_out])],
            ["shellcheck", "--severity=style", *map(str, SCRIPTS)],
            [
                "check-jsonschema",
                "--builtin-schema",
                "vendor.github-workflows",
                *map(str, [*WORKFLOWS, *callers]),
            ],
            ["check-jsonschema", "--builtin-schema", "vendor.github-actions", *map(str, ACTIONS)],
            [
                "check-jsonschema",
                "--builtin-schema",
                "vendor.dependabot",
                str(ROOT / ".github/dependabot.yml"),
            ],
        ]
        failed = [command[0] for command in runs if not passes(command)]
    print("\nFAILED: " + ", ".join(failed) if failed else "\nAll linters are content.")  # noqa: T201
    return 1 if failed else 0


def lay_out(folder: Path, callers: list[Path]) -> list[Path]:
    """Put callers where they stand in their repositories, since some linters only look there."""
    placed = []
    for path in callers:
        target = folder / path.parent.name / ".github" / "workflows" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        placed.append(Path(shutil.copy(path, target)))
    return placed


def passes(command: list[str]) -> bool:
    """Run a linter; show what it was given, shortened, and what it says."""
    shown = [word.removeprefix(f"{ROOT}/") for word in command]
    print(f"\n$ {' '.join(shown)}", flush=True)  # noqa: T201
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
