"""Verbs that prepare and check data and models."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from rlvr.cli.verbs import Entry, Gpus, importing, output, verb
from rlvr.devices import leased_devices

logger = logging.getLogger("rlvr.cli")


@verb(
    "rlvr resolve data/sums-test -o sums-test.json",
    "rlvr prepare-data sums-test.json -o sums-test.parquet",
)
def prepare_data(entry: Entry, output: Annotated[Path, output("Parquet file to write.")]) -> None:
    """Check a data set line by line and write it as Parquet."""
    with importing():
        from rlvr.data.prepare import prepare_data

    prepare_data(entry, output)


@verb(
    "rlvr prepare-model resources/entries/models/tiny.json \\",
    "  --data resources/data/sums-train.parquet --data resources/data/differences-train.parquet \\",
    "  --validation resources/data/sums-validation.parquet -o tiny",
)
def prepare_model(
    entry: Entry,
    output: Annotated[Path, output("Model folder to write.")],
    data: Annotated[
        list[Path] | None,
        typer.Option("--data", metavar="<path>", help="Problems to pretrain on; repeat for several files."),
    ] = None,
    validation: Annotated[
        list[Path] | None,
        typer.Option(
            "--validation", metavar="<path>", help="Problems to validate on; repeat for several files."
        ),
    ] = None,
    gpus: Gpus = None,
) -> None:
    """Download, convert, copy or pretrain a model, and try its family before anything is trained."""
    with leased_devices(gpus):
        with importing():
            from rlvr.dapo.trial import try_model
            from rlvr.methods.fits import family_notice
            from rlvr.models.prepare import prepare_model

        prepare_model(entry, data or [], validation or [], output)
        logger.info(family_notice(output))
        try_model(output)


@verb(
    "rlvr contamination resources/data/sums-test.parquet \\",
    "  --train resources/data/sums-train.parquet --train resources/data/differences-train.parquet \\",
    "  -o contamination.csv --problems contaminated_problems.csv",
)
def contamination(
    benchmarks: Annotated[list[Path], typer.Argument(help="Prepared benchmarks.")],
    train: Annotated[
        list[Path],
        typer.Option("--train", metavar="<path>", help="Training problems; repeat for several files."),
    ],
    output: Annotated[Path, output("CSV file to write: one row per benchmark.")],
    problems: Annotated[
        Path, typer.Option("--problems", help="CSV file to write: one row per contaminated problem.")
    ],
    similarity: Annotated[
        float, typer.Option("--similarity", help="Problems at least this similar count as the same.")
    ] = 0.8,
    refuse: Annotated[
        bool, typer.Option("--refuse", help="Stop if a problem is the same: rates must not be tuned on it.")
    ] = False,
) -> None:
    """Find benchmark problems that occur in the training data."""
    with importing():
        from rlvr.data.contamination import write_contamination

    write_contamination(train, benchmarks, similarity, output, problems, refuse)


@verb("rlvr copy-floor resources/data/sums-train.parquet resources/data/sums-test.parquet")
def copy_floor(
    datasets: Annotated[
        list[Path],
        typer.Argument(help="Prepared data sets, or JSON lines with problem and answer."),
    ],
    without_rule: Annotated[
        bool,
        typer.Option("--without-rule", help="Also count what copying would earn without the rule; slow."),
    ] = False,
) -> None:
    """Print how often the last formula of the prompt is graded correct."""
    with importing():
        from rlvr.data.copy_floor import print_copy_floors

    print_copy_floors(datasets, without_rule)
