"""From a study to the cells of its grid: the one place that resolves presets, settings and names."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from rlvr.config.catalogue import DataCatalogue, GgufModel, HubData, LocalData, LocalModel, ModelCatalogue
from rlvr.config.loading import load_yaml, nearest, parse, read_yaml, unknown_name
from rlvr.config.resolved import (
    BASE,
    BenchmarkEntry,
    GenerateConfig,
    GradeConfig,
    RunEntry,
    StudyManifest,
    TrainConfig,
)
from rlvr.config.schema import (
    Evaluation,
    EvaluationCatalogue,
    EvaluationPreset,
    MethodChoice,
    MethodFile,
    Preset,
    Prompt,
    PromptCatalogue,
    Sampling,
    Selection,
    Study,
    Training,
)
from rlvr.errors import UserError
from rlvr.files import content_hash
from rlvr.methods import get_method, make_method


@dataclass(frozen=True)
class Plan:
    """A study with every name looked up and every value checked."""

    name: str
    study: Study
    models: ModelCatalogue
    datasets: DataCatalogue
    prompts: PromptCatalogue
    evaluation: EvaluationPreset
    """How answers are drawn and judged: the study's own values over those of its preset."""
    presets: dict[tuple[str, str], Preset]
    """(method, preset) -> its settings."""
    source: str
    """The study's file, for messages."""


def selected_studies(values: dict[str, Any]) -> list[str]:
    """Return the studies that `snakemake all` is to run, from `config/config.yaml` and `--config`.

    Raises:
        UserError: an unknown key or a wrong value.
    """
    return parse(Selection, values, "config/config.yaml or --config").studies


def load_plan(name: str, config: Path = Path("config")) -> Plan:
    """Read and check the study ``name`` and everything that it names.

    Raises:
        UserError: anything is wrong; the message names file, line, key, value and the nearest known name.
    """
    path = config / "studies" / f"{name}.yaml"
    study = load_study(path)
    evaluations = load_yaml(config / "evaluations.yaml", EvaluationCatalogue)
    plan = Plan(
        name=name,
        study=study,
        models=load_yaml(config / "models.yaml", ModelCatalogue),
        datasets=load_yaml(config / "datasets.yaml", DataCatalogue),
        prompts=load_yaml(config / "prompts.yaml", PromptCatalogue),
        evaluation=_evaluation(study.evaluation, evaluations, str(path)),
        presets={},
        source=str(path),
    )
    _check_names(plan)
    for position, choice in enumerate(plan.study.methods):
        place = f"{path}: methods[{position}]"
        preset = _preset(config, choice, place)
        _check_preset(preset, choice, study.training, config / "methods" / f"{choice.method}.yaml")
        plan.presets[choice.method, choice.preset] = preset
    _ = [cell.run for cell in train_configs(plan)]  # checks the parameters of every method
    _ = [cell.benchmark for cell in generate_configs(plan)]  # checks the name of the evaluation prompt
    return plan


def load_study(path: Path) -> Study:
    """Read a study; one with ``extends`` is laid over the study of that name in the same folder.

    Raises:
        UserError: see :func:`rlvr.config.loading.load_yaml`, or studies extend each other in a circle.
    """
    layers: list[dict[str, Any]] = []
    own, node = read_yaml(path)
    data, place, seen = own, path, [path]
    while isinstance(data, dict) and data.get("extends"):
        layers.append({key: value for key, value in data.items() if key != "extends"})
        place = place.with_name(f"{data['extends']}.yaml")
        if place in seen:
            raise UserError(f"{path}: extends: {' -> '.join(p.stem for p in [*seen, place])} is a circle")
        seen.append(place)
        data, _ = read_yaml(place)
    for layer in reversed(layers):
        data = _laid_over(data, layer)
    return parse(Study, data, str(path), node)


