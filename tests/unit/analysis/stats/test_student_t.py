"""Student's t distribution against SciPy's."""

import math

import pytest
from scipy import special

from rlvr.analysis.stats import student_t

DEGREES = [1, 1.2, 2, 3.7, 12, 199, 399, 2_500.5, 1e6]


@pytest.mark.parametrize("degrees", DEGREES)
def test_cdf_is_scipys(degrees: float) -> None:
    for t in (-60.0, -8.0, -2.0, -0.3, -1e-9, 0.0, 1e-9, 0.02, 1.0, 1.96, 5.0):
        assert student_t.cdf(t, degrees) == pytest.approx(special.stdtr(degrees, t), rel=1e-8, abs=1e-300)


@pytest.mark.parametrize("degrees", DEGREES)
@pytest.mark.parametrize("p", [0.5, 0.6, 0.9, 0.975, 0.999])
def test_quantile_is_scipys(p: float, degrees: float) -> None:
    assert student_t.quantile(p, degrees) == pytest.approx(special.stdtrit(degrees, p), rel=1e-9, abs=1e-12)


def test_what_is_unknown_stays_unknown() -> None:
    assert math.isnan(student_t.cdf(math.nan, 3)) and math.isnan(student_t.cdf(1, math.nan))
    assert math.isnan(student_t.quantile(0.975, math.nan))
    assert math.isnan(student_t.cdf(1, 0)) and math.isnan(student_t.quantile(0.975, 0))
