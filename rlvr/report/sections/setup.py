"""What was run: models, methods, settings, seeds and benchmarks."""

from dataclasses import dataclass

from rlvr.artifacts import ContaminationRow
from rlvr.config.resolved import BASE, BenchmarkEntry
from rlvr.report.inputs import Inputs
from rlvr.report.queries import about_method, accuracies, faults_of
from rlvr.report.section import Section
from rlvr.report.text import listing


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkRow:
    """One benchmark; ``n_problems`` is None where no method has been run on it."""

    entry: BenchmarkEntry
    n_problems: int | None
    contamination: ContaminationRow | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Setup:
    """Context of the section.

    Attributes:
        methods: names, with where each is from and what it trains.
        settings: names; a setting of some methods only names them.
        steps: training steps of the finished runs, each number once.
        faults: label of a variant, and the faults of the released code that it reproduces.
        misnamed: whether a run trained another method than the one it is named after.
        contamination: whether contamination has been counted.
    """

    untrained: str
    methods: dict[str, str]
    presets: list[str]
    settings: list[str]
    steps: list[int]
    seeds: list[int]
    faults: list[tuple[str, str]]
    misnamed: bool
    benchmarks: list[BenchmarkRow]
    contamination: bool


def build(inputs: Inputs) -> Setup:
    """Gather what was run."""
    faults = [(inputs.label(variant), faults_of(inputs, variant)) for variant in inputs.variants]
    problems = {benchmark: cell.n_problems for (_, benchmark), cell in accuracies(inputs).items()}
    return Setup(
        untrained=BASE,
        methods={variant.method: about_method(variant.method) for variant in inputs.trained},
        presets=list(dict.fromkeys(variant.preset for variant in inputs.trained)),
        settings=_settings(inputs),
        steps=sorted({record.train_info.steps for record in inputs.records.values()}),
        seeds=sorted({run.train_seed for run in inputs.study.runs if run.train_seed is not None}),
        faults=[(label, words) for label, words in faults if words],
        misnamed=any(run.trains_as for run in inputs.study.runs),
        benchmarks=[
            BenchmarkRow(
                entry=entry,
                n_problems=problems.get(entry.benchmark),
                contamination=inputs.contamination.get(entry.dataset),
            )
            for entry in inputs.study.benchmarks
        ],
        contamination=bool(inputs.contamination),
    )


def _settings(inputs: Inputs) -> list[str]:
    methods: dict[str, dict[str, None]] = {}
    for variant in inputs.study.variants:
        if variant.method != BASE:
            methods.setdefault(variant.setting, {})[variant.method] = None
    everything = {variant.method for variant in inputs.trained}
    return [
        setting if len(some) == len(everything) else f"{setting} ({listing(list(some))} only)"
        for setting, some in methods.items()
    ]


SECTION = Section(
    part="methods", order=25, id="setup", title="What was run", template="setup.html", build=build
)