def _laid_over(below: Any, above: Any) -> Any:
    """Return ``below`` with the keys of ``above`` replaced; mappings are merged, lists are not."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{key: _laid_over(below.get(key), value) for key, value in above.items()}}


def train_configs(plan: Plan) -> Iterator[TrainConfig]:
    """Yield the cell of every training run: model x method x setting x seed."""
    study = plan.study
    for model in study.models:
        for choice in study.methods:
            for setting, override in study.settings.items():
                for seed in study.train_seeds:
                    yield _train_cell(plan, model, choice, setting, override, seed)


def generate_configs(plan: Plan) -> Iterator[GenerateConfig]:
    """Yield, for every benchmark, how answers are drawn."""
    study, evaluation = plan.study.evaluation, plan.evaluation
    for name, benchmark in study.benchmarks.items():
        yield GenerateConfig(
            study=plan.name,
            benchmark=name,
            dataset=benchmark.dataset,
            samples_per_problem=benchmark.samples_per_problem,
            sampling=_cut_at(evaluation.sampling, benchmark.max_new_tokens),
            prompt=_asked(
                plan, "evaluation.prompt", benchmark.prompt or evaluation.prompt or plan.study.prompt
            ),
            batch_size=study.batch_size,
            dtype=study.dtype,
            seed=plan.study.seed if evaluation.seed is None else evaluation.seed,
            shared_seed=evaluation.shared_seed,
        )


def _cut_at(sampling: Sampling, max_new_tokens: int | None) -> Sampling:
    """Return the sampling with another length, where a benchmark asks for one."""
    return sampling.model_copy(update={"max_new_tokens": max_new_tokens}) if max_new_tokens else sampling


def grade_configs(plan: Plan) -> Iterator[GradeConfig]:
    """Yield, for every benchmark, how answers are judged."""
    for name, benchmark in plan.study.evaluation.benchmarks.items():
        yield GradeConfig(
            study=plan.name,
            benchmark=name,
            dataset=benchmark.dataset,
            samples_per_problem=benchmark.samples_per_problem,
            answer_format=benchmark.answer_format
            or plan.evaluation.answer_format
            or plan.study.answer_format,
            grader=plan.evaluation.grader,
        )


def study_manifest(plan: Plan) -> StudyManifest:
    """Return the grid with the untrained models, and the benchmarks."""
    bases = [
        RunEntry(run=f"{model}--{BASE}", model=model, method=BASE, preset="-", setting="-", train_seed=None)
        for model in plan.study.models
    ]
    fields = set(RunEntry.model_fields)
    trained = [
        RunEntry(
            **cell.model_dump(include=fields - {"trains_as"}),
            trains_as=None if cell.trains_as == cell.method else cell.trains_as,
        )
        for cell in train_configs(plan)
    ]
    return StudyManifest(
        study=plan.name,
        title=plan.study.title,
        description=plan.study.description,
        train_dataset=plan.study.train_dataset,
        grader=plan.evaluation.grader,
        shared_seed=plan.evaluation.shared_seed,
        runs=bases + trained,
        benchmarks=[
            BenchmarkEntry(benchmark=name, **benchmark.model_dump(include=set(BenchmarkEntry.model_fields)))
            for name, benchmark in plan.study.evaluation.benchmarks.items()
        ],
    )


def cells(plan: Plan) -> dict[str, BaseModel]:
    """Return every cell of a study under its name: `train/RUN`, `generate/BENCHMARK`, …, `study`."""
    return {
        **{f"train/{cell.run}": cell for cell in train_configs(plan)},
        **{f"generate/{cell.benchmark}": cell for cell in generate_configs(plan)},
        **{f"grade/{cell.benchmark}": cell for cell in grade_configs(plan)},
        "study": study_manifest(plan),
    }


def sources(models: ModelCatalogue, datasets: DataCatalogue) -> dict[str, BaseModel]:
    """Return what the catalogues say under `models/NAME` and `data/NAME`."""
    return {
        **{f"models/{name}": source for name, source in models.models.items()},
        **{f"data/{name}": source for name, source in datasets.datasets.items()},
    }


def entry_files(source: BaseModel) -> list[str]:
    """Return the files of this machine that a catalogue entry reads; a folder that holds none for itself."""
    if isinstance(source, LocalData):
        return [source.path]
    if isinstance(source, LocalModel):
        folder = Path(source.path)
        return [str(file) for file in sorted(folder.glob("*")) if file.is_file()] or [source.path]
    if isinstance(source, HubData) and source.local and Path(source.local.path).exists():
        return [source.local.path]
    if isinstance(source, GgufModel) and source.package is None:
        return [source.file]
    return []


def fingerprints(named: dict[str, BaseModel]) -> dict[str, str]:
    """Return the hash of every cell's content: what a rerun depends on."""
    return {name: content_hash(cell.model_dump()) for name, cell in named.items()}


def _train_cell(
    plan: Plan, model: str, choice: MethodChoice, setting: str, override: dict[str, Any], seed: int
) -> TrainConfig:
    preset = plan.presets[choice.method, choice.preset]
    changed = _laid_over(_laid_over(plan.study.training.model_dump(), preset.training), override)
    training = parse(Training, changed, f"{plan.source}: settings.{setting}")
    rate = training.learning_rate * preset.learning_rate_factor
    training = training.model_copy(update={"learning_rate": rate})
    values = {**preset.parameters, **choice.parameters}
    trains_as = preset.trains_as or choice.method
    if training.sync == "adapter" and not get_method(trains_as).exact_lora:
        raise UserError(
            f"{plan.source}: training.sync: adapter needs an exact low-rank form of every method, and "
            f"{trains_as!r} has none; use sync: merged, or leave the method out"
        )
    return TrainConfig(
        study=plan.name,
        run=f"{model}--{choice.method}--{choice.preset}--{setting}--s{seed}",
        model=model,
        method=choice.method,
        preset=choice.preset,
        trains_as=trains_as,
        faults=preset.faults,
        setting=setting,
        train_seed=seed,
        parameters=make_method(trains_as, values, plan.source).parameters.model_dump(mode="json"),
        dataset=plan.study.train_dataset,
        prompt=_asked(plan, "prompt", plan.study.prompt),
        answer_format=plan.study.answer_format,
        training=training,
    )


