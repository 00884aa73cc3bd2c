"""Measure the program against the baseline and against a floor: the same SQL without Python.

    python tests/bench/bench.py [--consdb GITDIR --sdm-schemas GITDIR] [--repeats N] [--only WORD]

Whole processes are timed, medians of several, and whatever is compared is run in turn, so that a machine that
slows down slows both. Ratios count, not seconds. Writes ``bench.json`` and ``bench.svg``, and
the tables of ``README.md`` beside them.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import inputs  # type: ignore[import-not-found]
from plot import draw  # type: ignore[import-not-found]

HERE = Path(__file__).parent
PEER_SECTIONS = ("latiss", "lsstcomcam", "lsstcomcamsim", "lsstcam")
"""Those that consdb's own generator knows."""

Command = Sequence[str | Path]


@dataclass
class Row:
    """One comparison: seconds are medians."""

    name: str
    ours: float
    others: dict[str, float] = field(default_factory=dict)
    wanted: str = ""
    memory_mib: float = 0.0

    def ratios(self) -> dict[str, float]:
        """How many times longer the others take (or we, where a floor is meant)."""
        return {name: seconds / self.ours for name, seconds in self.others.items()}


@dataclass
class Growth:
    """Seconds and memory by the size of an input, and the exponent with which they grow."""

    name: str
    sizes: list[int]
    seconds: list[float]
    memory_mib: list[float]
    exponent: float
    memory_exponent: float


