"""Similarity of problems: which pairs are found, and that no shortcut loses one."""

from difflib import SequenceMatcher

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlvr.data.similarity import SHARED_RUN, best_matches, tokens

LONG = "A fair die is thrown $12$ times. What is the probability that no face is shown more than twice?"
REWORDED = (
    "A fair die is thrown $12$ times. What is the chance that no face is shown more than twice? Find $m+n$."
)
UNRELATED = "How many ways are there to colour the corners of a cube in two colours, rotations not counted?"


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        (r"\left(\dfrac{1}{12}\right)", ["frac", "1", "1", "2"]),
        (r"Find $\text{lcm}(a,b)$.", ["find", "lcm", "a", "b"]),
        (r"\leftarrow \textstyle X_{10}", ["leftarrow", "textstyle", "x", "1", "0"]),
    ],
)
def test_tokens_are_words_commands_and_digits_without_layout(problem, expected):
    assert tokens(problem) == expected


def test_the_most_similar_problem_is_found_and_the_first_of_equals():
    training = [UNRELATED, REWORDED, LONG, LONG]
    assert best_matches([LONG, UNRELATED, "?"], training, 0.8) == {0: (2, 1.0), 1: (0, 1.0)}
    (position, similarity) = best_matches([LONG], training[:2], 0.8)[0]
    assert position == 1
    assert similarity == pytest.approx(2 * 19 / (20 + 23))
    assert best_matches([LONG], training[:2], 0.9) == {}


def test_the_threshold_itself_counts():
    problem, other = "a b c d e f g h i j k l", "a b c d e f g h i j y z"
    assert best_matches([problem], [other], 10 / 12) == {0: (0, 10 / 12)}
    assert best_matches([problem], [other], 0.84) == {}


def test_the_same_wording_about_other_numbers_is_another_problem():
    """0.83 of the tokens match, but no ten in a row."""
    problem = "What is the remainder when $1 + 2 + 3 + 4 + 10$ is divided by 9?"
    other = "What is the remainder when 123456 is divided by 9?"
    assert best_matches([problem], [other], 0.8) == {}
    assert best_matches([problem], [problem.replace("9?", "7?")], 0.8) == {0: (0, pytest.approx(14 / 15))}


def test_an_empty_side_has_no_match():
    assert best_matches([], [LONG], 0.8) == {}
    assert best_matches([LONG], [], 0.8) == {}


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_the_shortcuts_lose_no_pair(data):
    """All pairs compared by the definition alone give the same best matches."""
    parts = st.sampled_from(["a b c d e", "f g h i j", "k l", "m"])
    texts = st.lists(st.lists(parts, min_size=1, max_size=6).map(" ".join), min_size=1, max_size=5)
    problems, training = data.draw(texts), data.draw(texts)
    expected = {}
    for position, problem in enumerate(problems):
        alike = [similarity_by_definition(problem, other) for other in training]
        if max(alike) >= 0.7:
            expected[position] = (alike.index(max(alike)), max(alike))
    assert best_matches(problems, training, 0.7) == expected


def similarity_by_definition(problem: str, other: str) -> float:
    matcher = SequenceMatcher(None, problem.split(), other.split(), autojunk=False)
    padded = f" {other} "
    words = problem.split()
    runs = [words[start : start + SHARED_RUN] for start in range(len(words) - SHARED_RUN + 1)]
    return matcher.ratio() if any(f" {' '.join(run)} " in padded for run in runs) else 0.0
