"""Files and folders are replaced whole or not at all."""

from pathlib import Path

import pytest

from rlvr.files import replacing, replacing_folder


class Interrupted(Exception):
    pass


def test_a_folder_replaces_an_earlier_one_whole(tmp_path: Path) -> None:
    target = tmp_path / "sub" / "folder"
    for name in ("old", "new"):
        with replacing_folder(target) as temporary:
            (temporary / name).write_text(name)
    assert [path.name for path in target.iterdir()] == ["new"]
    assert [path.name for path in target.parent.iterdir()] == ["folder"]


def test_a_failed_block_leaves_an_earlier_folder_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    with replacing_folder(target) as temporary:
        (temporary / "old").write_text("old")
    with pytest.raises(Interrupted), replacing_folder(target) as temporary:
        (temporary / "new").write_text("half")
        raise Interrupted
    assert [path.name for path in target.iterdir()] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_failed_block_leaves_an_earlier_file_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    with replacing(target) as temporary:
        temporary.write_text("old")
    with pytest.raises(Interrupted), replacing(target) as temporary:
        temporary.write_text("half")
        raise Interrupted
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]
