"""Print a plan: what all runs share, one line per method and setting, and how they are evaluated."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rlvr.config import algorithms
from rlvr.config.overview import (
    FURTHER,
    Words,
    compared,
    evaluation_words,
    grading_words,
    method_words,
    rate_words,
    training_words,
)
from rlvr.config.resolved import RateFactor, TrainConfig
from rlvr.planning.plan import (
    Plan,
    applied_rates,
    generate_configs,
    grade_configs,
    planned_runs,
    study_manifest,
)

NAMES = ("model", "method", "preset", "setting")
"""The parts of the name of a run; those that all runs share have no column."""


def print_plan(plan: Plan) -> None:
    """Print what the runs share, one line for all training seeds of a method, and the benchmarks."""
    console = Console()
    console.print(
        f"[bold]{plan.study.title}[/]: {len(study_manifest(plan).runs)} runs, the untrained included"
    )
    seeds = " ".join(str(seed) for seed in plan.study.train_seeds)
    console.print(f"Names of runs: model--method--preset--setting--sSEED; training seeds: {seeds}")
    first = plan.study.train_seeds[0]
    runs = [(config, factor) for config, factor in planned_runs(plan) if config.train_seed == first]
    names = {title: [_name(title, config) for config, _ in runs] for title in NAMES}
    columns = [title for title in NAMES if title == "method" or len(set(names[title])) > 1]
    usual, departures = compared([training_words(config) for config, _ in runs])
    facts = {title.capitalize(): names[title][0] for title in NAMES if title not in columns}
    facts |= {title: value for title, value in usual.items() if title != FURTHER}
    if words := tuning_words(plan):
        facts["Learning rates"] = words
    if isinstance(plan.study.prompt, str):
        facts["Prompt"] = plan.study.prompt
    console.print(_facts(facts))
    methods = table(*columns, "learning rate")
    methods.add_column("settings", overflow="fold", ratio=1)
    for index, ((config, factor), own) in enumerate(zip(runs, departures, strict=True)):
        methods.add_row(*(names[title][index] for title in columns), *_settings(config, factor, own))
    console.print(methods)
    for line in algorithms.departures(config for config, _ in runs):
        console.print(line)
    benchmarks = table("benchmark", "data set", "samples per problem")
    for name, benchmark in plan.study.evaluation.benchmarks.items():
        benchmarks.add_row(name, benchmark.dataset, str(benchmark.samples_per_problem))
    console.print(benchmarks)
    console.print(_facts(evaluation_words([*generate_configs(plan)]) | grading_words([*grade_configs(plan)])))


def tuning_words(plan: Plan) -> str:
    """Return how the learning rates of a study were tuned, or how it tunes them; nothing where neither is."""
    applied, seeds = applied_rates(plan), len(plan.study.train_seeds)
    if applied:
        how, trials = applied.protocol, sorted({rate.trials for rate in applied.rates})
        return (
            f"tuned by {how.study}: {' to '.join(map(str, trials))} trials per method, of {how.steps} steps, "
            f"on {how.problems} problems of {how.dataset}"
        )
    if plan.study.tune:
        return f"chosen from {len(plan.study.settings)} rates x {seeds} training seeds for each method"
    return ""


def _name(title: str, config: TrainConfig) -> str:
    """Return one part of the name of a run; the method with the one that it really trains."""
    if title == "method" and config.trains_as != config.method:
        return f"{config.method} (trains {config.trains_as})"
    return str(getattr(config, title))


def _settings(config: TrainConfig, factor: RateFactor, own: Words) -> list[str]:
    """Return the learning rate with its origin, and the method's settings with what else departs."""
    rate = config.training.learning_rate
    faults = f"reproduces {', '.join(config.faults)}" if config.faults else ""
    settings = [method_words(config.parameters), faults, *(f"{title}: {text}" for title, text in own.items())]
    return [
        " = ".join(filter(None, [f"{rate:g}", rate_words(rate, factor)])),
        "; ".join(filter(None, settings)),
    ]


def _facts(words: Words) -> Table:
    """Return titles with their values, one line each."""
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0))
    table.add_column(overflow="fold", style="bold", min_width=18)
    table.add_column(overflow="fold", ratio=1)
    for title, value in words.items():
        table.add_row(title, Text(value))
    return table


def table(*columns: str) -> Table:
    """Return a table that fits a terminal of 80 characters; names are folded, never truncated."""
    made = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in columns:
        made.add_column(column, overflow="fold")
    return made
