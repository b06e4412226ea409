"""Tokens, budget, contamination and several training seeds in the tables, end to end."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from rlvr.analysis.tables.budget import budgets
from rlvr.files import write_parquet
from tests.helpers.analysis_tree import BUDGET_HEADER, PROBLEMS, Results, fails, pick, read_csv, small_study


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return small_study(tmp_path / "results" / "demo")


# Tokens, time, budget


def test_tokens_and_time_end_to_end(tmp_path: Path) -> None:
    study = Results(tmp_path, {"sums": 2})
    runs = [study.add("lora", "paper", "main", seed) for seed in (0, 1)]
    for run in runs:
        path = tmp_path / "samples" / run / "sums.parquet"
        frame = pd.read_parquet(path)
        tokens = np.random.default_rng(len(run)).permutation(len(frame)) * 10 + 5
        write_parquet(path, frame.assign(n_tokens=tokens, seconds=tokens / 100))
    summary, _ = study.aggregate()
    every = pd.concat(
        pd.read_parquet(tmp_path / "samples" / run / "sums.parquet").merge(
            pd.read_parquet(tmp_path / "grades" / run / "sums.parquet"), on=["problem_id", "sample_index"]
        )
        for run in runs
    )
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
    right = pick(summary, benchmark="sums", metric="tokens_mean/correct")
    assert int(right["n_samples"]) == every.correct.sum() < 40
    assert float(right["se"]) > 0


@pytest.mark.parametrize("right", [True, False])
def test_what_no_sample_shows_is_an_empty_cell(tmp_path: Path, right: bool) -> None:
    """All right and finished, or all wrong and cut off (the simulation cuts off what is wrong)."""
    study = Results(tmp_path, {"sums": 1})
    run = study.add("base")
    study.write(run, "sums", [(f"sums-{i}", 0) for i in range(10)], [right] * 10)
    summary, _ = study.aggregate()
    values = {row["metric"]: row["value"] for row in summary if row["benchmark"] == "sums"}
    assert values["avg@1/untruncated"] == ("1" if right else "")
    assert values["tokens_mean/correct"] == ("6" if right else "")
    assert values["tokens_mean/incorrect"] == ("" if right else "4")
    empty = pick(summary, metric="tokens_mean/incorrect" if right else "avg@1/untruncated")
    assert [empty[key] for key in ("se", "ci_low", "ci_high", "n_problems", "n_samples")] == [
        *["", "", "", "0", "0"]
    ]


def test_finished_only_accuracy_leaves_out_what_was_cut(results: Results) -> None:
    def finish(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(finish_reason=["length" if i % 3 else "stop" for i in frame["sample_index"]])

    results.edit("samples", "run0", "sums", finish)
    summary, _ = results.aggregate()
    grades = pd.read_parquet(results.folder / "grades" / "run0" / "sums.parquet")
    finished = grades[grades["sample_index"] % 3 == 0]
    row = pick(summary, method="base", benchmark="sums", metric="avg@4/untruncated")
    assert float(row["value"]) == pytest.approx(finished["correct"].mean())
    assert float(row["value"]) != pytest.approx(grades["correct"].mean())
    assert (row["n_problems"], row["n_samples"]) == ("10", "20")
    assert float(row["se"]) == pytest.approx(stats.sem(finished.groupby("problem_id")["correct"].mean()))
    strict = pick(summary, method="base", benchmark="sums", metric="avg@4/truncated_as_incorrect")
    assert float(strict["value"]) == pytest.approx(finished["correct"].sum() / len(grades))
    assert strict["n_samples"] == "40"


def test_the_budget_counts_what_is_right_and_short_enough(results: Results) -> None:
    summary, _ = results.aggregate()
    assert results.budget.read_text().splitlines()[0] == BUDGET_HEADER
    rows = read_csv(results.budget)
    assert {row["budget"] for row in rows} == {"4", "6"}  # wrong samples have 4 tokens, right ones 6
    for row in rows:
        whole = pick(summary, method=row["method"], benchmark=row["benchmark"], metric="avg@4")
        assert float(row["value"]) == (0 if row["budget"] == "4" else pytest.approx(float(whole["value"])))
        assert (row["train_seeds"], row["n_problems"], row["n_samples"]) == (
            *(whole["train_seeds"], whole["n_problems"], whole["n_samples"]),
        )


def test_accuracy_never_falls_with_the_budget_and_ends_at_the_accuracy(results: Results) -> None:
    generator = np.random.default_rng(3)

    def lengthen(frame: pd.DataFrame) -> pd.DataFrame:
        drawn = generator.integers(20, 3_000, len(frame) - 2)
        return frame.assign(n_tokens=[20, 3_000, *drawn])

    for run in range(6):
        results.edit("samples", f"run{run}", "sums", lengthen)
    summary, _ = results.aggregate()
    grades = pd.read_parquet(results.folder / "grades" / "run0" / "sums.parquet")
    tokens = pd.read_parquet(results.folder / "samples" / "run0" / "sums.parquet")
    both = grades.merge(tokens, on=["problem_id", "sample_index"])
    base = [row for row in read_csv(results.budget) if row["method"] == "base" and row["benchmark"] == "sums"]
    values = [float(row["value"]) for row in base]
    assert [int(row["budget"]) for row in base] == [
        *[20, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512, 724, 1024, 1448, 2048, 2896, 3000]
    ]
    assert values == sorted(values)
    assert values[-1] == float(pick(summary, method="base", benchmark="sums", metric="avg@4")["value"])
    for row in base:
        expected = (both["correct"] & (both["n_tokens"] <= int(row["budget"]))).mean()
        assert float(row["value"]) == pytest.approx(expected)


def test_budgets_of_the_shortest_answers() -> None:
    assert budgets(1, 1) == [1] and budgets(0, 0) == [0, 1] and budgets(7, 7) == [7]
    assert budgets(1, 16) == [1, 2, 3, 4, 6, 8, 11, 16]
    assert budgets(5, 31_744)[-3:] == [16_384, 23_170, 31_744]


# Contamination


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
    grades = pd.read_parquet(results.folder / "grades" / "run0" / "sums.parquet")
    means = grades.groupby("problem_id")["correct"].mean()
    seen = means.index.isin(["sums-1", "sums-4", "sums-7"])
    products = float(pick(summary, method="base", benchmark="products", metric="avg@4")["value"])
    overall = pick(summary, method="base", benchmark="overall_uncontaminated")
    assert float(overall["value"]) == pytest.approx((means[~seen].mean() + products) / 2)
    assert [overall[key] for key in ("metric", "n_problems", "n_samples")] == ["avg@4", "13", "52"]
    lora = pick(summary, method="lora", benchmark="overall_uncontaminated")
    assert [lora[key] for key in ("train_seeds", "n_problems", "n_samples")] == ["2", "13", "104"]
    for part, kept in (("contaminated", seen), ("uncontaminated", ~seen)):
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


def test_a_benchmark_of_which_every_problem_was_seen_is_left_out(results: Results) -> None:
    results.contaminate(*[f"products-{i}" for i in range(6)])
    summary, _ = results.aggregate()
    shown = ("value", "se", "ci_low", "ci_high", "n_problems", "n_samples")
    overall, sums = (
        [pick(summary, method="base", benchmark=name, metric="avg@4")[key] for key in shown]
        for name in ("overall_uncontaminated", "sums")
    )
    assert overall == sums
    unseen = pick(summary, method="base", benchmark="products", metric="avg@4/uncontaminated")
    assert [unseen[key] for key in shown] == ["", "", "", "", "0", "0"]


def test_a_study_of_which_every_problem_was_seen_has_no_uncontaminated_mean(tmp_path: Path) -> None:
    study = Results(tmp_path, {"products": 2})
    study.add("base")
    study.add("lora", "paper", "main", 0)
    study.contaminate(*[f"products-{i}" for i in range(6)])
    summary, comparisons = study.aggregate()
    row = pick(summary, method="base", benchmark="overall_uncontaminated")
    assert (row["value"], row["n_problems"]) == ("", "0")
    assert {row["benchmark"] for row in comparisons} == {"products", "overall"}


def test_contamination_that_does_not_fit_the_study_is_refused(results: Results) -> None:
    path = results.contaminate("sums-1", "sums-99")
    fails(results, f"{path}, line 3", "'sums-99'", "'sums-test'")
    path.write_text("dataset,problem\nsums-test,sums-1\n")
    fails(results, path, "'problem_id' is missing")
    path.write_text("")
    fails(results, path, "not a readable CSV")
    path.unlink()
    fails(results, path, "not found")


# Three training seeds and more


def test_with_three_training_seeds_there_are_iqm_and_probability_of_improvement(tmp_path: Path) -> None:
    study = Results(tmp_path, {"sums": 4, "products": 4})
    study.add("base")
    runs = {
        method: [study.add(method, "p", "main", seed) for seed in range(3)] for method in ("full", "lora")
    }
    study.add("dora", "p", "main", 0)
    summary, comparisons = study.aggregate()

    def scores(method: str) -> np.ndarray:
        paths = [[tmp_path / "grades" / run / f"{name}.parquet" for name in PROBLEMS] for run in runs[method]]
        return np.array([[pd.read_parquet(path)["correct"].mean() for path in run] for run in paths])

    assert {row["method"] for row in summary if row["metric"] == "iqm"} == {"full", "lora"}
    row = pick(summary, method="lora", metric="iqm")
    assert float(row["value"]) == pytest.approx(stats.trim_mean(scores("lora"), 0.25, axis=None))
    assert float(row["ci_low"]) < float(row["value"]) < float(row["ci_high"]) and float(row["se"]) > 0
    assert (row["benchmark"], row["n_problems"], row["n_samples"]) == ("overall", "16", str(16 * 4 * 3))

    chance = {
        (row["method"], row["baseline"], row["benchmark"]): row["probability_of_improvement"]
        for row in comparisons
    }
    assert {key for key, value in chance.items() if value} == {
        ("full", "lora", "overall"), ("lora", "full", "overall")
    }  # fmt: skip
    wins = [
        stats.mannwhitneyu(ours, theirs).statistic / 9
        for ours, theirs in zip(scores("full").T, scores("lora").T, strict=True)
    ]
    assert float(chance["full", "lora", "overall"]) == pytest.approx(np.mean(wins))
    assert float(chance["lora", "full", "overall"]) == pytest.approx(1 - np.mean(wins))


def test_with_two_training_seeds_there_is_neither(results: Results) -> None:
    summary, comparisons = results.aggregate()
    assert "iqm" not in {row["metric"] for row in summary}
    assert {row["probability_of_improvement"] + row["improvement_ci_low"] for row in comparisons} == {""}
