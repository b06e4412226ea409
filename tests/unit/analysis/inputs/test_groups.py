import numpy as np
import pandas as pd
import pytest

from rlvr.files import read_json, write_json
from tests.helpers.analysis_tree import Results, fails, pick


def test_training_seeds_are_one_row(results: Results) -> None:
    summary, _ = results.aggregate()
    row = pick(summary, method="lora", benchmark="products", metric="avg@4")
    means = [results.grades(run, "products")["correct"].mean() for run in ("run3", "run4")]
    assert means[0] != means[1]
    assert float(row["value"]) == pytest.approx(np.mean(means))
    shape = ("train_seeds", "n_problems", "n_samples", "trainable_parameters", "device_seconds")
    assert [row[key] for key in shape] == ["2", "6", "48", "512", "21.5"]


def test_different_problems_of_two_methods_are_refused(results: Results) -> None:
    def lose(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[frame["problem_id"] != "products-4"]

    results.edit("samples", "run5", "products", lose)
    path = results.edit("grades", "run5", "products", lose)
    fails(results, f"{path}: problem 'products-4' is missing", "run0")


def test_two_grader_versions_are_refused(results: Results) -> None:
    path = results.edit("grades", "run3", "sums", lambda frame: frame.assign(verifier_version="2"))
    fails(results, path, "'2'", "'1'")
    path = results.edit(
        "grades", "run0", "sums", lambda f: f.assign(verifier_version=["2"] + ["1"] * (len(f) - 1))
    )
    fails(results, path, "['1', '2']")


def test_a_missing_field_of_a_record_is_named(results: Results) -> None:
    path = results.folder.run("run1").record
    record = read_json(path)
    del record["run_info"]["device_seconds"]
    write_json(path, record)
    fails(results, path, "run_info.device_seconds", "delete the file to rebuild it")
