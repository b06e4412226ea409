"""From a study to the configurations of its jobs: the one place that resolves presets, settings and names."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from rlvr.config.catalogue import (
    DataCatalogue,
    MethodSets,
    ModelCatalogue,
    PromptCatalogue,
    catalogue_entries,
)
from rlvr.config.loading import load_yaml, nearest, parse, unknown_name
from rlvr.config.resolved import (
    BASE,
    BenchmarkEntry,
    GenerateConfig,
    GradeConfig,
    RateFactor,
    RunEntry,
    StudyManifest,
    TrainConfig,
)
from rlvr.config.schema import (
    MethodChoice,
    MethodFile,
    Preset,
    Prompt,
    Sampling,
    Selection,
    Setting,
    Study,
    Training,
)
from rlvr.config.studies import load_study, merged
from rlvr.errors import UserError
from rlvr.files import content_hash, write_json
from rlvr.methods import get_method, make_method
from rlvr.methods.fits import check_fits


@dataclass(frozen=True)
class PlannedMethod:
    """One method of a study with its preset."""

    method: str
    preset_name: str
    preset: Preset
    choice: MethodChoice
    """The choice of the study, whose values replace the preset's."""
    place: str
    """Where the study names it, for messages."""

    @property
    def trains_as(self) -> str:
        """The method that is trained."""
        return self.preset.trains_as or self.method

    @property
    def rate_factor(self) -> RateFactor:
        """What the learning rate of the study is multiplied by, and who gives it."""
        own = self.choice.learning_rate_factor
        if own is None:
            return RateFactor(value=self.preset.learning_rate_factor, given_by="preset")
        return RateFactor(value=own, given_by="study")


@dataclass(frozen=True)
class Plan:
    """A study with every name looked up and every value checked."""

    name: str
    study: Study
    methods: tuple[PlannedMethod, ...]
    models: ModelCatalogue
    datasets: DataCatalogue
    prompts: PromptCatalogue
    path: str
    """The study's file, for messages."""


def selection(values: dict[str, Any]) -> Selection:
    """Return what `snakemake all` runs, from `config/config.yaml` and `--config`.

    Raises:
        UserError: an unknown key or a wrong value.
    """
    return parse(Selection, values, "config/config.yaml or --config")


def load_plan(name: str, config: Path = Path("config")) -> Plan:
    """Read and check the study ``name`` and everything that it names.

    Raises:
        UserError: anything is wrong; the message names file, line, key, value and the nearest known name.
    """
    path = config / "studies" / f"{name}.yaml"
    study = load_study(path)
    plan = Plan(
        name=name,
        study=study,
        methods=tuple(_planned_methods(study, config, str(path))),
        models=load_yaml(config / "models.yaml", ModelCatalogue),
        datasets=load_yaml(config / "datasets.yaml", DataCatalogue),
        prompts=load_yaml(config / "prompts.yaml", PromptCatalogue),
        path=str(path),
    )
    _check_names(plan)
    configs(plan)  # checks every value
    return plan


def check_methods(plan: Plan, resources: Path = Path("resources")) -> None:
    """Check every method of a study against every model whose architecture is known.

    Not part of :func:`load_plan`, which every job of the workflow repeats.

    Raises:
        UserError: some do not fit; the message names all of them.
    """
    try:
        check_fits(train_configs(plan), plan.models, resources)
    except UserError as error:
        raise UserError(f"{plan.path}: {error}") from None


def train_configs(plan: Plan) -> Iterator[TrainConfig]:
    """Yield the configuration of every training run: model x method x setting x seed."""
    for config, _ in planned_runs(plan):
        yield config


def planned_runs(plan: Plan) -> Iterator[tuple[TrainConfig, RateFactor]]:
    """Yield the configuration of every training run, and the factor in its learning rate."""
    study = plan.study
    for model in study.models:
        for planned in plan.methods:
            for name, setting in study.settings.items():
                if not setting.methods or planned.method in setting.methods:
                    resolved = _train_config(plan, model, planned, name, setting)
                    for seed in study.train_seeds:
                        run = f"{resolved.run}--s{seed}"
                        config = resolved.model_copy(update={"run": run, "train_seed": seed})
                        yield config, planned.rate_factor


