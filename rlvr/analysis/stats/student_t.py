"""Student's t distribution for any positive number of degrees of freedom; NaN for others.

SciPy has it too, but where SciPy is installed `transformers` imports half of it in every job.
"""

import math
from functools import lru_cache

_TINY = 1e-300
_LAST_STEP = 1e-15
"""Share of the quantile below which a step is due to rounding."""
_TERMS = 1_000
"""More than the continued fraction ever needs; it converges within about sqrt(degrees) terms."""


def cdf(t: float, degrees: float) -> float:
    """Return P(T <= t).

    The tail is half the regularised incomplete beta function I_x(degrees / 2, 1 / 2) at
    x = degrees / (degrees + t^2) (Abramowitz and Stegun 1964, 26.7.1).
    """
    if math.isnan(t) or not degrees > 0:
        return math.nan
    tail = _incomplete_beta(degrees / 2, 0.5, t * t / degrees) / 2
    return tail if t < 0 else 1 - tail


@lru_cache(maxsize=10_000)
def quantile(p: float, degrees: float) -> float:
    """Return the t of which P(T <= t) is ``p``, for ``p`` between 1/2 and 1.

    By Newton's method from 0: the tail is convex there, so that every step is towards the quantile and none
    beyond it, until rounding ends the ascent.
    """
    if not degrees > 0:
        return math.nan
    t, step = 0.0, math.inf
    while step > _LAST_STEP * t:
        step = (cdf(-t, degrees) - (1 - p)) / density(t, degrees)
        t += step
    return t


def density(t: float, degrees: float) -> float:
    """Return the density at ``t``."""
    scale = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2) - math.log(degrees * math.pi) / 2
    return math.exp(scale - (degrees + 1) / 2 * math.log1p(t * t / degrees))


def _incomplete_beta(a: float, b: float, odds: float) -> float:
    """Return I_x(a, b) at x = 1 / (1 + ``odds``), which keeps 1 - x exact where x is near 1."""
    if odds == 0:
        return 1.0
    x, rest = 1 / (1 + odds), odds / (1 + odds)
    if x == 0:
        return 0.0
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) - a * math.log1p(odds) + b * math.log(rest)
    if x < (a + 1) / (a + b + 2):
        return math.exp(scale) * _continued_fraction(a, b, x) / a
    return 1 - math.exp(scale) * _continued_fraction(b, a, rest) / b


def _continued_fraction(a: float, b: float, x: float) -> float:
    """Return the continued fraction of the incomplete beta function (26.5.8), by Lentz's method."""
    c, d = 1.0, 1 / _nonzero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            c, d = _nonzero(1 + term / c), 1 / _nonzero(1 + term * d)
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value


def _nonzero(number: float) -> float:
    return number if abs(number) > _TINY else _TINY
