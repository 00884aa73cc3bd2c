"""Everything that can be run: ``nox --list``. A session installs what it needs; only Python must be there."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["tests"]
# A Python that is not there is skipped, not downloaded.
nox.options.error_on_missing_interpreters = False
nox.options.download_python = "never"

# Compiled once at installation, instead of by each of the processes that tests start.
os.environ.setdefault("UV_COMPILE_BYTECODE", "1")

ROOT = Path(__file__).parent
PYTHONS = ["3.11", "3.12", "3.13"]
# Each process runs neighbouring tests, which share what is made once; one without work takes over another's.
PARALLEL = ["-n", "auto", "--dist", "worksteal"]
QUICK = [*PARALLEL, "-m", "not slow and not pairs and not e2e"]
PROJECT = nox.project.load_toml("pyproject.toml")


def install(session: nox.Session, *groups: str) -> None:
    """Install the project, editable, with groups of ``pyproject.toml``."""
    needed = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]]
    install_pinned(session, *needed, *of_groups("editable", *groups))
    # Built with what was just installed: an isolated build would take whatever was released last.
    session.install("--no-deps", "--no-build-isolation", "--editable", ".")


def install_pinned(session: nox.Session, *requirements: str) -> None:
    """Install in the versions of constraints.txt, whatever was released since (rule U1)."""
    session.install("--constraint", "constraints.txt", *requirements)


def of_groups(*groups: str) -> list[str]:
    """Return the requirements of groups of ``pyproject.toml``."""
    return [name for group in groups for name in nox.project.dependency_groups(PROJECT, group)]


def pytest(session: nox.Session, *arguments: str) -> None:
    """Run tests; what follows ``--`` on the command line comes last."""
    # Tests start many programs: what one has compiled serves the next, whatever the caller's habit.
    # 5 is that nothing was chosen, as when -k fits one of the two runs of a session.
    codes = [0, 5] if session.posargs else [0]
    environment = {"PYTHONDONTWRITEBYTECODE": None}
    session.run("pytest", *arguments, *session.posargs, env=environment, success_codes=codes)


@nox.session
def demo(session: nox.Session) -> None:
    """Show it at work: the example change, from YAML to a verified migration that alembic runs."""
    install(session)
    session.run("python", "examples/demo.py", *session.posargs)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Pass the tests, all but the slow ones, on each Python that is there."""
    install(session, "test")
    pytest(session, *QUICK)


@nox.session
def slow(session: nox.Session) -> None:
    """Pass the slow tests; those that want a quiet machine come last and one by one."""
    install(session, "test")
    pytest(session, *PARALLEL, "-m", "slow and not alone and not faults")
    pytest(session, "-m", "slow and alone")


@nox.session
def faults(session: nox.Session) -> None:
    """Fail every call to GitHub of every flow in every way, and run again."""
    install(session, "test")
    pytest(session, *PARALLEL, "-m", "faults")


@nox.session
def thorough(session: nox.Session) -> None:
    """Try properties on many more examples."""
    install(session, "test")
    more = "hypothesis and not slow and not pairs and not e2e"
    pytest(session, *PARALLEL, "-m", more, "--hypothesis-profile", "thorough")


@nox.session
def pairs(session: nox.Session) -> None:
    """Prove the scripts of a thousand random pairs of schemas; PAIRS in the environment says how many."""
    install(session, "test")
    pytest(session, *PARALLEL, "-m", "pairs")


@nox.session
def e2e(session: nox.Session) -> None:
    """Run the workflows for real, from a label to a pull request, and print what was tried."""
    install(session, "e2e")
    # Not in memory, as the tests choose: from the same disk, uv links what it installs.
    session.env["TMPDIR"] = tempfile.gettempdir()
    pytest(session, *PARALLEL, "-n", "2", "-m", "e2e", "tests/e2e")


