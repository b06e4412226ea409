import math
from pathlib import Path

import pandas as pd
import pytest

from rlvr.artifacts import TRAIN_LOG, read_train_log, write_train_log
from rlvr.errors import UserError
from rlvr.files import write_parquet


def log(*steps: int) -> list[dict[str, float]]:
    return [dict.fromkeys(TRAIN_LOG, math.nan) | {"step": step, "method/rank": 8 - step} for step in steps]


def test_a_training_log_survives_its_file_with_the_columns_of_its_method(tmp_path: Path) -> None:
    write_train_log(tmp_path / "train_log.parquet", log(1, 0, 2))
    frame = read_train_log(tmp_path / "train_log.parquet")
    assert list(frame["step"]) == list(frame.index) == [0, 1, 2]
    assert list(frame["method/rank"]) == [8, 7, 6]
    assert set(frame.columns) == {*TRAIN_LOG, "method/rank"}


@pytest.mark.parametrize("change", [{"reward/median": 0.5}, {"reward/mean": None}])
def test_columns_that_are_not_documented_are_not_written(
    tmp_path: Path, change: dict[str, float | None]
) -> None:
    rows = [row | change for row in log(0)]
    rows = [{key: value for key, value in row.items() if value is not None} for row in rows]
    with pytest.raises(ValueError, match=str(next(iter(change)))):
        write_train_log(tmp_path / "train_log.parquet", rows)


def test_a_faulty_training_log_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "train_log.parquet"
    frame = pd.DataFrame(log(0, 1))
    older = frame.copy()  # without a version: the first one
    frame.attrs = {"format_version": 4}
    newer = frame.copy()
    newer.attrs = {"format_version": 5}
    for faulty, words in (
        (frame.drop(columns="loss/policy"), "column 'loss/policy' is missing"),
        (frame.assign(**{"reward/mean": "high"}), "column 'reward/mean' holds .*, not numbers"),
        (older, "format version 1, but this version of rlvr reads 4"),
        (newer, "format version 5, but this version of rlvr reads 4"),
    ):
        write_parquet(path, faulty)
        with pytest.raises(UserError, match=rf"train_log\.parquet: {words}.*delete the file to rebuild it"):
            read_train_log(path)
    path.write_bytes(b"PAR1")
    with pytest.raises(UserError, match="not a readable Parquet file"):
        read_train_log(path)
