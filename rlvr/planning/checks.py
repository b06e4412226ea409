"""What is checked once before the first job, beyond the values of a study: models, files and shared data."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

from rlvr.config.catalogue import (
    DataEntry,
    GeneratedData,
    GgufModel,
    HubData,
    LocalData,
    LocalModel,
    ModelEntry,
    Rows,
    TinyModel,
    is_countdown,
)
from rlvr.config.choices import AnswerFormat, EngineName
from rlvr.config.documents import Place
from rlvr.config.known import nearest_file
from rlvr.config.loading import read_yaml
from rlvr.errors import UserError
from rlvr.files import sha256_of
from rlvr.models.architecture import known_architecture
from rlvr.models.positions import POSITIONS
from rlvr.models.precision import rounds
from rlvr.planning.plan import Plan, check_methods, data_places, grade_configs, train_configs
from rlvr.rollout.engines.factory import missing_engine

TRAINING_ENGINE = ("training", "engine")
"""Keys of the engine that samples in training."""


def check_plan(plan: Plan, resources: Path = Path("resources")) -> None:
    """Check a study against its models, files and data; not repeated in each job of the workflow.

    Raises:
        UserError: a method does not fit a model, a file is missing, a benchmark is trained on, an engine does
            not fit the devices, or a precision or a length does not fit a model; one line per error.
    """
    check_methods(plan, resources)
    errors = [
        *_missing_files(plan, resources),
        *_trained_benchmarks(plan),
        *_unchecked_expressions(plan),
        *_rounded_models(plan),
        *_too_long(plan, resources),
        *_engine_on_several_devices(plan),
    ]
    if errors:
        raise UserError("\n".join(dict.fromkeys(errors)))


def check_engines(plan: Plan) -> None:
    """Check that the engines of a study are installed here, where its jobs run.

    Raises:
        UserError: one is not; one line per key.
    """
    places = {("evaluation", "engine"): {plan.study.evaluation.engine}, TRAINING_ENGINE: _engines(plan)}
    missing = [
        f"{plan.place.at(*keys)}: {reason}"
        for keys, engines in places.items()
        for engine in sorted(engines)
        if (reason := missing_engine(engine))
    ]
    if missing:
        raise UserError("\n".join(missing))


def pretraining_data(plan: Plan, model: str) -> list[str]:
    """Return the data sets that a built-in model learns from or is chosen by."""
    entry = plan.models.models[model]
    if not isinstance(entry, TinyModel):
        return []
    return [*entry.pretraining.datasets, *entry.pretraining.validation_datasets]


# --- files ----------------------------------------------------------------------------------------


def _missing_files(plan: Plan, resources: Path) -> Iterator[str]:
    """Yield the local files that a study needs and that are neither there nor prepared."""
    for name in plan.study.models:
        if not (resources / "models" / name).exists():
            yield from _missing_model(plan, name, plan.models.models[name])
    pretraining = [name for model in plan.study.models for name in pretraining_data(plan, model)]
    for name in dict.fromkeys([*(name for _, name in data_places(plan)), *pretraining]):
        entry = plan.datasets.datasets.get(name)
        if entry is None:
            yield f"{plan.config / 'models.yaml'}: pretraining: data set {name!r} is not in datasets.yaml"
        elif isinstance(entry, LocalData) and not (resources / "data" / f"{name}.parquet").exists():
            yield from _missing(plan, ("datasets", name, "path"), entry.path)


def _missing_model(plan: Plan, name: str, entry: ModelEntry) -> Iterator[str]:
    if isinstance(entry, LocalModel):
        yield from _missing(plan, ("models", name, "path"), entry.path)
    elif not isinstance(entry, GgufModel):
        return
    elif entry.package is None:
        yield from _missing(plan, ("models", name, "file"), entry.file)
    elif importlib.util.find_spec(entry.package.partition(".")[0]) is None:
        where = _catalogue_place(plan, ("models", name, "package"))
        yield f"{where}: no package {entry.package!r} is installed; install it, or give a `file` by its path"


def _missing(plan: Plan, keys: tuple[str, str, str], text: str) -> Iterator[str]:
    path = Path(text)
    if not path.exists():
        way_out = "put it there, or correct the path" + (
            "" if path.is_absolute() else f"; it is relative to {Path.cwd()}"
        )
        yield (f"{_catalogue_place(plan, keys)}: {text} does not exist{nearest_file(path)}; {way_out}")


def _catalogue_place(plan: Plan, keys: tuple[str, str, str]) -> str:
    _, place = read_yaml(plan.config / f"{keys[0]}.yaml")
    return str(place.at(*keys))


# --- data -----------------------------------------------------------------------------------------


def _trained_benchmarks(plan: Plan) -> Iterator[str]:
    """Yield the benchmarks whose problems a study trains on, or its models were pretrained on."""
    (_, train), *benchmarks = data_places(plan)
    entries = plan.datasets.datasets
    for place, name in benchmarks:
        way_out = "measure on other problems: another data set, or other `rows` of it"
        if shared := shared_problems(train, entries[train], name, entries[name]):
            yield f"{place}: {name!r} is the training data {train!r}: {shared}; {way_out}"
        for model in plan.study.models:
            if name in pretraining_data(plan, model):
                yield f"{place}: {name!r} is in `pretraining` of model {model!r} (models.yaml); {way_out}"


def _unchecked_expressions(plan: Plan) -> Iterator[str]:
    """Yield the graders and answer formats of a study by which no expression of Countdown is correct."""
    study, entries = plan.study, plan.datasets.datasets
    if is_countdown(entries[study.train_dataset]):
        yield from _expressionless(plan.place.at("answer_format"), study.answer_format)
        if study.reward != "rlvr":
            yield f"{plan.place.at('reward')}: {study.reward} cannot check Countdown; set reward: rlvr"
    for graded in grade_configs(plan):
        if is_countdown(entries[graded.dataset]):
            yield from _expressionless(
                plan.place.at("evaluation", "benchmarks", graded.benchmark, "answer_format"),
                graded.answer_format,
            )
            if graded.grader != "rlvr":
                place = plan.place.at("evaluation", "grader")
                yield f"{place}: {graded.grader} cannot check Countdown; set grader: rlvr"


def _expressionless(place: Place, answer_format: AnswerFormat) -> Iterator[str]:
    if answer_format == "first-line-number":
        yield f"{place}: {answer_format} finds no expression, the answer of Countdown; use first-line"


def shared_problems(first: str, one: DataEntry, second: str, other: DataEntry) -> str | None:
    """Return why two entries hold the same problems, or None if nothing shows that they do.

    Args:
        first: name of an entry.
        one: the entry.
        second: name of another entry.
        other: the entry.
    """
    if first == second:
        return "one data set"
    if isinstance(one, GeneratedData) or isinstance(other, GeneratedData):
        return "the same entry under two names" if one == other else None
    if not _overlap(one.rows, other.rows):
        return None
    if isinstance(one, HubData) and isinstance(other, HubData):
        same = (one.repo, one.config, one.split) == (other.repo, other.config, other.split)
        return f"both are split {one.split!r} of {one.repo}" if same else None
    first_path, second_path = _path(one), _path(other)
    if first_path is None or second_path is None:
        return None
    if first_path.resolve() == second_path.resolve():
        return f"both are {first_path}" if _split(one) == _split(other) else None
    if _same_content(first_path, second_path):
        return f"{first_path} and {second_path} have the same content"
    return None


def _overlap(one: Rows | None, other: Rows | None) -> bool:
    if one is None or other is None:
        return True
    return max(one.skip, other.skip) < min(one.skip + one.take, other.skip + other.take)


def _path(entry: LocalData | HubData) -> Path | None:
    """Return the file or folder that an entry reads, if it exists."""
    path = entry.path if isinstance(entry, LocalData) else entry.local.path if entry.local else None
    return Path(path) if path is not None and Path(path).exists() else None


def _split(entry: LocalData | HubData) -> str | None:
    """Return the split that an entry reads of a folder."""
    return entry.split if isinstance(entry, LocalData) else entry.local.split if entry.local else None


def _same_content(one: Path, other: Path) -> bool:
    if not (one.is_file() and other.is_file()) or one.stat().st_size != other.stat().st_size:
        return False
    return sha256_of(one) == sha256_of(other)


# --- models ---------------------------------------------------------------------------------------


def _rounded_models(plan: Plan) -> Iterator[str]:
    """Yield the precisions in which training would round a base whose own precision the catalogue tells."""
    for config in train_configs(plan):
        entry = plan.models.models[config.model]
        if not isinstance(entry, TinyModel | GgufModel):
            continue
        stored = entry.dtype if isinstance(entry, GgufModel) else "float32"
        if rounds(stored, config.training.dtype):
            yield (
                f"{plan.place.at('training', 'dtype')}: {config.training.dtype} would round the {stored} "
                f"weights of {config.model!r}; set dtype: {stored}"
                + (", or `dtype` of the model in models.yaml" if isinstance(entry, GgufModel) else "")
            )


def _engines(plan: Plan) -> set[EngineName]:
    return {config.training.engine for config in train_configs(plan)}


def _engine_on_several_devices(plan: Plan) -> Iterator[str]:
    if (plan.study.compute.gpus or 0) > 1 and "vllm" in _engines(plan):
        yield (
            f"{plan.place.at(*TRAINING_ENGINE)}: vllm is not supported where several devices train "
            f"(compute.gpus: {plan.study.compute.gpus}); use engine: transformers, or gpus: 1"
        )


def _too_long(plan: Plan, resources: Path) -> Iterator[str]:
    """Yield the lengths of completions that leave no position of a model for a prompt."""
    longest = max(config.training.sampling.max_new_tokens for config in train_configs(plan))
    lengths: dict[tuple[str, ...], int] = {("training", "sampling", "max_new_tokens"): longest}
    for name, benchmark in plan.study.evaluation.benchmarks.items():
        if benchmark.max_new_tokens is not None:
            lengths["evaluation", "benchmarks", name, "max_new_tokens"] = benchmark.max_new_tokens
    lengths["evaluation", "sampling", "max_new_tokens"] = plan.study.evaluation.sampling.max_new_tokens
    for name in plan.study.models:
        architecture = known_architecture(name, plan.models.models[name], resources)
        values = architecture.model_dump() if architecture else {}
        positions = next((int(values[key]) for key in POSITIONS if values.get(key)), None)
        for keys, length in lengths.items():
            if positions is not None and length >= positions:
                yield (
                    f"{plan.place.at(*keys)}: {length} leaves none of the {positions} positions of model "
                    f"{name!r} for a prompt; choose fewer tokens"
                )
