"""The configuration, checked before the first job, and the file names that follow from it.

REQUIRED INPUTS: config/config.yaml (or --config 'studies=[...]'), config/studies, config/methods,
    config/models.yaml, config/datasets.yaml
OUTPUTS: none
"""

import os
import re
from functools import cache
from pathlib import Path
from typing import get_args

from snakemake.exceptions import WorkflowError

from rlvr.analysis.claims.registration import register_claims
from rlvr.artifacts import StudyFolder
from rlvr.artifacts.upgrade import upgrade_notice
from rlvr.config import catalogue
from rlvr.config.audit import Audit
from rlvr.config.loading import load_yaml
from rlvr.config.claims import PAPER, load_claims
from rlvr.config.resolved import BASE, RunEntry
from rlvr.config.choices import PaperItem
from rlvr.config.studies import load_study
from rlvr.errors import UserError
from rlvr.files import content_hash
from rlvr.planning import checks, costs, notices, partitions, plan
from rlvr.verify.graders.registry import grader_version


def folder_of(study):
    return StudyFolder(Path("results") / study)


# Memory and time of the jobs whose needs do not depend on the study.
LIGHT = {"mem_mb": 4000, "runtime": 30}
TABLES = {"mem_mb": 8000, "runtime": 60}
MODEL = {"mem_mb": 16000, "runtime": 120}

STUDY = folder_of("{study}")
"""The paths of a study with its name as a wildcard, for the rules."""


@cache
def plan_of(study):
    return checked(plan.load_plan, study, CONFIG)


@cache
def config_fingerprints(study):
    return plan.fingerprints(plan.configs(plan_of(study)))


@cache
def catalogue_entries():
    return checked(catalogue.catalogue_entries, CONFIG)


def entry_of(kind, name):
    """Return a catalogue entry; a message lists the known ones."""
    return known(
        catalogue_entries(), f"{kind}/{name}", f"config/{'datasets' if kind == 'data' else kind}.yaml"
    )


def known(mapping, name, place):
    """Look up the value of a wildcard; a message lists the known ones."""
    if name not in mapping:
        raise WorkflowError(f"{name!r} is not in {place}; known: {', '.join(mapping)}")
    return mapping[name]


def built_in_models():
    """Return a pattern of the models that are pretrained here."""
    names = [
        key.removeprefix("models/")
        for key, entry in catalogue_entries().items()
        if isinstance(entry, catalogue.TinyModel)
    ]
    return "|".join(map(re.escape, names)) or "(?!)"


@cache
def runs_of(study) -> dict[str, RunEntry]:
    return {entry.run: entry for entry in plan.study_manifest(plan_of(study)).runs}


def trained_runs(study):
    return [run for run, entry in runs_of(study).items() if entry.method != BASE]


def benchmarks_of(study):
    return plan_of(study).study.evaluation.benchmarks


def forgetting_of(study):
    """Return the benchmarks of a study that measure what training unlearns."""
    return [name for name, benchmark in study.evaluation.benchmarks.items() if benchmark.forgetting]


def references_option(wildcards):
    """Return the option with the folder of scored reference solutions, where a study has them."""
    if not forgetting_of(plan_of(wildcards.study).study):
        return []
    return ["--references", str(folder_of(wildcards.study).references_of(wildcards.run))]


@cache
def studies_by_name():
    """Return every study; one that cannot be read is reported when it is asked for."""
    found = {}
    for path in sorted((CONFIG / "studies").glob("*.yaml")):
        try:
            found[path.stem] = load_study(path)[0]
        except UserError:
            continue
    return found


def run_of(wildcards):
    return known(runs_of(wildcards.study), wildcards.run, f"study {wildcards.study!r}")


def repeated(option, values):
    """Return an option once for each value, as the command line takes lists."""
    return [part for value in values for part in (option, str(value))]


@cache
def costs_of(study):
    return checked(costs.Costs, plan_of(study))


@cache
def needs_of(study):
    """Return what the jobs of a study ask for: planned where the run starts, and read in its jobs."""
    written = FROZEN.parent / "needs" / f"{study}.json"
    if not workflow.is_main_process and written.exists():
        return costs.read_needs(written)
    needs = costs.needs_of_runs(costs_of(study))
    if workflow.is_main_process:
        costs.write_needs(written, needs)
    return needs


def planned(kind, need):
    """Return a function: what a job of a kind (`train`, `generate`) needs, from the plan or the study.

    A job for all trained runs of a study gets the largest of their needs.
    """

    def of(wildcards):
        study, needs = wildcards.study, needs_of(wildcards.study)
        runs = [wildcards.run] if hasattr(wildcards, "run") else trained_runs(study)
        return max(getattr(known(needs, run, f"study {study!r}")[kind], need) for run in runs)

    return of


def gpus_of(kind):
    """Return the same for GPUs, or None, which sets no resource: some clusters refuse even `gpu: 0`."""
    return lambda wildcards: planned(kind, "gpus")(wildcards) or None


def time_limit(wildcards, resources):
    """Return the option with the time limit of a job; only where the job of a cluster has one.

    Since Snakemake derives it from resources, it does not compare it: another limit is no reason to run a job again.
    """
    return ["--max-minutes", str(resources.runtime)] if workflow.remote_exec else []


