r"""Similarity of two problems, as sequences of words and digits.

Two conditions together show that one problem was made from the other: a common run of tokens, and a high
share of matching tokens overall. Either alone misleads: problems on the same topic share long phrases, and
short ones with different numbers (`the remainder when … is divided by 9`) match in most tokens.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

SHARED_RUN = 10
"""Consecutive tokens that similar problems must share; shorter problems are compared word for word only."""

_LAYOUT = re.compile(
    r"\\(?:left|right|big|Big|bigg|Bigg|text|textbf|textit|mathrm|operatorname|displaystyle|quad|qquad)(?![A-Za-z])"
)
_FRACTION = re.compile(r"\\[dt]frac(?![A-Za-z])")
_TOKEN = re.compile(r"[a-z]+|\d")


class Match(NamedTuple):
    """The training problem most similar to a problem."""

    position: int
    """Its position among the training problems."""
    similarity: float


def tokens(problem: str) -> list[str]:
    """Return the words, LaTeX commands and single digits of a problem, without typesetting commands."""
    return _TOKEN.findall(_FRACTION.sub(r"\\frac", _LAYOUT.sub(" ", problem)).lower())


def best_matches(problems: Sequence[str], training: Sequence[str], threshold: float) -> dict[int, Match]:
    """Return position -> most similar training problem, for the problems with one at or above ``threshold``.

    The similarity is that of `difflib`: twice the number of matching tokens over the number of all tokens of
    both. Only training problems that share a run of `SHARED_RUN` tokens are compared; ties go to the first.
    """
    ours = [tokens(problem) for problem in problems]
    holders: dict[tuple[str, ...], set[int]] = defaultdict(set)
    for position, sequence in enumerate(ours):
        for run in _runs(sequence):
            holders[run].add(position)
    best: dict[int, Match] = {}
    matcher: SequenceMatcher[str] = SequenceMatcher(autojunk=False)
    for candidate, sequence in enumerate(map(tokens, training)):
        matcher.set_seq2(sequence)
        for position in {position for run in _runs(sequence) for position in holders.get(run, ())}:
            matcher.set_seq1(ours[position])
            least = max(threshold, best[position].similarity if position in best else 0)
            if matcher.real_quick_ratio() < least or matcher.quick_ratio() < least:
                continue  # upper bounds, and much cheaper
            similarity = matcher.ratio()
            if similarity >= threshold and (position not in best or similarity > best[position].similarity):
                best[position] = Match(candidate, similarity)
    return best


def _runs(sequence: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return (tuple(sequence[start : start + SHARED_RUN]) for start in range(len(sequence) - SHARED_RUN + 1))
