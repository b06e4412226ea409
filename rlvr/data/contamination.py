"""Problems of a benchmark that stand in the training data as well, word for word or nearly so."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from rlvr.data.problems import read_problems
from rlvr.data.similarity import Match, best_matches
from rlvr.errors import UserError
from rlvr.files import read_json, replacing

Agree = Callable[[Sequence[str], Sequence[str]], list[bool]]
"""Ask the verifier, for each pair of a gold answer and another one, whether the other one is right."""

CONTAMINATED = ["dataset", "problem_id", "train_id", "similarity", "same_answer"]


def write_contamination(
    train: Sequence[Path],
    benchmarks: Sequence[Path],
    threshold: float,
    agree: Agree,
    overlap: Path,
    contaminated: Path,
) -> None:
    """Write which benchmark problems were seen in training, and how many of each benchmark.

    A problem counts as seen if a training problem has the same words, numbers and signs, or is similar to it
    at or above ``threshold`` (`rlvr.data.similarity`). Generated benchmarks are made to be unseen: they are
    compared word for word, and an overlap is an error.

    Args:
        train: all prepared files that a model of the study learns from.
        benchmarks: prepared benchmarks.
        threshold: similarity from which on two problems count as the same, 0..1.
        agree: asks the verifier.
        overlap: CSV to write, a row a benchmark: `dataset problems seen`.
        contaminated: CSV to write, a row a seen problem with its best match:
            `dataset problem_id train_id similarity same_answer`.

    Raises:
        UserError: a generated benchmark shares a problem with the training data.
    """
    seen = pd.concat([read_problems(path) for path in train], ignore_index=True)
    counts, rows = [], []
    for path in benchmarks:
        problems = read_problems(path)
        generated = read_json(path.with_suffix(".provenance.json"))["source"]["source"] == "arithmetic"
        matches = exact_matches(list(problems["problem"]), list(seen["problem"]))
        if generated and matches:
            twice = problems["problem"].iloc[min(matches)]
            raise UserError(f"{path}: problem {twice!r} stands in the training data too")
        if not generated:
            similar = best_matches(list(problems["problem"]), list(seen["problem"]), threshold)
            matches = {**similar, **matches}
        counts.append({"dataset": path.stem, "problems": len(problems), "seen": len(matches)})
        rows += _rows(path.stem, problems, seen, matches, agree)
    with replacing(overlap) as temporary:
        pd.DataFrame(counts).to_csv(temporary, index=False)
    with replacing(contaminated) as temporary:
        pd.DataFrame(rows, columns=CONTAMINATED).to_csv(temporary, index=False)


def exact_matches(problems: Sequence[str], training: Sequence[str]) -> dict[int, Match]:
    """Return position -> first training problem with the same words, numbers and signs."""
    first: dict[str, int] = {}
    for position, problem in enumerate(training):
        first.setdefault(normalised(problem), position)
    places = {position: first.get(normalised(problem)) for position, problem in enumerate(problems)}
    return {position: Match(place, 1.0) for position, place in places.items() if place is not None}


def normalised(problem: str) -> str:
    """Return the problem's words, numbers and signs alone, for comparison."""
    return " ".join(re.findall(r"\w+|[-+*/=]", problem.lower()))


def _rows(
    dataset: str, problems: pd.DataFrame, seen: pd.DataFrame, matches: dict[int, Match], agree: Agree
) -> list[tuple[str, str, str, float, bool]]:
    """Return the rows of `contaminated.csv` for one benchmark, in its order."""
    positions = sorted(matches)
    ours = problems.iloc[positions]
    theirs = seen.iloc[[matches[position].position for position in positions]]
    similarity = [round(matches[position].similarity, 3) for position in positions]
    same_answer = agree(list(ours["answer"]), list(theirs["answer"]))
    names = [dataset] * len(positions)
    return list(zip(names, ours["id"], theirs["id"], similarity, same_answer, strict=True))
