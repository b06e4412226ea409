"""Area under a reward curve and steps to a level, on curves whose answers can be computed by hand."""

import math

import numpy as np
import pytest

from rlvr.analysis.stats.learning import Curve, area, censored_median, halfway, steps_to

NAN = math.nan


def curve(*rewards: float, planned: int | None = None) -> Curve:
    """Steps 0, 1, ..; NaN is a step that sampled nothing."""
    values = np.array(rewards)
    steps = np.flatnonzero(~np.isnan(values)).astype(float)
    return Curve(steps, values[~np.isnan(values)], planned or len(rewards))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (curve(0.5, 0.5, 0.5), 0.5),
        (curve(0.0, 1.0), 0.5),
        (curve(0.0, 0.5, 1.0), 0.5),
        (curve(0.0, 1.0, 1.0), 0.75),
        (curve(0.0, NAN, 1.0), 0.5),
        (curve(NAN, 0.2, 0.2), 0.2),
        (curve(0.0, 1.0, planned=5), (0.5 + 3) / 4),
    ],
)
def test_area(given: Curve, expected: float) -> None:
    assert area(given) == pytest.approx(expected)


def test_a_single_step_has_no_area() -> None:
    assert math.isnan(area(curve(0.5)))


def test_an_early_rise_has_a_larger_area_with_the_same_end() -> None:
    early, late = curve(0.2, 0.8, 0.8, 0.8), curve(0.2, 0.2, 0.2, 0.8)
    assert early.rewards[-1] == late.rewards[-1]
    assert area(early) > area(late)


@pytest.mark.parametrize(
    ("given", "steps"),
    [
        (curve(*[0.0] * 5, *[1.0] * 5), 8.0),  # the mean of five reaches 0.5 with its third 1
        (curve(0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0), math.inf),  # a single lucky step is no level
        (curve(*[1.0] * 6), 5.0),
        (curve(0.4, 0.6, 0.7), 3.0),
        (curve(0.0, 0.0, NAN, NAN, 0.0, 1.0, 1.0, 1.0), 8.0),
        (curve(*[0.1] * 9), math.inf),
    ],
)
def test_steps_to_a_level(given: Curve, steps: float) -> None:
    assert steps_to(given, 0.5) == steps


def test_the_level_is_halfway_and_only_where_something_was_learned() -> None:
    assert halfway(0.2, 0.8) == pytest.approx(0.5)
    assert math.isnan(halfway(0.2, 0.2)) and math.isnan(halfway(0.2, 0.1))
    assert steps_to(curve(*[1.0] * 9), math.nan) == math.inf


def test_a_seed_that_never_reaches_the_level_counts_as_later_than_any_other() -> None:
    assert censored_median([7.0, math.inf, 9.0]) == 9.0
    assert math.isnan(censored_median([7.0, math.inf, math.inf]))
    assert math.isnan(censored_median([7.0, math.inf]))
    assert censored_median([4.0]) == 4.0
