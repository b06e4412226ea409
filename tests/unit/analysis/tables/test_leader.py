"""The table of the leader: who leads, by how much, and what choosing the leader from the same data costs."""

import numpy as np
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


def test_one_method_leads_alone(tmp_path):
    study = Results(tmp_path, {"sums": 4})
    study.add("base")
    study.add("lora", "recommended", "main", 0)
    study.aggregate()
    assert read_csv(study.leader) == []
