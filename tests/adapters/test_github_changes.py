"""What makes a schema change the same one, and where its files are read from (A2, S2)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from consdb_actions.adapters.github import GitHub, GitHubError, connect
from consdb_actions.adapters.github.contents import ApiContents, UnreachableError, changes_at, read_version
from consdb_actions.adapters.github.contents import change_of_file as change_of_versions
from consdb_actions.approval.facts import DEFAULT_POLICY, UNCHANGED, FileChange
from tests.support.approvals import BASE_COLUMNS, LATISS, REPOSITORY, TOKEN, Scene, schema_yaml
from tests.support.github import Fault, Kind, TestClock, World
from tests.support.github.plugin import Double

NEW = {
    **BASE_COLUMNS,
    "dimm": {"datatype": "double", "description": "DIMM.", "ivoa:ucd": "instr.obsty.seeing"},
}
BASE = schema_yaml().encode()
HEAD = schema_yaml(NEW).encode()


def change_of_file(path: str, old: bytes | None, new: bytes | None) -> FileChange:
    return change_of_versions(path, read_version(path, old), read_version(path, new))


WHOLE = change_of_file(LATISS, BASE, HEAD)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (BASE, schema_yaml(NEW, comment="A comment.").encode()),
        (BASE, HEAD.replace(b"\n", b"\r\n")),
        (BASE, schema_yaml(dict(reversed(NEW.items()))).encode()),
        (BASE, HEAD.replace(b'"#exposure.dimm"', b'"#another-id"')),
        (BASE, HEAD.replace(b'current: "1.0.0"', b'current: "1.1.0"')),
        (
            schema_yaml({**BASE_COLUMNS, "airmass": {"datatype": "double"}}).encode(),
            schema_yaml({**NEW, "airmass": {"datatype": "double"}}).encode(),
        ),
    ],
    ids=["comment", "line ends", "order", "id", "version", "another base"],
)
def test_a2_these_are_the_same_change(old: bytes, new: bytes) -> None:
    change = change_of_file(LATISS, old, new)
    assert (change.structure, change.text) == (WHOLE.structure, WHOLE.text)


@pytest.mark.parametrize(
    ("field", "value", "structure", "text"),
    [
        ("datatype", "float", True, False),
        ("nullable", False, True, False),
        ("description", "Other.", False, True),
        ("ivoa:ucd", "phot.mag", False, True),
        ("ivoa:unit", "arcsec", False, True),
        ("length", 5, True, False),
    ],
)
def test_a2_these_are_other_changes(field: str, value: object, structure: bool, text: bool) -> None:
    column = {**NEW["dimm"], field: value}
    if field == "length":
        column["datatype"] = "string"
    change = change_of_file(LATISS, BASE, schema_yaml({**NEW, "dimm": column}).encode())
    assert (change.structure != WHOLE.structure, change.text != WHOLE.text) == (structure, text)


def test_a2_parts_that_do_not_change_are_marked() -> None:
    words = {**BASE_COLUMNS, "seeing": {**BASE_COLUMNS["seeing"], "description": "Other."}}
    only_text = change_of_file(LATISS, BASE, schema_yaml(words).encode())
    assert only_text.structure == UNCHANGED
    assert only_text.text != UNCHANGED
    formatting = change_of_file(LATISS, BASE, b"# comment\n" + BASE)
    assert (formatting.structure, formatting.text) == (UNCHANGED, UNCHANGED)


def test_a2_new_and_removed_files_are_changes() -> None:
    added, removed = change_of_file(LATISS, None, HEAD), change_of_file(LATISS, HEAD, None)
    assert len({added.structure, removed.structure, WHOLE.structure, UNCHANGED}) == 4


def test_a2_what_is_no_schema_is_compared_by_its_lines() -> None:
    lines = [f"line {number}\n" for number in range(40)]
    broken = "name: [\n" + "".join(lines)

    def edit(text: str, more: str = "") -> str:
        return change_of_file(
            LATISS, text.encode(), (more + text.replace("line 20\n", "new\n")).encode()
        ).verbatim

    one = change_of_file(LATISS, broken.encode(), broken.replace("line 20\n", "new\n").encode())
    assert (one.structure, one.text) == ("", "")
    assert edit(broken) == one.verbatim
    # The same edit in a file that changed elsewhere is the same; in another place it is not.
    assert edit(broken.replace("line 3\n", "line three\n")) == one.verbatim
    assert edit(broken.replace("line 19\n", "line nineteen\n")) != one.verbatim
    huge = "[\n" * 70_000
    assert change_of_file(LATISS, b"", huge.encode()) != change_of_file(LATISS, b"", (huge + "x").encode())


@pytest.fixture
def place(world: World, github_double: Double) -> Iterator[tuple[Scene, GitHub, Double]]:
    scene = Scene(world)
    double = github_double(world)
    github = connect(TOKEN, double.url, clock=TestClock())
    scene.double = double  # type: ignore[attr-defined]
    yield scene, github, github_double
    github.close()


def test_a_tree_that_is_cut_off_is_read_folder_by_folder(place: tuple[Scene, GitHub, Double]) -> None:
    scene, github, _ = place
    scene.push(schema_yaml(Scene.ADDED, comment="x"))
    scene.world.commit(scene.repo, scene.pull.branch, {"tests/a.yaml": "a", "yml/cdb_old.yaml": "b"})
    contents = ApiContents(github, REPOSITORY)
    whole = contents.files(scene.head, DEFAULT_POLICY.schemas)
    assert sorted(whole) == [LATISS, "yml/cdb_old.yaml"]
    scene.repo.rows["tree limit"] = [{"entries": 6}]
    again = connect(TOKEN, scene.double.url, clock=TestClock())  # type: ignore[attr-defined]
    assert ApiContents(again, REPOSITORY).files(scene.head, DEFAULT_POLICY.schemas) == whole
    again.close()


def test_a_link_is_no_schema_file(place: tuple[Scene, GitHub, Double]) -> None:
    scene, github, _ = place
    store = scene.repo.store
    blob = store.git("hash-object", "-w", "--stdin", stdin=b"cdb_latiss.yaml").decode().strip()
    tree = store.write_tree({"yml/cdb_link.yaml": ("120000", blob)})
    sha = store.git("commit-tree", tree, "-m", "link").decode().strip()
    assert ApiContents(github, REPOSITORY).files(sha, DEFAULT_POLICY.schemas) == {}


def test_a_file_too_large_to_be_a_schema_is_known_by_its_blob(
    place: tuple[Scene, GitHub, Double], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, github, _ = place
    monkeypatch.setattr("consdb_actions.adapters.github.contents.MAX_FILE", 10)
    change = changes_at(ApiContents(github, REPOSITORY), scene.base, scene.head, DEFAULT_POLICY.schemas)
    (only,) = change.changes
    assert (only.structure, only.text) == ("", "")
    assert ":" in only.verbatim


def test_only_a_404_makes_a_commit_unreachable(place: tuple[Scene, GitHub, Double]) -> None:
    scene, github, _ = place
    contents = ApiContents(github, REPOSITORY)
    with pytest.raises(UnreachableError):
        contents.fork_point(scene.base, "0" * 40)
    assert (
        changes_at(contents, scene.base, "0" * 40, DEFAULT_POLICY.schemas).problem
        == "GitHub no longer has commit 00000000"
    )
    scene.double.faults.append(Fault(Kind.INVALID, times=9))  # type: ignore[attr-defined]
    with pytest.raises(GitHubError):
        changes_at(contents, scene.base, scene.head, DEFAULT_POLICY.schemas)


FOLDER = LATISS.rpartition("/")[0]
COMMON = """\
name: common
"@id": "#common"
tables:
- name: shared
  "@id": "#shared"
  columns:
  - name: airmass
    "@id": "#shared.airmass"
    datatype: double
    description: Airmass.
