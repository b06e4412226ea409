import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from rlvr.artifacts import ComparisonRow, SummaryRow
from tests.helpers.analysis_tree import PROBLEMS, Results, pick


def test_summary_end_to_end(results: Results) -> None:
    summary, _ = results.aggregate()
    assert results.summary.read_text().splitlines()[0] == ",".join(SummaryRow.columns())
    metrics = ["avg@4", "pass@1", "pass@2", "pass@4", "maj@4", "avg@4/untruncated"]
    metrics += ["avg@4/truncated_as_incorrect", "avg@4/lenient"]
    metrics += ["no_answer_rate", "unevaluated_rate"]
    metrics += ["verifier_failure_rate", "verifier_timeout_rate", "truncation_rate"]
    metrics += ["tokens_mean", "tokens_p50", "tokens_p95", "tokens_mean/correct", "tokens_mean/incorrect"]
    metrics += ["rerun_se", "seconds_mean", "generation_device_seconds"]
    base = [row for row in summary if row["method"] == "base"]
    assert [(row["benchmark"], row["metric"]) for row in base] == [
        *[("sums", metric) for metric in metrics],
        *[("products", metric) for metric in metrics],
        ("overall", "avg@4"),
        ("overall_sample_weighted", "avg@4"),
        ("overall", "rerun_se"),
    ]
    assert len(summary) == 4 * (2 * len(metrics) + 3)

    grades = results.grades("run0", "sums")
    by_problem = grades.groupby("problem_id")["correct"].mean()
    row = pick(summary, method="base", benchmark="sums", metric="avg@4")
    assert float(row["value"]) == pytest.approx(by_problem.mean())
    assert float(row["se"]) == pytest.approx(stats.sem(by_problem))
    shape = ("train_seeds", "n_problems", "n_samples", "trainable_parameters", "device_seconds")
    assert [row[key] for key in shape] == ["0", "10", "40", "0", "0"]
    assert (
        float(pick(summary, method="base", benchmark="sums", metric="pass@4")["value"])
        == by_problem.gt(0).mean()
    )
    incorrect = 1 - float(row["value"])
    for metric in ("no_answer_rate", "truncation_rate"):
        assert float(pick(summary, method="base", benchmark="sums", metric=metric)["value"]) == pytest.approx(
            incorrect
        )
    tokens = pick(summary, method="base", benchmark="sums", metric="tokens_mean")
    assert float(tokens["value"]) == pytest.approx(6 - 2 * incorrect)
    rerun = pick(summary, method="base", benchmark="sums", metric="rerun_se")
    assert float(rerun["value"]) == pytest.approx(math.sqrt(np.mean(by_problem * (1 - by_problem) / 3) / 10))
    assert rerun["se"] == rerun["ci_low"] == rerun["ci_high"] == ""
    other = float(pick(summary, method="base", benchmark="products", metric="rerun_se")["value"])
    overall = pick(summary, method="base", benchmark="overall", metric="rerun_se")
    assert float(overall["value"]) == pytest.approx(math.hypot(float(rerun["value"]), other) / 2)
    assert (overall["n_problems"], overall["n_samples"], overall["se"]) == ("16", "64", "")


def test_overall_is_the_macro_mean(results: Results) -> None:
    summary, _ = results.aggregate()
    for method in ("base", "full", "lora", "dora"):
        sums, products = (
            pick(summary, method=method, benchmark=name, metric="avg@4") for name in ("sums", "products")
        )
        overall = pick(summary, method=method, benchmark="overall", metric="avg@4")
        assert float(overall["value"]) == pytest.approx((float(sums["value"]) + float(products["value"])) / 2)
        if (
            sums["train_seeds"] in "01"
        ):  # several seeds answer both benchmarks: the errors are not independent
            expected = math.hypot(float(sums["se"]), float(products["se"])) / 2
            assert float(overall["se"]) == pytest.approx(expected)


