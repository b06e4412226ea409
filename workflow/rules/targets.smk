"""The files that a target names: of a stage, of the paper's tables and figures, of claims, audit and rates.

REQUIRED INPUTS: config/claims, config/audit.yaml
OUTPUTS: none
"""

from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

from rlvr.config.audit import Audit
from rlvr.config.claims import PAPER, load_claims
from rlvr.config.loading import load_yaml
from rlvr.config.rates import rates_path


def resources_of(studies):
    """Return the prepared models and data of some studies."""
    chosen = [plan_of(study).study for study in studies]
    models = {model for study in chosen for model in study.models}
    data = {study.train_dataset for study in chosen} | {
        benchmark.dataset for study in chosen for benchmark in study.evaluation.benchmarks.values()
    }
    data |= {name for study in chosen if study.tune for name in study.tune.apart_from}
    return [model_path(name) for name in sorted(models)] + [data_path(name) for name in sorted(data)]


def adapters(studies):
    return [folder_of(study).run(run).adapter for study in studies for run in trained_runs(study)]


def graded_samples(studies):
    """Return samples and grades of every run on every benchmark."""
    return [
        path
        for study in studies
        for run in runs_of(study)
        for benchmark in benchmarks_of(study)
        for path in (folder_of(study).samples(run, benchmark), folder_of(study).grades(run, benchmark))
    ]


def scored_references(studies):
    """Return the scored reference solutions of every run on every benchmark that measures forgetting."""
    return [
        folder_of(study).references(run, benchmark)
        for study in studies
        for run in runs_of(study)
        for benchmark in forgetting_of(plan_of(study).study)
    ]


def tables(studies):
    of_runs = ["summary", "comparisons", "leader", "budget", "forgetting", "learning", "runs"]
    names = [*of_runs, "contamination", "contaminated_problems"]
    made = [folder_of(study).table(name) for study in studies for name in names]
    return made + [folder_of(study).table("rates") for study in studies if tunes(study)]


def tunes(study):
    """Return whether a study chooses learning rates."""
    return plan_of(study).study.tune is not None


def rates_of(wildcards):
    """Return the rates that the selected studies choose, with the reports that show how."""
    found = [study for study in STUDIES if tunes(study)]
    if not found:
        known = ", ".join(name for name, study in studies_by_name().items() if study.tune)
        raise WorkflowError(
            f"rates: none of the studies {', '.join(STUDIES)} has a block `tune`; select one that has: {known}"
        )
    return [rates_path(Path("config"), study) for study in found] + reports(found) + complete(found, "report")


def spectra(studies):
    """Return the spectra of the studies that ask for them."""
    return [folder_of(study).spectra for study in studies if plan_of(study).study.spectra]


@cache
def audited_studies():
    """Return the studies that measure differences between the paper and its released code."""
    audit = checked(load_yaml, CONFIG / "audit.yaml", Audit)
    return {contrast.study for difference in audit.differences for contrast in difference.contrasts}


def audits(studies):
    return [folder_of(study).table("audit") for study in studies if study in audited_studies()]


def audit_of(wildcards):
    """Return the audits of the selected studies with the reports that show them."""
    found = [study for study in STUDIES if audits([study])]
    if not found:
        raise WorkflowError(
            f"audit: config/audit.yaml names none of the studies {', '.join(STUDIES)}; select one that it names: "
            f"{', '.join(sorted(audited_studies()))}"
        )
    return audits(found) + reports(found) + complete(found, "report")


def claims(studies):
    return [folder_of(study).claims for study in studies]


def of_paper(item):
    """Return an input function: what the selected studies make of a table or figure, or all at the paper's scale."""

    def of(wildcards):
        chosen = [study for study in STUDIES if item in plan_of(study).study.shows]
        made = chosen or [
            name for name, study in studies_by_name().items() if item in study.shows and not study.scale
        ]
        return tables(made) + claims(made) + reports(made) + complete(made, "report")

    return of


def claims_and_reports(wildcards):
    """Return those of the selected studies that claims name, at any scale, or of all that the paper's name."""
    known_claims = checked(load_claims)
    named = {claim.study for claim in known_claims.claims}
    chosen = [study for study in STUDIES if (plan_of(study).study.scaled_from or study) in named]
    answering = chosen or sorted({claim.study for claim in known_claims.files[PAPER].claims})
    return claims(answering) + reports(answering) + complete(answering, "report")


def reports(studies):
    return [f"reports/{study}.html" for study in studies]


STAGES = {"train": adapters, "evaluate": graded_samples, "tables": tables, "report": reports}
"""What a stage makes of a study; all runs are trained in each of them."""


def complete(studies, stage):
    return [folder_of(study).complete(stage) for study in studies]
