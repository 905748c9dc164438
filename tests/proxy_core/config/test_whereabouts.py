"""Which folders to watch for one file."""

import os
from pathlib import Path

from proxy_core.config.whereabouts import Whereabouts, whereabouts


def folders(where: Whereabouts) -> set[Path]:
    return {Path(folder) for folder, _, _ in where.folders}


def test_of_a_plain_file_its_folder(tmp_path: Path):
    path = tmp_path / "x.yaml"
    where = whereabouts(path)
    assert folders(where) == {tmp_path}
    assert {str(path), str(tmp_path)} <= where.names


def test_of_a_link_the_folders_of_all_its_steps(tmp_path: Path):
    for name in ("own", "dotfiles", "store"):
        (tmp_path / name).mkdir()
    (tmp_path / "store" / "x.yaml").touch()
    (tmp_path / "dotfiles" / "x.yaml").symlink_to("../store/x.yaml")
    (tmp_path / "own" / "x.yaml").symlink_to(tmp_path / "dotfiles" / "x.yaml")
    where = whereabouts(tmp_path / "own" / "x.yaml")
    assert folders(where) == {tmp_path / "own", tmp_path / "dotfiles", tmp_path / "store"}
    assert {str(tmp_path / name / "x.yaml") for name in ("own", "dotfiles", "store")} <= where.names


def test_a_link_to_a_folder_is_one_of_the_names(tmp_path: Path):
    (tmp_path / "..1").mkdir()
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "x.yaml").symlink_to("..data/x.yaml")
    where = whereabouts(tmp_path / "x.yaml")
    assert folders(where) == {tmp_path, tmp_path / "..1"}
    assert str(tmp_path / "..data") in where.names


def test_of_a_folder_that_is_not_there_the_nearest_that_is(tmp_path: Path):
    where = whereabouts(tmp_path / "a" / "b" / "x.yaml")
    assert folders(where) == {tmp_path}
    assert str(tmp_path / "a") in where.names


def test_a_folder_made_anew_is_another(tmp_path: Path):
    path = tmp_path / "a" / "x.yaml"
    path.parent.mkdir()
    before = whereabouts(path)
    os.rename(path.parent, tmp_path / "b")
    path.parent.mkdir()
    assert whereabouts(path) != before


def test_links_in_a_circle_end(tmp_path: Path):
    (tmp_path / "x.yaml").symlink_to("y.yaml")
    (tmp_path / "y.yaml").symlink_to("x.yaml")
    assert folders(whereabouts(tmp_path / "x.yaml")) == {tmp_path}
