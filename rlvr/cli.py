"""The command line `rlvr`: one verb per box of the DAG, and no logic.

Exit codes: 0 done, 1 an error that the message explains, 2 wrong usage.
"""

import argparse
import io
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

from rlvr.config.choices import Grader
from rlvr.errors import UserError

Arguments = argparse.Namespace

PRINTING = {"plan", "methods", "agreement"}
"""Verbs whose output is the result; all others begin their log with the command, to be repeated by hand."""


def main(argv: list[str] | None = None) -> int:
    """Run one verb; errors that a person can mend are printed without a traceback."""
    arguments = build_parser().parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # a log shows each line when it is said
    if not sys.stdout.isatty() and arguments.verb not in PRINTING:
        print(f"$ rlvr {shlex.join(argv or sys.argv[1:])}")
    try:
        arguments.run(arguments)
    except BrokenPipeError:
        return 1
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def plan(arguments: Arguments) -> None:
    """Show a study's grid, or write one of its resolved cells."""
    from rlvr.config.catalogue import DataCatalogue, ModelCatalogue
    from rlvr.config.loading import load_yaml, unknown_name
    from rlvr.files import write_json
    from rlvr.plan import cells, load_plan, sources

    if arguments.cell and not arguments.output:
        raise UserError("--cell needs -o FILE, where the cell is written")
    if not arguments.cell:
        from rlvr.plan import print_plan

        return print_plan(load_plan(arguments.study, arguments.config))
    if arguments.study == "-":
        models = load_yaml(arguments.config / "models.yaml", ModelCatalogue)
        named = sources(models, load_yaml(arguments.config / "datasets.yaml", DataCatalogue))
    else:
        named = cells(load_plan(arguments.study, arguments.config))
    if arguments.cell not in named:
        raise unknown_name(f"study {arguments.study}", "--cell", arguments.cell, named.keys())
    write_json(arguments.output, named[arguments.cell].model_dump(mode="json"))


def prepare_model(arguments: Arguments) -> None:
    """Make a model folder."""
    from rlvr.models.prepare import prepare_model

    prepare_model(arguments.cell, arguments.data, arguments.validation, arguments.output)


def prepare_data(arguments: Arguments) -> None:
    """Make a problem file."""
    from rlvr.data.prepare import prepare_data

    prepare_data(arguments.cell, arguments.output)


def overlap(arguments: Arguments) -> None:
    """Find benchmark problems that stand in the training data."""
    from rlvr.data.contamination import write_contamination

    outputs = arguments.output, arguments.contaminated
    write_contamination(arguments.train, arguments.benchmarks, arguments.similarity, *outputs)


def train(arguments: Arguments) -> None:
    """Train one run."""
    from rlvr.dapo.train import train

    train(arguments.cell, arguments.model, arguments.data, arguments.checkpoints, arguments.output)


def export(arguments: Arguments) -> None:
    """Write the adapter of a trained run."""
    from rlvr.methods.export import export

    export(arguments.cell, arguments.model, arguments.trained, arguments.output)


def generate(arguments: Arguments) -> None:
    """Draw answers to a benchmark."""
    from rlvr.evaluate.generate import generate

    inputs = arguments.cell, arguments.model, arguments.data, arguments.adapter
    generate(*inputs, arguments.checkpoints, arguments.output)


def grade(arguments: Arguments) -> None:
    """Judge stored answers."""
    from rlvr.evaluate.grade import grade

    grade(arguments.cell, arguments.samples, arguments.data, arguments.output, arguments.grader)


def agreement(arguments: Arguments) -> None:
    """Show how far two graders agree on the same samples."""
    from rlvr.analysis.agreement import agreement_as_json

    print(agreement_as_json(arguments.first, arguments.second))


def aggregate(arguments: Arguments) -> None:
    """Make the tables."""
    from rlvr.analysis.aggregate import aggregate

    outputs = arguments.summary, arguments.comparisons, arguments.budget
    aggregate(arguments.cell, arguments.results, arguments.contaminated, *outputs)


def report(arguments: Arguments) -> None:
    """Make the report page."""
    from rlvr.report.build import build_report

    build_report(arguments.cell, arguments.results, arguments.resources, arguments.output)


