"""Typed configuration: one model per concept, a docstring under every field.

These models are the only place where a setting is defined. The JSON Schemas in ``workflow/schemas/``,
the reference in ``config/README.md`` and the messages about wrong configurations are made from them.
"""

from collections import Counter
from typing import Annotated, Any, Literal, Self

from pydantic import (
    ConfigDict,
    Discriminator,
    Field,
    ModelWrapValidatorHandler,
    PositiveFloat,
    PositiveInt,
    Tag,
    model_validator,
)

from rlvr.config.algorithms import ALGORITHM_DEFAULTS, Algorithm, impossible
from rlvr.config.choices import AnswerFormat, EngineName, Grader, PaperItem, RewardGrader
from rlvr.config.choices import DType as DType
from rlvr.config.contrasts import Contrasts
from rlvr.config.presets import MethodChoices
from rlvr.config.values import Beta, Day, Fraction, Name, Rounding, Seed, Settings

# --- training -----------------------------------------------------------------------------------


class Sampling(Settings):
    """How completions are sampled."""

    model_config = ConfigDict(allow_inf_nan=False)

    temperature: Annotated[float, Field(ge=0, le=10)] = 1.0
    """Divides the logits; 1 samples from the model as it is, and 0, in evaluation only, is greedy: the most
    probable token."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Nucleus sampling: the smallest set of tokens with at least this probability."""
    max_new_tokens: PositiveInt
    """Completions are truncated at this length (finish reason `length`)."""

    @property
    def greedy(self) -> bool:
        """Whether the most probable token is taken instead of a sampled one."""
        return self.temperature == 0

    @property
    def logit_divisor(self) -> float:
        """What log-probabilities divide the logits by: the temperature; 1 where greedy."""
        return self.temperature or 1.0


RESERVED_ARGUMENTS = frozenset(
    {"add_generation_prompt", "chat_template", "continue_final_message", "conversation", "documents"}
    | {"max_length", "messages", "padding", "return_assistant_tokens_mask", "return_dict", "return_tensors"}
    | {"sanitize_control_tokens", "strftime_now", "tokenize", "tokenizer_kwargs", "tools", "truncation"}
)
"""Names that chat templates and `apply_chat_template` use for themselves."""


class Prompt(Settings):
    """How a problem becomes a chat, and the chat a text."""

    system: str | None = None
    """System message; none by default."""
    user: str = "{problem}"
    """User message; `{problem}` is replaced by the problem."""
    template: dict[str, str | bool | int | float | None] = {}
    """Arguments of the model's chat template, such as `{enable_thinking: false}` of Qwen3."""
    date: Day = "2025-01-01"
    """What the chat template takes for today, so that a prompt is the same on any day."""

    @model_validator(mode="after")
    def _names_the_problem(self) -> "Prompt":
        if "{problem}" not in self.user:
            raise ValueError("user must contain {problem}")
        return self

    @model_validator(mode="after")
    def _leaves_reserved_names(self) -> "Prompt":
        if "date_string" in self.template:
            raise ValueError("template.date_string: set `date` instead")
        if reserved := sorted(RESERVED_ARGUMENTS & self.template.keys()):
            raise ValueError(f"template.{reserved[0]}: this name is not an argument of a template")
        return self


PromptChoice = Annotated[
    Annotated[Prompt, Tag("prompt")] | Annotated[Name, Tag("name")],
    Discriminator(lambda choice: "name" if isinstance(choice, str) else "prompt"),
]
"""A prompt written out, or the name of one in `prompts.yaml`."""


Batching = Literal["static", "continuous"]
"""How completions share a forward pass: a batch of them starts together, or each that ends makes room."""


class SoftOverlong(Settings):
    """Soft overlong punishment (DAPO, arXiv 2503.14476, Eq. 13)."""

    buffer_tokens: PositiveInt
    """Length of the interval before `max_new_tokens` in which the punishment grows from 0 to -1."""


class DynamicSampling(Settings):
    """Replace groups whose completions are all correct or all incorrect (DAPO, arXiv 2503.14476, Eq. 11)."""

    max_rounds: PositiveInt = 4
    """Rounds of sampling per step; after the last one the step trains on the groups it has."""
    surplus: Literal["carry", "discard"] = "carry"
    """Groups that a step does not need: `carry` them to the next, or `discard` them (strictly on-policy)."""


def _concerns_sent_weights(training: dict[str, Any]) -> bool:
    """Tell whether settings ask for what only weights that are sent to an engine can have."""
    dtype = training.get("dtype", "float32")
    asked = (training.get("rollout_dtype", dtype), training.get("rollout_compute_dtype"))
    rounds = asked != (dtype, None) or training.get("rounding", "nearest") != "nearest"
    return rounds or training.get("engine") == "vllm"


