"""Replay ConsDB's history: generate each revision again, and compare with the one that people edited.

    python tests/replay/replay.py --consdb GITDIR --sdm-schemas GITDIR [--only NAME]... [--report FILE]

Each revision after the first of its section is generated on the tree as it stood before it, from the schema
files before and after the change that it was made for; ``history.json`` says which. Both scripts then run on
the same rows. Few differences between what they leave are forgiven, each with its reason; all others are
listed. The exit code is 1 while there is one.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import sys
import tarfile
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from consdb_actions.adapters.autogenerate.engine import Engine, SectionRequest
from consdb_actions.adapters.autogenerate.simulation import replay, run_source, simulate
from consdb_actions.adapters.autogenerate.states import describe, make_replayed
from consdb_actions.adapters.catalog import read_snapshot
from consdb_actions.adapters.felis import validate
from consdb_actions.adapters.postgres import ScratchServer, scratch_server
from consdb_actions.adapters.rows import read_rows, seed
from consdb_actions.adapters.schema_yaml import read_file, read_yaml
from consdb_actions.adapters.shell import run
from consdb_actions.adapters.tree import Section, Tree, read_tree
from consdb_actions.catalog import CatalogConstraint, Difference, Snapshot, compare
from consdb_actions.config import DEFAULT_CONFIG
from consdb_actions.errors import ConsdbActionsError
from consdb_actions.migration.data import Rows, compare_rows
from consdb_actions.migration.matching.declarations import Declarations, parse_declaration
from consdb_actions.migration.outcome import SectionOutcome
from consdb_actions.migration.row_rules import RowMigration

HISTORY = Path(__file__).with_name("history.json")


@dataclass
class Case:
    """One revision of the history, and what became of it."""

    section: str
    revision: str
    message: str
    asked: bool = False
    operations: int = 0
    ours: list[str] = field(default_factory=list)
    explained: list[str] = field(default_factory=list)
    committed_downgrade: str = ""
    seconds: float = 0.0

    @property
    def verdict(self) -> str:
        """``equal``, ``explained`` or ``ours to mend``."""
        if self.ours:
            return "ours to mend"
        return "explained" if self.explained else "equal"


def git(repository: Path, *arguments: str) -> bytes:
    """Run git on a git directory or a checkout."""
    return run(["git", "-C", repository, *arguments], timeout=120).stdout_bytes


def prepare_tree(consdb: Path, head: Section, index: int, commit: str, target: Path) -> Tree:
    """Write the tree as it stood before a revision: of that commit, with the revisions before it."""
    archive = git(consdb, "archive", commit, "alembic", "alembic.ini", "python")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(target, filter="data")
    versions = target / "alembic" / head.name / "versions"
    shutil.rmtree(versions, ignore_errors=True)
    versions.mkdir(parents=True)
    for script in head.revisions()[:index]:
        shutil.copy(script.path, versions)
    return read_tree(target)


def schema_file(origin: str, target: Path, consdb: Path, sdm_schemas: Path) -> Path:
    """Write the schema file of a commit, given as ``REPOSITORY@COMMIT:PATH``."""
    name, _, place = origin.partition("@")
    target.mkdir(parents=True, exist_ok=True)
    path = target / Path(place).name
    path.write_bytes(git(consdb if name == "consdb" else sdm_schemas, "cat-file", "blob", place))
    return path


def generate(engine: Engine, section: Section, path: Path, base: Path, answers: list[str]) -> SectionOutcome:
    """Generate the revision and verify it."""
    request = SectionRequest(
        section,
        validate(read_file(path, expect_name=section.schema)),
        path,
        base=read_yaml(base.read_bytes(), source=str(base), expect_name=section.schema),
        declared=Declarations.of(parse_declaration(a, "option") for a in answers),
    )
    return engine.run(
        request,
        identify=lambda _section, _down, _variables: "000000000001",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        message="replay",
        verify=True,
    ).outcome


def leave(
    server: ScratchServer, section: Section, database: str, upgrade: str | None, rows_from: Snapshot
) -> tuple[Snapshot, Rows, str]:
    """Run a script, or with None the committed head, on a seeded copy; return what it leaves."""
    name = f"{database}_run"
    server.create_database(name, template=database)
    problem = ""
    try:
        with server.open_database(name) as engine:
            with engine.begin() as connection:
                if upgrade is None:
                    replay(connection, section, section.revisions()[-1:])
                else:
                    run_source(connection, section, upgrade, "ours", "upgrade")
            with engine.begin() as connection:
                after = read_snapshot(connection, section.schema)
                rows = read_rows(connection, after)
            if upgrade is None:
                problem = committed_downgrade(engine, section, rows_from)
        return after, rows, problem
    finally:
        server.drop_database(name)


def committed_downgrade(engine: object, section: Section, before: Snapshot) -> str:
    """Say whether the committed downgrade restores the catalog."""
    import sqlalchemy as sa

    assert isinstance(engine, sa.Engine)
    script = section.revisions()[-1]
    try:
        with engine.begin() as connection:
            run_source(connection, section, Path(script.path).read_text(), "committed", "downgrade")
        with engine.connect() as connection:
            found = compare(before, read_snapshot(connection, section.schema))
        return f"{len(found)} differences" if found else ""
    except Exception as error:
        return f"does not run: {str(getattr(error, 'orig', error)).strip().splitlines()[0]}"


def play(
    server: ScratchServer,
    consdb: Path,
    sdm_schemas: Path,
    head: Section,
    index: int,
    entry: dict[str, object],
) -> Case:
    """Generate one revision, run both scripts, and compare."""
    script = head.revisions()[index]
    case = Case(head.name, script.revision, script.doc)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="replay") as temporary:
        root = Path(temporary)
        tree = prepare_tree(consdb, head, index, str(entry["tree"]), root / "tree")
        path = schema_file(str(entry["after"]), root / "after", consdb, sdm_schemas)
        base = schema_file(str(entry["before"]), root / "before", consdb, sdm_schemas)
        with tree.importable() as shadow:
            engine = Engine(server, shadow, tree, DEFAULT_CONFIG, lambda _section, _step: None)
            outcome = generate(engine, tree.section(head.name), path, base, [])
            answers = entry.get("answers", [])
            case.asked = outcome.status == "question"
            if case.asked and isinstance(answers, list):
                outcome = generate(engine, tree.section(head.name), path, base, answers)
        case.operations = len(outcome.upgrade)
        if outcome.status != "changed":
            if outcome.status == "unchanged" and path.read_bytes() == base.read_bytes():
                case.explained.append("the schema file is unchanged: there is nothing to generate")
                return case
            asked = [q.text for q in outcome.questions]
            failed = [c.details for c in outcome.checks if c.holds is False]
            case.ours.append(f"{outcome.status}: {failed or asked or outcome.present}")
            return case
        shutil.copy(script.path, tree.section(head.name).versions)
        tree = read_tree(root / "tree")
        with tree.importable() as shadow:
            engine = Engine(server, shadow, tree, DEFAULT_CONFIG, lambda _section, _step: None)
            section = tree.section(head.name)
            judge(case, engine, section, outcome.source, changed_elements(engine, section, path, base))
    case.seconds = time.monotonic() - began
    return case


def changed_elements(engine: Engine, section: Section, path: Path, base: Path) -> set[tuple[str, ...]]:
    """Return what the schema files change, as paths of two or three parts."""
    current = Snapshot(section.schema)
    with engine.server.database("described"), simulate(engine.server, "described", section) as simulation:
        found = describe(
            simulation,
            validate(read_file(path, expect_name=section.schema)),
            read_yaml(base.read_bytes(), source=str(base), expect_name=section.schema),
            current,
            config=engine.config,
            shadow=engine.shadow,
        )
    assert found.base is not None
    return {d.path[:3] for d in compare(found.base, found.head)}


def judge(case: Case, engine: Engine, section: Section, source: str, changed: set[tuple[str, ...]]) -> None:
    """Compare what both scripts leave; the section ends with the committed revision."""
    server, database = engine.server, f"{section.name}_before"
    server.create_database(database)
    try:
        before = make_replayed(server, database, section, section.revisions()[:-1])
        target, _, _ = leave(server, section, database, source, before)
        with server.open_database(database) as connections, connections.begin() as connection:
            seed(connection, before, change=RowMigration(target))
        our_state, our_rows, _ = leave(server, section, database, source, before)
        their_state, their_rows, case.committed_downgrade = leave(server, section, database, None, before)
        ours = {d.path[:3] for d in compare(before, our_state)}
        for difference in compare(our_state, their_state):
            tell(case, difference, our_state, changed, ours)
        gone = {(t, None) for t in their_rows if t not in our_rows}
        for lost in compare_rows(their_rows, our_rows, lost=gone):
            (case.ours if lost.before != "" and lost.after == "" else case.explained).append(f"rows: {lost}")
    finally:
        server.drop_database(database)


def tell(
    case: Case,
    difference: Difference,
    ours: Snapshot,
    changed: set[tuple[str, ...]],
    done: set[tuple[str, ...]],
) -> None:
    """Sort a difference: some are forgiven, each with its reason."""
    reason = forgiven(difference, ours)
    path = difference.path[:3]
    if not reason and path in changed:
        reason = "the schema file changes it, and the committed script does not"
    if not reason and path not in changed and path not in done:
        reason = "drift: the schema file does not change it, and ours leaves it alone"
    (case.explained if reason else case.ours).append(f"{reason or 'differs'}: {difference}")


def forgiven(difference: Difference, ours: Snapshot) -> str:
    """Return why a difference from the committed script is not a fault; empty where it is one."""
    path, sides = difference.path, (difference.left, difference.right)
    constraints = [s for s in sides if isinstance(s, CatalogConstraint)]
    if "grants" in path:
        return "grants, which no schema file gives"
    if path[0] == "sequences" or path[-1] == "sequence":
        return "a sequence"
    if constraints and all(c.kind == "primary key" for c in constraints):
        return "the name of a primary key, or a UNIQUE equal to it"
    if len(constraints) == 2 and constraints[0].meaning == constraints[1].meaning:
        return "the description of a constraint (rule M6), which no committed script writes"
    if path[0] in ours.views and path[1:2] == ("columns",):
        return "the columns of a view, which are made by rule M2"
    if path[-1] in {"position", "definition"}:
        return "the order of a view's columns"
    return ""


def cases(server: ScratchServer, consdb: Path, sdm_schemas: Path, only: list[str]) -> Iterator[Case]:
    """Play the whole history, or some of it."""
    history = json.loads(HISTORY.read_text())
    with tempfile.TemporaryDirectory(prefix="replay") as temporary:
        archive = git(consdb, "archive", "HEAD", "alembic", "alembic.ini", "python")
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(temporary, filter="data")
        head = read_tree(Path(temporary))
        for section in head.sections:
            with head.importable():
                revisions = section.revisions()
            for index, script in enumerate(revisions):
                if script.revision not in history or (
                    only and not {section.name, script.revision} & set(only)
                ):
                    continue
                try:
                    yield play(server, consdb, sdm_schemas, section, index, history[script.revision])
                except ConsdbActionsError as error:
                    yield Case(section.name, script.revision, script.doc, ours=[str(error)])


def main() -> int:
    """Replay and print the table and the score."""
    parser = argparse.ArgumentParser(description="Replay ConsDB's history against the generator.")
    parser.add_argument("--consdb", type=Path, required=True)
    parser.add_argument("--sdm-schemas", type=Path, required=True)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--report", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    done: list[Case] = []
    with scratch_server() as server:
        sys.stdout.write(f"Postgres {server.info.version}, {server.info.pgsphere}\n")
        for case in cases(server, options.consdb, options.sdm_schemas, options.only):
            done.append(case)
            asked = "asked, " if case.asked else ""
            sys.stdout.write(
                f"{case.verdict:12} {case.section:15} {case.revision} {case.operations:3} operations, "
                f"{asked}{len(case.explained)} explained, {case.seconds:.1f} s  {case.message}\n"
            )
            for line in (*case.ours, *case.explained):
                sys.stdout.write(f"    {line[:300]}\n")
            sys.stdout.flush()
    good = [c for c in done if not c.ours]
    equal = sum(c.verdict == "equal" for c in done)
    broken = [c for c in done if c.committed_downgrade]
    sys.stdout.write(
        f"{len(good)} of {len(done)} right without a hand edit: {equal} leave the same database as the "
        f"committed script, {len(good) - equal} differ where the committed one is not as the file says; "
        f"{sum(c.asked for c in done)} asked first.\n"
        f"Committed downgrades that do not restore: {len(broken)}, of which "
        f"{sum('does not run' in c.committed_downgrade for c in broken)} do not run.\n"
    )
    if options.report:
        data = [{**vars(c), "verdict": c.verdict} for c in done]
        options.report.write_text(json.dumps(data, indent=1))
    return 0 if len(good) == len(done) else 1


if __name__ == "__main__":
    sys.exit(main())
