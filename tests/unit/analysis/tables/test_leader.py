"""The table of the leader: who leads, by how much, and what choosing the leader from the same data costs."""

import numpy as np
import pandas as pd
import pytest

from tests.helpers.analysis_tree import Results, read_csv, small_study


@pytest.fixture
def study(tmp_path) -> Results:
    """Full, LoRA with two training seeds each and DoRA with one."""
    study = small_study(tmp_path)
    study.aggregate()
    return study


def accuracy(study: Results, method: str) -> float:
    """The mean over benchmarks of the mean over training seeds."""
    runs = [entry.run for entry in study.runs if entry.method == method]
    return float(
        np.mean([[study.grades(run, name)["correct"].mean() for run in runs] for name in study.samples])
    )


def test_every_other_method_is_compared_with_the_best_one(study):
    accuracies = {method: accuracy(study, method) for method in ("full", "lora", "dora")}
    best = max(accuracies, key=accuracies.__getitem__)
    rows = read_csv(study.leader)
    assert {row["leader"] for row in rows} == {best}
    assert [row["method"] for row in rows] == [method for method in accuracies if method != best]
    for row in rows:
        expected = accuracies[row["method"]] - accuracies[best]
        assert float(row["difference"]) == pytest.approx(expected)
        assert float(row["p_corrected"]) == pytest.approx(min(1, 3 * float(row["p_value"])))


def test_p_and_interval_agree_also_for_single_runs(study):
    rows = read_csv(study.leader)
    for one in rows:
        excludes_zero = float(one["ci_high"]) < 0 or float(one["ci_low"]) > 0
        assert (float(one["p_value"]) < 0.05) == excludes_zero


def test_seeds_without_a_result_are_counted_on_both_sides(study):
    missing = {"full": 1, "lora": 1, "dora": 0}
    for method in ("full", "lora"):
        study.fail(next(entry.run for entry in study.runs if entry.method == method))
    study.aggregate()
    for row in read_csv(study.leader):
        assert int(row["missing_seeds"]) == missing[row["method"]] + missing[row["leader"]]
        assert row["train_seeds"] == "1"


def test_a_method_of_which_every_run_failed_is_not_compared(study):
    best = read_csv(study.leader)[0]["leader"]
    for entry in study.runs:
        if entry.method == best:
            study.fail(entry.run)
    study.aggregate()
    (row,) = read_csv(study.leader)
    assert best not in (row["method"], row["leader"])
    assert float(row["p_corrected"]) == pytest.approx(float(row["p_value"])), "one pair is left"


def test_of_equal_methods_the_first_leads(study):
    full, lora = ([one.run for one in study.runs if one.method == name] for name in ("full", "lora"))
    for ours, theirs in zip(full, lora, strict=True):
        for benchmark in study.samples:
            study.edit("grades", theirs, benchmark, lambda _, of=ours, on=benchmark: study.grades(of, on))
            study.edit("samples", theirs, benchmark, lambda _, of=ours, on=benchmark: samples(study, of, on))
    study.fail(study.runs[-1].run)
    study.aggregate()
    (row,) = read_csv(study.leader)
    assert (row["leader"], row["method"], row["difference"]) == ("full", "lora", "0")
    assert float(row["p_value"]) == 1


def samples(study: Results, run: str, benchmark: str) -> pd.DataFrame:
    return pd.read_parquet(study.folder.samples(run, benchmark))


def test_every_model_has_a_leader_of_its_own(study):
    for method in ("full", "lora"):
        study.add(method, "recommended", "main", 0, model="other")
    study.aggregate()
    rows = [row for row in read_csv(study.leader) if row["model"] == "other"]
    assert len(rows) == 1 and {rows[0]["leader"], rows[0]["method"]} == {"full", "lora"}
    assert float(rows[0]["p_corrected"]) == pytest.approx(float(rows[0]["p_value"]))
    assert len([row for row in read_csv(study.leader) if row["model"] == "tiny"]) == 2


def test_one_method_leads_alone(tmp_path):
    study = Results(tmp_path, {"sums": 4})
    study.add("base")
    study.add("lora", "recommended", "main", 0)
    study.aggregate()
    assert read_csv(study.leader) == []
