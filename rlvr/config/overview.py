"""What runs are trained and evaluated with, in words: what they share, and where each departs from it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rlvr.config.resolved import GenerateConfig, GradeConfig, RateFactor, TrainConfig
from rlvr.config.training import Prompt, Sampling, Training

Words = dict[str, str]
"""Title of a setting -> its value."""

ALGORITHMS = {"dapo": "DAPO", "grpo": "GRPO", "dr_grpo": "Dr. GRPO", "gspo": "GSPO", "cispo": "CISPO"}
REWARDS = {
    "rlvr": "1 for a correct answer, by the grader rlvr",
    "released-reward": "1 for a correct answer, by the authors' training reward",
}
TARGETS = "target_modules"
FURTHER = "Further settings"
"""Title of the settings that have no title of their own."""
UNLESS_NOTED = " (unless noted)"
_TITLED = {
    *("algorithm", "clip_low", "clip_high", "dynamic_sampling", "soft_overlong"),
    *("overlong_filtering", "importance_cap"),
    *("prompts_per_step", "group_size", "steps", "updates_per_step", "warmup_steps", "learning_rate"),
    *("weight_decay", "betas", "max_grad_norm", "sampling", "dtype", "rollout_dtype", "sync"),
    *("engine", "rollout_compute_dtype", "rounding"),
}


def training_words(config: TrainConfig) -> Words:
    """Return all settings of a run but those of its method and its learning rate."""
    training = config.training
    return {
        "Training data": config.dataset,
        "Prompt": prompt_words(config.prompt),
        "Answer format": config.answer_format,
        "Reward": REWARDS[config.reward],
        "Algorithm": f"{ALGORITHMS[training.algorithm]}, clip range -{plain(training.clip_low)} to "
        f"+{plain(training.clip_high)}",
        "Dynamic sampling": _block(training.dynamic_sampling),
        "Soft overlong punishment": _block(training.soft_overlong),
        "Overlong filtering": plain(training.overlong_filtering),
        "Importance cap": plain(training.importance_cap),
        "Batch": f"{training.prompts_per_step} prompts × {training.group_size} completions",
        "Steps": f"{training.steps:,}",
        "Updates per step": str(training.updates_per_step),
        "Rollouts": sampling_words(training.sampling),
        "Rollout engine": training.engine,
        "Training precision": training.dtype,
        "Rollout precision": _rollout_precision(training),
        "Weight sync": training.sync,
        "Optimizer": f"AdamW, betas {plain(training.betas)}, weight decay {plain(training.weight_decay)}, "
        f"gradient norm at most {plain(training.max_grad_norm)}",
        "Warm-up": f"{training.warmup_steps} steps" if training.warmup_steps else "none",
        FURTHER: _further(training),
    }


def evaluation_words(configs: Sequence[GenerateConfig]) -> Words:
    """Return how all benchmarks are sampled; where they differ, the value of each."""
    titles = ("Evaluation sampling", "Evaluation precision", "Evaluation prompt")
    return _of_benchmarks(
        titles,
        {
            one.benchmark: (
                sampling_words(one.sampling),
                _evaluation_precision(one),
                prompt_words(one.prompt),
            )
            for one in configs
        },
    )


def grading_words(configs: Sequence[GradeConfig]) -> Words:
    """Return how all benchmarks are graded; where they differ, the value of each."""
    titles = ("Evaluation format", "Evaluation grader")
    return _of_benchmarks(titles, {one.benchmark: (one.answer_format, one.grader) for one in configs})


def _of_benchmarks(titles: Sequence[str], rows: Mapping[str, Sequence[str]]) -> Words:
    words = {}
    for title, values in zip(titles, zip(*rows.values(), strict=True), strict=False):
        each = [f"{benchmark}: {value}" for benchmark, value in zip(rows, values, strict=True)]
        words[title] = values[0] if len(set(values)) == 1 else "; ".join(each)
    return words


def compared(rows: Sequence[Words]) -> tuple[Words, list[Words]]:
    """Return the most common value of every title, and for each row where it departs from that.

    A value that some row departs from ends in :data:`UNLESS_NOTED`; among equally common values the first
    counts. A row without a title departs from nothing.
    """
    titles = dict.fromkeys(title for row in rows for title in row)
    counts = {title: Counter(row[title] for row in rows if title in row) for title in titles}
    usual = {title: counter.most_common(1)[0][0] for title, counter in counts.items()}
    return (
        {title: usual[title] + UNLESS_NOTED * (len(counter) > 1) for title, counter in counts.items()},
        [{title: value for title, value in row.items() if value != usual[title]} for row in rows],
    )


def rate_words(rate: float, factor: RateFactor) -> str:
    """Return the parts of a learning rate, ``0.005 × 10 (preset)``, or what a tuned one was chosen from.

    Nothing where the factor is 1.
    """
    if factor.given_by == "tuned":
        return f"best of {factor.trials} trials"
    return "" if factor.value == 1 else f"{rate / factor.value:g} × {factor.value:g} ({factor.given_by})"


def method_words(parameters: Mapping[str, Any], without: Sequence[str] = ()) -> str:
    """Return the settings of a method, but for its layers."""
    shown = {key: value for key, value in parameters.items() if key not in (TARGETS, *without)}
    return ", ".join(f"{key} {plain(value)}" for key, value in shown.items())


def layer_words(parameters: Mapping[str, Any]) -> str | None:
    """Return the layers that a method adapts, in short; None for a method that does not choose any."""
    targets = parameters.get(TARGETS)
    if targets is None or isinstance(targets, str):
        return targets  # all of a kind, or none to choose
    return ", ".join(str(target).removesuffix("_proj") for target in targets)


def sampling_words(sampling: Sampling) -> str:
    """Return how completions are sampled."""
    length = f"at most {sampling.max_new_tokens:,} tokens"
    if sampling.greedy:
        return f"greedy (temperature 0), {length}"
    return f"temperature {plain(sampling.temperature)}, top-p {plain(sampling.top_p)}, {length}"


def prompt_words(prompt: Prompt) -> str:
    """Return the messages of a prompt in one line."""
    parts = [f"system: {prompt.system}"] if prompt.system else []
    return " ".join(" | ".join([*parts, f"user: {prompt.user}"]).split())


def plain(value: Any) -> str:
    """Return a value as a reader writes it: ``none``, ``0.0001``, ``0.9 and 0.999``."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return " and ".join(plain(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _rollout_precision(training: Training) -> str:
    forward, rounding = training.rollout_compute_dtype, training.rounding
    words = [training.rollout_dtype, f"forward pass in {forward}" if forward else ""]
    return ", ".join(filter(None, [*words, "" if rounding == "nearest" else f"{rounding} rounding"]))


def _evaluation_precision(config: GenerateConfig) -> str:
    return config.dtype + (f", weights merged in {config.merged_dtype}" if config.merged_dtype else "")


def _block(block: Any) -> str:
    """Return the keys of a part of the settings; ``off`` where it is not used."""
    if block is None:
        return "off"
    return ", ".join(f"{key.replace('_', ' ')} {plain(value)}" for key, value in block)


def _further(training: Training) -> str:
    values = {key: value for key, value in training if key not in _TITLED}
    return ", ".join(f"{key.replace('_', ' ')} {plain(value)}" for key, value in values.items())
