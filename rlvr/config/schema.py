"""Typed configuration: one model per concept, a docstring under every field.

These models are the only place where a setting is defined. The JSON Schemas in ``workflow/schemas/``,
the reference in ``config/README.md`` and the messages about wrong configurations are made from them.
"""

from collections import Counter
from typing import Annotated, Any

from pydantic import (
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from rlvr.config.choices import AnswerFormat, DType, EngineName, Grader, PaperItem, RateChoice, RewardGrader
from rlvr.config.contrasts import Contrasts
from rlvr.config.presets import MethodChoices
from rlvr.config.training import Batching, Prompt, PromptChoice, Sampling, Training
from rlvr.config.values import Fraction, Name, Seed, Settings


class Benchmark(Settings):
    """One benchmark of a study."""

    dataset: Name
    """Entry of `datasets.yaml`."""
    title: str
    """Name in tables and figures."""
    samples_per_problem: PositiveInt
    """Completions per problem, k."""
    prompt: PromptChoice | None = None
    """Prompt of this benchmark, if it differs from the evaluation's."""
    max_new_tokens: PositiveInt | None = None
    """Length limit of this benchmark, if it differs from the evaluation's."""
    answer_format: AnswerFormat | None = None
    """Answer format of this benchmark, if it differs from the evaluation's."""
    merged_dtype: DType | None = None
    """Precision of the merged weights of this benchmark, if it differs from the evaluation's."""
    forgetting: bool = False
    """Whether it measures what training unlearns, a skill that the model had and is not trained on: it is
    shown apart, with the log-probability of reference solutions, and enters no mean over benchmarks
    (docs/learning.md)."""


class EvaluationPreset(Settings):
    """How completions are sampled and graded."""

    sampling: Sampling
    """Sampling parameters."""
    prompt: PromptChoice | None = None
    """Evaluation prompt; `null`: the training prompt."""
    seed: Seed | None = None
    """Seed of the samples; `null`: the study's."""
    shared_seed: bool = False
    """Give every sample `seed` itself, as the authors' script does; otherwise each has a seed of its own."""
    grader: Grader = "rlvr"
    """Grader used for evaluation; another grader costs no new samples."""
    answer_format: AnswerFormat | None = None
    """Where the grader `rlvr` looks for the answer; `null`: as in training."""
    reason: str = ""
    """Source of the values."""


class Evaluation(EvaluationPreset):
    """How checkpoints are evaluated."""

    model_config = ConfigDict(json_schema_extra=lambda schema: schema["required"].remove("sampling"))

    preset: Name | None = None
    """Entry of `evaluations.yaml` that gives the values not set here."""
    benchmarks: dict[Name, Benchmark] = Field(min_length=1)
    """Name -> benchmark."""
    batch_size: PositiveInt = 256
    """Sequences generated at once; on a CPU it changes no sample, on a GPU only by rounding."""
    engine: EngineName = "transformers"
    """What samples the completions; `vllm` serves merged weights (docs/engines.md)."""
    batching: Batching = "static"
    """As in `training`."""
    dtype: DType = "float32"
    """Precision in which a run is evaluated, loaded as its users load it: an adapter is not merged."""
    merged_dtype: DType | None = None
    """Evaluate merged weights, rounded to this precision, as engines without adapters serve them."""
    contamination_similarity: Fraction = 0.8
    """A benchmark problem this similar to a training problem is contaminated (docs/data.md)."""

    @model_validator(mode="after")
    def _measures_what_is_learned(self) -> "Evaluation":
        if all(benchmark.forgetting for benchmark in self.benchmarks.values()):
            raise ValueError("benchmarks: all have `forgetting: true`; one must measure what is learned")
        return self

    @model_validator(mode="after")
    def _rounds_once(self) -> "Evaluation":
        named = {"merged_dtype": self.merged_dtype}
        for name, benchmark in self.benchmarks.items():
            named[f"benchmarks.{name}.merged_dtype"] = benchmark.merged_dtype
        for key, dtype in named.items():
            if dtype is not None and self.dtype not in ("float32", dtype):
                raise ValueError(
                    f"{key}: weights rounded to {dtype} would be rounded again to dtype: {self.dtype}; "
                    "set dtype: float32, or the same"
                )
        return self

    @model_validator(mode="after")
    def _merges_for_an_engine_without_adapters(self) -> "Evaluation":
        merged = self.merged_dtype or all(one.merged_dtype for one in self.benchmarks.values())
        if self.engine == "vllm" and self.dtype != "float32" and not merged:
            raise ValueError(
                f"engine: vllm serves merged weights; set merged_dtype: {self.dtype}, or engine: transformers"
            )
        return self

    @model_validator(mode="after")
    def _samples_what_is_greedy_once(self) -> "Evaluation":
        for name, benchmark in self.benchmarks.items():
            if self.sampling.greedy and benchmark.samples_per_problem > 1:
                raise ValueError(
                    f"benchmarks.{name}.samples_per_problem: with sampling.temperature 0 (greedy) all "
                    f"{benchmark.samples_per_problem} samples of a problem are the same; set "
                    "samples_per_problem: 1, or a temperature above 0"
                )
        return self


Rate = Annotated[PositiveFloat, Field(allow_inf_nan=False)]


class Tune(Settings):
    """`tune` of a study: choose the learning rate of every method on validation problems (docs/tuning.md).

    Every method is trained at every rate with every training seed of the study, and evaluated on the
    validation problems alone; `snakemake rates` writes what is chosen to `config/rates/NAME.yaml`.
    """

    validation: Benchmark
    """Problems on which rates are compared. They are evaluated instead of the study's benchmarks, and no
    other data set of the study may have them."""
    factors: list[Rate] = []
    """Rates to try, as multiples of each method's: the study's rate times the factor of `around`, or else of
    the method or its preset."""
    rates: list[Rate] = []
    """Rates to try, the same for all methods, instead of `factors`."""
    around: dict[Name, Rate] = {}
    """Method -> multiple of the study's rate that `factors` multiply, such as the one at which an update is
    as large as LoRA's (`rlvr update-norms`)."""
    apart_from: list[Name] = []
    """Further data sets that no validation problem may be in, such as benchmarks of other studies that use
    the rates; those of this study are always among them."""

    @model_validator(mode="after")
    def _has_one_grid(self) -> "Tune":
        if bool(self.factors) == bool(self.rates):
            raise ValueError("give either `factors` or `rates`")
        key, values = ("factors", self.factors) if self.factors else ("rates", self.rates)
        if len(values) < 2:
            raise ValueError(f"{key}: a choice needs two values or more")
        if repeated := [one for one, count in Counter(map("{:g}".format, values)).items() if count > 1]:
            raise ValueError(f"{key}: {repeated[0]} is listed twice")
        if self.rates and self.around:
            raise ValueError("around: it goes with `factors`; with `rates` all methods have the same grid")
        return self


class Compute(Settings):
    """Resources of one job. No result depends on them: changing them reruns nothing.

    What is not set is planned (docs/planning.md).
    """

    device: Name | None = None
    """Entry of `devices.yaml` to plan for; by default `cpu`, and `h100` where `gpus` is set."""
    gpus: int | None = Field(default=None, ge=0)
    """GPUs per training or generation job, by default one if `device` is one; training uses several together,
    generation one. With 0 a job uses the CPU, and with more than it sees it stops. Kubernetes also wants a
    resource `gpu_manufacturer`."""
    threads: PositiveInt | None = None
    """CPU threads per job; by default 1 on CPUs, so that two small jobs share two cores, and 8 beside a
    GPU."""
    memory_mb: PositiveInt | None = None
    """Main memory per job."""
    train_minutes: PositiveInt | None = None
    """Time limit of a training job. A longer run continues in the next attempt (`retries` of the profile)."""
    generate_minutes: PositiveInt | None = None
    """Time limit of a generation job, which samples a run on all benchmarks."""
    mean_length: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Mean length of completions as a share of `max_new_tokens`, to plan time with."""
    prompt_tokens: PositiveInt = 128
    """Mean length of prompts, to plan time with."""
    informative: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of groups whose completions differ in reward, to plan rounds of dynamic sampling with."""
    update_tokens_per_second: PositiveFloat | None = None
    """Measured rate of updates on `device`, to plan time with; by default from the roofline."""
    rollout_tokens_per_second: PositiveFloat | None = None
    """Measured rate of sampling on `device`, to plan time with; by default from the roofline."""

    @property
    def device_name(self) -> str:
        """The entry of `devices.yaml`."""
        return self.device or ("h100" if self.gpus else "cpu")


class Setting(Settings):
    """A variant of the runs of a study: what differs from the study and from the presets."""

    methods: list[Name] = []
    """Methods that have this setting; empty: all."""
    parameters: dict[str, Any] = {}
    """Method settings to replace, such as `{rank: 8, alpha: 16}`."""
    training: dict[str, Any] = {}
    """Keys of `training` to replace, such as `{algorithm: grpo}`."""
    learning_rate_factor: Rate = 1.0
    """Multiplies the learning rate, so that a setting such as half the rate holds at any scale."""
    rate: RateChoice | None = None
    """Learning rate of each method: `tuned`, as `rates` of the study has it; `preset`, the study's times the
    factor of the method; `shared`, the study's for all methods. `null`: `tuned` where the study has `rates`,
    otherwise `preset`."""


class Study(Settings):
    """`config/studies/<study>.yaml`: a grid of model x method x setting x seed, and its benchmarks."""

    extends: Name | None = None
    """Study of this folder to start from; give only what differs. Mappings are merged, lists are replaced;
    `null` takes a key out: a benchmark, or a setting, whose default then counts."""
    scale: Name | None = None
    """File of `config/scales/` that is laid over the extended study: its model, data, length and cost at
    another scale, and nothing of what is compared. The study `S-mini` is `S` at the scale `mini`."""
    shows: list[PaperItem] = []
    """Tables and figures of the paper that this study makes, for targets such as `snakemake table3`;
    inherited only by a study at another scale."""
    title: str
    """Title of the report."""
    description: str = ""
    """Purpose of the study, in a few sentences."""
    seed: Seed = 0
    """Seed of what all runs share, such as evaluation samples."""
    models: list[Name] = Field(min_length=1)
    """Entries of `models.yaml`."""
    methods: MethodChoices
    """Methods to train; the untrained model is always evaluated beside them."""
    tune: Tune | None = None
    """Tune the learning rates: the settings are the rates to try (docs/tuning.md)."""
    rates: Name | None = None
    """Study with `tune` whose choices are the learning rates, read from `config/rates/NAME.yaml`; not
    inherited."""
    settings: dict[Name, Setting] = Field(default={"main": Setting()}, min_length=1)
    """Variants of the runs: name -> what differs. The first one is the reference."""
    train_seeds: list[Seed] = Field(default=[0], min_length=1)
    """Training seeds: prompt order, rollouts, initialisation of adapters."""
    train_dataset: Name
    """Entry of `datasets.yaml`."""
    prompt: PromptChoice = Prompt()
    """Training prompt: written out, or the name of one in `prompts.yaml`."""
    answer_format: AnswerFormat = "boxed"
    """Where the answer is in a completion; the same rule for reward and evaluation."""
    reward: RewardGrader = "rlvr"
    """Grader that gives the rewards; `released-reward`: the authors', to measure what theirs changes."""
    training: Training
    """The algorithm."""
    evaluation: Evaluation
    """The evaluation."""
    contrasts: Contrasts = Contrasts()
    """Pairs to compare."""
    compute: Compute = Compute()
    """Resources of a job."""
    spectra: bool = False
    """Whether to measure the update of every layer against the singular vectors of its base (docs/spectra.md)
    and to show it in the report."""

    @property
    def scaled_from(self) -> str | None:
        """The study that this one is at another scale."""
        return self.extends if self.scale else None

    @model_validator(mode="after")
    def _scales_another_study(self) -> "Study":
        if self.scale and not self.extends:
            raise ValueError("scale: a scale is laid over the study that is extended; give `extends`")
        return self

    @model_validator(mode="after")
    def _tunes_or_is_tuned(self) -> "Study":
        if self.tune and self.rates:
            raise ValueError("rates: a study that tunes has no tuned rates; leave out `rates` or `tune`")
        for name, setting in self.settings.items():
            if setting.rate == "tuned" and not self.rates:
                raise ValueError(f"settings.{name}.rate: `tuned` needs the key `rates` of the study")
        return self

    @model_validator(mode="after")
    def _no_duplicates(self) -> "Study":
        listed = {"models": self.models, "train_seeds": [str(seed) for seed in self.train_seeds]}
        for key, names in listed.items():
            if repeated := [name for name, count in Counter(names).items() if count > 1]:
                raise ValueError(f"{key}: {repeated[0]} is listed twice")
        return self


class Selection(Settings):
    """`config/config.yaml`: what `snakemake all` runs."""

    studies: list[Name] = Field(min_length=1)
    """Names of files in `config/studies/`, without `.yaml`."""
    checkpoints: Annotated[str, Field(min_length=1)] = "checkpoints"
    """Folder for the state of unfinished jobs, on a file system that all machines share and keep."""
