import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlvr.analysis.stats.agreement import Agreement, agreement_of


def grades(both: int, only_first: int, only_second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
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
    agreement = agreement_of(*grades(*counts))
    assert agreement == Agreement(*counts)
    assert agreement.n_samples == sum(counts)
    assert agreement.observed == pytest.approx(observed)
    assert agreement.kappa == pytest.approx(kappa)


@pytest.mark.parametrize("grade", [True, False])
def test_kappa_of_graders_that_never_vary_is_unknown(grade: bool) -> None:
    agreement = agreement_of(np.full((4, 2), grade), np.full((4, 2), grade))
    assert agreement.observed == 1 and math.isnan(agreement.kappa)
    assert agreement_of(np.full(4, grade), np.full(4, not grade)).kappa == 0


def test_different_samples_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(3,\) and \(2,\)"):
        agreement_of(np.ones(3, dtype=bool), np.ones(2, dtype=bool))
    with pytest.raises(ValueError, match="not empty"):
        agreement_of(np.ones(0, dtype=bool), np.ones(0, dtype=bool))


@settings(deadline=None)  # the import of statsmodels is slow
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2))
def test_agreement_with_statsmodels(pairs: list[tuple[bool, bool]]) -> None:
    inter_rater = pytest.importorskip("statsmodels.stats.inter_rater", reason="statsmodels is not installed")
    first, second = np.array(pairs).T
    ours, swapped = agreement_of(first, second), agreement_of(second, first)
    assert ours.kappa == pytest.approx(swapped.kappa, nan_ok=True)
    if not math.isnan(ours.kappa):
        table = [[ours.both, ours.only_first], [ours.only_second, ours.neither]]
        assert ours.kappa == pytest.approx(inter_rater.cohens_kappa(table, return_results=False))
