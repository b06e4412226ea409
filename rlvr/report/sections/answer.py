"""The answer of the study in one sentence per model, with the numbers of the tables and no others."""

from dataclasses import dataclass

from rlvr.artifacts import OVERALL, FailedRun
from rlvr.config.resolved import BASE
from rlvr.report.charts.intervals import Estimate
from rlvr.report.inputs import Inputs
from rlvr.report.queries import (
    accuracies,
    benchmark_title,
    estimate_of,
    headline_benchmark,
    variant_noun,
    variant_of,
)
from rlvr.report.section import Section
from rlvr.report.text import SPACE, count, listing, p_value, percent, points

SIGNIFICANT = 0.05
ONE_RUN = (
    "interval and p tell these runs apart, not the methods, because another seed gives another run. "
    "In simulations of two equal methods with one run each, they told the two apart in "
    f"30{SPACE}% of the studies where seeds move the accuracy by 1.2{SPACE}points (standard deviation), "
    f"and in 59{SPACE}% at 2.8{SPACE}points; with two to five seeds each, in 4 to 10{SPACE}%."
)
"""Limit of studies with one training seed; the shares are those of `benchmarks/seed_noise.py`."""
NAMED = 3  # up to this many methods are named with their numbers; of more, only the two ends


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One paired difference on the headline benchmark."""

    label: str
    estimate: Estimate
    p_holm: float
    runs: bool

    @property
    def significant(self) -> bool:
        """Whether interval and p, corrected by Holm, tell the two apart; the runs or the methods.

        ``runs``: the difference is one between training runs, of which a side has a single one.
        """
        return self.p_holm < SIGNIFICANT and not self.estimate.low <= 0 <= self.estimate.high

    def __str__(self) -> str:
        """The method with its difference and interval."""
        low, high = points(self.estimate.low, ""), points(self.estimate.high, "")
        return f"{self.label} by {points(self.estimate.value)} (95{SPACE}% interval {low} to {high})"


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelAnswer:
    """The answer for one model."""

    sentence: str
    caveats: list[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """Context of the section."""

    answers: list[ModelAnswer]


def build(inputs: Inputs) -> Answer:
    """Return the answer for every model."""
    models = inputs.study.models
    return Answer(
        answers=[
            ModelAnswer(sentence=answer(inputs, model), caveats=caveats(inputs, model)) for model in models
        ]
    )


def answer(inputs: Inputs, model: str) -> str:
    """Return one sentence: which methods differ from the untrained model and from LoRA, and by how much."""
    benchmark = headline_benchmark(inputs)
    gains = _differences(inputs, model, BASE, benchmark)
    untrained = accuracies(inputs).get((inputs.untrained(model), benchmark))
    if not gains or untrained is None:
        return f"No method has been compared with the untrained {model} yet."
    title = OVERALL if benchmark == OVERALL else benchmark_title(inputs, benchmark)
    where = f"the untrained model ({model}: {percent(untrained.estimate.value)}, {title} {untrained.metric})"
    better = [gain for gain in gains if gain.significant and gain.estimate.value > 0]
    worse = [gain for gain in gains if gain.significant and gain.estimate.value < 0]
    noun = "training run" if _only_runs(gains) else f"trained {variant_noun(inputs, model)}"
    sentence = f"{_beat(len(better), len(gains), noun)} {where}" + _named(better)
    if worse:
        sentence += f"; {len(worse)} {'is' if len(worse) == 1 else 'are'} below it" + _named(worse)
    return sentence + _against_lora(_differences(inputs, model, "lora", benchmark)) + "."


def caveats(inputs: Inputs, model: str) -> list[str]:
    """Return what limits the answer: too few training seeds, and what has not been run."""
    trained = inputs.trained_of(model)
    measured = accuracies(inputs)
    benchmark = headline_benchmark(inputs)
    missing = [inputs.label(variant) for variant in trained if (variant, benchmark) not in measured]
    seeds = [
        measured[variant, benchmark].train_seeds for variant in trained if (variant, benchmark) in measured
    ]
    sentences = []
    if seeds and min(seeds) == 1:
        noun = variant_noun(inputs, model)
        who = f"Each {noun} was" if max(seeds) == 1 else f"Some {noun}s were"
        sentences.append(f"{who} trained with 1 training seed: {ONE_RUN}")
    failed = {label for label, _ in failures(inputs, model)}
    missing = [label for label in missing if label not in failed]
    if missing:
        sentences.append(f"Not run: {listing(missing)}.")
    sentences += [sentence for _, sentence in failures(inputs, model)]
    return sentences


def failures(inputs: Inputs, model: str) -> list[tuple[str, str]]:
    """Return the label of every variant of which runs failed, and a sentence on them."""
    found = []
    for variant in inputs.trained_of(model):
        runs = [inputs.failed[run.run] for run in inputs.study.runs_of(variant) if run.run in inputs.failed]
        if not runs:
            continue
        label, planned = inputs.label(variant), inputs.planned_seeds[variant]
        how = listing(list(dict.fromkeys(_ended(record) for record in runs)))
        rest = "it has no numbers" if len(runs) == planned else "its numbers are of the others"
        of = f"{len(runs)} of {count(planned, 'training seed')} of {label}" if planned > 1 else label
        found.append((label, f"Failed: {of} ({how}); {rest}."))
    return found


def _ended(record: FailedRun) -> str:
    steps = f"{record.failure.steps} of {count(record.run_info.config.training.steps, 'step')}"
    return f"{record.run_info.status} after {steps}"


def _differences(inputs: Inputs, model: str, baseline: str, benchmark: str) -> list[Difference]:
    """Return the differences from one baseline, the smallest first."""
    frame = inputs.comparisons
    here = frame[
        (frame["model"] == model)
        & (frame["method"] != baseline)  # not the settings of the baseline's own method
        & (frame["baseline"] == baseline)
        & (frame["benchmark"] == benchmark)
    ]
    differences = [
        Difference(
            label=inputs.label(variant_of(row)),
            estimate=estimate_of(row, "difference"),
            p_holm=row["p_holm"],
            runs=row["compares"] == "runs",
        )
        for row in here.to_dict("records")
    ]
    return sorted(differences, key=lambda difference: difference.estimate.value)


def _beat(some: int, of: int, noun: str) -> str:
    if of == 1:
        return f"The only {noun} " + ("beats" if some else "is not shown to beat")
    if some == of:
        return f"All {of} {noun}s beat"
    if some == 0:
        return f"None of the {of} {noun}s is shown to beat"
    return f"{some} of the {of} {noun}s beat{'s' if some == 1 else ''}"


def _named(differences: list[Difference]) -> str:
    if not differences:
        return ""
    if len(differences) <= NAMED:
        return f": {listing([str(difference) for difference in differences])}"
    return f", from {differences[0]} to {differences[-1]}"


def _against_lora(differences: list[Difference]) -> str:
    if not differences:
        return ""
    significant = [difference for difference in differences if difference.significant]
    lora = "the run of lora" if _only_runs(differences) else "lora"
    if significant:
        verb = "differs" if len(significant) == 1 else "differ"
        return f"; {len(significant)} of {len(differences)} {verb} from {lora}{_named(significant)}"
    smallest = min(difference.p_holm for difference in differences)
    why = f"smallest Holm p = {p_value(smallest).replace('<', 'below ')}"
    if smallest < SIGNIFICANT:
        why += ", but its interval includes 0"
    return f"; none differs significantly from {lora} ({why})"


def _only_runs(differences: list[Difference]) -> bool:
    """Tell whether every difference is one between training runs."""
    return all(difference.runs for difference in differences)


SECTION = Section(part="verdict", order=10, id="answer", title="", template="answer.html", build=build)
