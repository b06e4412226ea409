"""Settings of training: sampling, prompt, and the algorithm; a docstring under every field."""

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
from rlvr.config.choices import DType, EngineName
from rlvr.config.values import Beta, Day, Name, Rounding, Settings


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


TOKENS_IN_16_BITS = 1024
"""Tokens of a microbatch in bfloat16 and float16, where they need half of the memory."""


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
    tokens_per_microbatch: PositiveInt = 768
    """Tokens of a forward and backward pass, a prompt once for all its completions; the default is 1024 where
    `dtype` has 16 bits. It changes no result but for rounding: memory, on SmolLM2 (135M, LoRA, float32) 2 MB
    for each, and speed. A longer sequence is a pass of its own."""
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
        """Fill in what algorithm, sync and precision bring along; only what was given counts as set."""
        if not isinstance(data, dict):
            return handler(data)
        algorithm = data.get("algorithm", "dapo")
        brought = next((brings for name, brings in ALGORITHM_DEFAULTS.items() if name == algorithm), {})
        if "sync" not in data and _concerns_sent_weights(data):
            brought = {**brought, "sync": "merged"}
        elif data.get("sync", "live") == "live":  # the policy samples as it is
            brought = {**brought, "rollout_dtype": data.get("dtype", "float32")}
        if data.get("dtype", "float32") != "float32":
            brought = {**brought, "tokens_per_microbatch": TOKENS_IN_16_BITS}
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
