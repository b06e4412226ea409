"""How far the ranking of a study can be trusted: each condition, stated either way."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

import pandas as pd

from rlvr.artifacts import FailedRun
from rlvr.config.resolved import BASE
from rlvr.report.inputs import Inputs
from rlvr.report.methods.settings import rate_factors
from rlvr.report.queries import seeds_of_model
from rlvr.report.ranking import Ranking
from rlvr.report.text import count, percent, points

SEEDS = 3  # training seeds per method from which their spread is worth estimating
TRUNCATED = 0.05
NOISE = 0.1  # noise-to-signal ratio of the weight sync


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """One condition of a sound comparison, and whether the study meets it."""

    met: bool
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Confidence:
    """``level``: `Weak` where a method has one seed, `Strong` if every condition is met, `Fair` otherwise."""

    level: str
    reason: str
    conditions: list[Condition]


def confidence(inputs: Inputs, model: str, ranking: Ranking) -> Confidence:
    """Return how sure the ranking of one model is."""
    (seeds, most), each = _seeds(inputs, model), seeds_of_model(inputs, model)
    conditions = [
        Condition(met=seeds >= SEEDS, text=f"{each}, {SEEDS} wanted"),
        *_rates(inputs, model),
        *_detectable(ranking),
        *_contamination(inputs),
        *_truncation(inputs, model),
        _complete(inputs, model),
        *_noise(inputs, model),
        *_committed(inputs, model),
    ]
    unmet = sum(not condition.met for condition in conditions)
    if seeds < 2:
        reason = "one training seed per method" if most < 2 else each
        return Confidence(level="Weak", reason=reason, conditions=conditions)
    if not unmet:
        return Confidence(level="Strong", reason="every condition is met", conditions=conditions)
    reason = f"{unmet} of {count(len(conditions), 'condition')} not met"
    return Confidence(level="Fair", reason=reason, conditions=conditions)


def _seeds(inputs: Inputs, model: str) -> tuple[int, int]:
    """Return the fewest and the most training seeds of a method."""
    frame = inputs.summary
    seeds = frame.loc[(frame["model"] == model) & (frame["method"] != BASE), "train_seeds"]
    return int(seeds.min()), int(seeds.max())


def _rates(inputs: Inputs, model: str) -> Iterator[Condition]:
    """Yield whether, in each setting, the learning rates of all methods or of none were selected here."""
    selected: dict[str, list[bool]] = {}
    for variant, factor in rate_factors(inputs).items():
        if variant.model == model:
            own = factor.given_by == "tuned" or (factor.given_by == "study" and factor.value != 1)
            selected.setdefault(variant.setting, []).append(own)
    mixed = [flag for flags in selected.values() if len(set(flags)) > 1 for flag in flags]
    if mixed:
        some = f"learning rates of {sum(mixed)} of {count(len(mixed), 'method')} selected on this task"
        yield Condition(met=False, text=f"{some}, the others not")
    elif selected:
        yield Condition(met=True, text="learning rates selected alike for all methods")


def _detectable(ranking: Ranking) -> Iterator[Condition]:
    sizes = [row.against.detectable for row in ranking.rows if row.against]
    if not sizes:
        return
    smallest = median(sizes)
    text = f"differences of {100 * smallest:.1f} points can be detected"
    gains = [row.paper for row in ranking.rows if row.paper is not None]
    if gains and max(gains) > 0:
        yield Condition(
            met=smallest <= max(gains), text=f"{text}, the paper’s largest gain is {points(max(gains), '')}"
        )


def _contamination(inputs: Inputs) -> Iterator[Condition]:
    if not inputs.contamination:
        yield Condition(met=False, text="contaminated problems not counted")
        return
    rows = inputs.contamination.values()
    found, problems = sum(row.contaminated for row in rows), sum(row.problems for row in rows)
    yield Condition(met=found == 0, text=f"{found:,} of {count(problems, 'problem')} contaminated")


def _truncation(inputs: Inputs, model: str) -> Iterator[Condition]:
    frame = inputs.summary
    here = (frame["model"] == model) & (frame["metric"] == "truncation_rate")
    if here.any():
        most = float(frame.loc[here, "value"].max())
        yield Condition(met=most < TRUNCATED, text=f"at most {percent(most)} of the completions truncated")


def _complete(inputs: Inputs, model: str) -> Condition:
    planned = [run for run in inputs.study.runs if run.model == model and run.method != BASE]
    failed = sum(isinstance(inputs.ended.get(run.run), FailedRun) for run in planned)
    missing = sum(run.run not in inputs.ended for run in planned)
    text = f"{failed} of {count(len(planned), 'run')} failed" + (f", {missing} not run" if missing else "")
    return Condition(met=failed + missing == 0, text=text)


def _noise(inputs: Inputs, model: str) -> Iterator[Condition]:
    """Yield the noise of the last weight sync of the noisiest run."""
    ends = [
        logged.iloc[-1]
        for run in inputs.study.runs
        if run.model == model and (log := inputs.train_logs.get(run.run)) is not None
        if len(logged := log.get("sync/noise_to_signal", pd.Series(dtype=float)).dropna())
    ]
    if ends:
        noise = float(max(ends))
        text = f"weight-sync noise at most {noise:.2g} of the update" if noise else "no weight-sync noise"
        yield Condition(met=noise < NOISE, text=text)


def _committed(inputs: Inputs, model: str) -> Iterator[Condition]:
    mine = [record.meta_info for record in inputs.ended.values() if record.run_info.model == model]
    if mine:
        dirty = sum(meta.git_dirty is not False for meta in mine)
        text = "code committed" if not dirty else f"{count(dirty, 'run')} of code that is not committed"
        yield Condition(met=not dirty, text=text)