def methods(arguments: Arguments) -> None:
    """List the methods."""
    from rlvr.methods.listing import DEFAULT_MODEL, methods_as_json, named_architecture, print_methods

    if arguments.json and not arguments.model:
        return print(methods_as_json(arguments.config))
    model = arguments.model or DEFAULT_MODEL
    architecture = named_architecture(model, arguments.config, arguments.resources)
    if arguments.json:
        print(methods_as_json(arguments.config, architecture))
    else:
        print_methods(arguments.config, model, architecture)


def verify(arguments: Arguments) -> None:
    """Judge answers in a file."""
    from rlvr.verify.verify_file import verify_file

    verify_file(arguments.cases, arguments.output)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with every verb."""
    parser = argparse.ArgumentParser(
        prog="rlvr",
        description="Which parameter-efficient method should one train with, and can the answer be believed?",
        epilog="Every rule of the workflow calls one verb; `rlvr VERB --help` shows an example.",
    )
    verbs = parser.add_subparsers(metavar="VERB", required=True)

    def verb(name: str, run: Callable[[Arguments], None], example: str) -> argparse.ArgumentParser:
        summary = (run.__doc__ or "").strip()
        child = verbs.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=f"example:\n  rlvr {name} {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        child.set_defaults(run=run, verb=name)
        return child

    _add_planning(verb)
    _add_preparation(verb)
    _add_runs(verb)
    _add_results(verb)
    return parser


Verb = Callable[[str, Callable[[Arguments], None], str], argparse.ArgumentParser]


def _add_planning(verb: Verb) -> None:
    child = verb("plan", plan, "demo")
    child.add_argument("study", help="name of a study in config/studies; - for the catalogues")
    child.add_argument("--cell", help="write this cell: study, train/RUN, generate/BENCHMARK, models/NAME, …")
    child.add_argument("--config", type=Path, default=Path("config"), help="configuration folder")
    child.add_argument("-o", "--output", type=Path, help="JSON file to write the cell to")
    child = verb("methods", methods, "--model tiny --json")
    child.add_argument("--model", help="count the parameters trained on this model of models.yaml")
    child.add_argument("--json", action="store_true", help="print JSON; parameters only with --model")
    child.add_argument("--config", type=Path, default=Path("config"), help="configuration folder")
    child.add_argument("--resources", type=Path, default=Path("resources"), help="folder of prepared models")


def _add_preparation(verb: Verb) -> None:
    child = verb(
        "prepare-model", prepare_model, "resources/entries/models/NAME.json -o resources/models/NAME"
    )
    child.add_argument("cell", type=Path, help="resolved entry of models.yaml")
    child.add_argument("--data", type=Path, nargs="*", default=[], help="problems to pretrain tiny on")
    child.add_argument("--validation", type=Path, nargs="*", default=[], help="problems that measure it")
    child.add_argument("-o", "--output", type=Path, required=True, help="model folder to make")
    child = verb(
        "prepare-data", prepare_data, "resources/entries/data/NAME.json -o resources/data/NAME.parquet"
    )
    child.add_argument("cell", type=Path, help="resolved entry of datasets.yaml")
    child.add_argument("-o", "--output", type=Path, required=True, help="Parquet file to write")
    child = verb(
        "overlap",
        overlap,
        "--train A.parquet --benchmarks B.parquet -o overlap.csv --contaminated contaminated.csv",
    )
    child.add_argument("--train", type=Path, nargs="+", required=True, help="training problems")
    child.add_argument("--benchmarks", type=Path, nargs="+", required=True, help="benchmark problems")
    child.add_argument("--similarity", type=float, default=0.8, help="from here on two problems are the same")
    child.add_argument("-o", "--output", type=Path, required=True, help="CSV file to write: how many")
    child.add_argument("--contaminated", type=Path, required=True, help="CSV file to write: which")


def _add_runs(verb: Verb) -> None:
    child = verb(
        "train",
        train,
        "results/demo/configs/train/RUN.json --model resources/models/tiny --data resources/data/TRAIN.parquet "
        "--checkpoints checkpoints/demo/RUN -o results/demo/runs/RUN",
    )
    child.add_argument("cell", type=Path, help="resolved train cell")
    child.add_argument("--model", type=Path, required=True, help="prepared model folder")
    child.add_argument("--data", type=Path, required=True, help="prepared training problems")
    child.add_argument("--checkpoints", type=Path, required=True, help="folder for training state")
    child.add_argument("-o", "--output", type=Path, required=True, help="folder of the run")
    child = verb(
        "export",
        export,
        "results/demo/configs/train/RUN.json --model resources/models/tiny "
        "--trained results/demo/runs/RUN/trained.safetensors -o results/demo/runs/RUN/adapter",
    )
    child.add_argument("cell", type=Path, help="resolved train cell")
    child.add_argument("--model", type=Path, required=True, help="prepared model folder")
    child.add_argument("--trained", type=Path, required=True, help="trained tensors of the run")
    child.add_argument("-o", "--output", type=Path, required=True, help="adapter folder to make")
    child = verb(
        "generate",
        generate,
        "results/demo/configs/generate/easy.json --model resources/models/tiny "
        "--data resources/data/EASY.parquet --adapter results/demo/runs/RUN/adapter "
        "--checkpoints checkpoints/demo/generate/RUN/easy -o results/demo/samples/RUN/easy.parquet",
    )
    child.add_argument("cell", type=Path, help="resolved generate cell")
    child.add_argument("--model", type=Path, required=True, help="prepared model folder")
    child.add_argument("--data", type=Path, required=True, help="prepared benchmark")
    child.add_argument("--adapter", type=Path, help="exported run; without it the untrained model answers")
    child.add_argument("--checkpoints", type=Path, required=True, help="folder for samples drawn so far")
    child.add_argument("-o", "--output", type=Path, required=True, help="Parquet file to write")


def _add_results(verb: Verb) -> None:
    child = verb(
        "grade",
        grade,
        "results/demo/configs/grade/easy.json --samples results/demo/samples/RUN/easy.parquet "
        "--data resources/data/EASY.parquet -o results/demo/grades/RUN/easy.parquet",
    )
    child.add_argument("cell", type=Path, help="resolved grade cell")
    child.add_argument("--samples", type=Path, required=True, help="stored answers")
    child.add_argument("--data", type=Path, required=True, help="prepared benchmark")
    child.add_argument("--grader", choices=get_args(Grader), help="whose rules judge, instead of the cell's")
    child.add_argument("-o", "--output", type=Path, required=True, help="Parquet file to write")
    child = verb("agreement", agreement, "results/demo/grades/RUN/easy.parquet by-another-grader.parquet")
    child.add_argument("first", type=Path, help="verdicts")
    child.add_argument("second", type=Path, help="verdicts of another grader on the same samples")
    tables = "results/demo/tables"
    child = verb(
        "aggregate",
        aggregate,
        f"results/demo/configs/study.json --results results/demo --contaminated {tables}/contaminated.csv "
        f"--summary {tables}/summary.csv --comparisons {tables}/comparisons.csv --budget {tables}/budget.csv",
    )
    child.add_argument("cell", type=Path, help="resolved study cell")
    child.add_argument("--results", type=Path, required=True, help="folder of the study's results")
    child.add_argument("--contaminated", type=Path, help="CSV of the benchmark problems seen in training")
    child.add_argument("--summary", type=Path, required=True, help="CSV file to write")
    child.add_argument("--comparisons", type=Path, required=True, help="CSV file to write")
    child.add_argument("--budget", type=Path, required=True, help="CSV file to write")
    child = verb(
        "report", report, "results/demo/configs/study.json --results results/demo -o reports/demo.html"
    )
    child.add_argument("cell", type=Path, help="resolved study cell")
    child.add_argument("--results", type=Path, required=True, help="folder of the study's results")
    child.add_argument("--resources", type=Path, default=Path("resources"), help="folder of models and data")
    child.add_argument("-o", "--output", type=Path, required=True, help="HTML file to write")
    child = verb("verify", verify, "cases.jsonl -o verdicts.jsonl")
    child.add_argument("cases", type=Path, help="JSONL with the fields prediction and gold")
    child.add_argument("-o", "--output", type=Path, required=True, help="JSONL file to write")


if __name__ == "__main__":
    sys.exit(main())
