"""From a study to the configurations of its jobs: the one place that resolves presets, settings and names."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from rlvr.config.catalogue import (
    DataCatalogue,
    ModelCatalogue,
    PromptCatalogue,
    catalogue_entries,
)
from rlvr.config.devices import Device, DeviceCatalogue
from rlvr.config.documents import Place
from rlvr.config.known import unknown_name
from rlvr.config.loading import load_yaml, parse
from rlvr.config.rates import AppliedRates, ChosenRate, TunedRates
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
from rlvr.config.schema import Compute, Selection, Setting, Study
from rlvr.config.studies import load_study, merged
from rlvr.config.training import Prompt, Sampling, Training
from rlvr.errors import UserError
from rlvr.files import content_hash, write_json
from rlvr.methods import Method, get_method, make_method
from rlvr.methods.fits import check_fits
from rlvr.planning.methods import PlannedMethod, planned_methods
from rlvr.planning.rates import check_rates, load_rates, rate_choice, run_rate


@dataclass(frozen=True)
class Plan:
    """A study with every name looked up and every value checked."""

    name: str
    study: Study
    methods: tuple[PlannedMethod, ...]
    models: ModelCatalogue
    datasets: DataCatalogue
    prompts: PromptCatalogue
    devices: DeviceCatalogue
    rates: TunedRates | None
    """The tuned rates that the study names."""
    place: Place
    """The study's files, for messages."""
    config: Path
    """Folder of the configuration."""

    @cached_property
    def runs(self) -> tuple[tuple[TrainConfig, RateFactor], ...]:
        """The configuration of every training run, and the factor in its learning rate."""
        return tuple(_resolved_runs(self))


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
    study, place = load_study(path)
    plan = Plan(
        name=name,
        study=study,
        methods=tuple(planned_methods(study, config, place)),
        models=load_yaml(config / "models.yaml", ModelCatalogue),
        datasets=load_yaml(config / "datasets.yaml", DataCatalogue),
        prompts=load_yaml(config / "prompts.yaml", PromptCatalogue),
        devices=load_yaml(config / "devices.yaml", DeviceCatalogue),
        rates=load_rates(study, config, place),
        place=place,
        config=config,
    )
    _check_names(plan)
    device_of(plan, study.compute)
    if plan.rates:
        check_rates(study, plan.methods, plan.rates, catalogue_entries(config), place)
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
        where = plan.place.file_and_line("methods")
        raise UserError(f"{plan.place.name}: {error} (the methods are in {where})") from None


def train_configs(plan: Plan) -> Iterator[TrainConfig]:
    """Yield the configuration of every training run: model x method x setting x seed."""
    for config, _ in planned_runs(plan):
        yield config


def planned_runs(plan: Plan) -> tuple[tuple[TrainConfig, RateFactor], ...]:
    """Return the configuration of every training run, and the factor in its learning rate; resolved once."""
    return plan.runs


def _resolved_runs(plan: Plan) -> Iterator[tuple[TrainConfig, RateFactor]]:
    study = plan.study
    for model in study.models:
        for planned in plan.methods:
            for name, setting in study.settings.items():
                if not setting.methods or planned.method in setting.methods:
                    resolved, factor = _train_config(plan, model, planned, name, setting)
                    for seed in study.train_seeds:
                        run = f"{resolved.run}--s{seed}"
                        yield resolved.model_copy(update={"run": run, "train_seed": seed}), factor


def _train_config(
    plan: Plan, model: str, planned: PlannedMethod, name: str, setting: Setting
) -> tuple[TrainConfig, RateFactor]:
    """Return the configuration of one method in one setting, without its seed, and the factor of its rate."""
    preset, place = planned.preset, plan.place.at("settings", name)
    own = plan.study.training.model_dump(exclude_unset=True)
    changed = merged(merged(own, preset.training, Training), setting.training, Training)
    training = parse(Training, changed, place.at("training"))
    method = _method(planned, setting, place)
    if training.sync == "adapter" and not method.exact_lora:
        raise UserError(
            f"{plan.place.at('training', 'sync')}: adapter needs an exact low-rank form of every method, and "
            f"{planned.trains_as!r} has none; use sync: merged, or remove the method"
        )
    config = TrainConfig(
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
        training=training,
    )
    rate, factor = run_rate(plan.study, planned, config, plan.rates, plan.place)
    training = training.model_copy(update={"learning_rate": rate})
    return config.model_copy(update={"training": training}), factor


def _method(planned: PlannedMethod, setting: Setting, place: Place) -> Method:
    """Return a method with the settings of preset, study and setting; ``place`` is that of the setting."""
    kind = get_method(planned.trains_as, planned.place).Parameters
    values = merged(planned.preset.parameters, planned.choice.parameters, kind)
    where = place if setting.parameters else planned.place
    return make_method(planned.trains_as, merged(values, setting.parameters, kind), where)


