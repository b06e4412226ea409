"""A plan as a table on the terminal."""

from typing import Any

from pydantic import BaseModel
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from rlvr.config.algorithms import departures
from rlvr.config.resolved import TrainConfig
from rlvr.plan import Plan, study_manifest, train_configs


def print_plan(plan: Plan) -> None:
    """Print a study's grid, one line for all training seeds of a method, and its benchmarks."""
    console = Console()
    console.print(
        f"[bold]{plan.study.title}[/]: {len(study_manifest(plan).runs)} runs, the untrained included"
    )
    seeds = " ".join(str(seed) for seed in plan.study.train_seeds)
    console.print(f"Names of runs: model--method--preset--setting--sSEED; training seeds: {seeds}")
    runs = _table("model", "method", "preset", "setting", "learning rate", "steps")
    runs.add_column("parameters", overflow="fold", ratio=1)
    for config in train_configs(plan):
        if config.train_seed == plan.study.train_seeds[0]:
            runs.add_row(*_plan_row(plan, config))
    console.print(runs)
    for line in departures(train_configs(plan)):
        console.print(line)
    benchmarks = _table("benchmark", "data set", "samples per problem")
    for name, benchmark in plan.study.evaluation.benchmarks.items():
        benchmarks.add_row(name, benchmark.dataset, str(benchmark.samples_per_problem))
    console.print(benchmarks)


def _plan_row(plan: Plan, config: TrainConfig) -> list[str]:
    """Return one line of the grid: the method's settings, and where its training is not the study's."""
    values = {key: value for key, value in config.parameters.items() if key != "target_modules"}
    for key, value in plan.study.training:
        own = getattr(config.training, key)
        if key not in ("learning_rate", "steps") and own != value:
            values[key] = own
    same = config.trains_as == config.method
    return [
        config.model,
        config.method if same else f"{config.method} (trains {config.trains_as})",
        config.preset,
        config.setting,
        f"{config.training.learning_rate:g}",
        str(config.training.steps),
        ", ".join(f"{key} {_number(value)}" for key, value in values.items()),
    ]


def _number(value: Any) -> str:
    """Return a value as a line of the grid shows it."""
    if isinstance(value, BaseModel):
        return " ".join(f"{key} {_number(one)}" for key, one in value)
    if value is None:
        return "null"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _table(*columns: str) -> Table:
    """Return a table that fits a terminal of 80 characters; names are folded, never truncated."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