def _train_config(plan: Plan, model: str, planned: PlannedMethod, name: str, setting: Setting) -> TrainConfig:
    """Return the configuration of one method in one setting, without its seed."""
    preset, place = planned.preset, f"{plan.path}: settings.{name}"
    own = plan.study.training.model_dump(exclude_unset=True)
    changed = merged(merged(own, preset.training), setting.training)
    training = parse(Training, changed, f"{place}.training")
    rate = training.learning_rate * planned.rate_factor.value
    values = {**preset.parameters, **planned.choice.parameters, **setting.parameters}
    where = place if setting.parameters else planned.place
    method = make_method(planned.trains_as, values, where)
    if training.sync == "adapter" and not method.exact_lora:
        raise UserError(
            f"{plan.path}: training.sync: adapter needs an exact low-rank form of every method, and "
            f"{planned.trains_as!r} has none; use sync: merged, or remove the method"
        )
    return TrainConfig(
        study=plan.name,
        run=f"{model}--{planned.method}--{planned.preset_name}--{name}",
        model=model,
        method=planned.method,
        preset=planned.preset_name,
        trains_as=planned.trains_as,
        faults=preset.faults,
        setting=name,
        train_seed=0,
        parameters=method.parameters.model_dump(mode="json"),
        dataset=plan.study.train_dataset,
        prompt=_prompt(plan, "prompt", plan.study.prompt),
        answer_format=plan.study.answer_format,
        reward=plan.study.reward,
        training=training.model_copy(update={"learning_rate": rate}),
    )


def generate_configs(plan: Plan) -> Iterator[GenerateConfig]:
    """Yield, for every benchmark, how completions are sampled."""
    evaluation = plan.study.evaluation
    for name, benchmark in evaluation.benchmarks.items():
        prompt = benchmark.prompt or evaluation.prompt or plan.study.prompt
        yield GenerateConfig(
            study=plan.name,
            benchmark=name,
            dataset=benchmark.dataset,
            samples_per_problem=benchmark.samples_per_problem,
            sampling=_with_length(evaluation.sampling, benchmark.max_new_tokens),
            prompt=_prompt(plan, "evaluation.prompt", prompt),
            batch_size=evaluation.batch_size,
            dtype=evaluation.dtype,
            merged_dtype=benchmark.merged_dtype or evaluation.merged_dtype,
            seed=plan.study.seed if evaluation.seed is None else evaluation.seed,
            shared_seed=evaluation.shared_seed,
        )


def _with_length(sampling: Sampling, max_new_tokens: int | None) -> Sampling:
    """Return the sampling parameters with the length limit of a benchmark, if it has one."""
    return sampling.model_copy(update={"max_new_tokens": max_new_tokens}) if max_new_tokens else sampling


def grade_configs(plan: Plan) -> Iterator[GradeConfig]:
    """Yield, for every benchmark, how completions are graded."""
    study, evaluation = plan.study, plan.study.evaluation
    for name, benchmark in evaluation.benchmarks.items():
        yield GradeConfig(
            study=plan.name,
            benchmark=name,
            dataset=benchmark.dataset,
            samples_per_problem=benchmark.samples_per_problem,
            answer_format=benchmark.answer_format or evaluation.answer_format or study.answer_format,
            grader=evaluation.grader,
        )


def study_manifest(plan: Plan) -> StudyManifest:
    """Return all runs, the untrained models first, and the benchmarks."""
    untrained = [
        RunEntry(run=f"{model}--{BASE}", model=model, method=BASE, preset="-", setting="-", train_seed=None)
        for model in plan.study.models
    ]
    fields = set(RunEntry.model_fields) & set(TrainConfig.model_fields)
    trained = [
        RunEntry(
            **config.model_dump(include=fields - {"trains_as"}),
            trains_as=None if config.trains_as == config.method else config.trains_as,
            rate_factor=factor,
        )
        for config, factor in planned_runs(plan)
    ]
    return StudyManifest(
        study=plan.name,
        title=plan.study.title,
        description=plan.study.description,
        train_dataset=plan.study.train_dataset,
        grader=plan.study.evaluation.grader,
        shared_seed=plan.study.evaluation.shared_seed,
        runs=untrained + trained,
        benchmarks=[
            BenchmarkEntry(benchmark=name, **benchmark.model_dump(include=set(BenchmarkEntry.model_fields)))
            for name, benchmark in plan.study.evaluation.benchmarks.items()
        ],
    )


def configs(plan: Plan) -> dict[str, BaseModel]:
    """Return every configuration of a study by name: `train/RUN`, `generate/BENCHMARK`, .., `study`."""
    return {
        **{f"train/{config.run}": config for config in train_configs(plan)},
        **{f"generate/{config.benchmark}": config for config in generate_configs(plan)},
        **{f"grade/{config.benchmark}": config for config in grade_configs(plan)},
        "study": study_manifest(plan),
    }


def write_resolved(name: str, study: str | None, config: Path, output: Path) -> None:
    """Write one configuration of a study, or without a study one catalogue entry, as JSON.

    Raises:
        UserError: no such name, or something in the configuration is wrong.
    """
    known = catalogue_entries(config) if study is None else configs(load_plan(study, config))
    if name not in known:
        raise unknown_name(str(config) if study is None else f"study {study}", "NAME", name, known.keys())
    write_json(output, known[name].model_dump(mode="json"))


