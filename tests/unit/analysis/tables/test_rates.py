"""The rate that is chosen from the trials of a method, and what is said of a doubtful choice."""

import pytest

from rlvr.analysis.tables.rates import Trial, choices, choose, rate_rows, warnings
from rlvr.config.resolved import Variant

RATES = [0.1, 0.3, 1.0]


def trials(*counts: int | str | None, seeds: int = 2, method: str = "lora") -> list[Trial]:
    """Trials rate by rate: correct samples of ten, or the status of a trial without any."""
    found = []
    for position, count in enumerate(counts):
        rate, seed = RATES[position // seeds], position % seeds
        variant = Variant("tiny", method, "recommended", f"x{rate:g}")
        measured = isinstance(count, int)
        trial = Trial(
            variant,
            run=f"{method}-x{rate:g}-s{seed}",
            train_seed=seed,
            learning_rate=None if count == "not_trained" else rate,
            status="finished" if measured else count,
            correct=count if measured else 0,
            n_problems=5 if measured else 0,
            n_samples=10 if measured else 0,
        )
        found.append(trial)
    return found


def test_the_rate_with_the_most_correct_samples_over_all_seeds_wins():
    choice = choose(trials(1, 2, 4, 5, 9, 0))
    assert (choice.setting, choice.edge) == ("x0.3", None)
    assert choice.mean_accuracy("x0.3") == pytest.approx(0.45)
    assert not list(warnings([choice]))


def test_of_equal_rates_the_lowest_wins_whatever_their_order():
    tied = trials(1, 1, 4, 5, 5, 4)
    assert choose(tied).setting == choose(tied[::-1]).setting == "x0.3"


def test_a_rate_at_which_a_seed_diverged_cannot_win():
    choice = choose(trials(1, 2, 3, 3, 10, "diverged"))
    assert (choice.setting, choice.edge) == ("x0.3", None)
    assert choice.mean_accuracy("x1") is None
    assert not list(warnings([choice])), "beyond the chosen rate there is one that is too high"


def test_a_run_that_had_no_more_to_learn_is_measured():
    exhausted = [
        Trial(one.variant, one.run, one.train_seed, one.learning_rate, "exhausted", 10, 5, 10)
        if one.variant.setting == "x0.3"
        else one
        for one in trials(1, 1, 1, 1, 1, 1)
    ]
    assert choose(exhausted).setting == "x0.3"


@pytest.mark.parametrize("status", ["not_trained", "not_evaluated", "crashed", "refused", "uninformative"])
def test_a_missing_trial_leaves_the_method_without_a_rate(status):
    choice = choose(trials(1, 2, 9, 9, 3, status))
    assert choice.setting is None
    (line,) = warnings([choice])
    assert "lora (recommended) on tiny: no rate is chosen" in line and f"lora-x1-s1 {status}" in line
    assert not any(row.chosen for row in rate_rows("demo", [choice]))


def test_where_every_rate_diverged_none_is_chosen():
    choice = choose(trials(*["diverged"] * 6))
    assert choice.setting is None
    (line,) = warnings([choice])
    assert "at every rate of the grid a trial diverged; add lower ones" in line


@pytest.mark.parametrize(
    ("counts", "edge", "advice"),
    [((9, 9, 1, 1, 1, 1), "lowest", "add lower ones"), ((1, 1, 1, 1, 9, 9), "highest", "add higher ones")],
)
def test_a_choice_at_the_end_of_the_grid_says_so(counts, edge, advice):
    choice = choose(trials(*counts))
    assert choice.edge == edge
    (line,) = warnings([choice])
    assert f"the chosen rate is the {edge} of the grid" in line and advice in line
    assert {row.edge for row in rate_rows("demo", [choice]) if row.chosen} == {edge}
    assert {row.edge for row in rate_rows("demo", [choice]) if not row.chosen} == {None}


def test_methods_choose_apart_and_every_trial_is_a_row():
    every = trials(1, 9, 1, seeds=1) + trials(1, 1, 9, seeds=1, method="full")
    rows = list(rate_rows("demo", choices(every)))
    assert [row.run for row in rows] == [trial.run for trial in every]
    assert [(row.method, row.learning_rate) for row in rows if row.chosen] == [("lora", 0.3), ("full", 1.0)]
    assert (
        [row.accuracy for row in rows]
        == [row.mean_accuracy for row in rows]
        == [0.1, 0.9, 0.1, 0.1, 0.1, 0.9]
    )