def generate_configs(plan: Plan) -> Iterator[GenerateConfig]:
    """Yield, for every benchmark, how completions are sampled."""
    evaluation = plan.study.evaluation
    formats = {graded.benchmark: graded.answer_format for graded in grade_configs(plan)}
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
            batching=evaluation.batching,
            dtype=evaluation.dtype,
            merged_dtype=benchmark.merged_dtype or evaluation.merged_dtype,
            engine=evaluation.engine,
            seed=plan.study.seed if evaluation.seed is None else evaluation.seed,
            shared_seed=evaluation.shared_seed,
            reference_format=formats[name] if benchmark.forgetting else None,
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
        scaled_from=plan.study.scaled_from,
        scale=plan.study.scale,
        train_dataset=plan.study.train_dataset,
        tunes=plan.study.tune is not None,
        rates=applied_rates(plan),
        grader=plan.study.evaluation.grader,
        shared_seed=plan.study.evaluation.shared_seed,
        runs=untrained + trained,
        contrasts=plan.study.contrasts,
        benchmarks=[
            BenchmarkEntry(benchmark=name, **benchmark.model_dump(include=set(BenchmarkEntry.model_fields)))
            for name, benchmark in plan.study.evaluation.benchmarks.items()
        ],
    )


def applied_rates(plan: Plan) -> AppliedRates | None:
    """Return the tuned rates that runs of a study have; None where they have none."""
    if plan.rates is None or not any(
        rate_choice(plan.study, setting) == "tuned" for setting in plan.study.settings.values()
    ):
        return None
    found = {
        (rate.model, rate.method, rate.preset): rate
        for config, _ in plan.runs
        if (rate := plan.rates.find(config))
    }
    fields = set(ChosenRate.model_fields)
    return AppliedRates(
        protocol=plan.rates.protocol,
        rates=[ChosenRate(**rate.model_dump(include=fields)) for rate in found.values()],
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
        raise unknown_name(plan.place.at(*key.split("."), label=""), key, choice, plan.prompts.prompts.keys())
    return Prompt(**named.model_dump(include=set(Prompt.model_fields)))


def _check_names(plan: Plan) -> None:
    study, place = plan.study, plan.place
    methods = {planned.method for planned in plan.methods}
    for position, model in enumerate(study.models):
        if model not in plan.models.models:
            where = place.at("models", position, label="")
            raise unknown_name(where, "models", model, plan.models.models.keys())
    for name, setting in study.settings.items():
        for position, method in enumerate(setting.methods):
            if method not in methods:
                where = place.at("settings", name, "methods", position, label="")
                raise unknown_name(where, f"settings.{name}.methods", method, methods)
    _check_contrasts(plan, methods)
    _check_tune(plan, methods)
    for where, dataset in data_places(plan):
        if dataset not in plan.datasets.datasets:
            raise unknown_name(replace(where, label=""), where.label, dataset, plan.datasets.datasets.keys())


def _check_tune(plan: Plan, methods: set[str]) -> None:
    """Refuse names in `tune` that do not exist."""
    tune, known = plan.study.tune, plan.datasets.datasets
    for method in tune.around if tune else ():
        if method not in methods:
            raise unknown_name(plan.place.at("tune", "around", label=""), "tune.around", method, methods)
    for dataset in tune.apart_from if tune else ():
        if dataset not in known:
            where = plan.place.at("tune", "apart_from", label="")
            raise unknown_name(where, "tune.apart_from", dataset, known.keys())


def device_of(plan: Plan, compute: Compute) -> Device:
    """Return the device that a study is planned for.

    Raises:
        UserError: `devices.yaml` does not have it.
    """
    known = plan.devices.devices
    if compute.device_name not in known:
        where = plan.place.at("compute", "device", label="")
        raise unknown_name(where, "compute.device", compute.device_name, known.keys())
    return known[compute.device_name]


def _check_contrasts(plan: Plan, methods: set[str]) -> None:
    """Refuse to compare with what the study lacks; the default compares with what there is."""
    given = plan.study.contrasts
    known = {
        "methods": {BASE, *methods},
        "presets": {planned.preset_name for planned in plan.methods},
        "settings": set(plan.study.settings),
    }
    for key in sorted(given.model_fields_set):
        for position, name in enumerate(getattr(given, key) or []):
            if name not in known[key]:
                where = plan.place.at("contrasts", key, position, label="")
                raise unknown_name(where, f"contrasts.{key}", name, known[key])


def data_places(plan: Plan) -> list[tuple[Place, str]]:
    """Return the data sets that a study names, each with its place; the training data come first."""
    place, benchmarks = plan.place, plan.study.evaluation.benchmarks
    tune = ("tune", "validation") if plan.study.tune else None
    return [
        (place.at("train_dataset"), plan.study.train_dataset),
        *(
            (place.at(*(tune or ("evaluation", "benchmarks", name)), "dataset"), one.dataset)
            for name, one in benchmarks.items()
        ),
    ]
