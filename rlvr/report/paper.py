"""What the paper and others measured, beside the numbers of a study: differences of two methods."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from rlvr.artifacts import OVERALL, ClaimRecord
from rlvr.config.claims import PAPER
from rlvr.report.inputs import Inputs

HYPOTHESIS_WORDS = {"replicated": "holds", "not_replicated": "does not hold"}
"""Verdict on a claim of our own -> words."""
MAIN = "main"  # the paper's own setting; the others are its ablations


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """Accuracies of one source, as fractions, by method: means over its benchmarks."""

    source: str
    accuracies: Mapping[str, float]

    def difference(self, method: str, baseline: str) -> float | None:
        """Return the difference of two methods; None where one of them is not known."""
        if method not in self.accuracies or baseline not in self.accuracies:
            return None
        return self.accuracies[method] - self.accuracies[baseline]


def claim_words(record: ClaimRecord) -> str:
    """Return the verdict on a claim; with one training seed only which side the points are for."""
    if record.verdict == "inconclusive" and record.train_seeds == 1:
        return f"points {record.points}, 1 seed"
    if record.source != PAPER and record.verdict in HYPOTHESIS_WORDS:
        return HYPOTHESIS_WORDS[record.verdict]
    return record.verdict.replace("_", " ")


def paper_models(inputs: Inputs) -> list[str]:
    """Return the models of the paper's numbers, the one with the most numbers first."""
    counts = Counter(record.paper.model for record in inputs.claims if record.paper and record.paper.model)
    return [model for model, _ in counts.most_common()]


def paper_numbers(inputs: Inputs, model: str) -> Published:
    """Return the overall accuracies of the paper: those of the same model, or of its main one."""
    models = paper_models(inputs)
    chosen = model if model in models else next(iter(models), "")
    found: dict[str, float] = {}
    for record in inputs.claims:
        pair, paper = record.contrast, record.paper
        if pair is None or paper is None or paper.model != chosen or pair.benchmark != OVERALL:
            continue
        for method, setting, number in (
            (pair.method, pair.setting, paper.method),
            (pair.baseline, pair.baseline_setting, paper.baseline),
        ):
            if setting == MAIN:
                found.setdefault(method, number.value)
    return Published(source=chosen, accuracies=found)


def related_numbers(inputs: Inputs) -> list[Published]:
    """Return what others measured, of the sources whose numbers are known one by one."""
    found = {one.source: one.accuracies for record in inputs.claims for one in record.related}
    return [
        Published(source=source, accuracies={name: fmean(some) / 100 for name, some in accuracies.items()})
        for source, accuracies in found.items()
        if accuracies
    ]
