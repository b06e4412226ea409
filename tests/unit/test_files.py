"""Files and folders are replaced whole or not at all."""

import os
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


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path]]:
    """What is put on disk, and what is renamed to, in order."""
    seen: list[tuple[str, Path]] = []
    fsync, replace = os.fsync, os.replace

    def recorded_fsync(handle: int) -> None:
        seen.append(("disk", Path(os.readlink(f"/proc/self/fd/{handle}"))))
        fsync(handle)

    def recorded_replace(source: Path, target: Path) -> None:
        seen.append(("rename", Path(target)))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "replace", recorded_replace)
    return seen


def test_a_file_is_on_disk_before_it_has_its_name(tmp_path: Path, calls: list[tuple[str, Path]]) -> None:
    with replacing(tmp_path / "file.txt") as temporary:
        temporary.write_text("new")
    assert calls == [("disk", temporary), ("rename", tmp_path / "file.txt"), ("disk", tmp_path)]


def test_all_files_of_a_folder_are_on_disk_before_it_has_its_name(
    tmp_path: Path, calls: list[tuple[str, Path]]
) -> None:
    with replacing_folder(tmp_path / "folder") as temporary:
        (temporary / "sub").mkdir()
        (temporary / "one").write_text("1")
        (temporary / "sub" / "two").write_text("2")
    assert {path for _, path in calls[:4]} == {
        temporary,
        temporary / "one",
        temporary / "sub",
        temporary / "sub" / "two",
    }
    assert calls[4:] == [("rename", tmp_path / "folder"), ("disk", tmp_path)]