def fingerprints(named: dict[str, BaseModel]) -> dict[str, str]:
    """Return the hash of the content of each configuration: what a rerun depends on."""
    return {name: content_hash(config.model_dump()) for name, config in named.items()}


def _prompt(plan: Plan, key: str, choice: Prompt | str) -> Prompt:
    """Return the text of a prompt, written out or named; where it is from is no part of it."""
    if isinstance(choice, Prompt):
        return choice
    named = plan.prompts.prompts.get(choice)
    if named is None:
        raise unknown_name(plan.path, key, choice, plan.prompts.prompts.keys())
    return Prompt(**named.model_dump(include=set(Prompt.model_fields)))


def _planned_methods(study: Study, config: Path, path: str) -> Iterator[PlannedMethod]:
    """Yield the methods of a study with their presets, sets expanded.

    Raises:
        UserError: a name is not known, a preset does not fit, or a method with its preset is listed twice.
    """
    listed: Counter[tuple[str, str]] = Counter()
    for place, choice in _expanded(study, config, path):
        assert choice.method is not None
        listed[choice.method, choice.preset] += 1
        if listed[choice.method, choice.preset] > 1:
            raise UserError(
                f"{place}: {choice.method} with preset {choice.preset} is listed twice; for other parameters "
                f"add a setting: `settings: {{NAME: {{methods: [{choice.method}], parameters: ...}}}}`"
            )
        preset = _with_faults(_preset(config, choice, place), choice, place)
        _check_preset(preset, choice, study.training, config / "methods" / f"{choice.method}.yaml")
        yield PlannedMethod(choice.method, choice.preset, preset, choice, place)


def _expanded(study: Study, config: Path, path: str) -> Iterator[tuple[str, MethodChoice]]:
    """Yield (place in the study, choice of one method), the members of a set one by one."""
    single = isinstance(study.methods, MethodChoice)
    choices = [study.methods] if isinstance(study.methods, MethodChoice) else study.methods
    for position, choice in enumerate(choices):
        place = f"{path}: methods" if single else f"{path}: methods[{position}]"
        if choice.set is None:
            yield place, choice
            continue
        sets = load_yaml(config / "method_sets.yaml", MethodSets).sets
        if choice.set not in sets:
            raise unknown_name(place, "set", choice.set, sets.keys())
        for method in sets[choice.set]:
            yield place, MethodChoice(method=method, preset=choice.preset, faults=choice.faults)


def _preset(config: Path, choice: MethodChoice, place: str) -> Preset:
    assert choice.method is not None
    get_method(choice.method, place)
    path = config / "methods" / f"{choice.method}.yaml"
    presets = {str(name): preset for name, preset in load_yaml(path, MethodFile).presets.items()}
    if choice.preset not in presets:
        raise UserError(
            f"{place}: {path} has no preset {choice.preset!r}{nearest(choice.preset, presets)} "
            f"(known: {', '.join(sorted(presets))})"
        )
    return presets[choice.preset]


def _with_faults(preset: Preset, choice: MethodChoice, place: str) -> Preset:
    """Return the preset with those of its faults that the study chooses."""
    if choice.faults is None:
        return preset
    for fault in choice.faults:
        if fault not in preset.faults:
            raise UserError(
                f"{place}: faults: preset {choice.preset} of {choice.method} does not have {fault!r} "
                f"(it has: {', '.join(preset.faults) or 'none'})"
            )
    return preset.model_copy(update={"faults": choice.faults})


def _check_preset(preset: Preset, choice: MethodChoice, training: Training, path: Path) -> None:
    """Refuse a preset whose values do not fit, naming its own file and not the study's."""
    place = f"{path}: presets.{choice.preset}"
    make_method(preset.trains_as or str(choice.method), preset.parameters, place)
    own = training.model_dump(exclude_unset=True)
    parse(Training, merged(own, preset.training), f"{place}.training")


def _check_names(plan: Plan) -> None:
    study, datasets = plan.study, plan.datasets.datasets
    methods = {planned.method for planned in plan.methods}
    for model in study.models:
        if model not in plan.models.models:
            raise unknown_name(plan.path, "models", model, plan.models.models.keys())
    for name, setting in study.settings.items():
        for method in setting.methods:
            if method not in methods:
                raise unknown_name(plan.path, f"settings.{name}.methods", method, methods)
    wanted = {"train_dataset": study.train_dataset} | {
        f"evaluation.benchmarks.{name}.dataset": benchmark.dataset
        for name, benchmark in study.evaluation.benchmarks.items()
    }
    for key, dataset in wanted.items():
        if dataset not in datasets:
            raise unknown_name(plan.path, key, dataset, datasets.keys())
