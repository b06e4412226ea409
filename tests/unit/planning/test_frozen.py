"""The copy of the configuration that jobs read."""

import os
from pathlib import Path

from rlvr.planning import frozen
from rlvr.planning.frozen import config_of_job, frozen_config


def make_config(folder: Path) -> Path:
    (folder / "config" / "studies").mkdir(parents=True)
    (folder / "config" / "models.yaml").write_text("models: {}\n")
    (folder / "config" / "studies" / "one.yaml").write_text("title: One\n")
    (folder / "config" / "studies" / "data.parquet").write_bytes(b"large")
    return folder / "config"


def test_a_copy_keeps_what_was_and_is_made_once(tmp_path):
    config = make_config(tmp_path)
    copy = frozen_config(config, tmp_path / "copies")
    assert frozen_config(config, tmp_path / "copies") == copy
    (config / "studies" / "one.yaml").write_text("title: {broken\n")
    assert (copy / "studies" / "one.yaml").read_text() == "title: One\n"
    assert frozen_config(config, tmp_path / "copies") != copy
    assert not (copy / "studies" / "data.parquet").exists()


def test_copies_that_no_run_has_used_for_long_are_removed(tmp_path):
    config = make_config(tmp_path)
    old = frozen_config(config, tmp_path / "copies")
    os.utime(old.parent, (0, 0))
    (config / "models.yaml").write_text("models: {a: b}\n")
    new = frozen_config(config, tmp_path / "copies")
    assert not old.exists()
    assert new.exists()


def test_a_job_without_the_copy_reads_the_folder(tmp_path, monkeypatch):
    monkeypatch.delenv(frozen.VARIABLE, raising=False)
    assert config_of_job() == Path("config")
    monkeypatch.setenv(frozen.VARIABLE, str(tmp_path / "elsewhere"))
    assert config_of_job() == Path("config")
    monkeypatch.setenv(frozen.VARIABLE, str(tmp_path))
    assert config_of_job() == tmp_path
