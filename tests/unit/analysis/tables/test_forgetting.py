"""What training unlearned: paired with the untrained model, and in no mean over benchmarks."""

import numpy as np
import pytest

from rlvr.artifacts import ForgettingRow, read_rows
from rlvr.config.resolved import BASE
from tests.helpers.analysis_tree import PROBLEMS, Results, fails, pick, read_csv

N = PROBLEMS["products"]


@pytest.fixture
def study(tmp_path) -> Results:
    """Products are what may be forgotten: LoRA loses half a nat, full gains nothing in the mean."""
    results = Results(tmp_path / "results", {"sums": 4, "products": 4})
    before = np.linspace(-2, -1, N)
    wobble = np.resize([0.25, -0.25], N)
    results.score(results.add(BASE), "products", before.tolist())
    for seed in (0, 1):
        change = -0.5 + 0.1 * wobble + (0.005 if seed else -0.005)
        results.score(
            results.add("lora", "recommended", "main", seed), "products", (before + change).tolist()
        )
    results.score(results.add("full", "recommended", "main", 0), "products", (before + wobble).tolist())
    return results


def rows(results: Results) -> list[dict[str, str]]:
    results.aggregate()
    path = results.folder.table("forgetting")
    read_rows(path, ForgettingRow)
    return read_csv(path)


def test_the_log_probability_of_a_token_before_and_after(study):
    lora = pick(rows(study), method="lora", measure="logprob")
    assert float(lora["before"]) == pytest.approx(-1.5)
    assert float(lora["after"]) == pytest.approx(-2.0)
    assert float(lora["difference"]) == pytest.approx(-0.5)
    assert float(lora["ci_low"]) < -0.5 < float(lora["ci_high"]) < 0
    assert (lora["n_problems"], lora["train_seeds"], lora["missing_seeds"]) == (str(N), "2", "0")


def test_pairing_by_problem_removes_how_hard_the_problems_are(study):
    full = pick(rows(study), method="full", measure="logprob")
    paired = np.resize([0.25, -0.25], N).std(ddof=1) / np.sqrt(N)
    assert float(full["se"]) == pytest.approx(paired)
    assert float(full["difference"]) == pytest.approx(0)
    assert float(full["p_value"]) > 0.5


def test_accuracy_is_the_comparison_with_the_untrained_model(study):
    found = rows(study)
    compared = read_csv(study.comparisons)
    for method in ("lora", "full"):
        mine = pick(found, method=method, measure="accuracy")
        other = pick(compared, method=method, baseline=BASE, benchmark="products")
        assert mine["difference"] == other["difference"]
        assert float(mine["after"]) - float(mine["before"]) == pytest.approx(float(mine["difference"]))


def test_a_failed_seed_is_counted_and_leaves_the_other(study):
    study.fail("run2")
    lora = pick(rows(study), method="lora", measure="logprob")
    assert (lora["train_seeds"], lora["missing_seeds"]) == ("1", "1")
    assert float(lora["difference"]) == pytest.approx(-0.505)


def test_without_the_untrained_answers_nothing_is_forgotten(study):
    study.folder.references("run0", "products").unlink()
    assert rows(study) == []


def test_a_family_is_all_methods_of_one_measure(study):
    found = [row for row in rows(study) if row["measure"] == "logprob"]
    p_values = sorted((float(row["p_value"]), float(row["p_holm"])) for row in found)
    assert p_values[0][1] == pytest.approx(min(1, 2 * p_values[0][0]))


def test_no_mean_over_benchmarks_has_it(study):
    summary, comparisons = study.aggregate()
    for benchmark in ("overall", "overall_sample_weighted"):
        mean = pick(summary, method="lora", benchmark=benchmark, metric="avg@4")
        assert float(mean["value"]) == pytest.approx(
            float(pick(summary, method="lora", benchmark="sums", metric="avg@4")["value"])
        )
        assert mean["n_problems"] == str(PROBLEMS["sums"])
    both = [pick(comparisons, method="full", baseline=BASE, benchmark=name) for name in ("sums", "overall")]
    assert both[0]["difference"] == both[1]["difference"]
    assert pick(summary, method="lora", benchmark="products", metric="avg@4")


def test_a_study_without_such_a_benchmark_has_an_empty_table(results):
    assert rows(results) == []


def test_references_of_other_problems_are_refused(study):
    study.score("run1", "products", [-1.0] * (N - 1))
    fails(study, study.folder.references("run1", "products"), "problem 'products-5' is missing")


def test_a_run_without_scored_references_is_not_complete(study):
    study.folder.references("run3", "products").unlink()
    assert {row["method"] for row in rows(study)} == {"lora"}
    assert pick(read_csv(study.folder.table("runs")), method="full")["status"] == "not_evaluated"
