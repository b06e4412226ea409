"""Problem x method maps, and a browser of the samples that are worth reading."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from rlvr.report.charts.problem_map import problem_map
from rlvr.report.inputs import Inputs
from rlvr.report.samples.choice import LIMIT_BYTES, REASONS
from rlvr.report.samples.chosen import ChosenProblem, EmbeddedSample, choose_samples, problem_texts
from rlvr.report.samples.command import show_command
from rlvr.report.samples.maps import ProblemMap, problem_maps
from rlvr.report.samples.outcomes import Outcomes, read_outcomes
from rlvr.report.samples.payload import as_data
from rlvr.report.section import Section
from rlvr.report.text import listing, percent, visible

ALL = {"": "all"}
FILTERS = {
    "correct": "correct",
    "incorrect": "incorrect",
    "truncated": "truncated",
    "no-answer": "without an answer",
    "methods-disagree": "of problems on which methods disagree",
    "lost": "incorrect, the untrained model mostly correct",
    "graders-disagree": "on which the graders disagree",
}
"""Filters of samples, as the script knows them -> what passes."""
FOLDED = 2
"""Problems of each benchmark that are shown where scripts do not run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MapView:
    """One map; ``title`` names the benchmark, and the model where the study has several."""

    title: str
    figure: Markup
    contaminated: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldedProblem:
    """One problem with the first sample of every method."""

    title: str
    problem: str
    answer: str
    samples: list[tuple[str, EmbeddedSample]]
    command: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Samples:
    """Context of the section.

    Attributes:
        maps: one for each benchmark and model.
        reasons: how problems are chosen.
        n_problems: number of chosen problems.
        n_samples: number of their samples on the page.
        limit: of what is chosen, in bytes.
        ends: characters of both ends of a completion that is shortened.
        second_graders: what gave the second verdicts.
        folded: what is shown where scripts do not run.
        command: how all other samples are shown.
        benchmarks: options of a filter, name in links -> title; so are ``methods`` and ``filters``.
        data: for the script.
    """

    maps: list[MapView]
    reasons: str
    n_problems: int
    n_samples: int
    limit: int
    ends: tuple[int, int]
    second_graders: str
    folded: list[FoldedProblem]
    command: str
    benchmarks: dict[str, str]
    methods: dict[str, str]
    filters: dict[str, str]
    data: dict[str, Any]


def build(inputs: Inputs) -> Samples:
    """Return the maps of all benchmarks, and the chosen samples.

    Raises:
        UserError: a file of problems, samples or grades is damaged, or the problems are missing.
    """
    benchmarks = list(read_outcomes(inputs))
    maps = problem_maps(inputs, benchmarks)
    chosen = choose_samples(inputs, benchmarks)
    data = as_data(inputs, benchmarks, maps, chosen)
    return Samples(
        maps=[_map_view(inputs, one) for one in maps],
        reasons=listing([reason.sentence.format(reason.count) for reason in REASONS.values()]),
        n_problems=len(chosen.problems),
        n_samples=chosen.n_samples,
        limit=LIMIT_BYTES,
        ends=chosen.ends,
        second_graders=_second_graders(benchmarks),
        folded=[_folded(inputs, one) for outcomes in benchmarks for one in _few(chosen.problems, outcomes)],
        command=show_command(inputs.study.study, "RUN", "BENCHMARK", "PROBLEM"),
        benchmarks=ALL | {one["name"]: one["title"] for one in data["benchmarks"]},
        methods=ALL
        | {
            one["key"]: one["label"] + (f", {one['model']}" if inputs.several_models else "")
            for one in data["methods"]
        },
        filters=ALL | FILTERS,
        data=data,
    )


def _second_graders(benchmarks: list[Outcomes]) -> str:
    """Return what gave the second verdicts, and for how many runs and benchmarks where it differs."""
    own = "the study’s own, with answers outside the requested format accepted"
    used = Counter(one.second_grader or own for outcomes in benchmarks for one in outcomes.of_run.values())
    if len(used) < 2:
        return visible("".join(used))
    parts = [f"{visible(name)} for {count}" for name, count in used.items()]
    return f"{listing(parts)} of the {used.total()} files of samples"


def _map_view(inputs: Inputs, one: ProblemMap) -> MapView:
    entry = one.outcomes.entry
    title = visible(entry.title) + (f", {one.model}" if inputs.several_models else "")
    marked = one.outcomes.contaminated[one.problems]
    means = [
        f"{inputs.label(variant)} {percent(float(one.shares[variant].mean()))}"
        for variant in one.variants
        if variant in one.shares
    ]
    return MapView(
        title=title,
        figure=problem_map(
            f"Problems of {title} and methods",
            f"Share of correct samples of {len(one.problems)} problems. Means: {listing(means)}.",
            [visible(inputs.label(variant)) for variant in one.variants],
            [
                one.shares[variant][one.problems] if variant in one.shares else None
                for variant in one.variants
            ],
            marked,
        ),
        contaminated=bool(marked.any()),
    )


def _few(chosen: list[ChosenProblem], outcomes: Outcomes) -> list[ChosenProblem]:
    """Return the first problem of a benchmark, and then those on which the methods differ most."""
    mine = [one for one in chosen if one.outcomes is outcomes and one.rounds]
    return sorted(mine, key=lambda one: ("first" not in one.reasons, one.position))[:FOLDED]


def _folded(inputs: Inputs, one: ChosenProblem) -> FoldedProblem:
    row = one.outcomes.problems.iloc[one.position]
    runs = inputs.study.runs
    first, texts = one.rounds[0], problem_texts(one.outcomes, one.position)
    entry = one.outcomes.entry
    run = runs[first[0].run].run
    return FoldedProblem(
        title=f"{visible(entry.title)}, problem {visible(row['id'])}",
        problem=texts["text"],
        answer=texts["answer"],
        samples=[(visible(inputs.label(runs[sample.run].variant)), sample) for sample in first],
        command=show_command(inputs.study.study, run, entry.benchmark, row["id"]),
    )


SECTION = Section(part="samples", order=20, id="samples", title="", template="samples.html", build=build)
