"""Samples that the page embeds, and their texts."""

import json
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

from rlvr.config.resolved import RunEntry, Variant
from rlvr.report.inputs import Inputs
from rlvr.report.samples.choice import EXCERPTS, LIMIT_BYTES, choose_problems, in_order_of_use, rounds_within
from rlvr.report.samples.outcomes import Outcomes, read_texts
from rlvr.report.text import excerpt, visible

STATUSES = ["ok", "no_answer", "unevaluated", "unparsed_gold", "timeout", "error"]
MOST_ROUNDS = 16
"""Samples of one method on one problem that are considered."""

Row = dict[Hashable, Any]
"""A row of `Outcomes.samples`, with its ``run``."""
Queues = dict[int, list[list[Row]]]
"""Position of a problem -> for each method its samples, the most useful ones first."""
Excerpts = dict[tuple[str, int, int], tuple[str, ...]]
"""Run, position of a problem and sample index -> the completion at each of the lengths of `EXCERPTS`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbeddedSample:
    """A sample in the page; ``run`` is the position of its run in the study, texts are visible excerpts."""

    run: int
    sample_index: int
    correct: bool
    second: bool
    truncated: bool
    status: str
    n_tokens: int
    extracted: str | None
    completion: str

    def packed(self) -> list[Any]:
        """Return run, sample index, flags, tokens, extracted answer and, unless it equals that, completion.

        The flags are 1 for correct, 2 for correct by the second grader, 4 for truncated, and 8 times the
        position of the status in `STATUSES`.
        """
        flags = self.correct + 2 * self.second + 4 * self.truncated + 8 * STATUSES.index(self.status)
        start = [self.run, self.sample_index, flags, self.n_tokens, self.extracted]
        return start if self.completion == self.extracted else [*start, self.completion]


Round = list[EmbeddedSample]
"""One sample of each method."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChosenProblem:
    """A problem with its samples, round by round; ``position`` is that in the data."""

    outcomes: Outcomes
    position: int
    reasons: list[str]
    rounds: list[Round]


@dataclass(frozen=True, kw_only=True, slots=True)
class ChosenSamples:
    """What the page embeds; of a longer completion only its ends, of so many characters."""

    problems: list[ChosenProblem]
    ends: tuple[int, int]

    @property
    def n_samples(self) -> int:
        """Number of embedded samples."""
        return sum(len(one) for problem in self.problems for one in problem.rounds)


def choose_samples(inputs: Inputs, benchmarks: list[Outcomes], limit: int = LIMIT_BYTES) -> ChosenSamples:
    """Return the chosen problems with as many samples as fit within a limit in bytes.

    Raises:
        UserError: a file of samples is damaged.
    """
    numbers = {run.run: number for number, run in enumerate(inputs.study.runs)}
    found = [
        (outcomes, position, reasons, queues[position], excerpts)
        for outcomes in benchmarks
        for reasons_of in [choose_problems(outcomes)]
        for queues in [_queues(outcomes, list(reasons_of))]
        for excerpts in [_read_excerpts(inputs, outcomes, queues)]
        for position, reasons in reasons_of.items()
    ]
    for length in range(len(EXCERPTS)):
        rounds = [
            list(_rounds(queues, position, excerpts, length, numbers))
            for _, position, _, queues, excerpts in found
        ]
        kept = rounds_within([[_size(one) for one in of_problem] for of_problem in rounds], limit)
        if all(number or not of_problem for number, of_problem in zip(kept, rounds, strict=True)):
            break
    problems = [
        ChosenProblem(outcomes=outcomes, position=position, reasons=reasons, rounds=of_problem[:number])
        for (outcomes, position, reasons, _, _), of_problem, number in zip(found, rounds, kept, strict=True)
    ]
    return ChosenSamples(problems=problems, ends=EXCERPTS[length])


def _queues(outcomes: Outcomes, positions: list[int]) -> Queues:
    rows: dict[tuple[int, Variant], list[Row]] = {}
    for run in outcomes.runs:
        for row in _rows_of(outcomes, run, positions):
            rows.setdefault((row["problem"], run.variant), []).append(row)
    queues: Queues = {position: [] for position in positions}
    for (position, _), mine in rows.items():
        flags = [(row["correct"], row["truncated"], row["disagreeing"]) for row in mine]
        queues[position].append([mine[index] for index in in_order_of_use(flags)[:MOST_ROUNDS]])
    return queues


def _rows_of(outcomes: Outcomes, run: RunEntry, positions: list[int]) -> list[Row]:
    frame = outcomes.samples[run.run]
    chosen = frame[frame["problem"].isin(positions)].sort_values(["problem", "sample_index"])
    return chosen.assign(run=run.run).to_dict("records")


def _read_excerpts(inputs: Inputs, outcomes: Outcomes, queues: Queues) -> Excerpts:
    """Read the completions of the queues; only excerpts stay in memory."""
    ids = outcomes.problems["id"]
    position_of = {str(ids.iloc[position]): position for position in queues}
    wanted: dict[str, set[tuple[int, int]]] = {run.run: set() for run in outcomes.runs}
    for position, methods in queues.items():
        for row in (row for queue in methods for row in queue):
            wanted[row["run"]].add((position, row["sample_index"]))
    excerpts: Excerpts = {}
    for run, keys in wanted.items():
        frame = read_texts(inputs, outcomes.entry, run, list(position_of))
        for problem_id, index, text in frame[["problem_id", "sample_index", "text"]].itertuples(index=False):
            if (key := (position_of[problem_id], index)) in keys:
                excerpts[run, *key] = tuple(visible(excerpt(text, *ends)) for ends in EXCERPTS)
    return excerpts


def _rounds(
    queues: list[list[Row]], position: int, excerpts: Excerpts, length: int, numbers: dict[str, int]
) -> Iterator[Round]:
    """Yield one sample of every method, the most useful one of each first."""
    for turn in range(max(map(len, queues), default=0)):
        rows = [queue[turn] for queue in queues if turn < len(queue)]
        yield [
            _embedded(row, numbers[row["run"]], excerpts[row["run"], position, row["sample_index"]][length])
            for row in rows
        ]


def _embedded(row: Row, number: int, completion: str) -> EmbeddedSample:
    return EmbeddedSample(
        run=number,
        sample_index=int(row["sample_index"]),
        correct=bool(row["correct"]),
        second=bool(row["second"]),
        truncated=bool(row["truncated"]),
        status=row["status"],
        n_tokens=int(row["n_tokens"]),
        extracted=None if row["extracted"] is None else visible(excerpt(row["extracted"], 100, 100)),
        completion=completion,
    )


def _size(samples: Round) -> int:
    return len(json.dumps([sample.packed() for sample in samples], separators=(",", ":")))