RETRIES = "RLVR_RETRIES"


def attempts_left(wildcards, attempt):
    """Return how many attempts of a job may follow; only the main process knows, so jobs get it from there."""
    if workflow.is_main_process and workflow.execution_settings:
        os.environ[RETRIES] = str(workflow.execution_settings.retries)
    return max(int(os.environ.get(RETRIES, attempt)) + 1 - attempt, 0)


def shown(table):
    """Return a table as an output that Snakemake's own report shows, with the caption of its name."""
    return report(
        table,
        category="Tables",
        labels={"study": "{study}", "table": table.stem},
        caption=f"../report/{table.stem}.rst",
    )


def model_path(name):
    return f"resources/models/{name}"


def data_path(name):
    return f"resources/data/{name}.parquet"


def model_of(wildcards):
    return model_path(run_of(wildcards).model)


def train_data_of(wildcards):
    return data_path(plan_of(wildcards.study).study.train_dataset)


def benchmark_data_of(wildcards):
    place = f"study {wildcards.study!r}"
    return data_path(known(benchmarks_of(wildcards.study), wildcards.benchmark, place).dataset)


def grader_version_of(wildcards):
    """Return the version of the grader: grades by another one are stale, the samples are not."""
    return grader_version(plan_of(wildcards.study).study.evaluation.grader)


def resources_of(studies):
    """Return the prepared models and data of some studies."""
    chosen = [plan_of(study).study for study in studies]
    models = {model for study in chosen for model in study.models}
    data = {study.train_dataset for study in chosen} | {
        benchmark.dataset for study in chosen for benchmark in study.evaluation.benchmarks.values()
    }
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
    return [folder_of(study).table(name) for study in studies for name in names]


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


def pretraining_data(part):
    """Return an input function: the data sets that a built-in model is pretrained on."""

    def of(wildcards):
        return [data_path(name) for name in getattr(entry_of("models", wildcards.model).pretraining, part)]

    return of


def adapter_of(wildcards):
    """Return the exported run, or nothing for the untrained model."""
    if run_of(wildcards).method == BASE:
        return []
    return folder_of(wildcards.study).run(wildcards.run).adapter


def learned_data_of(wildcards):
    """Return all that the models of a study learn from: its training data and pretraining data."""
    study = plan_of(wildcards.study).study
    models = [entry_of("models", name) for name in study.models]
    pretraining = [name for model in models if model.source == "tiny" for name in model.pretraining.datasets]
    return [data_path(name) for name in dict.fromkeys([study.train_dataset, *pretraining])]


def graded_samples_of(wildcards):
    return graded_samples([wildcards.study])


def scored_references_of(wildcards):
    return scored_references([wildcards.study])


def trained_of(wildcards):
    return [folder_of(wildcards.study).run(run).trained for run in trained_runs(wildcards.study)]


def records_of(wildcards):
    return [folder_of(wildcards.study).run(run).record for run in trained_runs(wildcards.study)]


def train_logs_of(wildcards):
    return [folder_of(wildcards.study).run(run).train_log for run in trained_runs(wildcards.study)]


def benchmark_files_of(wildcards):
    benchmarks = benchmarks_of(wildcards.study).values()
    return [data_path(name) for name in dict.fromkeys(benchmark.dataset for benchmark in benchmarks)]


def models_of(wildcards):
    return [model_path(name) for name in plan_of(wildcards.study).study.models]


SELECTION = checked(plan.selection, config)
STUDIES = SELECTION.studies
if workflow.is_main_process:
    logger.info(f"Studies: {', '.join(STUDIES)}", extra={"studies": list(STUDIES)})
for study in STUDIES:
    plan_of(study)
    if notice := upgrade_notice(folder_of(study)):
        logger.warning(notice)
    if workflow.is_main_process:  # once where a run starts, not again in each of its jobs
        checked(checks.check_plan, plan_of(study))
        if workflow.resource_settings.nodes is None:  # with `--jobs`, jobs run elsewhere
            checked(checks.check_engines, plan_of(study))
        for notice in notices.notices(plan_of(study)):
            logger.warning(notice)
        for misfit in dict.fromkeys(costs.misfits(costs_of(study))):
            logger.warning(misfit)
        if PARTITIONS:
            checked(partitions.check_partitions, costs_of(study), Path(PARTITIONS))


# What decides a verdict is written down before the first training, so that a later change of it shows.
onstart:
    for study in {job.wildcards_dict.get("study") for job in workflow.dag.jobs} - {None}:
        checked(register_claims, folder_of(study).root)


if workflow.resource_settings.nodes is not None:
    # With `--jobs`, jobs run elsewhere: `cores: all` of the profile `default` would cut their threads to those of this
    # machine.
    workflow.global_resources["_cores"] = None


wildcard_constraints:
    study="[a-z0-9][a-z0-9._+-]*",
    run="[a-z0-9][a-z0-9._+-]*",
    benchmark="[a-z0-9][a-z0-9._+-]*",
    model="[a-z0-9][a-z0-9._+-]*",
    dataset="[a-z0-9][a-z0-9._+-]*",
