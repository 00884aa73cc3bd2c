from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from consdb_actions.adapters.files import read_bytes
from consdb_actions.adapters.schema_yaml import (
    CONSDB_FOLDERS,
    SDM_FOLDERS,
    find_schema_file,
    list_schema_files,
)
from consdb_actions.errors import InputError


def put(tree: Path, folder: str, name: str) -> Path:
    """Make a schema file."""
    path = tree / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("name: x\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("folder", SDM_FOLDERS)
@pytest.mark.parametrize("suffix", [".yaml", ".yml"])
def test_every_place_in_sdm_schemas(tmp_path: Path, folder: str, suffix: str) -> None:
    path = put(tmp_path, folder, f"cdb_x{suffix}")
    assert find_schema_file("cdb_x", sdm_schemas=tmp_path).samefile(path)


def test_the_newer_place_wins_and_links_are_followed(tmp_path: Path) -> None:
    new = put(tmp_path, SDM_FOLDERS[0], "cdb_x.yaml")
    (tmp_path / "yml").symlink_to(tmp_path / SDM_FOLDERS[0])
    assert find_schema_file("cdb_x", sdm_schemas=tmp_path) == new
    assert list(list_schema_files(tmp_path)) == ["cdb_x"]
    new.rename(tmp_path / "elsewhere.yaml")
    new.symlink_to(tmp_path / "elsewhere.yaml")
    assert find_schema_file("cdb_x", sdm_schemas=tmp_path) == new


@pytest.mark.parametrize("where", ["outside", "folder", "git"])
def test_s2_a_link_that_leads_out_of_the_checkout_is_refused(tmp_path: Path, where: str) -> None:
    tree = tmp_path / "tree"
    (tree / ".git").mkdir(parents=True)
    outside = put(tmp_path, "outside", "cdb_x.yaml")
    put(tree, ".git", "cdb_x.yaml")
    (tree / "yml").mkdir()
    if where == "folder":
        (tree / "yml").rmdir()
        (tree / "yml").symlink_to(outside.parent)
    else:
        target = outside if where == "outside" else "../.git/cdb_x.yaml"
        (tree / "yml" / "cdb_x.yaml").symlink_to(target)
    for read in (lambda: find_schema_file("cdb_x", sdm_schemas=tree), lambda: list_schema_files(tree)):
        with pytest.raises(InputError, match="leads out of"):
            read()


def test_s2_links_within_a_checkout_are_followed_from_a_folder_of_it(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    put(tmp_path, "yml", "cdb_x.yaml")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "cdb_x.yaml").symlink_to("../yml/cdb_x.yaml")
    assert list(list_schema_files(tmp_path / "new")) == ["cdb_x"]


@pytest.mark.parametrize("kind", ["pipe", "device", "socket"])
def test_s2_what_is_no_regular_file_is_not_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "cdb_x.yaml"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    with pytest.raises(InputError, match=r"not a regular file|cannot be read"):
        read_bytes(path)
    assert list_schema_files(tmp_path) == {}


def test_efd_files_are_found_in_consdb_when_sdm_schemas_has_none(tmp_path: Path) -> None:
    sdm, consdb = tmp_path / "sdm", tmp_path / "consdb"
    sdm.mkdir()
    path = put(consdb, CONSDB_FOLDERS[0], "efd_x.yaml")
    assert find_schema_file("efd_x", sdm_schemas=sdm, consdb=consdb) == path
    copy = put(sdm, "yml", "efd_x.yaml")
    assert find_schema_file("efd_x", sdm_schemas=sdm, consdb=consdb) == copy
    assert list_schema_files(consdb, consdb=True) == {"efd_x": path}


def test_what_is_not_found_says_where_it_was_looked_for(tmp_path: Path) -> None:
    put(tmp_path, "yml", "cdb_latiss.yaml")
    put(tmp_path, "yml", "notes.yaml")
    with pytest.raises(InputError) as caught:
        find_schema_file("cdb_latis", sdm_schemas=tmp_path, consdb=tmp_path)
    said = str(caught.value)
    assert said.count("cdb_latis.yaml") == len(SDM_FOLDERS) + len(CONSDB_FOLDERS)
    assert 'Did you mean "cdb_latiss"?' in said


def test_a_tree_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such directory"):
        find_schema_file("cdb_x", sdm_schemas=tmp_path / "none")
    file = tmp_path / "file"
    file.write_text("x", encoding="utf-8")
    with pytest.raises(InputError, match="not a directory"):
        find_schema_file("cdb_x", sdm_schemas=tmp_path, consdb=file)
