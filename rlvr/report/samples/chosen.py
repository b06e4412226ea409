"""Samples that the page embeds, and their texts."""

from dataclasses import dataclass
from typing import Any, get_args

from rlvr.artifacts import Status
from rlvr.report.embedded import script_json
from rlvr.report.inputs import Inputs
from rlvr.report.samples.choice import EXCERPTS, LIMIT_BYTES, choose_problems, in_order_of_use, rounds_within
from rlvr.report.samples.outcomes import Outcomes, read_texts
from rlvr.report.text import excerpt, visible

STATUSES: list[str] = [*get_args(Status)]
"""Statuses of grades; the page names them by position."""
MOST_ROUNDS = 16
"""Samples of one method on one problem that are considered."""

Pick = tuple[str, int, int]
"""Run, position of the problem and sample index."""
Queue = list[Pick]
"""Samples of one method on one problem, the most useful ones first."""
Excerpts = tuple[str, ...]
"""A completion at each of the lengths of `EXCERPTS`."""


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
class _Candidate:
    """A chosen problem with the samples of each method; ``excerpts`` are those of the whole benchmark."""

    outcomes: Outcomes
    position: int
    reasons: list[str]
    queues: list[Queue]
    excerpts: dict[Pick, Excerpts]


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
    candidates = [one for outcomes in benchmarks for one in _candidates(inputs, outcomes)]
    numbers = {run.run: number for number, run in enumerate(inputs.study.runs)}
    for length in range(len(EXCERPTS)):
        rounds = [_rounds(one, length, numbers) for one in candidates]
        costs = [_costs(one, of_problem) for one, of_problem in zip(candidates, rounds, strict=True)]
        kept = rounds_within(costs, limit)
        if all(number or not of_problem for number, of_problem in zip(kept, rounds, strict=True)):
            break
    problems = [
        ChosenProblem(
            outcomes=one.outcomes, position=one.position, reasons=one.reasons, rounds=of_problem[:number]
        )
        for one, of_problem, number in zip(candidates, rounds, kept, strict=True)
    ]
    return ChosenSamples(problems=problems, ends=EXCERPTS[length])


def _candidates(inputs: Inputs, outcomes: Outcomes) -> list[_Candidate]:
    """Return the chosen problems of a benchmark with all samples that may be embedded."""
    chosen = choose_problems(outcomes)
    queues = {position: _queues(outcomes, position) for position in chosen}
    picks = [pick for of_problem in queues.values() for queue in of_problem for pick in queue]
    excerpts = _read_excerpts(inputs, outcomes, picks)
    return [
        _Candidate(
            outcomes=outcomes,
            position=position,
            reasons=reasons,
            queues=queues[position],
            excerpts=excerpts,
        )
        for position, reasons in chosen.items()
    ]


def _rounds(one: _Candidate, length: int, numbers: dict[str, int]) -> list[Round]:
    """Return the first sample of every method, then the second of each, and so on."""
    return [
        [
            _embedded(one.outcomes, queue[turn], numbers, one.excerpts[queue[turn]][length])
            for queue in one.queues
            if turn < len(queue)
        ]
        for turn in range(max(map(len, one.queues), default=0))
    ]


def _queues(outcomes: Outcomes, position: int) -> list[Queue]:
    """Return the samples of each method on a problem."""
    queues = []
    for runs in outcomes.of_variant.values():
        picks: Queue = []
        flags: list[tuple[bool, bool, bool]] = []
        for run in runs:
            one = outcomes.of_run[run.run]
            columns = one.correct[position], one.truncated[position], one.disagreeing[position]
            flags += zip(*(column.tolist() for column in columns), strict=True)
            picks += [(run.run, position, index) for index in range(len(columns[0]))]
        queues.append([picks[index] for index in in_order_of_use(flags)[:MOST_ROUNDS]])
    return queues


def _read_excerpts(inputs: Inputs, outcomes: Outcomes, picks: list[Pick]) -> dict[Pick, Excerpts]:
    """Read completions, one file after the other; only excerpts stay in memory."""
    of_run: dict[str, list[Pick]] = {}
    for pick in picks:
        of_run.setdefault(pick[0], []).append(pick)
    excerpts = {}
    for run, mine in of_run.items():
        texts, place = read_texts(inputs, outcomes.entry, run), outcomes.of_run[run].place
        for pick in mine:
            excerpts[pick] = _excerpts(texts[int(place[pick[1:]])].as_py())
    return excerpts


def _excerpts(text: str) -> Excerpts:
    """Return a completion at each of the lengths of `EXCERPTS`; where it is short, one text for all."""
    if len(text) <= sum(EXCERPTS[-1]):
        return (visible(excerpt(text)),) * len(EXCERPTS)
    return tuple(visible(excerpt(text, *ends)) for ends in EXCERPTS)


def _embedded(outcomes: Outcomes, pick: Pick, numbers: dict[str, int], completion: str) -> EmbeddedSample:
    run, *at = pick
    one, place = outcomes.of_run[run], tuple(at)
    extracted = one.extracted[place]
    return EmbeddedSample(
        run=numbers[run],
        sample_index=place[1],
        correct=bool(one.correct[place]),
        second=bool(one.second[place]),
        truncated=bool(one.truncated[place]),
        status=one.status[place],
        n_tokens=int(one.n_tokens[place]),
        extracted=None if extracted is None else visible(excerpt(extracted, 100, 100)),
        completion=completion,
    )


def _costs(one: _Candidate, rounds: list[Round]) -> list[int]:
    """Return the bytes of each round in the page, the text of the problem among those of the first."""
    sizes = [len(script_json([sample.packed() for sample in samples])) for samples in rounds]
    if sizes:
        sizes[0] += len(script_json(problem_texts(one.outcomes, one.position)))
    return sizes


def problem_texts(outcomes: Outcomes, position: int) -> dict[str, str]:
    """Return `text` and `answer` of a problem, as visible excerpts."""
    row = outcomes.problems.iloc[position]
    return {"text": visible(excerpt(row["problem"])), "answer": visible(excerpt(row["answer"], 200, 200))}
