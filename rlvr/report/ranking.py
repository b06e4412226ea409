"""The order of the methods of one model, with what can and what cannot be told apart."""

from dataclasses import dataclass

import pandas as pd

from rlvr.config.resolved import BASE, Variant
from rlvr.report.charts.intervals import Estimate
from rlvr.report.inputs import Inputs
from rlvr.report.paper import Published, paper_numbers, related_numbers
from rlvr.report.queries import accuracies, estimate_of, headline_benchmark, told_apart, variant_of

LORA = "lora"


@dataclass(frozen=True, kw_only=True, slots=True)
class Against:
    """A paired difference on the headline benchmark; ``p`` is corrected for the comparisons of its family."""

    estimate: Estimate
    p: float
    detectable: float
    runs: bool

    @property
    def told_apart(self) -> bool:
        """Whether p and interval both tell the two apart; the runs, or the methods."""
        return told_apart(self.estimate, self.p)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranked:
    """One trained variant.

    Attributes:
        accuracy: on the headline benchmark.
        against: its difference from the reference; None for the reference itself, and where they were not
            compared.
        behind: its difference from the leader; None for the leader.
        paper: what the paper reports for the same difference from the reference.
        others: the same of others, by source.
    """

    variant: Variant
    accuracy: Estimate
    against: Against | None
    behind: Against | None
    paper: float | None
    others: dict[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranking:
    """The variants of one model, the best first.

    Attributes:
        reference: the method that differences are from: LoRA, or the untrained model where the study has
            several variants of LoRA or none.
        untrained: accuracy of the untrained model; None where the study has not measured it.
        gains: the differences from it.
    """

    reference: str
    rows: list[Ranked]
    untrained: Estimate | None
    gains: dict[Variant, Against]
    paper: Published

    @property
    def zero(self) -> float:
        """The accuracy that differences are from."""
        found = [row.accuracy for row in self.rows if row.variant.method == self.reference]
        found += [self.untrained] if self.untrained else []
        return found[0].value

    @property
    def leader(self) -> Ranked:
        """The variant with the highest accuracy; its lead may be luck."""
        return self.rows[0]

    @property
    def tied(self) -> list[Ranked]:
        """Those that are not told apart from the leader."""
        return [row for row in self.rows[1:] if row.behind and not row.behind.told_apart]

    @property
    def trailing(self) -> list[Ranked]:
        """Those that are behind the leader."""
        return [row for row in self.rows[1:] if row.behind and row.behind.told_apart]


def ranking(inputs: Inputs, model: str) -> Ranking | None:
    """Return the ranking of one model; None where nothing has been trained and evaluated."""
    benchmark, measured = headline_benchmark(inputs), accuracies(inputs)
    trained = [variant for variant in inputs.trained_of(model) if (variant, benchmark) in measured]
    if not trained:
        return None
    loras = [variant for variant in inputs.trained_of(model) if variant.method == LORA]
    reference = LORA if len(loras) == 1 and loras[0] in trained else BASE
    against = _differences(inputs, model, reference, benchmark)
    behind = {
        variant_of(row): _against(row, row["p_corrected"], runs=row["train_seeds"] < 2)
        for row in inputs.leader.to_dict("records")
    }
    paper, others = paper_numbers(inputs, model), related_numbers(inputs)
    rows = [
        Ranked(
            variant=variant,
            accuracy=measured[variant, benchmark].estimate,
            against=against.get(variant),
            behind=behind.get(variant),
            paper=paper.difference(variant.method, reference),
            others={
                one.source: found
                for one in others
                if (found := one.difference(variant.method, reference)) is not None
            },
        )
        for variant in trained
    ]
    rows.sort(key=lambda row: (row.behind is not None, -row.accuracy.value))
    gains = against if reference == BASE else _differences(inputs, model, BASE, benchmark)
    untrained = measured.get((inputs.untrained(model), benchmark))
    return Ranking(
        reference=reference,
        rows=rows,
        untrained=untrained.estimate if untrained else None,
        gains=gains,
        paper=paper,
    )


def _differences(inputs: Inputs, model: str, baseline: str, benchmark: str) -> dict[Variant, Against]:
    frame = inputs.comparisons
    here: pd.DataFrame = frame[
        (frame["model"] == model)
        & (frame["contrast"] == "methods")
        & (frame["baseline"] == baseline)
        & (frame["benchmark"] == benchmark)
    ]
    return {
        variant_of(row): _against(row, row["p_holm"], runs=row["compares"] == "runs")
        for row in here.to_dict("records")
    }


def _against(row: dict, p: float, runs: bool) -> Against:
    return Against(
        estimate=estimate_of(row, "difference"),
        p=p,
        detectable=row.get("minimum_detectable", float("nan")),
        runs=runs,
    )
