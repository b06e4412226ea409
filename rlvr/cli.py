"""The command line `rlvr`: one verb per job of the workflow, and no logic.

Exit codes: 0 done, 1 an error that the message explains, 2 wrong usage, 75 stopped or locked: the same
command continues later. Results go to stdout, messages to stderr. Each verb imports what it needs when it
runs, so that `rlvr --help` is fast.
"""

import gc
import io
import logging
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.main import get_command

from rlvr.config.choices import DType, Grader
from rlvr.devices import leased_devices
from rlvr.errors import EXIT_TRY_AGAIN, TryAgain, UserError

logger = logging.getLogger("rlvr.cli")

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Train, evaluate and compare parameter-efficient methods under RLVR.",
    epilog="Every job of the workflow calls one verb. The example in a verb's help runs after `make demo`. "
    "Exit codes: 0 done, 1 error, 2 wrong usage, 75 stopped or locked (the same command continues later).",
)

RESULT_VERBS = {"agreement", "copy-floor", "methods", "plan", "status"}
"""Verbs whose output is the result. The log of any other verb begins with the command, to copy and repeat."""


def main(argv: list[str] | None = None) -> int:
    """Run one verb and return the exit code; errors that the user can fix are printed without a traceback."""
    arguments = sys.argv[1:] if argv is None else argv
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # a log shows each line when it is written
    _configure_logging()
    if (
        arguments
        and arguments[0] not in RESULT_VERBS
        and "--help" not in arguments
        and "RLVR_LAUNCHED" not in os.environ
        and not sys.stderr.isatty()
    ):
        logger.info("$ rlvr %s", shlex.join(arguments))
    try:
        get_command(app).main(arguments, prog_name="rlvr", obj=arguments)
    except SystemExit as end:
        return int(end.code or 0)
    except TryAgain as stop:
        logger.warning(stop)
        return EXIT_TRY_AGAIN
    except (UserError, OSError) as error:
        logger.error(error)
        return 1
    return 0


def _configure_logging() -> None:
    """Send the messages of the package to stderr."""
    handler = _StderrHandler()
    handler.setFormatter(_PlainFormatter())
    package = logging.getLogger("rlvr")
    package.handlers = [handler]
    package.setLevel(logging.INFO)


class _StderrHandler(logging.StreamHandler):
    """Write to what is stderr at the moment: a progress bar replaces it while it is shown."""

    @property
    def stream(self) -> Any:
        """The current stderr."""
        return sys.stderr

    @stream.setter
    def stream(self, value: object) -> None:
        pass


class _PlainFormatter(logging.Formatter):
    """The message alone; a warning or an error begins with `warning: ` or `error: `."""

    def format(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname.lower()}: " if record.levelno > logging.INFO else ""
        return level + super().format(record)


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
        from rlvr.planning.checks import check_plan
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
) -> None:
    """Sample completions for every problem of some benchmarks.

    Only what is missing is sampled: a run that was stopped continues after its last finished sample, and a
    further benchmark, or more samples per problem, leave the samples that there are. To sample a benchmark
    again, delete its file. Signals, time limit and lock act as in `rlvr train`; it stops after a batch.
    """
    with leased_devices(gpus):
        with importing():
            from rlvr.evaluate.generate import generate

        generate(configs, model, data, adapter, checkpoints, output, max_minutes)


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
) -> None:
    """Find benchmark problems that occur in the training data."""
    with importing():
        from rlvr.data.contamination import write_contamination

    write_contamination(train, benchmarks, similarity, output, problems)


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


@verb(
    f"rlvr aggregate {CONFIGS}/study.json --results results/demo \\",
    "  --contaminated-problems results/demo/tables/contaminated_problems.csv \\",
    "  --summary summary.csv --comparisons comparisons.csv --budget budget.csv --runs runs.csv",
)
def aggregate(
    manifest: Manifest,
    results: ResultsFolder,
    summary: Annotated[Path, typer.Option("--summary", help="CSV file to write: metrics.")],
    comparisons: Annotated[Path, typer.Option("--comparisons", help="CSV file to write: differences.")],
    budget: Annotated[Path, typer.Option("--budget", help="CSV file to write: accuracy by token budget.")],
    runs: Annotated[Path, typer.Option("--runs", help="CSV file to write: runs, and why some are missing.")],
    contaminated_problems: Annotated[
        Path | None,
        typer.Option("--contaminated-problems", help="CSV file of `rlvr contamination --problems`."),
    ] = None,
) -> None:
    """Estimate every metric and compare the methods, from the runs that are complete."""
    with importing():
        from rlvr.analysis.aggregate import aggregate

    aggregate(manifest, results, contaminated_problems, summary, comparisons, budget, runs)


@verb(f"rlvr check-runs {CONFIGS}/study.json --results results/demo")
def check_runs(manifest: Manifest, results: ResultsFolder) -> None:
    """Check that no training run of a study failed; exit with 1 and the reasons if some did."""
    with importing():
        from rlvr.analysis.check_runs import check_runs

    check_runs(manifest, results)


@verb(f"rlvr audit {CONFIGS}/study.json --results results/demo -o audit.csv")
def audit(
    manifest: Manifest,
    results: ResultsFolder,
    output: Annotated[Path, output("CSV file to write: one row per difference and pair of runs.")],
    config: ConfigFolder = Path("config"),
) -> None:
    """Show what each difference between the paper and its released code changes in a study."""
    with importing():
        from rlvr.analysis.audit import write_audit

    write_audit(manifest, results, config, output)


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


@verb(f"rlvr claims {CONFIGS}/study.json --results results/demo -o claims.json")
def claims(
    manifest: Manifest,
    results: ResultsFolder,
    output: Annotated[Path, output("JSON file to write: one answer per claim.")],
    config: ConfigFolder = Path("config"),
) -> None:
    """Answer the claims of the paper from the comparisons of a study."""
    with importing():
        from rlvr.analysis.claims.answer import answer_claims

    answer_claims(manifest, results, config, output)


@verb(f"rlvr report {CONFIGS}/study.json --results results/demo -o report.html")
def report(
    manifest: Manifest,
    results: ResultsFolder,
    output: Annotated[Path, output("HTML file to write.")],
    resources: ResourcesFolder = Path("resources"),
) -> None:
    """Write the report of a study as one self-contained page."""
    with importing():
        from rlvr.report.build import build_report

    build_report(manifest, results, resources, output)


@verb(f"rlvr agreement results/demo/grades/{RUN}/sums.parquet grades.parquet")
def agreement(
    first: Annotated[Path, typer.Argument(help="Grades.")],
    second: Annotated[Path, typer.Argument(help="Grades of the same samples by another grader.")],
) -> None:
    """Print how far two graders agree on the same samples."""
    with importing():
        from rlvr.analysis.agreement import agreement_as_json

    print(agreement_as_json(first, second))


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


if __name__ == "__main__":
    sys.exit(main())
