"""What the jobs of a study need: memory, tokens, time, and the resources that the workflow asks for."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from rlvr.config.catalogue import GeneratedData
from rlvr.config.resolved import BASE, GenerateConfig, TrainConfig
from rlvr.config.schema import Compute
from rlvr.files import read_json, write_json
from rlvr.methods import make_method
from rlvr.methods.base.shapes import ModelShape
from rlvr.methods.shape_cache import shape_of_architecture
from rlvr.models.architecture import known_architecture
from rlvr.planning import memory as memories
from rlvr.planning.memory import GIB, Memory
from rlvr.planning.plan import Plan, device_of, generate_configs, planned_runs
from rlvr.planning.work import Work, evaluation_work, training_work

MEMORY_SAFETY = 1.2
"""Requested main memory over its estimate."""
LEAST_MB = 2000
UNKNOWN_MB = 16000
"""Requested where the architecture of a model is unknown until it is prepared."""
UNKNOWN_MINUTES = 120


@dataclass(frozen=True)
class Needs:
    """What a job asks the scheduler for."""

    gpus: int
    threads: int
    memory_mb: int
    minutes: int


@dataclass(frozen=True)
class RunCost:
    """One run: its training, and the sampling of it on all benchmarks."""

    run: str
    method: str
    trained: int | None
    """Trained parameters; None: the architecture of the model is unknown until it is prepared."""
    memory: Memory | None
    main_bytes: float | None
    """Main memory of training."""
    generation_bytes: float | None
    """Device memory of generation."""
    training: Work
    evaluation: Work
    train: Needs
    generate: Needs

    @property
    def device_seconds(self) -> float:
        """Time on devices."""
        return self.training.seconds * max(1, self.train.gpus) + self.evaluation.seconds * max(
            1, self.generate.gpus
        )


class Costs:
    """The jobs of a study, on a device; runs that differ only by seed or rate are computed once.

    Args:
        plan: the study.
        resources: folder with prepared models and data, which tell what the catalogues do not.
        compute: replaces the study's own block.

    Raises:
        UserError: `devices.yaml` does not have the device.
    """

    def __init__(
        self, plan: Plan, resources: Path = Path("resources"), compute: Compute | None = None
    ) -> None:
        self.plan, self.resources = plan, resources
        self.compute = compute or plan.study.compute
        self.device = device_of(plan, self.compute)
        self._shapes: dict[str, ModelShape | None] = {}
        self._known: dict[tuple[object, ...], RunCost] = {}

    @cached_property
    def runs(self) -> dict[str, RunCost]:
        """Return the cost of every run, untrained models included."""
        untrained = {f"{model}--{BASE}": self._untrained(model) for model in self.plan.study.models}
        return untrained | {config.run: self._run(config) for config, _ in planned_runs(self.plan)}

    @cached_property
    def problems(self) -> dict[str, int | None]:
        """Return the number of problems of every benchmark, as far as it is known."""
        benchmarks = self.plan.study.evaluation.benchmarks
        return {name: self._problems(benchmark.dataset) for name, benchmark in benchmarks.items()}

    def shape(self, model: str) -> ModelShape | None:
        """Return the shape of a model, if its architecture is known."""
        if model not in self._shapes:
            entry = self.plan.models.models[model]
            architecture = known_architecture(model, entry, self.resources)
            known = architecture and shape_of_architecture(architecture, f"model {model!r}")
            self._shapes[model] = known or None
        return self._shapes[model]

    def _problems(self, dataset: str) -> int | None:
        entry = self.plan.datasets.datasets[dataset]
        provenance = self.resources / "data" / f"{dataset}.provenance.json"
        if isinstance(entry, GeneratedData):
            return entry.size
        if provenance.exists() and isinstance(rows := read_json(provenance).get("problems"), int):
            return rows
        declared = self.plan.datasets.problems.get(dataset)
        return min(declared, entry.rows.take) if declared and entry.rows else declared

    def _benchmarks(self) -> Iterator[tuple[GenerateConfig, int]]:
        for config in generate_configs(self.plan):
            if number := self.problems[config.benchmark]:
                yield config, number

    def _run(self, config: TrainConfig) -> RunCost:
        training = config.training.model_copy(update={"learning_rate": 1.0})
        key = (config.model, config.trains_as, str(config.parameters), training.model_dump_json())
        if key not in self._known:
            self._known[key] = self._computed(config)
        return replace(self._known[key], run=config.run, method=config.method)

    def _computed(self, config: TrainConfig) -> RunCost:
        shape = self.shape(config.model)
        if shape is None:
            return self._unknown(config.run, config.method)
        method = make_method(config.trains_as, config.parameters, config.run)
        trained = method.expected_parameters(shape)
        devices = max(1, self.compute.gpus or 1)
        memory = memories.trained_memory(config, method, trained, shape, self.device, devices)
        main = memory.peak
        if self.device.kind == "gpu":
            main = memories.main_memory(config, method, trained, shape, devices)
        work = training_work(config, method, trained, shape, self.device, self.compute)
        compute = self.compute
        return replace(
            self._untrained(config.model),
            run=config.run,
            method=config.method,
            trained=trained,
            memory=memory,
            main_bytes=main,
            training=work,
            train=self._needs(main, compute.train_minutes or work.minutes),
        )

    def _untrained(self, model: str) -> RunCost:
        """Return the cost of generation, which is the same for all runs of a model."""
        key = (model,)
        if key not in self._known:
            shape = self.shape(model)
            self._known[key] = (
                self._unknown(f"{model}--{BASE}", BASE) if shape is None else self._sampled(shape, model)
            )
        return self._known[key]

    def _sampled(self, shape: ModelShape, model: str) -> RunCost:
        pairs = list(self._benchmarks())
        configs, numbers = [config for config, _ in pairs], [number for _, number in pairs]
        work = evaluation_work(configs, numbers, shape, self.device, self.compute)
        peak = max(
            (
                memories.generation_memory(
                    config, shape, min(config.batch_size, number * config.samples_per_problem), self.device
                )
                for config, number in pairs
            ),
            default=0.0,
        )
        main = peak
        if self.device.kind == "gpu":
            main = memories.LIBRARIES["gpu"] + shape.parameters * 4
        unknown = self._unknown(f"{model}--{BASE}", BASE)
        minutes = self.compute.generate_minutes or (work.minutes if pairs else UNKNOWN_MINUTES)
        needs = self._needs(main, minutes)
        return replace(
            unknown,
            generation_bytes=peak or None,
            evaluation=work,
            generate=replace(needs, gpus=min(1, needs.gpus)),  # one engine
        )

    def _unknown(self, run: str, method: str) -> RunCost:
        compute = self.compute
        return RunCost(
            run=run,
            method=method,
            trained=None,
            memory=None,
            main_bytes=None,
            generation_bytes=None,
            training=Work(),
            evaluation=Work(),
            train=self._needs(None, compute.train_minutes or UNKNOWN_MINUTES),
            generate=self._needs(None, compute.generate_minutes or UNKNOWN_MINUTES),
        )

    def _needs(self, main: float | None, minutes: int) -> Needs:
        compute, gpu = self.compute, self.device.kind == "gpu"
        return Needs(
            gpus=int(gpu) if compute.gpus is None else compute.gpus,
            threads=compute.threads or (8 if gpu else 1),
            memory_mb=compute.memory_mb or requested_mb(main),
            minutes=minutes,
        )


def requested_mb(bytes_: float | None) -> int:
    """Return the main memory to ask for, in steps of 500 MB."""
    if bytes_ is None:
        return UNKNOWN_MB
    return max(LEAST_MB, 500 * math.ceil(MEMORY_SAFETY * bytes_ / 1e6 / 500))


Kind = Literal["train", "generate"]
AllNeeds = dict[str, dict[Kind, Needs]]
"""Run -> kind of job -> what it asks for."""


def needs_of_runs(costs: Costs) -> AllNeeds:
    """Return what every job of a study asks for."""
    return {run: {"train": cost.train, "generate": cost.generate} for run, cost in costs.runs.items()}


def write_needs(path: Path, needs: AllNeeds) -> None:
    """Write what the jobs of a study ask for, so that they find it as it was when they were submitted."""
    write_json(
        path, {run: {kind: asdict(one) for kind, one in kinds.items()} for run, kinds in needs.items()}
    )


def read_needs(path: Path) -> AllNeeds:
    """Read what :func:`write_needs` wrote.

    Raises:
        UserError: the file is missing or damaged.
    """
    return {
        run: {kind: Needs(**one) for kind, one in kinds.items()} for run, kinds in read_json(path).items()
    }


def costs_on(plan: Plan, device: str | None, resources: Path) -> Costs:
    """Return the jobs of a study on another device than its own, as many of them if it has GPUs.

    Raises:
        UserError: as for :class:`Costs`.
    """
    compute = plan.study.compute
    if device is None:
        return Costs(plan, resources)
    name = device.lower()
    other = compute.model_copy(
        update={
            "device": name,
            "update_tokens_per_second": compute.update_tokens_per_second
            if name == compute.device_name
            else None,
            "rollout_tokens_per_second": compute.rollout_tokens_per_second
            if name == compute.device_name
            else None,
        }
    )
    return Costs(plan, resources, other)


def misfits(costs: Costs) -> Iterator[str]:
    """Yield, for each run, that its memory exceeds that of the device, and what to change."""
    limit = (costs.device.memory_gib or math.inf) * GIB
    name = costs.compute.device_name
    for cost in costs.runs.values():
        if cost.memory and cost.memory.peak > limit:
            yield (
                f"training of {cost.method} takes about {cost.memory.peak / GIB:.0f} GiB, more than the "
                f"{limit / GIB:.0f} GiB of a {name}; lower training.tokens_per_microbatch or "
                "training.rollout_batch_size, set training.gradient_checkpointing: true, or choose another "
                "compute.device"
            )
        if (cost.generation_bytes or 0) > limit:
            yield (
                f"evaluation takes about {(cost.generation_bytes or 0) / GIB:.0f} GiB, more than the "
                f"{limit / GIB:.0f} GiB of a {name}; lower evaluation.batch_size, or choose another "
                "compute.device"
            )
