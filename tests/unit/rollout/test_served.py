"""Noise, gain and moved weights of a sync, by hand."""

import math

import pytest
import torch

from rlvr.rollout.served import exactly, measured, served_metrics


def test_an_update_below_the_grid_is_not_served_and_one_above_it_is():
    untrained = torch.tensor([1.0, 1.0, 2.0, 4.0])
    trained = untrained + torch.tensor([2.0**-7, 2.0**-10, 0.0, 0.0])  # the grid step at 1 is 2^-7
    metrics = served_metrics([measured(trained.bfloat16(), trained, untrained)])
    square = 2.0**-14 + 2.0**-20
    assert metrics["sync/noise_to_signal"] == pytest.approx(2.0**-10 / math.sqrt(square))
    assert metrics["sync/gain"] == pytest.approx(2.0**-14 / square)
    assert metrics["sync/moved_fraction"] == 0.25
    assert metrics["sync/update_norm"] == pytest.approx(math.sqrt(square))


def test_noise_across_the_update_changes_no_gain():
    untrained, update = torch.zeros(2), torch.tensor([1.0, 0.0])
    metrics = served_metrics([measured(update + torch.tensor([0.0, 3.0]), update, untrained)])
    assert (metrics["sync/gain"], metrics["sync/noise_to_signal"]) == (1, 3)


def test_sums_are_over_all_weights():
    one, none = torch.ones(3), torch.zeros(3)
    lost, served = measured(none, one, none), measured(one, one, none)
    metrics = served_metrics([lost, served])
    assert metrics["sync/gain"] == metrics["sync/moved_fraction"] == 0.5
    assert metrics["sync/noise_to_signal"] == pytest.approx(math.sqrt(0.5))


def test_a_base_that_the_engine_rounds_has_not_moved_by_that():
    base = torch.tensor([1.0, 1.003])
    assert served_metrics([measured(base.bfloat16(), base, base)])["sync/moved_fraction"] == 0


def test_what_samples_itself_serves_all_and_has_no_served_weights():
    metrics = served_metrics([exactly(4.0), exactly(5.0)])
    assert (metrics["sync/gain"], metrics["sync/noise_to_signal"], metrics["sync/update_norm"]) == (1, 0, 3)
    assert math.isnan(metrics["sync/moved_fraction"])
    assert math.isnan(served_metrics([exactly(0.0)])["sync/gain"])
