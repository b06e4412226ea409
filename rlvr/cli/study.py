"""Verbs about a study and its methods: plan, status, resolved configurations."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from rlvr.cli.verbs import RUN, ConfigFolder, ResourcesFolder, importing, output, verb
from rlvr.errors import UserError

logger = logging.getLogger("rlvr.cli")


@verb("rlvr plan demo", "rlvr plan paper-1.5b --device h200 --price 3.5")
def plan(
    study: Annotated[str, typer.Argument(help="Name of a study in config/studies.")],
    device: Annotated[
        str | None, typer.Option("--device", help="Device of config/devices.yaml, instead of the study's.")
    ] = None,
    price: Annotated[
        float | None, typer.Option("--price", min=0, help="Price of a device-hour, in any currency.")
    ] = None,
    config: ConfigFolder = Path("config"),
    resources: ResourcesFolder = Path("resources"),
) -> None:
    """Show the runs and benchmarks of a study, after checking that it can work, and what they cost.

    Memory, tokens and time are estimates (docs/planning.md), from which the workflow takes the resources of
    its jobs. Lengths, measured rates and what the study overrides are keys of its block `compute`.
    """
    with importing():
        from rlvr.planning.checks import check_engines, check_plan
        from rlvr.planning.cost_table import print_costs
        from rlvr.planning.costs import costs_on
        from rlvr.planning.notices import notices
        from rlvr.planning.plan import load_plan
        from rlvr.planning.table import print_plan

    plan = load_plan(study, config)
    check_plan(plan, resources)
    print_plan(plan)
    costs = costs_on(plan, device, resources)
    print_costs(costs, price)
    for notice in notices(plan):
        logger.warning(notice)
    try:
        check_engines(plan)
    except UserError as missing:  # the jobs may run elsewhere
        logger.warning(missing)


@verb("rlvr update-norms demo")
def update_norms(
    study: Annotated[str, typer.Argument(help="Name of a study in config/studies.")],
    config: ConfigFolder = Path("config"),
    resources: ResourcesFolder = Path("resources"),
) -> None:
    """Print at which rate the update of each method is as large as LoRA's: `tune.around` of a study.

    It takes ten optimizer steps per method on the first model of the study, which must be prepared.
    """
    with importing():
        from rlvr.evaluate.update_norms import print_update_norms
        from rlvr.planning.plan import load_plan

    print_update_norms(load_plan(study, config), resources)


@verb("rlvr status demo")
def status(
    study: Annotated[str, typer.Argument(help="Name of a study in config/studies.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: ConfigFolder = Path("config"),
    results: Annotated[Path, typer.Option("--results", help="Folder of all results.")] = Path("results"),
    checkpoints: Annotated[
        Path | None,
        typer.Option("--checkpoints", help="Folder of the training state, by default that of config.yaml."),
    ] = None,
    logs: Annotated[Path, typer.Option("--logs", help="Folder of the logs.")] = Path("logs"),
) -> None:
    """Show how far the runs of a study are, wherever they run.

    On a terminal the table keeps up to date until all runs have ended; Ctrl-C leaves it.
    """
    with importing():
        from rlvr.planning.plan import load_plan
        from rlvr.status.runs import folders_of, statuses_as_json, study_status
        from rlvr.status.show import show_status

    plan = load_plan(study, config)
    folders = folders_of(plan, results, checkpoints, logs)
    if as_json:
        print(statuses_as_json(study_status(plan, folders)))
    else:
        show_status(lambda: study_status(plan, folders))


@verb(
    f"rlvr resolve train/{RUN} --study demo -o train.json",
    "rlvr resolve models/tiny -o tiny.json",
)
def resolve(
    name: Annotated[
        str,
        typer.Argument(
            help="With --study: train/RUN, generate/BENCHMARK, grade/BENCHMARK or study. "
            "Without: models/NAME or data/NAME."
        ),
    ],
    output: Annotated[Path, output("JSON file to write.")],
    study: Annotated[str | None, typer.Option("--study", help="Name of a study in config/studies.")] = None,
    config: ConfigFolder = Path("config"),
) -> None:
    """Write one resolved configuration or catalogue entry."""
    with importing():
        from rlvr.planning.plan import write_resolved

    if study is None and not name.startswith(("models/", "data/")):
        raise typer.BadParameter(f"{name!r} belongs to a study; add --study STUDY")
    write_resolved(name, study, config, output)


@verb("rlvr methods --model tiny")
def methods(
    model: Annotated[
        str | None, typer.Option("--model", help="Count trained parameters on this model of models.yaml.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON; with parameters only if --model is given.")
    ] = False,
    config: ConfigFolder = Path("config"),
    resources: ResourcesFolder = Path("resources"),
) -> None:
    """List the methods and the number of parameters they train."""
    with importing():
        from rlvr.methods.listing import DEFAULT_MODEL, methods_as_json, named_shape, print_methods

    if as_json and not model:
        return print(methods_as_json(config))
    model = model or DEFAULT_MODEL
    shape = named_shape(model, config, resources)
    if as_json:
        print(methods_as_json(config, shape))
    else:
        print_methods(config, model, shape)