"""
TAKES = (
    schema_yaml()
    + """\
  columnRefs:
    common:
      shared:
        airmass:
resources:
  common: {uri: common.yaml}
"""
)


def test_a2_a_change_of_the_columns_that_a_schema_takes_from_another_file(
    place: tuple[Scene, GitHub, Double],
) -> None:
    scene, github, _ = place
    files = {LATISS: TAKES, f"{FOLDER}/common.yaml": COMMON, f"{FOLDER}/dp1.yaml": "a: 1"}
    base = scene.world.commit(scene.repo, "main", files)

    def changes(branch: str, files: dict[str, str | None]) -> tuple[FileChange, ...]:
        commit = scene.world.commit(scene.repo, branch, files, onto=base)
        found = changes_at(ApiContents(github, REPOSITORY), base, commit, DEFAULT_POLICY.schemas)
        assert not found.problem
        return found.changes

    assert changes("none", {f"{FOLDER}/dp1.yaml": "a: 2"}) == ()
    (retyped,) = changes("type", {f"{FOLDER}/common.yaml": COMMON.replace("double", "float")})
    assert (retyped.path, retyped.text) == (LATISS, UNCHANGED)
    assert retyped.structure not in ("", UNCHANGED)
    (again,) = changes("other", {f"{FOLDER}/common.yaml": COMMON.replace("double", "int")})
    assert again.structure != retyped.structure
    assert again.verbatim != retyped.verbatim
    (gone,) = changes("gone", {f"{FOLDER}/common.yaml": None})
    assert (gone.structure, gone.text) == ("", "")
    (both,) = changes(
        "both", {LATISS: TAKES + "# x\n", f"{FOLDER}/common.yaml": COMMON.replace("double", "float")}
    )
    assert (both.structure, both.text) == (retyped.structure, UNCHANGED)


def test_a_file_of_columns_that_is_too_large_is_known_by_its_blob(
    place: tuple[Scene, GitHub, Double], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, github, _ = place
    monkeypatch.setattr("consdb_actions.adapters.github.contents.MAX_FILE", 2_000)
    base = scene.world.commit(scene.repo, "main", {LATISS: TAKES, f"{FOLDER}/common.yaml": COMMON})
    found = set()
    for number in range(2):
        large = COMMON + f"# {number}" * 1_000
        commit = scene.world.commit(scene.repo, f"b{number}", {f"{FOLDER}/common.yaml": large}, onto=base)
        change = changes_at(ApiContents(github, REPOSITORY), base, commit, DEFAULT_POLICY.schemas)
        (only,) = change.changes
        assert (only.structure, only.text) == ("", "")
        found.add(only.verbatim)
    assert len(found) == 2