def _evaluation(study: Evaluation, catalogue: EvaluationCatalogue, source: str) -> EvaluationPreset:
    """Return the study's own values over those of the preset that it names; sampling is mixed key by key."""
    own = study.model_dump(exclude_unset=True, include=set(EvaluationPreset.model_fields))
    if study.preset is None:
        return parse(EvaluationPreset, own, f"{source}: evaluation")
    if study.preset not in catalogue.evaluations:
        raise unknown_name(source, "evaluation.preset", study.preset, catalogue.evaluations.keys())
    preset = catalogue.evaluations[study.preset].model_dump()
    sampling = {**preset["sampling"], **(own.get("sampling") or {})}
    return parse(EvaluationPreset, {**preset, **own, "sampling": sampling}, f"{source}: evaluation")


def _asked(plan: Plan, key: str, choice: Prompt | str) -> Prompt:
    """Return a prompt as words, whether written out or named; where it comes from is no part of it."""
    if isinstance(choice, Prompt):
        return choice
    named = plan.prompts.prompts.get(choice)
    if named is None:
        raise unknown_name(plan.source, key, choice, plan.prompts.prompts.keys())
    return Prompt(system=named.system, user=named.user)


def _preset(config: Path, choice: MethodChoice, source: str) -> Preset:
    get_method(choice.method, source)
    path = config / "methods" / f"{choice.method}.yaml"
    presets = {str(name): preset for name, preset in load_yaml(path, MethodFile).presets.items()}
    if choice.preset not in presets:
        raise UserError(
            f"{source}: preset {choice.preset!r} is not in {path}{nearest(choice.preset, presets)} "
            f"(there are: {', '.join(sorted(presets))})"
        )
    return presets[choice.preset]


def _check_preset(preset: Preset, choice: MethodChoice, training: Training, path: Path) -> None:
    """Refuse a preset whose values do not fit, with its own file in the message and not the study's."""
    place = f"{path}: presets.{choice.preset}"
    make_method(preset.trains_as or choice.method, preset.parameters, place)
    parse(Training, _laid_over(training.model_dump(), preset.training), f"{place}.training")


def _check_names(plan: Plan) -> None:
    study, datasets = plan.study, plan.datasets.datasets
    for model in study.models:
        if model not in plan.models.models:
            raise unknown_name(plan.source, "models", model, plan.models.models.keys())
    wanted = {"train_dataset": study.train_dataset} | {
        f"evaluation.benchmarks.{name}.dataset": benchmark.dataset
        for name, benchmark in study.evaluation.benchmarks.items()
    }
    for key, dataset in wanted.items():
        if dataset not in datasets:
            raise unknown_name(plan.source, key, dataset, datasets.keys())


def print_plan(plan: Plan) -> None:
    """Print a study's grid, a line for all training seeds of a method, and its benchmarks as tables."""
    console = Console()
    console.print(
        f"[bold]{plan.study.title}[/]: {len(study_manifest(plan).runs)} runs, the untrained model included"
    )
    seeds = " ".join(str(seed) for seed in plan.study.train_seeds)
    console.print(f"A run is called model--method--preset--setting--sSEED; training seeds: {seeds}")
    runs = _table("model", "method", "preset", "setting", "learning rate", "steps")
    runs.add_column("parameters", overflow="fold", ratio=1)
    for cell in train_configs(plan):
        if cell.train_seed == plan.study.train_seeds[0]:
            parameters = {key: value for key, value in cell.parameters.items() if key != "target_modules"}
            runs.add_row(
                cell.model,
                cell.method if cell.trains_as == cell.method else f"{cell.method} (trains {cell.trains_as})",
                cell.preset,
                cell.setting,
                f"{cell.training.learning_rate:g}",
                str(cell.training.steps),
                ", ".join(
                    f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}"
                    for key, value in parameters.items()
                ),
            )
    console.print(runs)
    benchmarks = _table("benchmark", "data set", "samples per problem")
    for name, benchmark in plan.study.evaluation.benchmarks.items():
        benchmarks.add_row(name, benchmark.dataset, str(benchmark.samples_per_problem))
    console.print(benchmarks)


def _table(*columns: str) -> Table:
    """Return a table that fits a terminal of 80 characters; names are folded, never cut."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