class Training(Settings):
    """DAPO and its relatives."""

    model_config = ConfigDict(allow_inf_nan=False)

    algorithm: Algorithm = "dapo"
    """Loss and advantage (`rlvr/dapo/losses.py`); brings defaults of its own for some keys, see below."""
    steps: PositiveInt
    """Optimizer steps are `steps` x `updates_per_step`."""
    prompts_per_step: PositiveInt
    """Prompt groups per step (16 in the paper)."""
    group_size: Annotated[int, Field(ge=2)]
    """Completions per prompt, G (8 in the paper); an advantage compares the completions of a prompt."""
    learning_rate: PositiveFloat
    """LoRA's in a study, which presets multiply by `learning_rate_factor`; the run's own once resolved."""
    warmup_steps: int = Field(default=0, ge=0)
    """Optimizer steps of linear warm-up to a constant rate."""
    weight_decay: float = Field(default=0.0, ge=0)
    """AdamW weight decay."""
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    """AdamW betas."""
    max_grad_norm: PositiveFloat = 1.0
    """Gradient norm clipping."""
    clip_low: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Lower clip range of the importance ratio; 1: no lower bound."""
    clip_high: PositiveFloat = 0.28
    """Upper clip range of the importance ratio."""
    importance_cap: PositiveFloat | None = None
    """Truncated importance sampling: weight each token by trainer over engine probability, capped here."""
    dynamic_sampling: DynamicSampling | None = DynamicSampling()
    """Replace groups without signal; `null`: keep them."""
    soft_overlong: SoftOverlong | None = None
    """Punish completions near the length limit; `null`: do not."""
    overlong_filtering: bool = False
    """Leave truncated completions out of the loss (DAPO, section 3.4); the advantages of their group and, in
    `grpo`, `dr_grpo` and `gspo`, the number of completions that the loss is divided by still count them."""
    updates_per_step: PositiveInt = 1
    """Optimizer steps on each batch of completions; 1 is strictly on-policy, as in the paper."""
    sampling: Sampling
    """How rollouts are sampled."""
    max_prompt_tokens: PositiveInt = 512
    """Longest prompt, in tokens of the model; see `overlong_prompts`."""
    overlong_prompts: Literal["stop", "drop"] = "stop"
    """Longer prompts: `stop` before training, or `drop` the problem and count it in `run.json`."""
    dtype: DType = "float32"
    """Precision of frozen weights and forward pass; trained weights are always float32."""
    engine: EngineName = "transformers"
    """What samples the rollouts; `vllm` is for GPUs and long completions, and is installed beside the rest
    (docs/engines.md)."""
    rollout_dtype: DType = "float32"
    """Precision of the weights that are sent to be sampled from; with `sync: live`, `dtype`."""
    rollout_compute_dtype: DType | None = None
    """Precision of the forward pass that samples; `null`: `rollout_dtype`. With `float32` only weights are
    rounded, which a CPU without 16-bit arithmetic computes several times faster."""
    rounding: Rounding = "nearest"
    """How weights are rounded to `rollout_dtype`; `stochastic`: up or down, right on average."""
    sync: Literal["live", "merged", "adapter"] = "live"
    """What samples: `live`, the policy itself, in the precision `dtype`: nothing is sent and nothing rounded;
    `merged` weights; or the base beside each method's exact low-rank `adapter`. The default is `merged` where
    `rollout_dtype` differs from `dtype`, or `rollout_compute_dtype` or stochastic `rounding` is set, because
    only weights that are sent can have that, and with `engine: vllm`; otherwise `live`."""
    mismatch_alarm: PositiveFloat | None = None
    """KL(engine || trainer) per token, in nats, that stops a run; `null`: 1e-4 in float32, otherwise 0.1."""
    tokens_per_microbatch: PositiveInt = 512
    """Tokens of a forward and backward pass, a prompt once for all its completions. It changes no result but
    memory: on SmolLM2 (135M, LoRA, float32), 2 MB for each. A longer sequence is a pass of its own."""
    rollout_batch_size: PositiveInt = 256
    """Sequences generated at once; on a CPU it changes no sample, on a GPU only by rounding."""
    batching: Batching = "static"
    """`static`: completions are sampled in batches that start together, and leave them as they end.
    `continuous`: one that ends makes room for the next, by `transformers`' paged engine, which needs full
    attention in every layer. The samples are the same but for rounding."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass to save memory."""
    checkpoint_every: PositiveInt = 10
    """Steps between checkpoints."""
    stop_after_uninformative_steps: PositiveInt | None = 5
    """End a run after so many steps in a row (or all, if there are fewer) that train on no group whose
    completions differ in correctness or in length punishment. At the start it fails, with the verifier's
    reasons; later it fails if the share of correct completions is less than half of that in the first step (a
    collapse), and otherwise is complete: there is no more to learn. `null`: never."""

    @model_validator(mode="wrap")
    @classmethod
    def _with_defaults_of_the_algorithm(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Fill in what the algorithm brings along; only what was given counts as set."""
        if not isinstance(data, dict):
            return handler(data)
        algorithm = data.get("algorithm", "dapo")
        brought = next((brings for name, brings in ALGORITHM_DEFAULTS.items() if name == algorithm), {})
        if "sync" not in data and _concerns_sent_weights(data):
            brought = {**brought, "sync": "merged"}
        elif data.get("sync", "live") == "live":  # the policy samples as it is
            brought = {**brought, "rollout_dtype": data.get("dtype", "float32")}
        training = handler({**brought, **data})
        training.__pydantic_fields_set__.intersection_update(data)
        return training

    @model_validator(mode="after")
    def _can_work(self) -> "Training":
        if self.rollout_compute_dtype not in (None, "float32", self.rollout_dtype):
            raise ValueError(
                f"rollout_compute_dtype: {self.rollout_compute_dtype} would round weights of rollout_dtype: "
                f"{self.rollout_dtype} again; give float32, or leave it out"
            )
        if reason := impossible(self):
            raise ValueError(reason)
        return self

    @property
    def optimizer_steps(self) -> int:
        """Optimizer steps of the whole run."""
        return self.steps * self.updates_per_step

    @property
    def largest_mismatch(self) -> float:
        """KL per token, in nats, above which the sampling policy is not the trained one."""
        exact = self.dtype == self.rollout_dtype == "float32"
        return self.mismatch_alarm or (1e-4 if exact else 0.1)


# --- evaluation and study -----------------------------------------------------------------------


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
    learning_rate_factor: Annotated[PositiveFloat, Field(allow_inf_nan=False)] = 1.0
    """Multiplies the study's learning rate, so that a setting such as half the rate holds at any scale."""


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