@nox.session
def security(session: nox.Session) -> None:
    """Look at workflows, actions and scripts with linters; ``tests`` and ``slow`` give them hostile input."""
    install_pinned(session, *of_groups("security"))
    session.run("python", "tests/actions/linters.py")


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel, or take the one in dist/, and pass the tests with it, far from the source tree."""
    install_pinned(session, "uv")
    if not list((ROOT / "dist").glob("*.whl")):
        session.run("uv", "build", "--wheel", "--quiet", "--build-constraint", "constraints.txt")
    (built,) = (ROOT / "dist").glob("*.whl")
    install_pinned(session, str(built), *of_groups("test"))
    place = Path(session.create_tmp()).resolve() / "without-source"
    shutil.rmtree(place, ignore_errors=True)
    left = shutil.ignore_patterns("consdb_actions", "dist", "build", ".*", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, place, ignore=left)
    for name in (".ci", ".github"):
        shutil.copytree(ROOT / name, place / name)
    session.chdir(place)
    where = "import consdb_actions, sys; sys.exit('site-packages' not in consdb_actions.__file__)"
    session.run("python", "-P", "-c", where)
    # What looks at the source itself has nothing to look at here.
    without = [f"--ignore=tests/test_{name}.py" for name in ("architecture", "docs")]
    pytest(session, *QUICK, *without)


@nox.session
def lock(session: nox.Session) -> None:
    """Write requirements.lock and constraints.txt anew; -- --upgrade takes newer versions."""
    install_pinned(session, "uv")
    session.run("python", "actions/lock.py", *session.posargs)


@nox.session
def release(session: nox.Session) -> None:
    """Close the changelog, sign a tag, let callers use it, push nothing: nox -s release -- 1.2.3."""
    session.run("python", "actions/release.py", *session.posargs)


@nox.session(python=PYTHONS[0])
def minimum(session: nox.Session) -> None:
    """Pass the tests with the oldest versions that pyproject.toml allows."""
    install_pinned(session, "uv")
    python = str(shutil.which("python", path=session.bin))
    resolve = ["--resolution", "lowest-direct", "-e", ".", *of_groups("test")]
    session.run("uv", "pip", "install", "--python", python, *resolve)
    pytest(session, *QUICK)


@nox.session
def lint(session: nox.Session) -> None:
    """Check format and style, and who imports whom."""
    install_pinned(session, *of_groups("lint"), "pytest")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("pytest", "--noconftest", "-q", "tests/test_architecture.py")


@nox.session
def typing(session: nox.Session) -> None:
    """Check types, strictly."""
    session.env["UV_COMPILE_BYTECODE"] = "0"  # nothing of it is run
    install(session, "typing")
    install_pinned(session, "nox")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """Write docs/commands.md, docs/tour.md, the rules of lint and the demo in README.md anew."""
    install(session)
    session.run("python", "docs/commands.py")
    session.run("python", "docs/rules_lint.py")
    session.run("python", "examples/demo.py", "--readme")
    session.run("python", "examples/tour.py")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure against the stock way and the floor, and write docs/bench: nox -s bench -- --help."""
    install(session)
    session.run("python", "-m", "compileall", "-q", "consdb_actions")
    session.run("python", "tests/bench/bench.py", *session.posargs)


@nox.session
def replay(session: nox.Session) -> None:
    """Generate ConsDB's history again: nox -s replay -- --consdb GITDIR --sdm-schemas GITDIR."""
    install(session)
    session.run("python", "tests/replay/replay.py", *session.posargs)


@nox.session
def heads(session: nox.Session) -> None:
    """Generate for every unmerged head; check a revision by hand in every section. Options as for replay."""
    install(session)
    session.run("python", "tests/replay/by_hand.py", *session.posargs)
    session.run("python", "tests/replay/heads.py", *session.posargs)


@nox.session
def concurrent(session: nox.Session) -> None:
    """Migrate one change first and generate another: every pair of a dozen changes (rule M17)."""
    install(session, "test")
    pytest(session, *PARALLEL, "tests/generation/test_three_way.py")
