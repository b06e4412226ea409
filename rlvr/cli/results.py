"""Verbs that make tables and the report of a study."""

from pathlib import Path
from typing import Annotated

import typer

from rlvr.cli.verbs import (
    CONFIGS,
    RUN,
    ConfigFolder,
    Manifest,
    ResourcesFolder,
    ResultsFolder,
    importing,
    output,
    verb,
)


@verb(
    f"rlvr aggregate {CONFIGS}/study.json --results results/demo \\",
    "  --contaminated-problems results/demo/tables/contaminated_problems.csv \\",
    "  --summary summary.csv --comparisons comparisons.csv --leader leader.csv \\",
    "  --budget budget.csv --forgetting forgetting.csv --learning learning.csv --runs runs.csv",
)
def aggregate(
    manifest: Manifest,
    results: ResultsFolder,
    summary: Annotated[Path, typer.Option("--summary", help="CSV file to write: metrics.")],
    comparisons: Annotated[Path, typer.Option("--comparisons", help="CSV file to write: differences.")],
    leader: Annotated[Path, typer.Option("--leader", help="CSV file to write: differences from the best.")],
    budget: Annotated[Path, typer.Option("--budget", help="CSV file to write: accuracy by token budget.")],
    forgetting: Annotated[Path, typer.Option("--forgetting", help="CSV file to write: what was unlearned.")],
    learning: Annotated[Path, typer.Option("--learning", help="CSV file to write: speed of learning.")],
    runs: Annotated[Path, typer.Option("--runs", help="CSV file to write: runs, and why some are missing.")],
    contaminated_problems: Annotated[
        Path | None,
        typer.Option("--contaminated-problems", help="CSV file of `rlvr contamination --problems`."),
    ] = None,
) -> None:
    """Estimate every metric and compare the methods, from the runs that are complete."""
    with importing():
        from rlvr.analysis.aggregate import aggregate

    aggregate(
        manifest,
        results,
        contaminated_problems,
        summary=summary,
        comparisons=comparisons,
        leader=leader,
        budget=budget,
        forgetting=forgetting,
        learning=learning,
        runs=runs,
    )


@verb(f"rlvr check-runs {CONFIGS}/study.json --results results/demo")
def check_runs(manifest: Manifest, results: ResultsFolder) -> None:
    """Check that no training run of a study failed; exit with 1 and the reasons if some did."""
    with importing():
        from rlvr.analysis.check_runs import check_runs

    check_runs(manifest, results)


@verb(
    "rlvr choose-rates results/demo-rates/configs/study.json --results results/demo-rates \\",
    "  --contaminated-problems results/demo-rates/tables/contaminated_problems.csv -o rates.csv",
)
def choose_rates(
    manifest: Manifest,
    results: ResultsFolder,
    contaminated_problems: Annotated[
        Path,
        typer.Option("--contaminated-problems", help="CSV file of `rlvr contamination --problems`."),
    ],
    output: Annotated[Path, output("CSV file to write: one row per trial.")],
) -> None:
    """Choose the learning rate of every method of a study that tunes, by its validation accuracy."""
    with importing():
        from rlvr.analysis.rates import choose_rates

    choose_rates(manifest, results, contaminated_problems, output)


@verb(
    "rlvr write-rates results/demo-rates/configs/study.json --results results/demo-rates \\",
    "  -o config/rates/demo-rates.yaml",
)
def write_rates(
    manifest: Manifest,
    results: ResultsFolder,
    output: Annotated[Path, output("YAML file to write, `config/rates/NAME.yaml`.")],
    config: ConfigFolder = Path("config"),
) -> None:
    """Write the chosen learning rates where studies with `rates` read them."""
    with importing():
        from rlvr.analysis.rates import write_rates

    write_rates(manifest, results, config, output)


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


@verb(f"rlvr report {CONFIGS}/study.json --results results/demo -o report.html --figures figures")
def report(
    manifest: Manifest,
    results: ResultsFolder,
    output: Annotated[Path, output("HTML file to write.")],
    resources: ResourcesFolder = Path("resources"),
    figures: Annotated[
        Path | None,
        typer.Option("--figures", help="Folder to write: each figure as an SVG file."),
    ] = None,
) -> None:
    """Write the report of a study as one self-contained page."""
    with importing():
        from rlvr.report.build import build_report
        from rlvr.report.figures import write_figures

    build_report(manifest, results, resources, output)
    if figures:
        write_figures(output, figures)


@verb(
    f"rlvr show {RUN} sums 56+86 --study demo",
    f"rlvr show {RUN} sums 56+86 --study demo --sample 3 --json",
)
def show(
    run: Annotated[str, typer.Argument(help="Name of a run, as in `rlvr status`.")],
    benchmark: Annotated[str, typer.Argument(help="Name of a benchmark of the study.")],
    problem: Annotated[str, typer.Argument(help="Id of a problem; after `--` if it begins with a hyphen.")],
    sample: Annotated[int | None, typer.Option("--sample", min=0, help="Show only this sample.")] = None,
    study: Annotated[
        str | None, typer.Option("--study", help="Name of the study; by default the one that has the run.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    results: Annotated[Path, typer.Option("--results", help="Folder of all results.")] = Path("results"),
    resources: ResourcesFolder = Path("resources"),
) -> None:
    """Show the samples of one problem: verdict, extracted answer, finish reason, tokens, seed, completion.

    Control and invisible characters are spelled out.
    """
    with importing():
        from rlvr.report.samples.show import find_problem, print_problem, problem_as_json

    found = find_problem(
        run, benchmark, problem, sample=sample, study=study, results=results, resources=resources
    )
    if as_json:
        print(problem_as_json(found))
    else:
        print_problem(found)


@verb(f"rlvr crate {CONFIGS}/study.json --results results/demo --page reports/demo.html -o crate")
def crate(
    manifest: Manifest,
    results: ResultsFolder,
    page: Annotated[Path, typer.Option("--page", help="Report of the study.")],
    output: Annotated[Path, output("Folder to write.")],
    resources: ResourcesFolder = Path("resources"),
) -> None:
    """Write a study as a Workflow Run RO-Crate: its files, and what made them, without trained weights."""
    with importing():
        from rlvr.report.crate import write_crate

    write_crate(manifest, results, resources, page, output)
