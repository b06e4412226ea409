"""Find benchmark problems that are in the training data, word for word or nearly so."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from rlvr.artifacts import ContaminatedProblem, ContaminationRow, write_rows
from rlvr.data.problems import RULE, optional_column, read_problems, read_provenance
from rlvr.data.similarity import Match, best_matches
from rlvr.errors import UserError
from rlvr.verify import countdown
from rlvr.verify.gold_answers import agree

GENERATED = ("arithmetic", "countdown")
"""Sources of generated data, whose two splits share no problem."""


def write_contamination(
    train: Sequence[Path],
    benchmarks: Sequence[Path],
    threshold: float,
    counts: Path,
    problems: Path,
    refuse: bool = False,
) -> None:
    """Write which benchmark problems are contaminated, and how many of each benchmark.

    A problem is contaminated if a training problem has the same words, numbers and signs, or a similarity of
    at least ``threshold`` (`rlvr.data.similarity`). Generated benchmarks must not be contaminated: they are
    compared word for word only, and a match is an error. Countdown problems are the same if they have the
    same numbers, in any order, and the same target.

    Args:
        train: all prepared files that a model of the study is trained on.
        benchmarks: prepared benchmarks.
        threshold: lowest similarity of two problems that count as the same, 0..1.
        counts: table to write (`ContaminationRow`), one row per benchmark.
        problems: table to write (`ContaminatedProblem`), the contaminated problems with their best matches.
        refuse: whether a problem that is the same, word for word, is an error: on validation problems rates
            are chosen, which must be neither trained on nor tested on.

    Raises:
        UserError: a generated benchmark shares a problem with the training data, or ``refuse`` and any does.
    """
    for path in benchmarks if refuse else ():
        _refuse_shared(path, train)
    training = pd.concat([_read(path) for path in train], ignore_index=True)
    count_rows: list[dict[str, object]] = []
    problem_rows: list[dict[str, object]] = []
    for path in benchmarks:
        benchmark = _read(path)
        matches = _matches(path, benchmark, training, threshold)
        count_rows.append({"dataset": path.stem, "problems": len(benchmark), "contaminated": len(matches)})
        problem_rows += _problem_rows(path.stem, benchmark, training, matches)
    write_rows(counts, ContaminationRow, count_rows)
    write_rows(problems, ContaminatedProblem, problem_rows)


def _refuse_shared(validation: Path, others: Sequence[Path]) -> None:
    """Refuse validation problems that are in another file too."""
    problems = _read(validation)
    for other in others:
        theirs = _read(other)
        if matches := exact_matches(list(problems["identity"]), list(theirs["identity"])):
            position = min(matches)
            raise UserError(
                f"{validation}: {len(matches)} of {len(problems)} validation problems are in {other} too, "
                f"first {problems['id'].iloc[position]!r} ({theirs['id'].iloc[matches[position].position]!r} "
                "there); tune on other problems: another data set, or other `rows` of it"
            )


def _read(path: Path) -> pd.DataFrame:
    """Read problems with a column `identity`, the text that makes them other problems."""
    frame = read_problems(path)
    rows = zip(frame["problem"], frame["answer"], optional_column(frame, RULE), strict=True)
    return frame.assign(
        identity=[
            countdown.identity(answer) if rule == "countdown" else problem for problem, answer, rule in rows
        ]
    )


def exact_matches(problems: Sequence[str], training: Sequence[str]) -> dict[int, Match]:
    """Return position -> first training problem with the same words, numbers and signs."""
    first: dict[str, int] = {}
    for position, problem in enumerate(training):
        first.setdefault(normalised(problem), position)
    places = {position: first.get(normalised(problem)) for position, problem in enumerate(problems)}
    return {position: Match(place, 1.0) for position, place in places.items() if place is not None}


def normalised(problem: str) -> str:
    """Return only the words, numbers and signs of a problem, for comparison."""
    return " ".join(re.findall(r"\w+|[-+*/=]", problem.lower()))


def _matches(
    path: Path, benchmark: pd.DataFrame, training: pd.DataFrame, threshold: float
) -> dict[int, Match]:
    """Return position -> best match of each contaminated problem of a benchmark."""
    problems, trained = list(benchmark["problem"]), list(training["problem"])
    exact = exact_matches(list(benchmark["identity"]), list(training["identity"]))
    if read_provenance(path)["entry"]["source"] not in GENERATED:
        worded = [
            problem if problem == identity else ""
            for problem, identity in zip(problems, benchmark["identity"], strict=True)
        ]
        return {**best_matches(worded, trained, threshold), **exact}
    if exact:
        raise UserError(
            f"{path}: problem {problems[min(exact)]!r} is in the training data too; "
            "generate benchmark and training data with different `split`"
        )
    return {}


def _problem_rows(
    dataset: str, benchmark: pd.DataFrame, training: pd.DataFrame, matches: dict[int, Match]
) -> Iterator[dict[str, object]]:
    """Yield the rows of `ContaminatedProblem` for one benchmark, in its order."""
    positions = sorted(matches)
    ours = benchmark.iloc[positions]
    theirs = training.iloc[[matches[position].position for position in positions]]
    same_answers = agree(list(ours["answer"]), list(theirs["answer"]))  # of Countdown: the same target
    for position, problem_id, train_id, same_answer in zip(
        positions, ours["id"], theirs["id"], same_answers, strict=True
    ):
        yield {
            "dataset": dataset,
            "problem_id": problem_id,
            "train_id": train_id,
            "similarity": round(matches[position].similarity, 3),
            "same_answer": same_answer,
        }
