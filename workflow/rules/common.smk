"""The configuration, and the inputs of rules that follow from it.

REQUIRED INPUTS: config/studies, config/methods, config/models.yaml, config/datasets.yaml
OUTPUTS: none
"""

import re
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

from rlvr.artifacts import StudyFolder
from rlvr.config import catalogue
from rlvr.config.resolved import BASE, RunEntry
from rlvr.config.studies import load_study
from rlvr.errors import UserError
from rlvr.planning import plan
from rlvr.verify.graders.registry import grader_version


def folder_of(study):
    return StudyFolder(Path("results") / study)


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
    """Return all that the models of a study learn from: training data, pretraining data, and what chose their rates.

    No validation problem of a study that tunes may be in its test data either, which are among them then.
    """
    study, rates = plan_of(wildcards.study).study, plan.study_manifest(plan_of(wildcards.study)).rates
    kept_apart = study.tune.apart_from if study.tune else [rates.protocol.dataset] if rates else []
    models = [entry_of("models", name) for name in study.models]
    pretraining = [name for model in models if model.source == "tiny" for name in model.pretraining.datasets]
    return [data_path(name) for name in dict.fromkeys([study.train_dataset, *pretraining, *kept_apart])]


def validated_of(wildcards):
    """Return what a run of a study that tunes waits for: that its validation problems are nowhere else."""
    table = folder_of(wildcards.study).table("contaminated_problems")
    return ancient(table) if tunes(wildcards.study) else []


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


wildcard_constraints:
    study="[a-z0-9][a-z0-9._+-]*",
    run="[a-z0-9][a-z0-9._+-]*",
    benchmark="[a-z0-9][a-z0-9._+-]*",
    model="[a-z0-9][a-z0-9._+-]*",
    dataset="[a-z0-9][a-z0-9._+-]*",
