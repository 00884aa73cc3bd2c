from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from consdb_actions.cli import main
from consdb_actions.commands.migrations import SUBCOMMANDS
from consdb_actions.config import CONFIG_PATH
from tests.support.repository import Repository
from tests.support.schemas import SMALL

PATH = "python/lsst/sdm/schemas/cdb_demo.yaml"
NEW = SMALL.replace(
    "  - name: band\n", "  - {name: gain, datatype: double, description: The gain}\n  - name: band\n"
)
RAISED = NEW.replace("1.2.3", "1.3.0")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """Give a repository with the small schema on main, and stand in it."""
    made = Repository(tmp_path / "repo")
    made.put(PATH, SMALL)
    made.put(PATH.replace("demo", "other"), SMALL.replace("cdb_demo", "cdb_other"))
    made.commit()
    monkeypatch.chdir(made.path)
    return made


def run(*args: str) -> int:
    """Run the command."""
    return main(["migrations", "preview", *args])


OTHER_NAME = SMALL.replace("air_temp", "air_heat").replace("1.2.3", "2.0.0")


@pytest.mark.parametrize(
    ("text", "args", "code"),
    [
        (SMALL, (), 0),
        (NEW, (), 1),
        (NEW, ("--fail-on", "never"), 0),
        (RAISED, (), 0),
        (RAISED, ("--fail-on", "warning"), 1),
        (OTHER_NAME, (), 1),
        (OTHER_NAME, ("--rename", "exposure.air_temp=air_heat"), 0),
        (SMALL + "nonsense: 1\n", (), 2),
    ],
    ids=["same", "error", "never", "warning", "on warning", "question", "answered", "bad"],
)
def test_f3_exit_codes(repository: Repository, text: str, args: tuple[str, ...], code: int) -> None:
    repository.put(PATH, text)
    assert run("main", *args) == code


