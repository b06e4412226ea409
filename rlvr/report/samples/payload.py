"""What the script of the page needs of the samples: the counts of all problems, and the chosen samples."""

from typing import Any

from rlvr.config.resolved import BASE
from rlvr.report.inputs import Inputs
from rlvr.report.samples.choice import REASONS
from rlvr.report.samples.chosen import STATUSES, ChosenProblem, ChosenSamples, problem_texts
from rlvr.report.samples.command import shell_word
from rlvr.report.samples.maps import ProblemMap
from rlvr.report.samples.outcomes import Outcomes
from rlvr.report.text import visible


def as_data(
    inputs: Inputs, benchmarks: list[Outcomes], maps: list[ProblemMap], chosen: ChosenSamples
) -> dict[str, Any]:
    """Return what the script reads; all texts are visible ones, to be shown as they are."""
    place = {outcomes.entry.benchmark: index for index, outcomes in enumerate(benchmarks)}
    number = {variant: index for index, variant in enumerate(inputs.variants)}
    return {
        "command": f"rlvr show --study {shell_word(inputs.study.study)}",
        "statuses": STATUSES,
        "reasons": {name: reason.label for name, reason in REASONS.items()},
        "methods": [
            {
                "key": inputs.key(variant),
                "label": visible(inputs.label(variant)),
                "model": variant.model,
                "base": variant.method == BASE,
            }
            for variant in inputs.variants
        ],
        "runs": [
            {
                "word": shell_word(run.run),
                "seed": BASE if run.train_seed is None else f"s{run.train_seed}",
                "method": number[run.variant],
            }
            for run in inputs.study.runs
        ],
        "benchmarks": [_benchmark(inputs, outcomes) for outcomes in benchmarks],
        "maps": [
            {
                "benchmark": place[one.outcomes.entry.benchmark],
                "methods": [number[variant] for variant in one.variants],
                "problems": one.problems,
            }
            for one in maps
        ],
        "chosen": [_problem(one, place) for one in chosen.problems],
    }


def _benchmark(inputs: Inputs, outcomes: Outcomes) -> dict[str, Any]:
    ids = list(outcomes.problems["id"])
    words = {index: shell_word(one) for index, one in enumerate(ids) if shell_word(one) != one}
    graded = {run.run for run in outcomes.runs}
    return {
        "name": outcomes.entry.benchmark,
        "title": visible(outcomes.entry.title),
        "k": outcomes.entry.samples_per_problem,
        "ids": [visible(one) for one in ids],
        "words": words,
        "contaminated": outcomes.contaminated.nonzero()[0].tolist(),
        "counts": [
            outcomes.counts(run.run).tolist() if run.run in graded else None for run in inputs.study.runs
        ],
    }


def _problem(chosen: ChosenProblem, place: dict[str, int]) -> dict[str, Any]:
    return {
        "benchmark": place[chosen.outcomes.entry.benchmark],
        "problem": chosen.position,
        "reasons": chosen.reasons,
        **problem_texts(chosen.outcomes, chosen.position),
        "samples": [sample.packed() for one in chosen.rounds for sample in one],
    }
