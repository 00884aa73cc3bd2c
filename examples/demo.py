"""The demo: a change of schemas becomes migrations that the real ``alembic`` runs, up and down.

``python examples/demo.py`` works on a copy of ``migrations/`` in ``demo-output/``; nothing else is touched.
``--readme`` also puts what was printed into README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from consdb_actions.adapters.postgres import ScratchServer, scratch_server

ROOT = Path(__file__).resolve().parents[1]
SCHEMAS = Path("examples/schemas")
MESSAGE = "Wind, and a quick look per detector"


def main() -> int:
    """Run the demo; return the exit code."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("demo-output"), help="folder to work in")
    parser.add_argument("--readme", action="store_true", help="put the output into README.md")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    output: Path = arguments.output
    prepare(output)
    printed = [generate(output)]
    printed.append(say(f"\n$ cd {output / 'consdb'}"))
    with scratch_server() as server:
        printed += [migrate(server, output, section) for section in changed(output)]
    printed.append(farewell(output))
    if arguments.readme:
        put_into_readme("".join(printed), (output / "report.md").read_text(encoding="utf-8"))
    return 0


def prepare(output: Path) -> None:
    """Lay out a fresh copy of the tree; a folder that is not a demo's is left alone."""
    if output.exists() and any(output.iterdir()) and not (output / "consdb" / "alembic.ini").is_file():
        sys.exit(f"{output} is there and is not a demo's; name another folder with --output.")
    shutil.rmtree(output, ignore_errors=True)
    shutil.copytree("migrations", output / "consdb", ignore=shutil.ignore_patterns("__pycache__"))


def generate(output: Path) -> str:
    """Run the command that everything is about."""
    command = ["consdb-actions", "migrations", "generate", "--consdb", str(output / "consdb")]
    command += ["--sdm-schemas", str(SCHEMAS / "after"), "--sdm-schemas-base", str(SCHEMAS / "before")]
    command += ["--message", MESSAGE]
    shown = say(
        f"$ {shlex.join(command[:5])} \\\n    {shlex.join(command[5:9])} \\\n    {shlex.join(command[9:])}"
    )
    reports = ["--report", str(output / "report.json"), "--summary", str(output / "report.md")]
    return shown + say(run([sys.executable, "-m", "consdb_actions", *command[1:], *reports]))


def changed(output: Path) -> list[str]:
    """Read from the report which sections have a new revision."""
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    return [section["name"] for section in report["sections"] if section["status"] == "changed"]


def migrate(server: ScratchServer, output: Path, section: str) -> str:
    """Run all revisions of a section and take the new one back, as an operator does."""
    address = server.create_database(section)
    schema = section if section.startswith("efd_") else f"cdb_{section}"
    for name in (schema.partition("_")[0], schema):
        server.execute(section, f"CREATE SCHEMA {name}")
    shown = ""
    for words in (["upgrade", "head"], ["downgrade", "-1"]):
        variables = {"CONSDB_URL": address.render_as_string(hide_password=False)}
        command = [sys.executable, "-m", "alembic", "-n", section, *words]
        log = run(command, directory=output / "consdb", variables=variables)
        steps = log.count("Running ")
        went = (
            f"{steps} revision{'s' if steps > 1 else ''} {'back' if words[0] == 'downgrade' else 'applied'}"
        )
        shown += say(f"$ alembic -n {shlex.join([section, *words]):32}  {went}")
    return shown


def farewell(output: Path) -> str:
    """Say where everything is."""
    return say(f"\nThe report for a pull request: {output / 'report.md'}")


def run(command: Sequence[str], directory: Path = ROOT, variables: Mapping[str, str] | None = None) -> str:
    """Run a program and return what it printed; end the demo where it fails."""
    environment = {**os.environ, "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1", **(variables or {})}
    done = subprocess.run(  # noqa: S603
        command, cwd=directory, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        sys.exit(f"{shlex.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return (done.stdout or done.stderr).rstrip()


def say(text: str) -> str:
    """Print a text and return it."""
    print(text, flush=True)  # noqa: T201
    return text + "\n"


def put_into_readme(printed: str, report: str) -> None:
    """Put what was printed, and the head of the report, where README.md shows them."""
    # The server differs from machine to machine.
    shown = "".join(f"{line.rstrip()}\n" for line in printed.splitlines() if not line.startswith("Postgres "))
    path = ROOT / "README.md"
    text = path.read_text(encoding="utf-8")
    for name, block in {"demo": f"```text\n{shown}```\n", "report": head_of_report(report)}.items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        text = text.partition(begin)[0] + begin + block + end + text.partition(end)[2]
    path.write_text(text, encoding="utf-8")


def head_of_report(report: str) -> str:
    """Return the verdict and the table of sections, as a quotation."""
    head = report.partition("\n\nSections without a change")[0]
    return "".join(f"> {line}".rstrip() + "\n" for line in head.splitlines())


if __name__ == "__main__":
    sys.exit(main())
