"""The answer of the study in one sentence a model, said with the numbers of the tables and no others."""

from dataclasses import dataclass

from rlvr.config.resolved import BASE, Variant
from rlvr.report.charts.intervals import Estimate
from rlvr.report.inputs import Inputs
from rlvr.report.tables import accuracies, headline_benchmark
from rlvr.report.text import SPACE, listing, p_value, percent, points

SIGNIFICANT = 0.05
NAMED = 3  # so many methods are named with their numbers; of more, only the two ends


@dataclass(frozen=True)
class Difference:
    """One paired difference on the headline benchmark."""

    label: str
    estimate: Estimate
    p_holm: float

    @property
    def significant(self) -> bool:
        """Whether it is told apart from zero: for these trained models by p, for the method by the interval.

        p is corrected by Holm, and asks about the runs at hand; with several training seeds the interval
        asks about others too.
        """
        return self.p_holm < SIGNIFICANT and not self.estimate.low <= 0 <= self.estimate.high

    def __str__(self) -> str:
        """The method with its difference and interval."""
        return f"{self.label} by {_size(self.estimate)}"


def answer(inputs: Inputs, model: str) -> str:
    """Return one sentence: which methods differ from the untrained model and from LoRA, and by how much."""
    benchmark = headline_benchmark(inputs)
    gains = _differences(inputs, model, BASE, benchmark)
    untrained = accuracies(inputs).get((Variant(model, BASE, "-", "-"), benchmark))
    if not gains or untrained is None:
        return f"No method has been compared with the untrained {model} yet."
    where = (
        f"the untrained model ({model}: {percent(untrained.estimate.value)}, {benchmark} {untrained.metric})"
    )
    better = sorted((gain for gain in gains if gain.significant and gain.estimate.value > 0), key=_value)
    worse = sorted((gain for gain in gains if gain.significant and gain.estimate.value < 0), key=_value)
    sentence = f"{_beat(len(better), len(gains))} {where}" + _named(better)
    if worse:
        sentence += f"; {len(worse)} fall{'s' if len(worse) == 1 else ''} below it" + _named(worse)
    return sentence + _against_lora(_differences(inputs, model, "lora", benchmark)) + "."


def caveats(inputs: Inputs, model: str) -> list[str]:
    """Return what a reader of the answer has to know: seeds, and what has not been run."""
    trained = [
        variant for variant in inputs.study.variants if variant.model == model and variant.method != BASE
    ]
    measured = accuracies(inputs)
    benchmark = headline_benchmark(inputs)
    missing = [inputs.label(variant) for variant in trained if (variant, benchmark) not in measured]
    cells = [measured[variant, benchmark] for variant in trained if (variant, benchmark) in measured]
    sentences = []
    if cells and min(cell.train_seeds for cell in cells) == 1:
        who = "Each method was" if max(cell.train_seeds for cell in cells) == 1 else "Some methods were"
        sentences.append(
            f"{who} trained with 1 training seed: the intervals cover the choice of problems and samples, "
            "not the luck of the training run."
        )
    if missing:
        sentences.append(f"Not run: {listing(missing)}.")
    return sentences


def _differences(inputs: Inputs, model: str, baseline: str, benchmark: str) -> list[Difference]:
    frame = inputs.comparisons
    here = frame[
        (frame["model"] == model) & (frame["baseline"] == baseline) & (frame["benchmark"] == benchmark)
    ]
    return [
        Difference(
            inputs.label(Variant(row["model"], row["method"], row["preset"], row["setting"])),
            Estimate(row["difference"], row["ci_low"], row["ci_high"]),
            row["p_holm"],
        )
        for row in here.to_dict("records")
    ]


def _beat(some: int, of: int) -> str:
    if of == 1:
        return "The one trained method " + ("beats" if some else "is not shown to beat")
    if some == of:
        return f"All {of} trained methods beat"
    if some == 0:
        return f"None of the {of} trained methods is shown to beat"
    return f"{some} of the {of} trained methods beat{'s' if some == 1 else ''}"


def _named(differences: list[Difference]) -> str:
    if not differences:
        return ""
    if len(differences) <= NAMED:
        return f": {listing([str(difference) for difference in differences])}"
    first, last = differences[0], differences[-1]
    return f", from {first} to {last}"


def _against_lora(differences: list[Difference]) -> str:
    if not differences:
        return ""
    apart = sorted((difference for difference in differences if difference.significant), key=_value)
    if apart:
        verb = "differs" if len(apart) == 1 else "differ"
        return f"; {len(apart)} of {len(differences)} {verb} from lora{_named(apart)}"
    smallest = min(difference.p_holm for difference in differences)
    why = f"smallest Holm p = {p_value(smallest).replace('<', 'below ')}"
    if smallest < SIGNIFICANT:
        why += ", but other training seeds might show no difference"
    return f"; none can be told apart from lora ({why})"


def _value(difference: Difference) -> float:
    return difference.estimate.value


def _size(estimate: Estimate) -> str:
    low, high = points(estimate.low, ""), points(estimate.high, "")
    return f"{points(estimate.value)} (95{SPACE}% interval {low} to {high})"
