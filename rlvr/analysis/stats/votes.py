"""Majority vote: is the most frequent answer of several samples correct?"""

import math
import re
from fractions import Fraction
from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from rlvr.analysis.stats.resampling import Floats
from rlvr.verify.arithmetic import evaluate
from rlvr.verify.equivalence.normalize import compact, normalize
from rlvr.verify.equivalence.numerals import decimal_value
from rlvr.verify.equivalence.precheck import LONGEST_ANSWER

CORRECT = "correct"
_SIMPLE_FRACTION = re.compile(r"([+-]?)\\frac\{(\d{1,400})\}\{(0*[1-9]\d{0,399})\}", re.ASCII)


def majority_at_k(
    answers_NK: NDArray[np.object_], correct_NK: NDArray[np.bool_], k: int, seed: int, draws: int = 1_000
) -> Floats:
    """Return the probability that a majority vote of k samples is correct, for each problem.

    The mean over all subsets of k samples, which is exact, if there are at most ``draws`` of them, otherwise
    over ``draws`` random ones. A sample without an answer abstains; a tie counts as the mean of the tied
    classes (:func:`vote_classes`); a vote without any answer is incorrect.

    Args:
        answers_NK: extracted answers, strings or None.
        correct_NK: which samples are correct.
        k: number of voters.
        seed: seed of the random subsets.
        draws: number of random subsets.

    Returns:
        Values [N].

    Raises:
        ValueError: ``k`` is not between 1 and K.
    """
    samples = answers_NK.shape[1]
    if not 1 <= k <= samples:
        raise ValueError(f"maj@{k}: with {samples} samples per problem, k must be between 1 and {samples}")
    if math.comb(samples, k) <= draws:
        subsets = np.array(list(combinations(range(samples), k)))
    else:
        order = np.random.default_rng(seed).random((draws, samples)).argsort(axis=1)
        subsets = order[:, :k]
    return np.array([_vote(*problem, subsets) for problem in zip(answers_NK, correct_NK, strict=True)])


def _vote(answers_K: NDArray[np.object_], correct_K: NDArray[np.bool_], subsets: NDArray[np.int_]) -> float:
    """Return the share of subsets [S, k] of a problem's samples in which the correct class wins."""
    named = vote_classes(list(answers_K), correct_K.tolist())
    classes = sorted({name for name in named if name is not None})
    if not classes:
        return 0.0
    ballots_KC = np.array([[name == other for other in classes] for name in named])
    is_correct_C = np.array([name == CORRECT for name in classes])
    votes_SC = ballots_KC[subsets].sum(axis=1)
    most_S = votes_SC.max(axis=1, keepdims=True)
    winners_SC = (votes_SC == most_S) & (most_S > 0)
    return float(np.mean(winners_SC @ is_correct_C / np.maximum(winners_SC.sum(axis=1), 1)))


def vote_classes(answers: list[str | None], correct: list[bool]) -> list[str | None]:
    """Return the class of each sample of a problem; None abstains.

    All correct answers equal the gold answer and so each other: they are one class, however they are written.
    Incorrect answers are equal if they have the same notation (:func:`answer_notation`); as they are not
    compared by the verifier, equal ones may be in different classes, but different ones never in the same.
    So the vote on expressions, as in Countdown, is on what they equal: all solutions are one class, and the
    incorrect ones are classes by their values.
    """
    notations = [None if answer is None else answer_notation(answer) for answer in answers]
    return [
        CORRECT if is_correct else None if notation is None else f"incorrect: {notation}"
        for notation, is_correct in zip(notations, correct, strict=True)
    ]


@lru_cache(maxsize=100_000)
def answer_notation(answer: str) -> str:
    r"""Return a canonical notation of an answer: ``0.50``, ``$.5$`` and ``\frac{1}{2}`` are all ``1/2``.

    An expression of whole numbers is the number that it equals: ``(8-2)*4`` is ``24``.
    """
    if len(answer) > LONGEST_ANSWER:  # costly to rewrite, and the verifier rejects it unread
        return answer
    plain = compact(normalize(answer))
    value = decimal_value(plain)
    if match := _SIMPLE_FRACTION.fullmatch(plain):
        sign, numerator, denominator = match.groups()
        value = Fraction(int(sign + numerator), int(denominator))
    elif value is None and (expression := evaluate(answer)):
        value = expression.value
    return plain if value is None else str(value)
