"""What every verb uses: its registration, its imports, and the options that several verbs have."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Train, evaluate and compare parameter-efficient methods under RLVR.",
    epilog="Every job of the workflow calls one verb. The example in a verb's help runs after `make demo`, "
    "those of `choose-rates` and `write-rates` after `snakemake rates --config 'studies=[demo-rates]'`. "
    "Exit codes: 0 done, 1 error, 2 wrong usage, 75 stopped or locked (the same command continues later).",
)


def verb(*example: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as the verb of its name; its help ends with an example, given as shell lines."""
    text = "\n  ".join(example)
    return app.command(epilog=f"\b\nExample:\n  {text}")


@contextmanager
def importing() -> Iterator[None]:
    """Import without collecting garbage.

    What modules make stays; looking for garbage among it costs a tenth to a fifth of their import.
    Afterwards the collector leaves it out.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def output(what: str) -> Any:
    """Return the option that names what a verb writes."""
    return typer.Option("-o", "--output", help=what)


ConfigFolder = Annotated[Path, typer.Option("--config", help="Configuration folder.")]
ResourcesFolder = Annotated[Path, typer.Option("--resources", help="Folder of prepared models and data.")]
ResultsFolder = Annotated[Path, typer.Option("--results", help="Folder of the study's results.")]
Entry = Annotated[Path, typer.Argument(help="Catalogue entry, from `rlvr resolve`.")]
Config = Annotated[Path, typer.Argument(help="Resolved configuration, from `rlvr resolve`.")]
Manifest = Annotated[Path, typer.Argument(help="The study's manifest, from `rlvr resolve study`.")]
ModelFolder = Annotated[Path, typer.Option("--model", help="Prepared model folder.")]
Benchmark = Annotated[Path, typer.Option("--data", help="Prepared benchmark.")]

Gpus = Annotated[
    int | None,
    typer.Option(
        "--gpus",
        min=0,
        help="GPUs to use: waits for free ones, stops if fewer are visible; 0: the CPU. Default: one if any.",
    ),
]
MaxMinutes = Annotated[
    float | None,
    typer.Option(
        "--max-minutes",
        min=0,
        help="Time limit of the job: stop before it is over, as at SIGTERM, and exit with 75.",
    ),
]

CONFIGS = "results/demo/configs"
RUN = "tiny--lora--recommended--main--s0"
