"""What a generating job may hand over (rules S2 and S3)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from consdb_actions.adapters import result_directory
from consdb_actions.adapters.result_directory import read_result
from consdb_actions.errors import CheckFailed, InputError
from consdb_actions.migration.outcome import RunOutcome, SectionOutcome, VerificationCheck
from consdb_actions.proposal import blob_sha
from consdb_actions.publication import result as limits
from consdb_actions.publication.result import TargetSection, check_result, join_outcomes
from consdb_actions.report.generation import render_markdown
from tests.support.migration_scene import generated, open_question, outcome_of, unchanged, write_result

SECTIONS = (
    TargetSection("latiss", "cdb_latiss", "alembic/latiss"),
    TargetSection("lsstcam", "cdb_lsstcam", "alembic/lsstcam"),
)
PATH = "alembic/latiss/versions/aaaaaaaaaaaa_dm_1.py"


def checked(
    files: dict[str, bytes], outcome: RunOutcome, present: dict[str, str] | None = None
) -> dict[str, dict[str, bytes]]:
    return check_result(files, outcome, SECTIONS, present or {})


def files_of(*sections: SectionOutcome) -> dict[str, bytes]:
    return {section.path: section.source.encode() for section in sections}


def test_a_result_as_the_generator_makes_it_is_taken() -> None:
    sections = generated(), generated("lsstcam", "cdb_lsstcam", revision="bbbbbbbbbbbb")
    accepted = checked(files_of(*sections), outcome_of(*sections))
    assert {name: list(files) for name, files in accepted.items()} == {
        "latiss": [PATH],
        "lsstcam": ["alembic/lsstcam/versions/bbbbbbbbbbbb_dm_1.py"],
    }


def test_a_result_that_is_there_already_is_taken() -> None:
    data = generated().source.encode()
    assert checked(files_of(generated()), outcome_of(generated()), {PATH: blob_sha(data)})


def test_nothing_is_taken_from_a_run_with_a_question() -> None:
    outcome = outcome_of(generated(), open_question("lsstcam", "cdb_lsstcam"))
    assert checked({}, outcome) == {}
    with pytest.raises(CheckFailed, match="no report lists this file"):
        checked(files_of(generated()), outcome)


EVIL = SectionOutcome(
    "latiss", "cdb_latiss", "changed", path=PATH, source="x", checks=(VerificationCheck("a", True, "a"),)
)
REFUSED: dict[str, tuple[dict[str, bytes], SectionOutcome, str]] = {
    "another file": (
        {**files_of(generated()), ".github/workflows/x.yaml": b""},
        generated(),
        "no report lists",
    ),
    "a missing file": ({}, generated(), "it is missing"),
    "other text": ({PATH: b"pass"}, generated(), "not the script that the report shows"),
    "binary": ({PATH: b"\xff"}, generated(), "not UTF-8"),
    "no proof": (files_of(generated()), replace(generated(), checks=()), "no passed verification"),
    "a failed proof": (
        files_of(generated()),
        replace(generated(), checks=(VerificationCheck("a", False, "a"),)),
        "no passed verification",
    ),
    "not a revision": (files_of(EVIL), EVIL, "neither an operation"),
    "other ids": (files_of(generated()), replace(generated(), revision="c" * 12), "ids are not those"),
    "another schema": (
        files_of(generated(schema="cdb_lsstcam")),
        replace(generated(schema="cdb_lsstcam"), schema="cdb_latiss"),
        "changes another schema",
    ),
    "an unknown section": (
        files_of(generated("other", "cdb_other")),
        generated("other", "cdb_other"),
        "a section that the target does not have",
    ),
    "a section under another schema": (
        files_of(generated(schema="cdb_other")),
        generated(schema="cdb_other"),
        "a section that the target does not have",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_s3_a_result_of_another_kind_is_refused(what: str) -> None:
    files, section, words = REFUSED[what]
    with pytest.raises(CheckFailed, match=words):
        checked(files, outcome_of(section))


@pytest.mark.parametrize(
    "path",
    [
        "alembic/lsstcam/versions/aaaaaaaaaaaa_dm_1.py",
        "alembic/latiss/env.py",
        "alembic/latiss/versions/../env.py",
        "alembic/latiss/versions/x/y.py",
        "alembic/latiss/versions/.x.py",
        "alembic/latiss/versions/__init__.py",
        "alembic/latiss/versions/x.py\n",
        "alembic/latiss/versions/x.PY",
        "/alembic/latiss/versions/x.py",
        "python/alembic/latiss/versions/x.py",
        "alembic/latiss/versions/x.yaml",
        "alembic/latiss/versions/é.py",
        "",
    ],
)
def test_s3_only_paths_of_revisions_are_taken(path: str) -> None:
    section = replace(generated(), path=path)
    with pytest.raises(CheckFailed):
        checked({path: section.source.encode()}, outcome_of(section))


def test_s3_a_merged_revision_is_never_changed() -> None:
    with pytest.raises(CheckFailed, match="a merged revision of this name would be changed"):
        checked(files_of(generated()), outcome_of(generated()), {PATH: "0" * 40})


def test_s3_two_sections_cannot_claim_one_file() -> None:
    other = replace(generated("lsstcam", "cdb_lsstcam"), path=PATH)
    with pytest.raises(CheckFailed, match="two sections claim"):
        checked(files_of(generated()), outcome_of(generated(), other))


def test_s3_a_result_has_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_FILE", 10)
    with pytest.raises(CheckFailed, match="more than 10 bytes"):
        checked(files_of(generated()), outcome_of(generated()))
    with pytest.raises(CheckFailed, match="has 65 files"):
        checked({str(number): b"" for number in range(65)}, outcome_of(generated()))


# From the folder


def test_a_report_comes_back_whole(tmp_path: Path) -> None:
    outcome = outcome_of(generated(), open_question("lsstcam", "cdb_lsstcam"), unchanged("x", "cdb_x"))
    read = read_result(write_result(tmp_path / "r", outcome))
    assert read.outcomes == [outcome]
    assert render_markdown(read.outcomes[0]) == render_markdown(outcome)


def test_parts_of_a_matrix_are_joined(tmp_path: Path) -> None:
    one = outcome_of(generated("lsstcam", "cdb_lsstcam", revision="bbbbbbbbbbbb"))
    other = outcome_of(generated())
    write_result(tmp_path / "r" / "migration-0", one)
    write_result(tmp_path / "r" / "migration-1", other)
    read = read_result(tmp_path / "r")
    joined = join_outcomes(read.outcomes, ["latiss", "lsstcam"])
    assert [section.name for section in joined.sections] == ["latiss", "lsstcam"]
    assert joined.written
    assert len(checked(read.files, joined)) == 2
    assert join_outcomes([other, outcome_of(open_question("x", "cdb_x"))], []).verdict == "question"
    with pytest.raises(CheckFailed, match="two reports list the section"):
        join_outcomes([other, outcome_of(unchanged())], [])


def test_a_part_without_a_report_gives_what_was_printed(tmp_path: Path) -> None:
    read = read_result(write_result(tmp_path / "r", None, log="x" * 9000 + "Bad input: no such file"))
    assert not read.outcomes
    assert read.logs[0].endswith("Bad input: no such file")
    assert len(read.logs[0]) == 8000
    empty = tmp_path / "empty"
    empty.mkdir()
    assert read_result(empty).logs == [""]


def test_no_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such directory"):
        read_result(tmp_path / "none")


def _link(folder: Path) -> None:
    (folder / "link.py").symlink_to("/etc/passwd")


def _linked_folder(folder: Path) -> None:
    (folder / "deep").symlink_to("/etc", target_is_directory=True)


def _linked_report(folder: Path) -> None:
    (folder / "report.json").unlink()
    (folder / "report.json").symlink_to("/etc/passwd")


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe.py")


def _large(folder: Path) -> None:
    (folder / "large.py").write_bytes(b"#" * 1_000_001)


def _many(folder: Path) -> None:
    for number in range(80):
        (folder / f"{number}.py").write_bytes(b"")


def _deep(folder: Path) -> None:
    (folder / "/".join("abcdefghij")).mkdir(parents=True)


def _no_json(folder: Path) -> None:
    (folder / "report.json").write_text("[" * 100_000)


def _other_report(folder: Path) -> None:
    data = json.loads((folder / "report.json").read_text())
    data["sections"][0]["extra"] = 1
    (folder / "report.json").write_text(json.dumps(data))


@pytest.mark.parametrize(
    "spoil",
    [_link, _linked_folder, _linked_report, _pipe, _large, _many, _deep, _no_json, _other_report],
    ids=lambda function: function.__name__.strip("_"),
)
def test_s3_a_folder_of_another_kind_is_refused(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    folder = write_result(tmp_path / "r", outcome_of(generated()))
    spoil(folder)
    with pytest.raises(CheckFailed):
        read_result(folder)


def test_s3_everything_together_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_directory, "MAX_WHOLE", 3_000)
    one = write_result(tmp_path / "r" / "one", outcome_of(generated()))
    assert read_result(one).files
    write_result(tmp_path / "r" / "two", outcome_of(generated("lsstcam", "cdb_lsstcam", revision="b" * 12)))
    with pytest.raises(CheckFailed, match="more than 3,000 bytes"):
        read_result(tmp_path / "r")


def test_s3_a_part_that_is_a_link_is_refused(tmp_path: Path) -> None:
    real = write_result(tmp_path / "real", outcome_of(generated()))
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "part").symlink_to(real, target_is_directory=True)
    with pytest.raises(CheckFailed, match="a link or a special file"):
        read_result(tmp_path / "r")