def test_every_sample_counts_the_same_in_the_sample_weighted_mean(tmp_path: Path) -> None:
    study = Results(tmp_path, {"sums": 8, "products": 2})
    run = study.add("base")
    summary, _ = study.aggregate()
    correct = [study.grades(run, name)["correct"] for name in study.samples]
    row = pick(summary, benchmark="overall_sample_weighted")
    assert float(row["value"]) == pytest.approx(pd.concat(correct).mean())
    assert (row["metric"], row["n_problems"], row["n_samples"]) == ("avg", "16", "92")
    sums, products = (
        float(pick(summary, benchmark=name, metric=f"avg@{k}")["se"]) for name, k in study.samples.items()
    )
    assert float(row["se"]) == pytest.approx(math.hypot(80 / 92 * sums, 12 / 92 * products))
    assert float(row["value"]) != pytest.approx(
        float(pick(summary, benchmark="overall", metric="avg")["value"])
    )


def test_overall_has_no_k_where_the_benchmarks_differ_in_it(tmp_path: Path) -> None:
    study = Results(tmp_path, {"sums": 4, "products": 1})
    study.add("base")
    summary, comparisons = study.aggregate()
    assert pick(summary, benchmark="overall")["metric"] == "avg"
    metrics = {row["metric"] for row in summary if row["benchmark"] == "products"}
    assert {"avg@1", "pass@1", "maj@1"} <= metrics
    assert "rerun_se" not in metrics and "pass@2" not in metrics
    assert comparisons == []
    assert study.comparisons.read_text() == ",".join(ComparisonRow.columns()) + "\n"


def test_pass_at_k_ends_with_the_number_of_samples(tmp_path: Path) -> None:
    study = Results(tmp_path, {"sums": 6})
    study.add("base")
    summary, _ = study.aggregate()
    tried = [row["metric"] for row in summary if row["metric"].startswith("pass@")]
    assert tried == ["pass@1", "pass@2", "pass@4", "pass@6"]


