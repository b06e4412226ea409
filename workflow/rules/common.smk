"""The configuration, checked before the first job, and the file names that follow from it.

REQUIRED INPUTS: config/config.yaml (or --config studies=[...]), config/studies, config/methods,
    config/models.yaml, config/datasets.yaml
OUTPUTS: none
"""

from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

from rlvr import plan as planning
from rlvr.config.resolved import RunEntry
from rlvr.config.catalogue import DataCatalogue, ModelCatalogue
from rlvr.config.loading import load_yaml
from rlvr.errors import UserError
from rlvr.files import content_hash
from rlvr.verify.graders.registry import grader_version


def checked(function, *arguments):
    """Call a function of the package; a wrong configuration is a message, not a traceback."""
    try:
        return function(*arguments)
    except UserError as error:
        raise WorkflowError(str(error)) from None


@cache
def plan_of(study):
    return checked(planning.load_plan, study)


@cache
def config_fingerprints(study):
    return planning.fingerprints(planning.cells(plan_of(study)))


@cache
def catalogue_entries():
    models = checked(load_yaml, Path("config/models.yaml"), ModelCatalogue)
    return planning.sources(models, checked(load_yaml, Path("config/datasets.yaml"), DataCatalogue))


def source_of(kind, name):
    """Return a catalogue entry, or say which there are."""
    return known(catalogue_entries(), f"{kind}/{name}", f"config/{'datasets' if kind == 'data' else kind}.yaml")


def known(mapping, name, place):
    """Look a wildcard up, or say which names there are."""
    if name not in mapping:
        raise WorkflowError(f"{name!r} is not in {place}; there are: {', '.join(mapping)}")
    return mapping[name]


@cache
def runs_of(study) -> dict[str, RunEntry]:
    return {entry.run: entry for entry in planning.study_manifest(plan_of(study)).runs}


def trained_runs(study):
    return [run for run, entry in runs_of(study).items() if entry.method != planning.BASE]


def benchmarks_of(study):
    return plan_of(study).study.evaluation.benchmarks


def run_of(wildcards):
    return known(runs_of(wildcards.study), wildcards.run, f"study {wildcards.study!r}")


def compute_of(wildcards):
    return plan_of(wildcards.study).study.compute


def model_of(wildcards):
    return f"resources/models/{run_of(wildcards).model}"


def train_data_of(wildcards):
    return f"resources/data/{plan_of(wildcards.study).study.train_dataset}.parquet"


def benchmark_data_of(wildcards):
    place = f"study {wildcards.study!r}"
    benchmark = known(benchmarks_of(wildcards.study), wildcards.benchmark, place)
    return f"resources/data/{benchmark.dataset}.parquet"


def grader_version_of(wildcards):
    """Return the version of the rules that judge: grades by another one are stale, the answers are not."""
    return grader_version(plan_of(wildcards.study).evaluation.grader)


def resources_of(studies):
    """Return the prepared models and data of some studies."""
    chosen = [plan_of(study).study for study in studies]
    models = {model for study in chosen for model in study.models}
    data = {study.train_dataset for study in chosen} | {
        benchmark.dataset for study in chosen for benchmark in study.evaluation.benchmarks.values()
    }
    return expand("resources/models/{model}", model=sorted(models)) + expand(
        "resources/data/{dataset}.parquet", dataset=sorted(data)
    )


def adapters(studies):
    return [f"results/{study}/runs/{run}/adapter" for study in studies for run in trained_runs(study)]


def answers(studies):
    """Return samples and grades of every run on every benchmark."""
    return [
        f"results/{study}/{kind}/{run}/{benchmark}.parquet"
        for study in studies
        for run in runs_of(study)
        for benchmark in benchmarks_of(study)
        for kind in ("samples", "grades")
    ]


def tables(studies):
    return expand(
        "results/{study}/tables/{table}.csv",
        study=studies,
        table=["summary", "comparisons", "budget", "overlap", "contaminated"],
    )


def reports(studies):
    return expand("reports/{study}.html", study=studies)


def pretraining_data(part):
    """Return an input function: the data sets that the built-in model is pretrained on."""

    def of(wildcards):
        source = source_of("models", wildcards.model)
        names = getattr(source.pretraining, part) if source.source == "tiny" else []
        return expand("resources/data/{dataset}.parquet", dataset=names)

    return of


def adapter_of(wildcards):
    """Return the exported run, or nothing for the untrained model."""
    if run_of(wildcards).method == planning.BASE:
        return []
    return f"results/{wildcards.study}/runs/{wildcards.run}/adapter"


def learned_data_of(wildcards):
    """Return all that a study's models learn from: its training data and the tiny model's pretraining data."""
    models = [catalogue_entries()[f"models/{name}"] for name in plan_of(wildcards.study).study.models]
    pretraining = [name for m in models if m.source == "tiny" for name in m.pretraining.datasets]
    names = [plan_of(wildcards.study).study.train_dataset, *pretraining]
    return expand("resources/data/{dataset}.parquet", dataset=dict.fromkeys(names))


def answers_of(wildcards):
    return answers([wildcards.study])


def runs_json_of(wildcards):
    study = wildcards.study
    return [f"results/{study}/runs/{run}/run.json" for run in trained_runs(study)]


def benchmark_files_of(wildcards):
    datasets = [b.dataset for b in benchmarks_of(wildcards.study).values()]
    return expand("resources/data/{dataset}.parquet", dataset=dict.fromkeys(datasets))


def training_logs_of(wildcards):
    study = wildcards.study
    return [f"results/{study}/runs/{run}/train_log.parquet" for run in trained_runs(study)]


def models_of(wildcards):
    models = plan_of(wildcards.study).study.models
    return expand("resources/models/{model}", model=models)


STUDIES = checked(planning.selected_studies, config)
for study in STUDIES:
    plan_of(study)


wildcard_constraints:
    study="[a-z0-9][a-z0-9._+-]*",
    run="[a-z0-9][a-z0-9._+-]*",
    benchmark="[a-z0-9][a-z0-9._+-]*",
    model="[a-z0-9][a-z0-9._+-]*",
    dataset="[a-z0-9][a-z0-9._+-]*",
