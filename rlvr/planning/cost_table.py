"""Print what the runs of a study cost: one line per method and setting, and the total."""

from collections.abc import Iterator, Sequence

from rich.console import Console

from rlvr.config.resolved import BASE
from rlvr.planning.costs import Costs, RunCost
from rlvr.planning.memory import GIB
from rlvr.planning.table import table
from rlvr.planning.work import Work, rounds_per_step


def print_costs(costs: Costs, price: float | None = None) -> None:
    """Print memory, tokens, time and, with a price of a device-hour, cost.

    Args:
        costs: the jobs of a study.
        price: of one device for one hour, in any currency.
    """
    console = Console()
    if not console.is_terminal:
        console.width = 100  # a line for each run in a file or a pipe
    device, compute = costs.device, costs.compute
    console.print(
        f"[bold]Cost[/] on {compute.device_name} ({device.source}); "
        "estimates, in GiB and device-hours (docs/planning.md)"
    )
    lines = table("run", "trained", "policy", "engine", "optim.", "activ.", "KV", "peak", "main", "hours")
    rows = list(_rows(costs))
    for label, (cost, seeds) in zip(_labels([cost for cost, _ in rows]), rows, strict=True):
        lines.add_row(f"{label} x {seeds}" if seeds > 1 else label, *_cells(cost, seeds))
    console.print(lines)
    for line in (*_totals(costs, price), *_assumptions(costs), *_unknown(costs)):
        console.print(line, soft_wrap=True)


def _rows(costs: Costs) -> Iterator[tuple[RunCost, int]]:
    """Yield each run once for all of its training seeds, with their number."""
    seeds = len(costs.plan.study.train_seeds)
    first = costs.plan.study.train_seeds[0]
    for cost in costs.runs.values():
        if cost.method == BASE or cost.run.endswith(f"--s{first}"):
            yield cost, 1 if cost.method == BASE else seeds


def _labels(costs: Sequence[RunCost]) -> list[str]:
    """Return short names: the method, and of model, preset and setting what differs between the runs."""
    names = [[*cost.run.split("--"), "", "", ""][:4] for cost in costs]  # an untrained model has no preset
    differs = [len({name[part] for name in names if name[2]}) > 1 for part in range(4)]
    return [
        "--".join(one for part, one in enumerate(name) if one and (part == 1 or differs[part]))
        for name in names
    ]


def _cells(cost: RunCost, seeds: int) -> list[str]:
    """Return the cells of a run but for its name."""
    hours = f"{seeds * cost.device_seconds / 3600:,.{1 if cost.device_seconds >= 36000 else 3}f}"
    memory = cost.memory
    if memory is None:
        sampling = "-" if cost.generation_bytes is None else f"{cost.generation_bytes / GIB:.1f}"
        return [*["-"] * 6, sampling, "-", hours]
    parts = (memory.weights, memory.engine, memory.optimizer, memory.activations, memory.cache)
    peak = max(memory.peak, cost.generation_bytes or 0)
    return [
        f"{(cost.trained or 0) / 1e6:.2f}M",
        *(f"{part / GIB:.1f}" for part in parts),
        f"{peak / GIB:.1f}",
        f"{(cost.main_bytes or 0) / GIB:.1f}",
        hours,
    ]


def _totals(costs: Costs, price: float | None) -> Iterator[str]:
    total, seconds = Work(), 0.0
    for cost in costs.runs.values():
        total, seconds = total + cost.training + cost.evaluation, seconds + cost.device_seconds
    yield (
        f"Tokens: {total.rollout_tokens:.3g} sampled in training, {total.update_tokens:.3g} trained on, "
        f"{total.evaluation_tokens:.3g} sampled in evaluation"
    )
    hours = seconds / 3600
    money = f", {hours * price:,.0f} at {price:g} per device-hour" if price is not None else ""
    yield f"Total: {hours:,.4g} device-hours{money}"
    longest = max(costs.runs.values(), key=lambda cost: cost.training.seconds)
    limit = longest.train.minutes / 60
    attempts = max(1.0, longest.training.seconds / 3600 / limit)
    yield (
        f"Longest training: {longest.training.seconds / 3600:,.3g} h ({longest.run}), "
        f"{attempts:.1f} times its limit of {limit:.3g} h"
    )


def _assumptions(costs: Costs) -> Iterator[str]:
    compute, training = costs.compute, costs.plan.study.training
    yield (
        f"Assumed: completions of {compute.mean_length:g} of their greatest length (compute.mean_length), "
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
                f"Unknown: model {model!r}, whose architecture is told by its preparation "
                f"(snakemake --cores 1 {costs.resources / 'models' / model}) or by `architecture` in "
                "models.yaml; its jobs ask for default resources"
            )
    for benchmark, number in costs.problems.items():
        if number is None:
            yield (
                f"Unknown: the problems of {benchmark!r}, until its data are prepared "
                "(`problems` in datasets.yaml)"
            )
