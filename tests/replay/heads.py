"""Generate for every unmerged head of sdm_schemas that touches our schemas, and print what becomes of it.

    python tests/replay/heads.py --consdb GITDIR --sdm-schemas GITDIR [--only REF]...

The base of a head is where it left the default branch. An operation that drops or renames what the schema
file did not have there would undo another revision: the last column counts them.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from consdb_actions.adapters.schema_yaml import read_yaml
from consdb_actions.adapters.shell import run
from consdb_actions.errors import ConsdbActionsError

_OURS = re.compile(r"(?:python/lsst/sdm/schemas|yml)/((?:cdb|efd)_\w+)\.yaml")
_GONE = re.compile(r"(?:drop column|rename column) (\w+)\.(\w+)|drop table (\w+)|rename constraint (\w+) to")


def git(repository: Path, *arguments: str) -> str:
    """Run git."""
    return run(["git", "-C", repository, *arguments], timeout=120).stdout_bytes.decode()


def heads(repository: Path, main: str) -> Iterator[tuple[str, str, list[str]]]:
    """Yield each unmerged head that touches our schemas, with its fork point and the files."""
    seen = set()
    for line in git(
        repository, "for-each-ref", "--no-merged", main, "--format=%(objectname) %(refname)"
    ).splitlines():
        commit, _, ref = line.partition(" ")
        if commit in seen or ref.endswith("/merge"):
            continue
        seen.add(commit)
        try:
            fork = git(repository, "merge-base", main, commit).strip()
        except ConsdbActionsError:
            continue
        changed = git(repository, "diff", "--name-only", fork, commit).splitlines()
        ours = sorted({m[1] for path in changed if (m := _OURS.fullmatch(path))})
        if ours:
            yield ref, fork, ours


def known(repository: Path, commit: str, names: list[str]) -> set[str]:
    """Return tables, columns and constraints that the files had at a commit."""
    found = set()
    for name in names:
        for folder in ("python/lsst/sdm/schemas", "yml"):
            try:
                text = git(repository, "show", f"{commit}:{folder}/{name}.yaml")
                schema = read_yaml(text, source=name).schema
            except ConsdbActionsError:
                continue
            for table in schema.tables:
                found |= {table.name, *(f"{table.name}.{c.name}" for c in table.columns)}
                found |= {c.name for c in table.constraints}
            break
    return found


def main() -> int:
    """Generate for each head and print the table."""
    parser = argparse.ArgumentParser(description="Generate for every unmerged head.")
    parser.add_argument("--consdb", type=Path, required=True)
    parser.add_argument("--sdm-schemas", type=Path, required=True)
    parser.add_argument("--main", default="main")
    parser.add_argument("--only", action="append", default=[])
    options = parser.parse_args()
    undone = 0
    sys.stdout.write("head | result | operations | drift, left alone | undoes another revision\n")
    for ref, fork, ours in heads(options.sdm_schemas, options.main):
        if options.only and not any(only in ref for only in options.only):
            continue
        with tempfile.TemporaryDirectory(prefix="heads") as temporary:
            tree = Path(temporary) / "sdm"
            git(options.sdm_schemas, "worktree", "add", "--force", "--detach", str(tree), ref)
            report = Path(temporary) / "report.json"
            command = [sys.executable, "-m", "consdb_actions", "migrations", "generate", "--dry-run"]
            command += ["--consdb", str(options.consdb), "--sdm-schemas", str(tree), "--message", ref]
            command += ["--sdm-schemas-base", fork, "--report", str(report), "--format", "json"]
            ended = run(command, timeout=600, check=False)
            git(options.sdm_schemas, "worktree", "remove", "--force", str(tree))
            if not report.exists():
                error = ended.stderr.strip().splitlines()
                sys.stdout.write(
                    f"{ref} | exit {ended.returncode}: {error[0][:160] if error else ''} | | |\n"
                )
                continue
            data = json.loads(report.read_text())
        operations = [op["text"] for s in data["sections"] for op in s["upgrade"]]
        drift = sum(len(s["drift"]) for s in data["sections"])
        before = known(options.sdm_schemas, fork, ours)
        gone = [m for words in operations if (m := _GONE.match(words))]
        names = [f"{m[1]}.{m[2]}" if m[1] else m[3] or m[4] for m in gone]
        wrong = [n for n in names if n not in before]
        undone += len(wrong)
        asked = [q["text"] for s in data["sections"] for q in s["questions"]]
        failed = [c["details"][:2] for s in data["sections"] for c in s["checks"] if c["holds"] is False]
        note = f" {asked[:2]}" if asked else f" {failed[:2]}" if failed else ""
        result = f"{data['verdict']}{note[:300]}"
        sys.stdout.write(f"{ref} | {result} | {len(operations)} | {drift} | {len(wrong)} {wrong[:3] or ''}\n")
        sys.stdout.flush()
    return 1 if undone else 0


if __name__ == "__main__":
    sys.exit(main())
