import numpy as np
import pandas as pd
import pytest

from rlvr.analysis.tables.budget import budgets
from rlvr.artifacts import BudgetRow
from tests.helpers.analysis_tree import Results, pick, read_csv


def test_correct_samples_within_the_budget_count(results: Results) -> None:
    summary, _ = results.aggregate()
    assert results.budget.read_text().splitlines()[0] == ",".join(BudgetRow.columns())
    rows = read_csv(results.budget)
    assert {row["budget"] for row in rows} == {"4", "6"}  # incorrect samples have 4 tokens, correct ones 6
    for row in rows:
        whole = pick(summary, method=row["method"], benchmark=row["benchmark"], metric="avg@4")
        assert float(row["value"]) == (0 if row["budget"] == "4" else pytest.approx(float(whole["value"])))
        assert (row["train_seeds"], row["n_problems"], row["n_samples"]) == (
            *(whole["train_seeds"], whole["n_problems"], whole["n_samples"]),
        )


def test_accuracy_never_falls_with_the_budget_and_ends_at_the_accuracy(results: Results) -> None:
    generator = np.random.default_rng(3)

    def lengthen(frame: pd.DataFrame) -> pd.DataFrame:
        tokens = generator.integers(20, 3_000, len(frame) - 2)
        return frame.assign(n_tokens=[20, 3_000, *tokens])

    for run in range(6):
        results.edit("samples", f"run{run}", "sums", lengthen)
    summary, _ = results.aggregate()
    both = results.graded_samples("run0", "sums")
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


def test_budgets_of_the_shortest_completions() -> None:
    assert budgets(1, 1) == [1] and budgets(0, 0) == [0, 1] and budgets(7, 7) == [7]
    assert budgets(1, 16) == [1, 2, 3, 4, 6, 8, 11, 16]
    assert budgets(5, 31_744)[-3:] == [16_384, 23_170, 31_744]
