"""Prepared problem files as they are read and written."""

import pandas as pd
import pytest

from rlvr.data.problems import read_problems, read_provenance, write_problems
from rlvr.errors import UserError

ROWS = pd.DataFrame([{"id": "a", "problem": "1+1", "answer": "2", "origin": "x#1", "line": 1}])


def test_only_the_documented_columns_are_written(tmp_path):
    write_problems(tmp_path / "x.parquet", ROWS, {"entry": {"source": "local"}})
    assert list(read_problems(tmp_path / "x.parquet")) == ["id", "problem", "answer", "origin"]
    provenance = read_provenance(tmp_path / "x.parquet")
    assert provenance["entry"] == {"source": "local"} and provenance["problems"] == 1


def test_a_data_set_without_problems_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"x\.parquet: the data set has no problems"):
        write_problems(tmp_path / "x.parquet", ROWS[:0], {})
    assert not list(tmp_path.iterdir())


def test_a_file_of_an_earlier_version_says_what_to_do(tmp_path):
    ROWS.rename(columns={"origin": "source"}).to_parquet(tmp_path / "old.parquet")
    with pytest.raises(
        UserError,
        match=r"old\.parquet: column 'origin' is missing; .*; if the workflow wrote it, delete it",
    ):
        read_problems(tmp_path / "old.parquet")
    with pytest.raises(UserError, match=r"none\.parquet: file not found$"):
        read_problems(tmp_path / "none.parquet")