def test_a_failed_verification_counts_as_incorrect_and_is_reported(tmp_path: Path) -> None:
    study = Results(tmp_path, {"sums": 2})
    run = study.add("base")

    def time_out(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(correct=False, extracted="9^9^9", status="timeout")

    study.edit("grades", run, "sums", time_out)
    summary, _ = study.aggregate()
    values = {row["metric"]: float(row["value"] or "nan") for row in summary if row["benchmark"] == "sums"}
    assert values["verifier_failure_rate"] == values["verifier_timeout_rate"] == 1
    assert values["avg@2"] == values["maj@2"] == values["no_answer_rate"] == 0
    row = pick(summary, benchmark="sums", metric="avg@2")
    assert row["se"] == "0" and float(row["ci_high"]) == pytest.approx(
        stats.binomtest(0, 10).proportion_ci(method="wilson").high
    )


def test_a_broken_gold_is_a_failure_but_no_timeout(tmp_path: Path) -> None:
    study = Results(tmp_path, {"sums": 2})
    run = study.add("base")
    study.edit("grades", run, "sums", lambda frame: frame.assign(correct=False, status="unparsed_gold"))
    summary, _ = study.aggregate()
    assert pick(summary, benchmark="sums", metric="verifier_failure_rate")["value"] == "1"
    assert pick(summary, benchmark="sums", metric="verifier_timeout_rate")["value"] == "0"


def test_unevaluated_answers_are_counted_apart(tmp_path: Path) -> None:
    study = Results(tmp_path, {"sums": 2})
    run = study.add("base")
    study.edit("grades", run, "sums", lambda frame: frame.assign(correct=False, status="unevaluated"))
    summary, _ = study.aggregate()
    values = {row["metric"]: row["value"] for row in summary if row["benchmark"] == "sums"}
    assert values["unevaluated_rate"] == "1"
    assert values["no_answer_rate"] == values["verifier_failure_rate"] == "0"


def test_a_rerun_of_a_single_sample_is_not_known_for_the_mean_either(tmp_path: Path) -> None:
    study = Results(tmp_path, {"sums": 4, "products": 1})
    study.add("base")
    summary, _ = study.aggregate()
    assert [row["benchmark"] for row in summary if row["metric"] == "rerun_se"] == ["sums"]


def test_tokens_and_time_end_to_end(tmp_path: Path) -> None:
    study = Results(tmp_path, {"sums": 2})
    runs = [study.add("lora", "paper", "main", seed) for seed in (0, 1)]
    for run in runs:
        tokens = np.random.default_rng(len(run)).permutation(20) * 10 + 5
        study.edit("samples", run, "sums", lambda frame, t=tokens: frame.assign(n_tokens=t, seconds=t / 100))
    summary, _ = study.aggregate()
    every = pd.concat(study.graded_samples(run, "sums") for run in runs)
    expected = {
        "tokens_p50": np.quantile(every.n_tokens, 0.5, method="inverted_cdf"),
        "tokens_p95": np.quantile(every.n_tokens, 0.95, method="inverted_cdf"),
        "tokens_mean/correct": every.n_tokens[every.correct].mean(),
        "tokens_mean/incorrect": every.n_tokens[~every.correct].mean(),
        "seconds_mean": every.seconds.mean(),
        "generation_device_seconds": every.seconds.sum(),
    }
    for metric, value in expected.items():
        row = pick(summary, benchmark="sums", metric=metric)
        assert float(row["value"]) == pytest.approx(value), metric
        if "seconds" not in metric:
            assert float(row["ci_low"]) <= value <= float(row["ci_high"]), metric
    correct = pick(summary, benchmark="sums", metric="tokens_mean/correct")
    assert int(correct["n_samples"]) == every.correct.sum() < 40
    assert float(correct["se"]) > 0


@pytest.mark.parametrize("correct", [True, False])
def test_a_mean_over_no_samples_is_an_empty_cell(tmp_path: Path, correct: bool) -> None:
    """All correct and untruncated, or all incorrect and truncated."""
    study = Results(tmp_path, {"sums": 1})
    run = study.add("base")
    study.write(run, "sums", [(f"sums-{i}", 0) for i in range(10)], [correct] * 10)
    summary, _ = study.aggregate()
    values = {row["metric"]: row["value"] for row in summary if row["benchmark"] == "sums"}
    assert values["avg@1/untruncated"] == ("1" if correct else "")
    assert values["tokens_mean/correct"] == ("6" if correct else "")
    assert values["tokens_mean/incorrect"] == ("" if correct else "4")
    empty = pick(summary, metric="tokens_mean/incorrect" if correct else "avg@1/untruncated")
    assert [empty[key] for key in ("se", "ci_low", "ci_high", "n_problems", "n_samples")] == [
        *["", "", "", "0", "0"]
    ]


def test_the_accuracy_of_untruncated_samples_leaves_out_the_truncated(results: Results) -> None:
    def finish(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(finish_reason=["length" if i % 3 else "stop" for i in frame["sample_index"]])

    results.edit("samples", "run0", "sums", finish)
    summary, _ = results.aggregate()
    grades = results.grades("run0", "sums")
    finished = grades[grades["sample_index"] % 3 == 0]
    row = pick(summary, method="base", benchmark="sums", metric="avg@4/untruncated")
    assert float(row["value"]) == pytest.approx(finished["correct"].mean())
    assert float(row["value"]) != pytest.approx(grades["correct"].mean())
    assert (row["n_problems"], row["n_samples"]) == ("10", "20")
    assert float(row["se"]) == pytest.approx(stats.sem(finished.groupby("problem_id")["correct"].mean()))
    strict = pick(summary, method="base", benchmark="sums", metric="avg@4/truncated_as_incorrect")
    assert float(strict["value"]) == pytest.approx(finished["correct"].sum() / len(grades))
    assert strict["n_samples"] == "40"


def test_without_contamination_the_overall_means_are_equal(results: Results) -> None:
    results.contaminate()
    summary, comparisons = results.aggregate()
    summary = [row for row in summary if row["metric"] != "rerun_se"]
    assert not [row for row in summary if row["metric"].endswith("contaminated")]
    for table, key in ((summary, "metric"), (comparisons, "baseline")):
        both = [
            [{**row, "benchmark": ""} for row in table if row["benchmark"] == name]
            for name in ("overall", "overall_uncontaminated")
        ]
        assert both[0] == both[1] and len(both[0]) > 3 and key in both[0][0]


def test_contaminated_problems_are_left_out_and_reported(results: Results) -> None:
    results.contaminate("sums-1", "sums-4", "sums-7")
    summary, comparisons = results.aggregate()
    grades = results.grades("run0", "sums")
    means = grades.groupby("problem_id")["correct"].mean()
    contaminated = means.index.isin(["sums-1", "sums-4", "sums-7"])
    products = float(pick(summary, method="base", benchmark="products", metric="avg@4")["value"])
    overall = pick(summary, method="base", benchmark="overall_uncontaminated")
    assert float(overall["value"]) == pytest.approx((means[~contaminated].mean() + products) / 2)
    assert [overall[key] for key in ("metric", "n_problems", "n_samples")] == ["avg@4", "13", "52"]
    lora = pick(summary, method="lora", benchmark="overall_uncontaminated")
    assert [lora[key] for key in ("train_seeds", "n_problems", "n_samples")] == ["2", "13", "104"]
    for part, kept in (("contaminated", contaminated), ("uncontaminated", ~contaminated)):
        row = pick(summary, method="base", benchmark="sums", metric=f"avg@4/{part}")
        assert float(row["value"]) == pytest.approx(means[kept].mean())
        assert float(row["se"]) == pytest.approx(stats.sem(means[kept]))
        assert (int(row["n_problems"]), int(row["n_samples"])) == (kept.sum(), 4 * kept.sum())
    assert not [
        row for row in summary if row["benchmark"] == "products" and row["metric"].endswith("contaminated")
    ]
    row = pick(comparisons, method="dora", baseline="base", benchmark="overall_uncontaminated")
    mine = float(pick(summary, method="dora", benchmark="overall_uncontaminated")["value"])
    assert float(row["difference"]) == pytest.approx(mine - float(overall["value"]))
    assert row["n_problems"] == "13"


def test_a_benchmark_of_which_every_problem_is_contaminated_is_left_out(results: Results) -> None:
    results.contaminate(*[f"products-{i}" for i in range(6)])
    summary, _ = results.aggregate()
    shown = ("value", "se", "ci_low", "ci_high", "n_problems", "n_samples")
    overall, sums = (
        [pick(summary, method="base", benchmark=name, metric="avg@4")[key] for key in shown]
        for name in ("overall_uncontaminated", "sums")
    )
    assert overall == sums
    clean = pick(summary, method="base", benchmark="products", metric="avg@4/uncontaminated")
    assert [clean[key] for key in shown] == ["", "", "", "", "0", "0"]


def test_a_study_of_which_every_problem_is_contaminated_has_no_uncontaminated_mean(tmp_path: Path) -> None:
    study = Results(tmp_path, {"products": 2})
    study.add("base")
    study.add("lora", "paper", "main", 0)
    study.contaminate(*[f"products-{i}" for i in range(6)])
    summary, comparisons = study.aggregate()
    row = pick(summary, method="base", benchmark="overall_uncontaminated")
    assert (row["value"], row["n_problems"]) == ("", "0")
    assert {row["benchmark"] for row in comparisons} == {"products", "overall"}


def test_from_three_training_seeds_there_is_an_iqm(tmp_path: Path) -> None:
    study = Results(tmp_path, {"sums": 4, "products": 4})
    study.add("base")
    runs = {
        method: [study.add(method, "p", "main", seed) for seed in range(count)]
        for method, count in (("full", 2), ("lora", 3))
    }
    summary, _ = study.aggregate()
    scores = [[study.grades(run, name)["correct"].mean() for name in PROBLEMS] for run in runs["lora"]]
    assert {row["method"] for row in summary if row["metric"] == "iqm"} == {"lora"}
    row = pick(summary, method="lora", metric="iqm")
    assert float(row["value"]) == pytest.approx(stats.trim_mean(np.array(scores), 0.25, axis=None))
    assert float(row["ci_low"]) < float(row["value"]) < float(row["ci_high"]) and float(row["se"]) > 0
    assert (row["benchmark"], row["n_problems"], row["n_samples"]) == ("overall", "16", str(16 * 4 * 3))


def test_samples_that_share_a_seed_say_nothing_about_a_rerun(tmp_path: Path) -> None:
    study = Results(tmp_path, {"sums": 4})
    study.add("base")
    study.shared_seed = True
    summary, _ = study.aggregate()
    assert "rerun_se" not in {row["metric"] for row in summary}
