"""Typed configuration: one model per concept, a docstring under every field.

These models are the only place where a setting is defined. The JSON Schemas in ``workflow/schemas/``,
the reference in ``config/README.md`` and the messages about wrong configurations are made from them.
"""

from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PositiveFloat,
    PositiveInt,
    Tag,
    model_validator,
)

from rlvr.config.choices import AnswerFormat, Grader

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._+-]*$")]
"""A name that may stand in a path and in a table."""

Fraction = Annotated[float, Field(ge=0, le=1)]
Beta = Annotated[float, Field(ge=0, lt=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Revision = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
DType = Literal["float32", "bfloat16", "float16"]


class Settings(BaseModel):
    """Base of every block: unknown keys are errors, values are never changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


# --- methods ------------------------------------------------------------------------------------


Fault = Literal["in_place_merge", "pissa_reload", "milora_reload"]
"""A fault of the authors' released code that no setting can express (`rlvr/methods/faults.py`)."""


class Preset(Settings):
    """One way to run a method."""

    parameters: dict[str, Any] = {}
    """The method's own settings; a wrong one is answered with the known ones."""
    learning_rate_factor: PositiveFloat = 1.0
    """Learning rate of this method as a multiple of the study's (which is LoRA's)."""
    training: dict[str, Any] = {}
    """Keys of the study's `training` that it replaces; a study's `settings` replace them in turn."""
    trains_as: Name | None = None
    """The method that is really trained under this name; only in `released`, whose code mixed methods up."""
    faults: tuple[Fault, ...] = ()
    """Faults of the released code to repeat; only in `released`."""
    reason: str = ""
    """Why a value departs from the preset `paper`, with its source."""

    @model_validator(mode="after")
    def _leaves_the_sync_to_the_study(self) -> "Preset":
        if shared := sorted({"sync", "rollout_dtype"} & self.training.keys()):
            raise ValueError(f"training.{shared[0]} belongs to the study: all of its methods share it")
        return self


class MethodFile(Settings):
    """`config/methods/<method>.yaml`: the presets of one method."""

    presets: dict[Literal["paper", "released", "recommended"], Preset] = Field(min_length=1)
    """`paper`: as the text says; `released`: as the released code did; `recommended`: as its authors say."""

    @model_validator(mode="after")
    def _only_released_may_be_wrong(self) -> "MethodFile":
        for name, preset in self.presets.items():
            if name != "released" and (preset.trains_as or preset.faults):
                raise ValueError(f"presets.{name}: trains_as and faults stand in the preset `released` alone")
        return self


class MethodChoice(Settings):
    """One method of a study."""

    method: Name
    """A name that `rlvr methods` lists."""
    preset: Literal["paper", "released", "recommended"] = "recommended"
    """Which preset to run."""
    parameters: dict[str, Any] = {}
    """Values that replace the preset's, for example a rank that fits a tiny model."""


# --- training -----------------------------------------------------------------------------------


class Sampling(Settings):
    """How completions are drawn."""

    temperature: PositiveFloat = 1.0
    """Divides the logits."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Nucleus: the smallest set of tokens with at least this probability."""
    max_new_tokens: PositiveInt
    """Completions are cut here (finish reason `length`)."""


class Prompt(Settings):
    """How a problem becomes a chat."""

    system: str | None = None
    """System message; none by default."""
    user: str = "{problem}"
    """User message; `{problem}` stands for the problem."""

    @model_validator(mode="after")
    def _names_the_problem(self) -> "Prompt":
        if "{problem}" not in self.user:
            raise ValueError("user must contain {problem}")
        return self


class NamedPrompt(Prompt):
    """One entry of the catalogue of prompts."""

    source: str
    """Who asks like this, and where it is written."""


class PromptCatalogue(Settings):
    """`config/prompts.yaml`: prompts that a study may name instead of writing them out."""

    prompts: dict[Name, NamedPrompt]
    """Name -> prompt."""


PromptChoice = Annotated[
    Annotated[Prompt, Tag("prompt")] | Annotated[Name, Tag("name")],
    Discriminator(lambda choice: "name" if isinstance(choice, str) else "prompt"),
]
"""A prompt written out, or the name of one in `prompts.yaml`."""


class SoftOverlong(Settings):
    """Soft overlong punishment (DAPO, arXiv 2503.14476, Eq. 13)."""

    buffer_tokens: PositiveInt
    """Length of the interval before `max_new_tokens` in which the punishment grows from 0 to -1."""


class DynamicSampling(Settings):
    """Replace groups whose answers are all right or all wrong (DAPO, arXiv 2503.14476, Eq. 11)."""

    max_rounds: PositiveInt = 4
    """Rounds of sampling per step; after the last the step trains on what it has."""


class Training(Settings):
    """DAPO and its relatives."""

    algorithm: Literal["dapo", "grpo", "dr_grpo"] = "dapo"
    """Loss and advantage (`rlvr/dapo/losses.py`)."""
    steps: PositiveInt
    """Optimizer steps are `steps` x `updates_per_step`."""
    prompts_per_step: PositiveInt
    """Prompt groups per step (16 in the paper)."""
    group_size: Annotated[int, Field(ge=2)]
    """Completions per prompt, G (8 in the paper)."""
    learning_rate: PositiveFloat
    """LoRA's learning rate; a method's preset multiplies it."""
    warmup_steps: int = Field(default=0, ge=0)
    """Optimizer steps of linear warm-up; then constant."""
    weight_decay: float = Field(default=0.0, ge=0)
    """AdamW weight decay."""
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    """AdamW betas."""
    max_grad_norm: PositiveFloat = 1.0
    """Gradient norm clipping."""
    clip_low: PositiveFloat = 0.2
    """Lower clip range of the probability ratio."""
    clip_high: PositiveFloat = 0.28
    """Upper clip range (clip-higher)."""
    importance_cap: PositiveFloat | None = None
    """Truncated importance sampling: weigh each token by trainer over engine probability, cut here."""
    dynamic_sampling: DynamicSampling | None = DynamicSampling()
    """Replace uninformative groups; `null` keeps them, as in GRPO."""
    soft_overlong: SoftOverlong | None = None
    """Punish completions that come near the length limit; `null` does not."""
    updates_per_step: PositiveInt = 1
    """Optimizer steps on each batch of completions; 1 is strictly on-policy (the paper)."""
    sampling: Sampling
    """How rollouts are drawn."""
    max_prompt_tokens: PositiveInt = 512
    """Longest prompt, in tokens of the model; see `overlong_prompts`."""
    overlong_prompts: Literal["stop", "drop"] = "stop"
    """What a longer prompt does: stop the run before it starts, or be left out and counted in `run.json`."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Precision of the frozen weights and the forward pass; trained weights are always float32."""
    rollout_dtype: DType = "float32"
    """Precision of the weights that sample; the same for all methods of a study."""
    sync: Literal["merged", "adapter"] = "merged"
    """What the engine gets: merged weights, or the base and each method's exact low-rank form."""
    mismatch_alarm: PositiveFloat | None = None
    """KL per token of serving to trained policy that stops a run, nats; `null`: 1e-4 in float32, else 0.1."""
    tokens_per_microbatch: PositiveInt = 16384
    """Tokens (padding counted) per forward and backward pass."""
    rollout_batch_size: PositiveInt = 256
    """Sequences generated at once; on a CPU it changes no sample, on a GPU only by rounding."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass, to save memory."""
    checkpoint_every: PositiveInt = 10
    """Steps between checkpoints."""

    @property
    def optimizer_steps(self) -> int:
        """How often the optimizer steps in the whole run."""
        return self.steps * self.updates_per_step

    @property
    def largest_mismatch(self) -> float:
        """KL per token, in nats, above which the serving policy is not the trained one."""
        exact = self.dtype == self.rollout_dtype == "float32"
        return self.mismatch_alarm or (1e-4 if exact else 0.1)


# --- evaluation and study -----------------------------------------------------------------------


class Benchmark(Settings):
    """One benchmark of a study."""

    dataset: Name
    """A key of `datasets.yaml`."""
    title: str
    """What tables and figures call it."""
    samples_per_problem: PositiveInt
    """Completions drawn for each problem, k."""
    prompt: PromptChoice | None = None
    """What is asked here, where it is not what the evaluation asks."""
    max_new_tokens: PositiveInt | None = None
    """Where answers are cut here, if not at the evaluation's length."""
    answer_format: AnswerFormat | None = None
    """Where the answer stands here, if not where the evaluation says."""


class EvaluationPreset(Settings):
    """How answers are drawn and judged."""

    sampling: Sampling
    """How answers are drawn."""
    prompt: PromptChoice | None = None
    """What is asked; `null` asks as in training."""
    seed: int | None = None
    """Seed of the answers; `null` is the study's."""
    shared_seed: bool = False
    """Give every sample that seed itself, as the authors' script does; else each has one of its own."""
    grader: Grader = "rlvr"
    """Whose rules judge; another grader costs no new samples."""
    answer_format: AnswerFormat | None = None
    """Where the answer stands, for the grader `rlvr`; `null` is the study's."""
    reason: str = ""
    """Where the values come from."""


class EvaluationCatalogue(Settings):
    """`config/evaluations.yaml`: ways to measure that a study may name and change."""

    evaluations: dict[Name, EvaluationPreset]
    """Name -> preset."""


class Evaluation(Settings):
    """How checkpoints are measured."""

    preset: Name | None = None
    """A name in `evaluations.yaml`; what is given below replaces its values one by one."""
    benchmarks: dict[Name, Benchmark] = Field(min_length=1)
    """Name -> benchmark."""
    sampling: Sampling | None = None
    """How answers are drawn; needed where no preset is named."""
    prompt: PromptChoice | None = None
    """Evaluation prompt; by default the preset's, or else the training prompt."""
    seed: int | None = None
    """Seed of the answers; by default the preset's, or else the study's."""
    shared_seed: bool = False
    """Give every sample that seed itself, as the authors' script does; by default the preset's choice."""
    grader: Grader = "rlvr"
    """Whose rules judge; by default the preset's choice. Another grader costs no new samples."""
    answer_format: AnswerFormat | None = None
    """Where the answer stands, for the grader `rlvr`; by default the preset's, or else the study's."""
    batch_size: PositiveInt = 256
    """Sequences generated at once; on a CPU it changes no sample, on a GPU only by rounding."""
    dtype: DType = "float32"
    """Precision of the weights that answer."""
    contamination_similarity: Fraction = 0.8
    """A benchmark problem at least this similar to a training problem was seen in training (docs/data.md)."""

    @model_validator(mode="after")
    def _says_how_to_sample(self) -> "Evaluation":
        if self.preset is None and self.sampling is None:
            raise ValueError("needs sampling, or a preset of evaluations.yaml")
        return self


class Compute(Settings):
    """What one job needs. Never part of a result's identity: changing it reruns nothing."""

    gpus: int = Field(default=0, ge=0)
    """Devices per training or generation job."""
    threads: PositiveInt = 1
    """CPU threads per job; 1 lets two small jobs run side by side on two cores."""
    memory_mb: PositiveInt = 4000
    """Main memory per job."""
    train_minutes: PositiveInt = 30
    """Time limit of a training job."""
    generate_minutes: PositiveInt = 30
    """Time limit of a generation job."""


class Study(Settings):
    """`config/studies/<study>.yaml`: a grid of model x method x setting x seed, and what to measure."""

    extends: Name | None = None
    """Another study of this folder; only what differs from it is said here, lists are replaced whole."""
    title: str
    """Title of the report."""
    description: str = ""
    """What the study is for, in a few sentences."""
    seed: int = 0
    """Seed of everything that all runs share, such as evaluation samples."""
    models: list[Name] = Field(min_length=1)
    """Keys of `models.yaml`."""
    methods: list[MethodChoice] = Field(min_length=1)
    """Methods to train; the untrained model is always evaluated beside them."""
    settings: dict[Name, dict[str, Any]] = {"main": {}}
    """Variants, each run with every method: name -> the keys of `training` that it replaces."""
    train_seeds: list[int] = Field(default=[0], min_length=1)
    """Seeds of training: prompt order, rollouts, initialisation of adapters."""
    train_dataset: Name
    """Key of `datasets.yaml`."""
    prompt: PromptChoice = Prompt()
    """Training prompt: written out, or a name in `prompts.yaml`."""
    answer_format: AnswerFormat = "boxed"
    """Where the answer stands in a completion; the same rule for reward and evaluation."""
    training: Training
    """The algorithm."""
    evaluation: Evaluation
    """The measurement."""
    compute: Compute = Compute()
    """What a job needs."""

    @model_validator(mode="after")
    def _no_run_twice(self) -> "Study":
        listed = {
            "method": [f"{choice.method} with preset {choice.preset}" for choice in self.methods],
            "model": self.models,
            "training seed": [str(seed) for seed in self.train_seeds],
        }
        for kind, names in listed.items():
            if twice := [name for name, count in Counter(names).items() if count > 1]:
                raise ValueError(
                    f"{kind} {twice[0]} is listed twice; for other parameters make another study"
                )
        return self


class Selection(Settings):
    """`config/config.yaml`: what `snakemake all` means."""

    studies: list[Name] = Field(min_length=1)
    """Names of files in `config/studies/`, without `.yaml`."""
