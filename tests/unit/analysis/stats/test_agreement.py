import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlvr.analysis.agreement import agreement_as_json
from rlvr.analysis.stats.agreement import Agreement, verdict_agreement
from rlvr.errors import UserError
from rlvr.files import write_parquet


def verdicts(both: int, only_first: int, only_second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    first = [True] * (both + only_first) + [False] * (only_second + neither)
    second = [True] * both + [False] * only_first + [True] * only_second + [False] * neither
    return np.array(first), np.array(second)


# Worked by hand: (20, 5, 10, 15) agrees in 0.7 of 50, by chance in 0.5 x 0.6 + 0.5 x 0.4 = 0.5.
@pytest.mark.parametrize(
    ("counts", "observed", "kappa"),
    [
        ((20, 5, 10, 15), 0.7, 0.4),
        ((45, 15, 25, 15), 0.6, 0.06 / 0.46),
        ((25, 35, 5, 35), 0.6, 0.14 / 0.54),
        ((10, 0, 0, 30), 1.0, 1.0),
        ((0, 10, 10, 0), 0.0, -1.0),
        ((1, 1, 1, 1), 0.5, 0.0),
    ],
)
def test_known_answers(counts: tuple[int, int, int, int], observed: float, kappa: float) -> None:
    agreement = verdict_agreement(*verdicts(*counts))
    assert agreement == Agreement(*counts)
    assert agreement.n_samples == sum(counts)
    assert agreement.observed == pytest.approx(observed)
    assert agreement.kappa == pytest.approx(kappa)


@pytest.mark.parametrize("verdict", [True, False])
def test_verifiers_that_never_vary_agree_without_showing_it(verdict: bool) -> None:
    agreement = verdict_agreement(np.full((4, 2), verdict), np.full((4, 2), verdict))
    assert agreement.observed == 1 and math.isnan(agreement.kappa)
    assert verdict_agreement(np.full(4, verdict), np.full(4, not verdict)).kappa == 0


def test_different_samples_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(3,\) against \(2,\)"):
        verdict_agreement(np.ones(3, dtype=bool), np.ones(2, dtype=bool))
    with pytest.raises(ValueError, match="not empty"):
        verdict_agreement(np.ones(0, dtype=bool), np.ones(0, dtype=bool))


@settings(deadline=None)  # the import of statsmodels is slow
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2))
def test_agreement_with_statsmodels(pairs: list[tuple[bool, bool]]) -> None:
    inter_rater = pytest.importorskip("statsmodels.stats.inter_rater", reason="statsmodels is not installed")
    first, second = np.array(pairs).T
    ours, swapped = verdict_agreement(first, second), verdict_agreement(second, first)
    assert ours.kappa == pytest.approx(swapped.kappa, nan_ok=True)
    if not math.isnan(ours.kappa):
        table = [[ours.both, ours.only_first], [ours.only_second, ours.neither]]
        assert ours.kappa == pytest.approx(inter_rater.cohens_kappa(table, return_results=False))


def grades(correct: list[bool | None]) -> pd.DataFrame:
    """The grades of samples 0 and 1 of as many problems as there are pairs of verdicts."""
    keys = [{"problem_id": f"p{i // 2}", "sample_index": i % 2} for i in range(len(correct))]
    return pd.DataFrame(keys).assign(correct=correct, verifier_version="1")


def test_files_are_compared_sample_by_sample_in_any_order(tmp_path: Path) -> None:
    first, second = tmp_path / "first.parquet", tmp_path / "second.parquet"
    write_parquet(first, grades([True, True, False, False]))
    theirs = grades([True, False, True, False]).astype({"sample_index": "int32"})
    write_parquet(second, theirs.iloc[[3, 1, 2, 0]])
    found = json.loads(agreement_as_json(first, second))
    assert [found[f"{who}_correct"] for who in ("both", "only_first", "only_second", "neither")] == [1] * 4


def test_files_with_doubled_or_missing_verdicts_are_refused(tmp_path: Path) -> None:
    ours = grades([True, True, False, False])
    faults = {
        "more than once": pd.concat([ours, ours.iloc[[2]]]),
        "empty cell": grades([True, None, False, False]),
        "verifier versions": ours.assign(verifier_version=["1", "2", "1", "1"]),
        "no rows": ours.iloc[:0],
    }
    for words, frame in faults.items():
        path = tmp_path / "faulty.parquet"
        write_parquet(path, frame)
        with pytest.raises(UserError, match=words):
            agreement_as_json(path, path)
