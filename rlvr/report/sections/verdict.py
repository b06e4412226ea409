"""The first screen: what was asked, what leads, how sure that is, what it says of the paper, what it took."""

from collections import Counter
from dataclasses import dataclass
from statistics import median

from markupsafe import Markup

from rlvr.artifacts import ClaimRecord, FailedRun
from rlvr.config.claims import PAPER
from rlvr.config.overview import ALGORITHMS
from rlvr.config.resolved import BASE, BenchmarkEntry, Variant
from rlvr.report.charts.forest import ForestRow, ranking_forest
from rlvr.report.confidence import Confidence, confidence
from rlvr.report.effects import Effects, effects
from rlvr.report.inputs import Inputs
from rlvr.report.leading import Leading, leading
from rlvr.report.paper import HYPOTHESIS_WORDS, claim_words, paper_models
from rlvr.report.queries import about_method, accuracies, benchmark_title, headline_benchmark
from rlvr.report.ranking import Ranking, ranking
from rlvr.report.section import Section
from rlvr.report.seeds import seed_accuracies
from rlvr.report.text import SPACE, compact, count, listing, percent

FEW = 2  # benchmarks that have a column of their own beside the ranking


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelVerdict:
    """The first screen of one model; without a ranking nothing has been compared.

    Attributes:
        seeds: whether the figure has a tick per training seed.
        reference: what the differences of the figure are from.
        paper: model of the paper's differences; empty where the figure has none.
        others: sources of the other differences in the figure.
        effects: of the differences of the released code, in a study of the audit; they take the place of
            the forest.
    """

    model: str
    leading: Leading | None
    confidence: Confidence | None
    forest: Markup | None
    seeds: bool
    effects: Effects | None
    reference: str
    paper: str
    others: list[str]
    cost: str
    missing: str
    failed: list[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Context of the section.

    Attributes:
        claims: verdict -> number of claims.
        untested: the studies that the claims of the paper are about, where this one tests none of them.
        hypotheses: as ``claims``, those of our own.
    """

    lede: str
    caution: str
    models: list[ModelVerdict]
    claims: dict[str, int]
    untested: list[str]
    hypotheses: dict[str, int]


def build(inputs: Inputs) -> Verdict:
    """Return the first screen of every model."""
    return Verdict(
        lede=lede(inputs),
        caution=caution(inputs),
        models=[_of_model(inputs, model) for model in inputs.study.models],
        claims=claim_counts(inputs.claims),
        untested=_untested(inputs.claims),
        hypotheses=claim_counts(inputs.hypotheses),
    )


def question(inputs: Inputs) -> str:
    """Return the question that the study asks, from what it varies."""
    if not inputs.audit.empty:
        return "What does each difference of the released code change?"
    trained = inputs.trained
    methods = list(dict.fromkeys(variant.method for variant in trained))
    if len(methods) > 1:
        return "Which parameter-efficient method should one train with under RLVR?"
    name = methods[0] if methods else "training"
    if len({variant.setting for variant in trained}) > 1:
        return f"Which setting of {name} should one train with under RLVR?"
    if len({variant.preset for variant in trained}) > 1:
        return f"Which preset of {name} should one train with under RLVR?"
    return f"Does {name} improve the model under RLVR?"


def lede(inputs: Inputs) -> str:
    """Return what was run, in a sentence."""
    records = list(inputs.ended.values())
    algorithms = dict.fromkeys(ALGORITHMS[one.run_info.config.training.algorithm] for one in records)
    sizes = {record.run_info.model: record.train_info.total_parameters for record in inputs.records.values()}
    models = [
        f"{model} ({compact(sizes[model])}{SPACE}parameters)" if model in sizes else model
        for model in inputs.study.models
    ]
    seeds = len({run.train_seed for run in inputs.study.runs} - {None})
    times = {0: "", 1: "once per method", 2: "twice per method"}.get(seeds, f"{seeds} times per method")
    by = f" with {listing(list(algorithms))}" if algorithms else ""
    trained = f"{listing(models)}, trained{by} on {inputs.study.train_dataset} {times}"
    return f"{trained}; evaluated on {_problems(inputs)}."


def _problems(inputs: Inputs) -> str:
    samples = {entry.samples_per_problem for entry in inputs.study.benchmarks}
    asked = _sizes(inputs, inputs.study.averaged, each=len(samples) > 1)
    if inputs.study.forgetting:
        asked += f", forgetting on {_sizes(inputs, inputs.study.forgetting, each=len(samples) > 1)}"
    return asked + (f", {count(min(samples), 'sample')} each" if len(samples) == 1 else "")


def _sizes(inputs: Inputs, entries: list[BenchmarkEntry], each: bool) -> str:
    problems = {benchmark: cell.n_problems for (_, benchmark), cell in accuracies(inputs).items()}
    sizes = []
    for entry in entries:
        size = count(problems[entry.benchmark], "problem") if entry.benchmark in problems else "not run"
        sizes.append(f"{entry.title} ({size}{f' × {entry.samples_per_problem}' if each else ''})")
    return listing(sizes)


def caution(inputs: Inputs) -> str:
    """Return how far the study is from the paper."""
    if inputs.pretraining:
        return "It tests the pipeline, not the paper."
    known = paper_models(inputs)
    if known and not set(known) & set(inputs.study.models):
        return "The model is not the paper’s: compare signs, not sizes."
    return f"At the scale {inputs.study.scale}." if inputs.study.scale else ""


def claim_counts(records: list[ClaimRecord]) -> dict[str, int]:
    """Return verdict -> number of claims; one training seed gives points for or against, not a verdict."""
    counts = Counter(claim_words(record) for record in records)
    ours = any(record.source != PAPER for record in records)
    first = HYPOTHESIS_WORDS.values() if ours else ("replicated", "not replicated")
    last = ("inconclusive", "not tested")
    between = [words for words in counts if words not in (*first, *last)]
    shown = [*first, *between, *(words for words in last if counts[words])]
    return {words: counts[words] for words in shown} if records else {}


def _untested(records: list[ClaimRecord]) -> list[str]:
    if any(record.verdict != "not_tested" for record in records):
        return []
    return list(dict.fromkeys(record.study for record in records))


def _of_model(inputs: Inputs, model: str) -> ModelVerdict:
    order = ranking(inputs, model)
    compared = order is not None and any(row.against for row in order.rows)
    others = {source for row in order.rows if row.against for source in row.others} if order else set()
    seeds = seed_accuracies(inputs, model)
    return ModelVerdict(
        model=model,
        leading=leading(inputs, model, order) if order else None,
        confidence=confidence(inputs, model, order) if order else None,
        forest=_forest(inputs, model, order, seeds) if order and compared else None,
        effects=effects(inputs, model),
        seeds=bool(seeds),
        reference=order.reference if order else "",
        paper=order.paper.source if order and any(row.paper for row in order.rows) else "",
        others=sorted(others),
        cost=_cost(inputs, model),
        missing=_missing(inputs, model),
        failed=_failed(inputs, model),
    )


def _forest(inputs: Inputs, model: str, order: Ranking, seeds: dict[Variant, list[float]]) -> Markup:
    measured = accuracies(inputs)
    benchmarks = [entry.benchmark for entry in [*inputs.study.averaged, *inputs.study.forgetting]]
    if len(benchmarks) > FEW:
        benchmarks = [headline_benchmark(inputs)]
    heads = [benchmark_title(inputs, name) for name in benchmarks]
    detectable = [row.against.detectable for row in order.rows if row.against]

    def numbers(variant: Variant) -> list[str]:
        cells = [measured.get((variant, name)) for name in benchmarks]
        return [percent(cell.estimate.value, "") if cell else "–" for cell in cells]

    rows = [
        ForestRow(
            key=inputs.key(row.variant),
            label=inputs.label(row.variant),
            difference=row.against.estimate if row.against else None,
            told_apart=bool(row.against and row.against.told_apart),
            paper=row.paper,
            others=list(row.others.values()) if row.against else [],
            numbers=numbers(row.variant),
            about=about_method(row.variant.method),
            seeds=[value - order.zero for value in seeds.get(row.variant, [])],
        )
        for row in order.rows
    ]
    rows = _with_untrained(inputs, model, order, rows, numbers(inputs.untrained(model)))
    name = "the untrained model" if order.reference == BASE else order.reference
    metric = benchmark_title(inputs, headline_benchmark(inputs)).lower()
    return ranking_forest(rows, _short(heads), median(detectable), f"points against {name}, {metric}")


def _with_untrained(
    inputs: Inputs, model: str, order: Ranking, rows: list[ForestRow], numbers: list[str]
) -> list[ForestRow]:
    """Return the rows with the untrained model at its place: LoRA's gain, seen from LoRA."""
    gain = next((gain for variant, gain in order.gains.items() if variant.method == order.reference), None)
    if order.untrained is None or (gain is None and order.reference != BASE):
        return rows
    untrained, accuracy = inputs.untrained(model), order.untrained.value
    row = ForestRow(
        key=inputs.key(untrained),
        label=inputs.label(untrained),
        difference=gain.estimate.turned if gain else None,
        told_apart=bool(gain and gain.told_apart),
        paper=None,
        others=[],
        numbers=numbers,
        outside=True,
    )
    place = sum(ranked.accuracy.value >= accuracy for ranked in order.rows)
    return [*rows[:place], row, *rows[place:]]


def _short(heads: list[str]) -> list[str]:
    """Return titles without the words that all of them begin with."""
    words = [head.split() for head in heads]
    while len(words) > 1 and all(len(one) > 1 for one in words) and len({one[0] for one in words}) == 1:
        words = [one[1:] for one in words]
    return [" ".join(one) for one in words]


def _cost(inputs: Inputs, model: str) -> str:
    """Return the runs of a model with what they took."""
    planned = [run.run for run in inputs.study.runs if run.model == model and run.method != BASE]
    records = [inputs.ended[run] for run in planned if run in inputs.ended]
    failed = sum(isinstance(record, FailedRun) for record in records)
    parts = [f"{count(len(planned), 'run')}, {failed} failed"]
    if missing := len(planned) - len(records):
        parts.append(f"{missing} not run")
    if records:
        minutes = sum(record.run_info.device_seconds for record in records) / 60
        parts.append(f"{minutes:,.0f}{SPACE}device-minutes")
    peaks = [inputs.records[run].train_info.peak_memory_bytes for run in planned if run in inputs.records]
    parts += [f"{max(peaks) / 1e9:.1f}{SPACE}GB peak"] if peaks else []
    devices = dict.fromkeys(
        machine.accelerator or f"{machine.cpu_count}{SPACE}CPU cores"
        for machine in (record.meta_info.hardware for record in records)
    )
    commits = dict.fromkeys((record.meta_info.git_commit or "unknown")[:7] for record in records)
    if len(commits) == 1:
        parts.append(f"commit {next(iter(commits))}")
    elif commits:
        parts.append(f"{len(commits)} commits")
    return " · ".join([*parts[:-1], *devices, *parts[-1:]])


def _missing(inputs: Inputs, model: str) -> str:
    """Return the variants of which no run has ended, in words; usually none."""
    missing = [
        inputs.label(variant)
        for variant in inputs.trained_of(model)
        if not any(run.run in inputs.ended for run in inputs.study.runs_of(variant))
    ]
    return listing(missing)


def _failed(inputs: Inputs, model: str) -> list[str]:
    """Return a line for every failed run: its name, when and why."""
    return [
        f"{inputs.label(run.variant)}, seed {run.train_seed}: {record.run_info.status} after "
        f"{record.failure.steps} of {record.run_info.config.training.steps} steps"
        for run in inputs.study.runs
        if run.model == model and isinstance(record := inputs.ended.get(run.run), FailedRun)
    ]


SECTION = Section(part="verdict", order=10, id="verdict", title="", template="verdict.html", build=build)
