r"""How alike two problems are, as sequences of words and digits.

The measure is that of `difflib`: twice the number of matching tokens over the number of all tokens of both.
No pair is missed for speed: two problems cannot match in more tokens than they have in common whatever
their order, and that bound is a product of two sparse matrices for all pairs at once.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

MINIMUM_TOKENS = 12
"""Shorter problems are compared word for word alone: `12+34` and `12+35` are four tokens of five, and nobody
has copied the one from the other."""

_LAYOUT = re.compile(
    r"\\(?:left|right|big|Big|bigg|Bigg|text|textbf|textit|mathrm|operatorname|displaystyle|quad|qquad)(?![A-Za-z])"
)
_FRACTION = re.compile(r"\\[dt]frac(?![A-Za-z])")
_TOKEN = re.compile(r"[a-z]+|\d")
_ROWS_AT_ONCE = 64


class Match(NamedTuple):
    """The training problem that is most like a problem."""

    position: int
    """Where it stands among the training problems."""
    similarity: float


def tokens(problem: str) -> list[str]:
    """Return the words, LaTeX commands and single digits of a problem, without what only sets type."""
    return _TOKEN.findall(_FRACTION.sub(r"\\frac", _LAYOUT.sub(" ", problem)).lower())


def best_matches(problems: Sequence[str], training: Sequence[str], threshold: float) -> dict[int, Match]:
    """Return position -> most similar training problem, for the problems with one at or above ``threshold``.

    Of equally similar training problems it is the first. Problems with fewer than `MINIMUM_TOKENS` tokens
    have no match.
    """
    ours, theirs = [tokens(problem) for problem in problems], [tokens(problem) for problem in training]
    best: dict[int, Match] = {}
    for position, candidate in _candidates(ours, theirs, threshold):
        matcher = SequenceMatcher(None, ours[position], theirs[candidate], autojunk=False)
        match = Match(candidate, matcher.ratio())
        if match.similarity >= threshold and (
            position not in best or match.similarity > best[position].similarity
        ):
            best[position] = match
    return best


def _candidates(
    ours: Sequence[Sequence[str]], theirs: Sequence[Sequence[str]], threshold: float
) -> Iterator[tuple[int, int]]:
    """Yield the pairs whose tokens, whatever their order, could reach ``threshold``."""
    vocabulary: dict[tuple[str, int], int] = {}
    rows, columns = _counted(ours, vocabulary), _counted(theirs, vocabulary)
    first = csr_array(rows, shape=(len(ours), len(vocabulary)))
    second = csr_array(columns, shape=(len(theirs), len(vocabulary))).T.tocsr()
    length, other_length = _lengths(ours), _lengths(theirs)
    long_enough = other_length >= MINIMUM_TOKENS
    for start in range(0, len(ours), _ROWS_AT_ONCE):
        block = slice(start, start + _ROWS_AT_ONCE)
        common = (first[block] @ second).toarray()
        total = length[block, None] + other_length[None, :]
        possible = (2 * common >= threshold * total - 1e-9) & long_enough[None, :]
        possible &= (length[block] >= MINIMUM_TOKENS)[:, None]
        for position, candidate in zip(*np.nonzero(possible), strict=True):
            yield start + int(position), int(candidate)


def _counted(
    sequences: Sequence[Sequence[str]], vocabulary: dict[tuple[str, int], int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a row of ones a sequence, in the form that `csr_array` takes.

    A token's first, second, … occurrence are columns of their own, so that the product of two rows is the
    number of tokens that they have in common, each as often as in both.
    """
    indices, ends = [], [0]
    for sequence in sequences:
        seen: Counter[str] = Counter()
        for token in sequence:
            seen[token] += 1
            indices.append(vocabulary.setdefault((token, seen[token]), len(vocabulary)))
        ends.append(len(indices))
    return (
        np.ones(len(indices), dtype=np.int32),
        np.array(indices, dtype=np.int32),
        np.array(ends, dtype=np.int32),
    )


def _lengths(sequences: Sequence[Sequence[str]]) -> np.ndarray:
    return np.array([len(sequence) for sequence in sequences], dtype=np.int64)
