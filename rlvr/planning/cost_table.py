"""Print what the runs of a study cost: one line per method and setting, and the total."""

import math
from collections.abc import Iterator

from rich.console import Console

from rlvr.config.resolved import BASE
from rlvr.planning.costs import Costs, RunCost
from rlvr.planning.memory import GIB
from rlvr.planning.plan import study_manifest
from rlvr.planning.table import NAMES, table
from rlvr.planning.work import Work, rounds_per_step


def print_costs(costs: Costs, price: float | None = None) -> None:
    """Print memory, tokens, time and, with a price of a device-hour, cost.

    Args:
        costs: the jobs of a study.
        price: of one device for one hour, in any currency.
    """
    console = Console()
    device, compute, study = costs.device, costs.compute, costs.plan.study
    console.print(
        f"[bold]Cost[/] on {compute.device_name} ({device.source}); estimates, see docs/planning.md"
    )
    console.print(
        "Millions of trained parameters; GiB on a device by part, its peak, and main memory; device-hours"
        + (f" of {len(study.train_seeds)} training seeds" if len(study.train_seeds) > 1 else "")
    )
    lines = table("run", "trained", "policy", "engine", "optim.", "activ.", "KV", "peak", "main", "hours")
    for column in lines.columns[1:]:
        column.justify, column.no_wrap = "right", True
    rows = list(_rows(costs))
    lines.columns[0].min_width = max(len(word) for name, _ in rows for word in name.split())
    for name, cost in rows:
        lines.add_row(name, *_cells(cost, seeds=1 if cost.method == BASE else len(study.train_seeds)))
    console.print(lines)
    for line in (*_totals(costs, price), *_assumptions(costs), *_unknown(costs)):
        console.print(line, soft_wrap=True)


def _rows(costs: Costs) -> Iterator[tuple[str, RunCost]]:
    """Yield each run, once for all training seeds, under the parts of its name in which the runs differ."""
    first = costs.plan.study.train_seeds[0]
    runs = study_manifest(costs.plan).runs
    trained = [entry for entry in runs if entry.method != BASE]
    differing = [name for name in NAMES if len({getattr(entry, name) for entry in trained}) > 1]
    for entry in runs:
        if entry.method == BASE:
            named = [entry.model] if "model" in differing else []
            yield " ".join([*named, "untrained"]), costs.runs[entry.run]
        elif entry.train_seed == first:
            name = " ".join(getattr(entry, part) for part in differing) or entry.method
            yield name, costs.runs[entry.run]


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _hours(seconds: float) -> str:
    return _short(seconds / 3600)


def _cells(cost: RunCost, seeds: int) -> list[str]:
    """Return what follows the name; hours are those of all training seeds."""
    hours = _hours(seeds * cost.device_seconds)
    memory = cost.memory
    if memory is None:
        sampling = "-" if cost.generation_bytes is None else f"{cost.generation_bytes / GIB:.1f}"
        return [*["-"] * 6, sampling, "-", "-" if cost.generation_bytes is None else hours]
    parts = (memory.weights, memory.engine, memory.optimizer, memory.activations, memory.cache)
    peak = max(memory.peak, cost.generation_bytes or 0)
    return [
        _short((cost.trained or 0) / 1e6),
        *(f"{part / GIB:.1f}" for part in (*parts, peak, cost.main_bytes or 0)),
        hours,
    ]


def _totals(costs: Costs, price: float | None) -> Iterator[str]:
    known = [cost for cost in costs.runs.values() if cost.memory or cost.generation_bytes]
    if not known:
        return
    total, seconds = Work(), 0.0
    for cost in known:
        total, seconds = total + cost.training + cost.evaluation, seconds + cost.device_seconds
    yield (
        f"Tokens: {total.rollout_tokens:.3g} sampled in training, {total.update_tokens:.3g} trained on, "
        f"{total.evaluation_tokens:.3g} sampled in evaluation"
    )
    hours = seconds / 3600
    money = f", {hours * price:,.0f} at {price:g} per device-hour" if price is not None else ""
    yield f"Total: {_hours(seconds)} device-hours{money}"
    longest = max(known, key=lambda cost: cost.training.seconds)
    limit = longest.train.minutes * 60
    attempts = max(1, math.ceil(longest.training.seconds / limit))
    yield (
        f"Longest training: {_hours(longest.training.seconds)} h ({longest.run}), "
        f"{attempts} attempt{'s' if attempts > 1 else ''} of at most {_hours(limit)} h"
    )


def _assumptions(costs: Costs) -> Iterator[str]:
    compute, training = costs.compute, costs.plan.study.training
    yield (
        f"Assumed: prompts of {compute.prompt_tokens} tokens (compute.prompt_tokens), completions of "
        f"{compute.mean_length:g} of their greatest length (compute.mean_length), "
        f"{rounds_per_step(training, compute.informative):g} rounds of sampling a step (compute.informative)"
    )
    for what, rate in (
        ("update", compute.update_tokens_per_second),
        ("rollout", compute.rollout_tokens_per_second),
    ):
        if rate:
            yield f"Measured: {rate:g} tokens a second (compute.{what}_tokens_per_second)"


def _unknown(costs: Costs) -> Iterator[str]:
    for model in costs.plan.study.models:
        if costs.shape(model) is None:
            yield (
                f"Unknown: the architecture of model {model!r}, until it is prepared "
                f"(snakemake --cores 1 {costs.resources / 'models' / model}) or has an `architecture` in "
                "models.yaml; its jobs ask for default resources"
            )
    for benchmark, number in costs.problems.items():
        if number is None:
            yield (
                f"Unknown: the problems of {benchmark!r}, until its data are prepared "
                "(`problems` in datasets.yaml)"
            )
