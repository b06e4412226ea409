"""Verbs that train a run and export it."""

from pathlib import Path
from typing import Annotated

import typer

from rlvr.cli.verbs import CONFIGS, RUN, Config, Gpus, MaxMinutes, ModelFolder, importing, output, verb
from rlvr.config.choices import DType
from rlvr.devices import leased_devices


@verb(
    f"rlvr train {CONFIGS}/train/{RUN}.json \\",
    "  --model resources/models/tiny --data resources/data/sums-train.parquet \\",
    "  --checkpoints checkpoints/again -o again",
)
def train(
    context: typer.Context,
    config: Config,
    model: ModelFolder,
    data: Annotated[Path, typer.Option("--data", help="Prepared training problems.")],
    checkpoints: Annotated[Path, typer.Option("--checkpoints", help="Folder for the training state.")],
    output: Annotated[Path, output("Folder of the run.")],
    max_minutes: MaxMinutes = None,
    ranks: Annotated[
        int | None,
        typer.Option(
            "--ranks", min=1, help="Processes to train in, on this machine; by default one per GPU."
        ),
    ] = None,
    gpus: Gpus = None,
    failure_log: Annotated[
        Path | None,
        typer.Option("--failure-log", help="Record a final failure, with this log, and exit with 0."),
    ] = None,
    attempts_left: Annotated[
        int,
        typer.Option("--attempts-left", min=0, help="Attempts that may follow; with 0, a failure is final."),
    ] = 1,
) -> None:
    """Train one run with DAPO, and write its adapter as `rlvr export` does.

    A run that was stopped continues from its last checkpoint. At SIGTERM, Ctrl-C or the end of its time
    limit it finishes the step, writes a checkpoint and exits with 75; a second signal ends it at once.
    Snakemake counts that as a failure: it repeats the job as often as `retries` says (8 in the slurm
    profile), or when it is called again, and deletes no checkpoint. While a process trains a run, another
    one exits with 75. Another number of ranks continues the run as well.

    A failure is final if another attempt would only repeat it: the run cannot be trained as configured, has
    diverged, or has nothing to learn from. The workflow asks for it to be recorded (`--failure-log`), so that
    the study goes on without the run; to train it again, delete its `run.json`.
    """
    with leased_devices(gpus):
        if (processes := ranks or gpus or 1) > 1:
            from rlvr.dapo.launch import is_rank, launch

            if not is_rank(processes):
                raise typer.Exit(launch(context.obj, processes))
        with importing():
            from rlvr.artifacts import RunFolder
            from rlvr.dapo.train import train
            from rlvr.methods.export import export

        leads = train(
            config,
            model,
            data,
            checkpoints,
            output,
            max_minutes=max_minutes,
            failure_log=failure_log,
            attempts_left=attempts_left,
        )
        if leads:
            run = RunFolder(output)
            export(config, model, run.trained, run.adapter)


@verb(
    f"rlvr export {CONFIGS}/train/{RUN}.json --model resources/models/tiny \\",
    f"  --trained results/demo/runs/{RUN}/trained.safetensors -o adapter",
    f"rlvr export {CONFIGS}/train/{RUN}.json --model resources/models/tiny \\",
    f"  --trained results/demo/runs/{RUN}/trained.safetensors --merged -o merged",
)
def export(
    config: Config,
    model: ModelFolder,
    trained: Annotated[Path, typer.Option("--trained", help="Trained tensors of the run.")],
    output: Annotated[Path, output("Folder to write.")],
    merged: Annotated[
        bool,
        typer.Option("--merged", help="Write the whole model, for engines that load no adapters."),
    ] = False,
    gpus: Gpus = None,
    dtype: Annotated[
        DType | None, typer.Option("--dtype", help="With --merged: its precision, by default the base's.")
    ] = None,
) -> None:
    """Write the adapter of a trained run again, or its whole model, with a model card."""
    if dtype and not merged:
        raise typer.BadParameter("--dtype is the precision of a merged model; add --merged")
    with leased_devices(gpus):
        with importing():
            from rlvr.methods.export import export

        export(config, model, trained, output, merged, dtype)
