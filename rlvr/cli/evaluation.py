"""Verbs that sample, grade and measure runs."""

from pathlib import Path
from typing import Annotated

import typer

from rlvr.cli.verbs import (
    CONFIGS,
    RUN,
    Benchmark,
    Config,
    Gpus,
    MaxMinutes,
    ModelFolder,
    ResourcesFolder,
    importing,
    output,
    verb,
)
from rlvr.config.choices import Grader
from rlvr.devices import leased_devices


@verb(
    f"rlvr generate {CONFIGS}/generate/sums.json --data resources/data/sums-test.parquet \\",
    f"  --model resources/models/tiny --adapter results/demo/runs/{RUN}/adapter \\",
    "  --checkpoints checkpoints/again -o samples",
)
def generate(
    configs: Annotated[
        list[Path], typer.Argument(help="Resolved configurations of kind generate, one per benchmark.")
    ],
    model: ModelFolder,
    data: Annotated[
        list[Path],
        typer.Option(
            "--data", metavar="<path>", help="Prepared benchmark of each configuration, in their order."
        ),
    ],
    checkpoints: Annotated[Path, typer.Option("--checkpoints", help="Folder for finished samples.")],
    output: Annotated[Path, output("Folder to write BENCHMARK.parquet to.")],
    adapter: Annotated[
        Path | None, typer.Option("--adapter", help="Exported run; without it, the untrained model answers.")
    ] = None,
    max_minutes: MaxMinutes = None,
    gpus: Gpus = None,
    references: Annotated[
        Path | None,
        typer.Option(
            "--references",
            help="Folder to write log-probabilities of reference solutions to, for forgetting benchmarks.",
        ),
    ] = None,
) -> None:
    """Sample completions for every problem of some benchmarks.

    Only what is missing is sampled: a run that was stopped continues after its last finished sample, and a
    further benchmark, or more samples per problem, leave the samples that there are. To sample a benchmark
    again, delete its file. Signals, time limit and lock act as in `rlvr train`; it stops after a batch.
    """
    with leased_devices(gpus):
        with importing():
            from rlvr.evaluate.generate import generate

        generate(configs, model, data, adapter, checkpoints, output, max_minutes, references)


@verb(
    f"rlvr grade {CONFIGS}/grade/sums.json \\",
    f"  --samples results/demo/samples/{RUN}/sums.parquet --data resources/data/sums-test.parquet \\",
    "  --grader released-eval -o grades.parquet",
)
def grade(
    config: Config,
    samples: Annotated[Path, typer.Option("--samples", help="Samples of a run on the benchmark.")],
    data: Benchmark,
    output: Annotated[Path, output("Parquet file to write.")],
    grader: Annotated[
        Grader | None, typer.Option("--grader", help="Grader to use instead of the configuration's.")
    ] = None,
) -> None:
    """Grade stored samples."""
    with importing():
        from rlvr.evaluate.grade import grade

    grade(config, samples, data, output, grader)


@verb(f"rlvr agreement results/demo/grades/{RUN}/sums.parquet grades.parquet")
def agreement(
    first: Annotated[Path, typer.Argument(help="Grades.")],
    second: Annotated[Path, typer.Argument(help="Grades of the same samples by another grader.")],
) -> None:
    """Print how far two graders agree on the same samples."""
    with importing():
        from rlvr.analysis.agreement import agreement_as_json

    print(agreement_as_json(first, second))


@verb(
    """echo '{"prediction": "The answer is 4.", "gold": "4"}' > cases.jsonl""",
    "rlvr verify cases.jsonl -o verdicts.jsonl",
)
def verify(
    cases: Annotated[Path, typer.Argument(help="JSON lines with the fields prediction and gold.")],
    output: Annotated[Path, output("JSON lines to write.")],
) -> None:
    """Grade answers in a file."""
    with importing():
        from rlvr.verify.verify_file import verify_file

    verify_file(cases, output)


@verb(f"rlvr spectra results/demo/runs/{RUN} --checkpoints checkpoints/demo -o spectra.parquet")
def spectra(
    runs: Annotated[list[Path], typer.Argument(help="Folders of finished runs.")],
    output: Annotated[Path, output("Parquet file to write: one row per measure.")],
    resources: ResourcesFolder = Path("resources"),
    cache: Annotated[
        Path, typer.Option("--cache", help="Folder for the singular vectors of base weights.")
    ] = Path("resources/singular-vectors"),
    checkpoints: Annotated[
        Path | None,
        typer.Option("--checkpoints", help="Checkpoints of the study: measure those that are there too."),
    ] = None,
    gpus: Gpus = None,
) -> None:
    """Measure the updates of runs against the singular vectors of their base."""
    with leased_devices(gpus):
        with importing():
            from rlvr.evaluate.spectra.write import write_spectra

        write_spectra(runs, output, resources, cache, checkpoints)
