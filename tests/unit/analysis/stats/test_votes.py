import math
from itertools import combinations

import numpy as np
import pytest

from rlvr.analysis.stats.votes import answer_notation, majority_at_k, vote_classes


def majority(answers: list[str | None], gold: str, k: int, **options: int) -> float:
    answers_NK = np.array([answers], dtype=object)
    return majority_at_k(answers_NK, answers_NK == gold, k, seed=0, **options).item()


def test_majority_known_answers() -> None:
    assert majority(["7", "7", "8"], "7", 3) == 1.0
    assert majority(["7", "8", "8"], "7", 3) == 0.0
    assert majority(["7", "8", "9", "9", "7", "1"], "7", 6) == 0.5  # two classes tie for the first place
    assert majority(["7", "8", "8"], "7", 1) == pytest.approx(1 / 3)
    # of the three pairs {7, 8}, {7, 8}, {8, 8} two are ties
    assert majority(["7", "8", "8"], "7", 2) == pytest.approx((0.5 + 0.5 + 0) / 3)


def test_a_sample_without_an_answer_does_not_vote() -> None:
    assert majority([None, None, "7"], "7", 3) == 1.0
    assert majority([None, None, None], "7", 3) == 0.0
    assert majority([None, None, "7"], "7", 1) == pytest.approx(1 / 3)


def test_majority_draws_agree_with_all_subsets_and_with_themselves() -> None:
    answers = ["7"] * 5 + ["8"] * 4 + ["9"] * 3 + [None]
    exact = majority(answers, "7", 5, draws=math.comb(13, 5))
    sampled = majority(answers, "7", 5, draws=1_000)
    assert sampled == majority(answers, "7", 5, draws=1_000)
    assert sampled != exact
    assert sampled == pytest.approx(exact, abs=4 * 0.5 / math.sqrt(1_000))


def test_majority_refuses_more_voters_than_samples() -> None:
    with pytest.raises(ValueError, match=r"maj@4: .* k must be between 1 and 3"):
        majority(["7", "8", "8"], "7", 4)


def test_correct_answers_vote_together_however_they_are_written() -> None:
    answers = np.array([["1/2", "0.5", r"\frac12", "7", "7"]], dtype=object)
    correct = np.array([[True, True, True, False, False]])
    assert majority_at_k(answers, correct, 5, seed=0).item() == 1.0
    # three of five are correct: of the ten pairs three are all correct, six are ties, one is all incorrect
    assert majority_at_k(answers, correct, 2, seed=0).item() == pytest.approx((3 + 6 / 2) / 10)


def test_incorrect_answers_vote_together_where_they_have_the_same_notation() -> None:
    answers = np.array([["5", "5", "7.0", "$7$"]], dtype=object)
    correct = np.array([[True, True, False, False]])
    assert vote_classes(list(answers[0]), list(correct[0])) == ["correct"] * 2 + ["incorrect: 7"] * 2
    assert majority_at_k(answers, correct, 4, seed=0).item() == 0.5


def test_expressions_vote_for_what_they_equal() -> None:
    answers = ["(8-2)*4", "8+4*4", "4+5*4", "8*3", "8*4-2", None]
    correct = [True, False, False, False, False, False]
    assert vote_classes(answers, correct) == [
        *("correct", "incorrect: 24", "incorrect: 24", "incorrect: 24", "incorrect: 30", None),
    ]  # the target with other numbers is no solution


def test_a_correct_answer_votes_even_where_its_text_is_unknown() -> None:
    assert vote_classes([None, None, "3"], [True, False, False]) == ["correct", None, "incorrect: 3"]


@pytest.mark.parametrize(
    ("answers", "notation"),
    [
        (["0.50", "$.5$", "1/2", r"\frac{1}{2}", r"\dfrac{2}{4}"], "1/2"),
        (["7", "7.0", " 7 ", "+7", "007"], "7"),
        (["1,234", "1234"], "1234"),
        (["-3/4", "-0.75", r"-\tfrac{3}{4}"], "-3/4"),
        ([r"x^{2}", "x^2", "x ^ 2"], "x^2"),
        ([r"\frac{1}{0}"], r"\frac{1}{0}"),
        (["8/(3-8/3)", "8*3", r"4\times 6"], "24"),
        (["2^3"], "2^3"),
        (["1" * 2_000], "1" * 2_000),
    ],
)
def test_answers_of_one_notation(answers: list[str], notation: str) -> None:
    assert {answer_notation(answer) for answer in answers} == {notation}


def test_the_vote_is_the_expected_value_of_a_random_tie_break() -> None:
    """Every subset by itself: the share of correct answers among the most frequent ones."""
    generator = np.random.default_rng(4)
    answers = generator.choice(["5", "6", "7", "8", None], size=(6, 9))
    expected = []
    for problem in answers:
        wins = []
        for subset in combinations(problem, 4):
            votes = [answer for answer in subset if answer is not None]
            most = max((votes.count(answer) for answer in votes), default=0)
            tied = {answer for answer in votes if votes.count(answer) == most}
            wins.append(("7" in tied) / len(tied) if tied else 0)
        expected.append(np.mean(wins))
    np.testing.assert_allclose(majority_at_k(answers, answers == "7", 4, seed=0), expected)
