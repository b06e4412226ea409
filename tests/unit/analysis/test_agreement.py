import json
from pathlib import Path

import pandas as pd
import pytest

from rlvr.analysis.agreement import agreement_as_json
from rlvr.artifacts import Grade, write_rows
from rlvr.errors import UserError
from rlvr.files import write_parquet


def grades(correct: list[bool]) -> pd.DataFrame:
    """The grades of samples 0 and 1 of half as many problems."""
    rows = [
        Grade(
            problem_id=f"p{position // 2}",
            sample_index=position % 2,
            extracted="7",
            correct=is_correct,
            lenient=is_correct,
            status="ok",
            verifier_version="1",
        )
        for position, is_correct in enumerate(correct)
    ]
    return pd.DataFrame([dict(row) for row in rows])


def test_files_are_compared_sample_by_sample_in_any_order(tmp_path: Path) -> None:
    first, second = tmp_path / "first.parquet", tmp_path / "second.parquet"
    write_rows(first, Grade, grades([True, True, False, False]))
    theirs = grades([True, False, True, False]).astype({"sample_index": "int32"})
    write_rows(second, Grade, theirs.iloc[[3, 1, 2, 0]])
    found = json.loads(agreement_as_json(first, second))
    assert [found[f"{who}_correct"] for who in ("both", "only_first", "only_second", "neither")] == [1] * 4
    assert (found["first"], found["n_samples"], found["agreement"], found["kappa"]) == ("1", 4, 0.5, 0.0)


def test_files_of_different_samples_are_refused(tmp_path: Path) -> None:
    first, second = tmp_path / "first.parquet", tmp_path / "second.parquet"
    write_rows(first, Grade, grades([True, True, False, False]))
    write_rows(second, Grade, grades([True, True]))
    with pytest.raises(UserError, match="do not grade the same samples"):
        agreement_as_json(first, second)


def test_files_with_duplicated_or_missing_grades_are_refused(tmp_path: Path) -> None:
    ours = grades([True, True, False, False])
    faults = {
        "more than once": pd.concat([ours, ours.iloc[[2]]]),
        "correct is empty": ours.assign(correct=[True, None, False, False]),
        "several versions": ours.assign(verifier_version=["1", "2", "1", "1"]),
        "no rows": ours.iloc[:0],
    }
    for words, frame in faults.items():
        path = tmp_path / "faulty.parquet"
        write_parquet(path, frame)
        with pytest.raises(UserError, match=words):
            agreement_as_json(path, path)