def test_the_three_forms(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    repository.put(PATH, NEW)
    run("main")
    text = capsys.readouterr().out
    assert "1.2.3, not raised: MINOR needed (new column), too small; 1.3.0 is sufficient" in text
    assert "\x1b" not in text
    run("main", "--format", "markdown")
    assert capsys.readouterr().out.startswith("### ❌ Schema preview: 1 schema changes\n")
    run("main", "--format", "json")
    data = json.loads(capsys.readouterr().out)
    assert data["errors"] == 1
    assert data["unchanged"] == ["cdb_other"]
    finding = next(item for item in data["schemas"][0]["findings"] if item["rule"] == "description-end")
    assert finding["path"] == "exposure.gain"
    assert NEW.splitlines()[finding["line"] - 1].startswith("  - {name: gain")


def test_m18_without_arguments_the_branch_is_compared_with_where_it_left(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.git("checkout", "-q", "-b", "tickets/DM-1")
    repository.put(PATH, NEW)
    repository.commit()
    printed = []
    for sides in (["main"], []):
        main(["migrations", "preview", "--git", str(repository.path), "--format", "json", *sides])
        printed.append(json.loads(capsys.readouterr().out))
    assert printed[0]["schemas"]
    assert printed[0]["schemas"] == printed[1]["schemas"]


def test_nothing_differs(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("main..") == 0
    assert (
        capsys.readouterr().out
        == f"No schema differs between {repository.git('rev-parse', 'HEAD')[:12]} and HEAD.\n"
    )


def test_all_checks_what_stood_there_before(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    run("main", "--all", "--format", "json")
    data = json.loads(capsys.readouterr().out)
    assert [schema["name"] for schema in data["schemas"]] == ["cdb_demo", "cdb_other"]
    assert any(item["path"] == "exposure.band" for item in data["schemas"][0]["findings"])
    assert data["schemas"][0]["version"]["status"] == "ok"


def test_every_option_is_an_environment_variable(
    repository: Repository,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    repository.put(PATH, NEW)
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "BEFORE": "main",
        "AFTER": str(repository.path),
        "GIT": str(repository.path),
        "SCHEMA": "cdb_o* cdb_demo",
        "FORMAT": "json",
        "FAIL_ON": "never",
        "ALL": "true",
    }.items():
        monkeypatch.setenv(f"CONSDB_{name}", value)
    assert run() == 0
    assert len(json.loads(capsys.readouterr().out)["schemas"]) == 2


def test_severities_and_views_come_from_the_configuration(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.put(PATH, RAISED)
    repository.put(CONFIG_PATH, "lint: {severity: {ucd-missing: error, description-end: off}}")
    assert run("main") == 1
    out = capsys.readouterr().out
    assert "error    there is no UCD" in out
    assert "full stop" not in out
    other = repository.put("other.yaml", "views: {exposure_quicklook: {table: exposure}}")
    assert run("main", "--config", str(other), "--format", "json") == 1
    rules = {item["rule"] for item in json.loads(capsys.readouterr().out)["schemas"][0]["findings"]}
    assert "view-out-of-step" in rules


def test_declared_renames(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    repository.put(
        PATH, SMALL.replace("exposure.air_temp", "exposure.t2").replace("name: air_temp", "name: t2")
    )
    run("main", "--rename", "exposure.air_temp=t2")
    assert "column air_temp is renamed to t2" in capsys.readouterr().out
    assert run("main", "--rename", "nonsense") == 2


def test_bad_files_are_all_told(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    repository.put(PATH, "- x")
    repository.put(PATH.replace("demo", "other"), "name: x\ntables: []")
    assert run("main") == 2
    told = capsys.readouterr().err
    assert "not a list" in told
    assert 'the schema is called "x", not "cdb_other"' in told


def test_a_bad_file_before_the_change_is_no_hindrance(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    repository.put(PATH, SMALL + "nonsense: 1\n")
    repository.commit()
    repository.put(PATH, SMALL)
    run("main")
    assert 'cannot be read, so everything counts as new: the schema has an unknown key "nonsense"' in (
        capsys.readouterr().out
    )
    repository.put(PATH, SMALL + "nonsense: 1\n")
    (repository.path / PATH).unlink()
    assert run("main") == 2


def test_words_that_astropy_does_not_know(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    unknown = NEW.replace("The gain}", "Of it., ivoa:unit: furlongz, ivoa:ucd: nope.nope}").replace(
        "1.2.3", "1.3.0"
    )
    repository.put(PATH, unknown)
    assert run("main") == 1
    out = capsys.readouterr().out
    assert "astropy does not know the unit `furlongz`" in out
    assert "the UCD `nope.nope` is not valid" in out


def test_shapes_that_felis_does_not_take_are_told_when_they_are_new(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    shaped = RAISED.replace('["#exposure.band"]', "[band]")
    repository.put(PATH, shaped)
    run("main")
    assert "columns are named without their @id" in capsys.readouterr().out
    repository.commit()
    repository.put(PATH, shaped.replace("1.3.0", "1.3.1"))
    run("main")
    assert "columns are named" not in capsys.readouterr().out


def test_on_a_runner_findings_stand_beside_their_lines(
    repository: Repository,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(repository.path))
    repository.put(PATH, NEW)
    run("main", str(repository.path))
    told = capsys.readouterr()
    assert f"::error file={PATH},line=4" in told.err
    assert "::" not in told.out
    assert (tmp_path / "GITHUB_STEP_SUMMARY").read_text("utf-8").startswith("### ❌ Schema preview")
    assert "errors<<" in (tmp_path / "GITHUB_OUTPUT").read_text("utf-8")


def test_commands_are_listed_when_they_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrations", "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in SUBCOMMANDS)
    assert main(["migrations", "nonsense"]) == 2


def test_a_preview_imports_neither_felis_nor_a_database(repository: Repository) -> None:
    """That is what keeps it quick."""
    repository.put(PATH, RAISED)
    code = (
        "import sys; from consdb_actions.cli import main; main(['migrations', 'preview', 'main']);"
        "print([m for m in ('felis', 'astropy', 'sqlalchemy', 'alembic', 'psycopg', 'jsonschema', 'rich')"
        " if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("rule", "told"), [("ucd-misssing", 'Did you mean "ucd-missing"?'), ("xyz", "there is no such rule")]
)
def test_severities_are_of_rules_that_exist(
    repository: Repository, capsys: pytest.CaptureFixture[str], rule: str, told: str
) -> None:
    repository.put(CONFIG_PATH, f"lint: {{severity: {{{rule}: error}}}}")
    assert run("main") == 2
    assert told in capsys.readouterr().err


def test_severities_of_lint_are_none_of_previews_business(repository: Repository) -> None:
    repository.put(CONFIG_PATH, "lint: {severity: {two-heads: error}}")
    assert run("main") == 0


def test_information_fails_nothing(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    rules = ("ucd-missing", "unit-missing", "description-end", "description-repeats")
    repository.put(CONFIG_PATH, "lint: {severity: {" + ", ".join(f"{rule}: info" for rule in rules) + "}}")
    repository.put(PATH, RAISED)
    assert run("main", "--fail-on", "warning") == 0
    out = capsys.readouterr().out
    assert "info     there is no UCD" in out
    assert out.endswith("No findings\n")


def test_the_source_of_a_table_comes_from_the_configuration(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = """\
sites:
  sources:
    - {tables: cdb_demo.exposure, name: hinfo, contact: the ConsDB team}
    - {tables: cdb_demo.*, name: the DIMM, columns: [dimm_*, gain]}
"""
    repository.put(CONFIG_PATH, sources)
    table = NEW[NEW.index("- name: exposure\n") :].partition("- name: exposure_quicklook")[0]
    repository.put(PATH, RAISED + table.replace("exposure", "weather"))
    run("main", "--format", "json")
    (schema,) = json.loads(capsys.readouterr().out)["schemas"]
    found = [(item["table"], item["source"] or {"name": "", "contact": ""}) for item in schema["sources"]]
    assert [(table, source["name"], source["contact"]) for table, source in found] == [
        ("weather", "", ""),
        ("exposure", "hinfo", "the ConsDB team"),
    ]
    rules = {item["rule"]: item["path"] for item in schema["findings"] if item["rule"].startswith("source")}
    assert rules == {"source-missing": "weather", "source-differs": "exposure.gain"}
    for form in ("text", "markdown"):
        run("main", "--format", form)
        out = capsys.readouterr().out
        assert "hinfo (the ConsDB team)" in out
        assert "the DIMM" in out


@pytest.mark.parametrize(
    "entry", ["{tables: x}", "{tables: x, name: y, column: [z]}", "{tables: x, name: y, columns: []}"]
)
def test_a_source_that_cannot_be_is_exit_2(
    repository: Repository, capsys: pytest.CaptureFixture[str], entry: str
) -> None:
    repository.put(CONFIG_PATH, f"sites: {{sources: [{entry}]}}\n")
    assert run("main") == 2
    assert "sites.sources[0]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        ("NUMERIC(10,2)", 2, "NUMERIC(10,2)"),
        ("TIMESTAMPTZ", 2, "TIMESTAMPTZ"),
        ("jsonb", 2, "Write JSONB"),
        ("ENUM", 2, "Check constraint"),
        ("TIMESTAMP(3)", 1, "timestamp with time zone"),
        ("JSONB", 0, ""),
    ],
)
def test_types_that_felis_cannot_make_are_told_before_generation(
    repository: Repository, capsys: pytest.CaptureFixture[str], kind: str, code: int, words: str
) -> None:
    new = f"{{name: gain, datatype: text, 'postgresql:datatype': '{kind}', description: The gain.}}"
    repository.put(PATH, RAISED.replace("{name: gain, datatype: double, description: The gain}", new))
    assert run("main") == code
    captured = capsys.readouterr()
    text = " ".join((captured.out + captured.err).split())
    assert words in text
    assert code != 2 or "exposure.gain" in text


def test_the_file_beside_belongs_to_the_schema(
    repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    other = (
        "name: w\ntables:\n- {name: s, columns: [{name: wind, datatype: double, description: The wind.}]}\n"
    )
    refs = (
        "name: cdb_refs\nversion: {current: 1.0.0}\ndescription: Refs.\nresources: {w: {uri: weather.yaml}}\n"
    )
    refs += "tables:\n- {name: t, description: The t., columnRefs: {w: {s: {wind: }}}}\n"
    repository.put(PATH.replace("cdb_demo", "cdb_refs"), refs)
    beside = PATH.replace("cdb_demo", "weather")
    repository.put(beside, other)
    repository.commit()
    run("HEAD", "--fail-on", "never", "--format", "json")
    assert "cdb_refs" in json.loads(capsys.readouterr().out)["unchanged"]
    repository.put(beside, other.replace("double", "int"))
    run("HEAD", "--fail-on", "never")
    text = capsys.readouterr().out
    assert "cdb_refs" in text
    assert "wind" in text
    repository.put(beside, "nonsense")
    assert run("HEAD") == 2
    assert "columnRefs" in capsys.readouterr().err