def main() -> int:
    """Measure what is asked for, and print the tables."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--consdb", type=Path, help="git directory of consdb")
    parser.add_argument("--sdm-schemas", type=Path, help="git directory of sdm_schemas")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path("docs/bench"))
    parser.add_argument("--only", default="", help="only measurements with this word; others are kept")
    arguments = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # compiling again each time would drown everything
    tools = find_tools()
    rows: list[Row] = []
    grown: list[Growth] = []
    with tempfile.TemporaryDirectory(prefix="bench") as name:
        place = Path(name)
        place.chmod(0o755)
        bench = Bench(place, tools, arguments.repeats, arguments.only)
        rows += [*bench.small_commands(), *bench.all_sections(), *bench.one_section()]
        if arguments.consdb and arguments.sdm_schemas:
            rows += bench.real(arguments.consdb, arguments.sdm_schemas)
        grown += bench.growth()
    say_rows(rows)
    say_growth(grown)
    arguments.output.mkdir(parents=True, exist_ok=True)
    machine = {
        "cpu_count": os.cpu_count(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "postgres": version(tools),
        "system": platform.system(),
    }
    result: dict[str, Any] = {
        "machine": machine,
        "rows": [asdict(r) for r in rows],
        "growth": [asdict(g) for g in grown],
    }
    if arguments.only:
        result = merged(arguments.output / "bench.json", result)
    (arguments.output / "bench.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (arguments.output / "bench.svg").write_text(draw(result), encoding="utf-8")
    page = arguments.output / "README.md"
    if page.is_file():
        page.write_text(with_tables(page.read_text(encoding="utf-8"), result), encoding="utf-8")
    return 0


class Bench:
    """The measurements in a directory; `only` is a word that a measurement's name must have."""

    def __init__(self, place: Path, tools: Path, repeats: int, only: str) -> None:
        self.place, self.tools, self.repeats, self.only = place, tools, repeats, only
        self._number = 0
        self.before = inputs.write_schemas(place / "before", lambda _data: None)
        self.after = inputs.write_schemas(place / "after", inputs.add_column)
        self.tree = inputs.copy_tree(place / "tree")

    def wanted(self, name: str) -> bool:
        """Tell whether a measurement is asked for."""
        return self.only in name

    def small_commands(self) -> list[Row]:
        """`--help` and `preview`, against the start of Python."""
        name = "small commands"
        if not self.wanted(name):
            return []
        python = [sys.executable, "-c", "pass"]
        preview = ["migrations", "preview"]
        files = [self.before / "cdb_lsstcam.yaml", self.after / "cdb_lsstcam.yaml"]
        out = []
        for title, command, request in (
            ("--help", ours("--help"), "0.15 s in all"),
            ("preview of one schema", ours(*preview, *files), "0.4 s in all"),
        ):
            seconds, memory = self.side_by_side({"ours": command, "start of Python": python})
            out.append(Row(title, seconds.pop("ours"), seconds, request, memory))
        return out

    def all_sections(self) -> list[Row]:
        """All 11 sections changed, verified, against the baseline and the floor."""
        if not self.wanted("all sections"):
            return []
        sections = sections_of(self.tree)
        generate = self.generate(self.tree, self.after, self.before)
        sql = self.history_sql(sections)
        commands = {
            "ours": generate,
            "floor: server and psql": self.floor(*sql),
            f"baseline, {len(sections)} sections": self.peer(self.after, sections),
        }
        seconds, memory = self.side_by_side(commands, slow="baseline")
        request = "10 times faster than the baseline, at most 2 times the floor"
        return [Row("all 11 sections", seconds.pop("ours"), seconds, request, memory)]

    def one_section(self) -> list[Row]:
        """One of 11 sections changed, against the start of a server."""
        if not self.wanted("one section"):
            return []
        after = shutil.copytree(self.before, self.place / "one")
        shutil.copy(self.after / "cdb_lsstcam.yaml", after)
        commands = {"ours": self.generate(self.tree, after, self.before), "start of a server": self.floor()}
        seconds, memory = self.side_by_side(commands)
        request = "1.5 s over the start of a server"
        return [Row("one section of 11", seconds.pop("ours"), seconds, request, memory)]

    def real(self, consdb: Path, sdm_schemas: Path) -> list[Row]:
        """The four sections that consdb's generator knows, on its own tree."""
        if not self.wanted("real"):
            return []
        tree = export(consdb, self.place / "consdb", "alembic", "alembic.ini", "python")
        schemas = export(sdm_schemas, self.place / "sdm", "python/lsst/sdm/schemas", "yml")
        changed = inputs.write_schemas(
            self.place / "changed",
            inputs.add_column,
            schemas / "python/lsst/sdm/schemas",
            {f"cdb_{section}" for section in PEER_SECTIONS},
        )
        named = [word for section in PEER_SECTIONS for word in ("--section", section)]
        (self.place / "given" / "yml").parent.mkdir()
        shutil.copytree(changed, self.place / "given" / "yml")
        commands = {
            "ours": [*self.generate(tree, changed, None), *named],
            "baseline, 4 sections": self.peer(self.place / "given", PEER_SECTIONS, tree),
        }
        seconds, memory = self.side_by_side(commands, slow="baseline")
        return [Row("consdb's tree, 4 instruments", seconds.pop("ours"), seconds, "10 times faster", memory)]

    def growth(self) -> list[Growth]:
        """How time and memory grow with columns, renames, tables, sections and revisions."""
        out = []
        for name, sizes, make in (
            ("columns", [95, 190, 380, 760, 1520], self._columns),
            ("renamed columns", [95, 190, 380, 760, 1520], self._renames),
            ("tables", [8, 16, 32, 64, 128], self._tables),
            ("sections", [11, 22, 44, 110], self._sections),
            ("revisions", [15, 60, 120, 250, 500], self._revisions),
        ):
            if not self.wanted(f"growth {name}"):
                continue
            seconds, memory = [], []
            for size in sizes:
                once, used = self.side_by_side({"ours": make(size)}, repeats=3)
                seconds.append(once["ours"])
                memory.append(used)
                print(f"  {name} {size}: {once['ours']:.2f} s, {used:.0f} MiB", flush=True)
            out.append(
                Growth(name, sizes, seconds, memory, exponent(sizes, seconds), exponent(sizes, memory))
            )
        return out

    def _columns(self, size: int) -> Command:
        after = self._schemas(lambda data: inputs.widen(data, size))
        return [*self.generate(self.tree, after, self.before), "--section", "efd_latiss"]

    def _renames(self, size: int) -> Command:
        before = self._schemas(lambda data: inputs.widen(data, size))
        after = self._schemas(lambda data: inputs.widen(data, size, "reading"))
        name = "efd_latiss.yaml"
        return ours("migrations", "preview", before / name, after / name)

    def _tables(self, size: int) -> Command:
        after = self._schemas(lambda data: inputs.multiply(data, size))
        return [*self.generate(self.tree, after, self.before), "--section", "efd_latiss"]

    def _sections(self, size: int) -> Command:
        tree = inputs.copy_tree(self._next())
        before = self._schemas(lambda _data: None)
        after = self._schemas(inputs.add_column)
        inputs.add_sections(tree, (before, after), size - 11)
        return self.generate(tree, after, before)

    def _revisions(self, size: int) -> Command:
        tree = inputs.copy_tree(self._next())
        inputs.add_revisions(tree, "efd_latiss", "efd_latiss", self._table("efd_latiss"), size)
        return [*self.generate(tree, self.after, self.before), "--section", "efd_latiss"]

    def _table(self, schema: str) -> str:
        import yaml

        data = yaml.load((self.before / f"{schema}.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
        return str(data["tables"][-1]["name"])

    def _schemas(self, change: Callable[[Any], None]) -> Path:
        path: Path = inputs.write_schemas(self._next(), change)
        return path

    def _next(self) -> Path:
        self._number += 1
        return self.place / f"input{self._number}"

    def generate(self, tree: Path, after: Path, before: Path | None) -> list[str | Path]:
        """Return the command that generates and proves, and writes nothing."""
        command: list[str | Path] = ["migrations", "generate", "--consdb", tree, "--sdm-schemas", after]
        base: list[str | Path] = ["--sdm-schemas-base", before] if before else []
        options = ["--message", inputs.MESSAGE, "--on-question", "drop-add", "--dry-run"]
        return ours(*command, *base, *options)

    def peer(self, schemas: Path, sections: Sequence[str], tree: Path | None = None) -> Command:
        """Return the baseline; it writes into a tree of its own."""
        copy = shutil.copytree(tree or self.tree, self._next(), symlinks=True)
        where: list[str | Path] = ["--tools", self.tools, "--tree", copy, "--schemas", schemas]
        return [sys.executable, HERE / "server.py", "peer", *where, *sections]

    def floor(self, *sql: Path) -> Command:
        """Return a server and the SQL through psql."""
        return [sys.executable, HERE / "server.py", "floor", "--tools", self.tools, *sql]

    def history_sql(self, sections: Sequence[str]) -> list[Path]:
        """Render the history of each section, and the new revision, as SQL."""
        tree = inputs.copy_tree(self._next())
        run([word for word in self.generate(tree, self.after, self.before) if word != "--dry-run"])
        out = []
        for section in sections:
            schema = section if section.startswith("efd_") else f"cdb_{section}"
            command = [sys.executable, "-m", "alembic", "-n", section, "upgrade", "head", "--sql"]
            variables = {
                **os.environ,
                "CONSDB_URL": "postgresql+psycopg://",
                "SDM_SCHEMAS_DIR": str(self.after),
            }
            text = subprocess.run(
                command, cwd=tree, env=variables, capture_output=True, check=True, encoding="utf-8"
            ).stdout
            path = self.place / f"{section}.sql"
            schemas = f"CREATE SCHEMA {schema.partition('_')[0]};\nCREATE SCHEMA {schema};\n"
            path.write_text(schemas + text, encoding="utf-8")
            out.append(path)
        return out

    def side_by_side(
        self, commands: dict[str, Command], *, repeats: int = 0, slow: str = ""
    ) -> tuple[dict[str, float], float]:
        """Run commands in turn; return the median of each, and the memory of ours in MiB.

        A slow one runs three times at most.
        """
        times: dict[str, list[float]] = {name: [] for name in commands}
        memory = 0.0
        run(commands["ours"])  # once unmeasured: caches of the file system, compiled modules
        for turn in range(repeats or self.repeats):
            for name, command in commands.items():
                if slow and name.startswith(slow) and turn >= 3:
                    continue
                seconds, used = run(command)
                times[name].append(seconds)
                if name == "ours":
                    memory = max(memory, used)
        return {name: statistics.median(values) for name, values in times.items()}, memory


def ours(*arguments: str | Path) -> list[str | Path]:
    """Return a command of this program."""
    return [sys.executable, "-m", "consdb_actions", *arguments]


def run(command: Command) -> tuple[float, float]:
    """Run a process; return its seconds and its own peak memory in MiB."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(list(command), stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - began
        if process.returncode not in ((0, 1) if "preview" in command else (0,)):  # 1: it has findings
            output.seek(0)
            sys.exit(f"{command} ended with {process.returncode}:\n{output.read().decode()}")
    return seconds, usage.ru_maxrss / 1024


def sections_of(tree: Path) -> list[str]:
    """Return the sections of a tree."""
    imports = "from consdb_actions.adapters.tree import read_tree"
    names = f"*(section.name for section in read_tree(Path({str(tree)!r})).sections)"
    return asked(imports, names).split()


def find_tools() -> Path:
    """Return the directory of the Postgres that the program itself would use, which must have psql."""
    imports = (
        "import os; from consdb_actions.adapters.postgres_server import find_installation; "
        "from consdb_actions.adapters.postgres_server import unprivileged_account"
    )
    return Path(asked(imports, 'find_installation("auto", unprivileged_account(), os.environ).bin_directory'))


def asked(imports: str, expression: str) -> str:
    """Ask the program in another process: the memory of this one counts in what others are told to take."""
    code = f"from pathlib import Path; {imports}; print({expression})"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def version(tools: Path) -> str:
    """Return the version of Postgres."""
    return subprocess.run(
        [tools / "postgres", "-V"], capture_output=True, text=True, check=True
    ).stdout.strip()


def export(repository: Path, target: Path, *folders: str) -> Path:
    """Write folders of a repository's head."""
    command = ["git", "-C", str(repository), "archive", "HEAD", *folders]
    archive = subprocess.run(command, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(target, filter="data")
    return target


def exponent(sizes: Sequence[int], values: Sequence[float]) -> float:
    """Fit ``value = floor + factor * size ** exponent`` through the smallest, a middle and the largest size.

    The floor is what an input of nothing costs; without it, any growth would look slower than it is.
    """
    best, best_error = 0.0, math.inf
    for step in range(301):
        power = step / 100
        xs = [size**power for size in sizes]
        mean_x, mean_y = statistics.fmean(xs), statistics.fmean(values)
        spread = sum((x - mean_x) ** 2 for x in xs)
        factor = (
            sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, values, strict=True)) / spread
            if spread
            else 0
        )
        floor = mean_y - factor * mean_x
        if factor < 0 or floor < 0:
            continue
        error = sum((floor + factor * x - y) ** 2 for x, y in zip(xs, values, strict=True))
        if error < best_error:
            best, best_error = power, error
    return best


def merged(path: Path, result: dict[str, Any]) -> dict[str, Any]:
    """Put what was measured in its place among what is known."""
    if not path.is_file():
        return result
    known = json.loads(path.read_text(encoding="utf-8"))
    for part in ("rows", "growth"):
        items = {item["name"]: item for item in known[part]} | {item["name"]: item for item in result[part]}
        known[part] = list(items.values())
    return {**known, "machine": result["machine"]}


def with_tables(page: str, result: dict[str, Any]) -> str:
    """Return a page with the tables between its marks made again."""
    machine = result["machine"]
    lines = [
        "",
        f"{machine['cpu_count']} processors ({machine['architecture']}, {machine['system']}), "
        f"Python {machine['python']}, {machine['postgres']}.",
        "",
        "| | Ours | Memory | Others | Ratio | Wanted |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in result["rows"]:
        others = "<br>".join(f"{name}: {seconds:.2f} s" for name, seconds in row["others"].items())
        ratios = "<br>".join(f"{seconds / row['ours']:.2f}" for seconds in row["others"].values())
        own = f"{row['ours']:.2f} s | {row['memory_mib']:.0f} MiB"
        lines.append(f"| {row['name']} | {own} | {others} | {ratios} | {row['wanted']} |")
    if result["growth"]:
        lines += [
            "",
            "| Growth with | Sizes | Seconds | Exponent | MiB | Exponent |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
    for g in result["growth"]:
        seconds = " ".join(f"{s:.2f}" for s in g["seconds"])
        memory = " ".join(f"{m:.0f}" for m in g["memory_mib"])
        sizes = " ".join(map(str, g["sizes"]))
        time_cells = f"{seconds} | {g['exponent']:.2f}"
        lines.append(f"| {g['name']} | {sizes} | {time_cells} | {memory} | {g['memory_exponent']:.2f} |")
    start, end = "<!-- tables -->", "<!-- end of tables -->"
    before, _, rest = page.partition(start)
    return f"{before}{start}\n" + "\n".join(lines) + f"\n\n{end}{rest.partition(end)[2]}"


def say_rows(rows: Sequence[Row]) -> None:
    """Print the ratios."""
    print(f"\n{'':32} {'ours':>8}   {'memory':>8}   others")
    for row in rows:
        others = ", ".join(f"{n} {s:.2f} s ({row.ratios()[n]:.2f} of ours)" for n, s in row.others.items())
        print(f"{row.name:32} {row.ours:6.2f} s   {row.memory_mib:4.0f} MiB   {others}")
        print(f"{'':32} wanted: {row.wanted}")


def say_growth(growth: Sequence[Growth]) -> None:
    """Print the exponents."""
    if growth:
        print(f"\n{'':18} {'sizes':24} {'seconds':36} exponent   memory")
    for g in growth:
        sizes = " ".join(map(str, g.sizes))
        seconds = " ".join(f"{s:.2f}" for s in g.seconds)
        print(f"{g.name:18} {sizes:24} {seconds:36} {g.exponent:8.2f}   {g.memory_exponent:.2f}")


if __name__ == "__main__":
    sys.exit(main())
