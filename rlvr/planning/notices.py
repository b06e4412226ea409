"""What a plan should make a reader look twice at: values that work, and are rarely meant."""

import re
from collections.abc import Iterator
from itertools import combinations

from rlvr.config.algorithms import ALGORITHM_DEFAULTS
from rlvr.config.catalogue import (
    DataEntry,
    GeneratedData,
    HubData,
    LocalData,
)
from rlvr.config.choices import AnswerFormat
from rlvr.config.rates import differences
from rlvr.config.resolved import TrainConfig
from rlvr.config.training import Prompt
from rlvr.planning.overlap import of_one_side
from rlvr.planning.plan import Plan, data_places, generate_configs, grade_configs, train_configs

HIGH_RATE = 0.1
_ASKS_FOR: dict[AnswerFormat, re.Pattern[str]] = {
    "boxed": re.compile(r"\\?\b(?:f|)box(?:ed)?\b", re.IGNORECASE),
    "answer-line": re.compile(r"\banswer\s*:", re.IGNORECASE),
    "answer-tag": re.compile(r"<answer>", re.IGNORECASE),
}
"""Answer format -> what a prompt that asks for it has in its text."""
_READS: dict[AnswerFormat, set[AnswerFormat]] = {
    "boxed": {"boxed"},
    "answer-line": {"answer-line", "boxed"},
    "answer-tag": {"answer-tag"},
    "first-line": set(),
    "first-line-number": set(),
}
"""Answer format -> the formats in which it finds an answer (`rlvr/verify/extract.py`)."""


def notices(plan: Plan) -> list[str]:
    """Return what works and is rarely meant, each with its place; `rlvr plan` and the workflow print it."""
    found = [
        *_formats(plan),
        *(notice for config in train_configs(plan) for notice in _training(plan, config)),
        *_left_out(plan),
        *_same_settings(plan),
        *_tuned_otherwise(plan),
        *_shared_operands(plan),
    ]
    return list(dict.fromkeys(found))


def format_notice(prompt: Prompt, answer_format: AnswerFormat) -> str | None:
    """Return how a prompt and an answer format contradict each other, or None.

    `first-line` and `first-line-number` ask for nothing: a bare expression or number is an answer.
    """
    text = f"{prompt.system or ''}\n{prompt.user}"
    asked = {name for name, pattern in _ASKS_FOR.items() if pattern.search(text)}
    if answer_format in asked:
        return None
    if asked:
        names = " and ".join(sorted(asked))
        if asked & _READS[answer_format]:
            return f"the prompt asks for {names}, which {answer_format} reads only without an answer line"
        return f"the prompt asks for {names}, in which {answer_format} finds no answer"
    if answer_format in _ASKS_FOR:
        return f"the prompt does not ask for the format {answer_format}, in which alone an answer counts"
    return None


def _formats(plan: Plan) -> Iterator[str]:
    study = plan.study
    way_out = "change `prompt` or `answer_format`"
    first = next(train_configs(plan))
    if notice := format_notice(first.prompt, first.answer_format):
        place = plan.place.at("prompt" if "prompt" in study.model_fields_set else "answer_format")
        yield f"{place}: {notice}; {way_out}"
    for sampled, graded in zip(generate_configs(plan), grade_configs(plan), strict=True):
        same = (sampled.prompt, graded.answer_format) == (first.prompt, first.answer_format)
        if same or study.evaluation.grader != "rlvr":
            continue
        if notice := format_notice(sampled.prompt, graded.answer_format):
            place = plan.place.at("evaluation", "benchmarks", sampled.benchmark)
            yield f"{place}: {notice}; {way_out}"


def _training(plan: Plan, config: TrainConfig) -> Iterator[str]:
    training, rows = config.training, known_size(plan.datasets.datasets[config.dataset])
    written = plan.study.settings[config.setting].training

    def at(key: str) -> str:
        top = key.partition(".")[0]
        parts = ("settings", config.setting) if top in written else ()
        return str(plan.place.at(*parts, "training", *key.split(".")))

    if training.soft_overlong and training.soft_overlong.buffer_tokens == training.sampling.max_new_tokens:
        yield (
            f"{at('soft_overlong.buffer_tokens')}: {training.soft_overlong.buffer_tokens} is all of "
            "sampling.max_new_tokens: every completion is punished from its first token on; choose a smaller "
            "buffer"
        )
    brought = ALGORITHM_DEFAULTS[training.algorithm]["clip_high"]
    if training.clip_high > max(1, brought):
        yield (
            f"{at('clip_high')}: {training.clip_high:g} hardly clips; {brought:g} is usual for "
            f"{training.algorithm}"
        )
    rate = float(written.get("learning_rate", plan.study.training.learning_rate))
    if rate > HIGH_RATE:
        yield f"{at('learning_rate')}: {rate:g} is far above the usual rates, 1e-6 to 1e-2"
    if rows is not None and training.prompts_per_step > rows:
        yield (
            f"{at('prompts_per_step')}: {training.prompts_per_step:,} is more than the {rows:,} problems of "
            f"{config.dataset!r}, so that a step samples some of them several times"
        )


def known_size(entry: DataEntry) -> int | None:
    """Return the number of problems that an entry states, or None."""
    if isinstance(entry, GeneratedData):
        return entry.size
    if isinstance(entry, HubData | LocalData) and entry.rows:
        return entry.rows.take
    return None


def _left_out(plan: Plan) -> Iterator[str]:
    """Yield the methods that no setting has."""
    trained = {config.method for config in train_configs(plan)}
    for planned in plan.methods:
        if planned.method not in trained:
            yield (
                f"{planned.place}: {planned.method} is not trained, because no setting has it; add it to "
                "`methods` of a setting, or add a setting for all methods (`main: {}`)"
            )


def _same_settings(plan: Plan) -> Iterator[str]:
    """Yield the settings that train what another trains too."""
    by_run: dict[tuple[str, str, str], list[TrainConfig]] = {}
    for config in train_configs(plan):
        if config.train_seed == plan.study.train_seeds[0]:
            by_run.setdefault((config.model, config.method, config.preset), []).append(config)
    same: dict[tuple[str, str], list[str]] = {}
    for configs in by_run.values():
        for one, other in combinations(configs, 2):
            if (one.parameters, one.training) == (other.parameters, other.training):
                same.setdefault((one.setting, other.setting), []).append(other.method)
    for (first, second), methods in same.items():
        names = ", ".join(dict.fromkeys(methods))
        yield f"{plan.place.at('settings', second)}: trains {names} exactly as setting {first!r} does"


def _tuned_otherwise(plan: Plan) -> Iterator[str]:
    """Yield the settings whose training differs from the one that their rates were tuned with."""
    for config, factor in plan.runs:
        if factor.given_by != "tuned" or plan.rates is None or (rate := plan.rates.find(config)) is None:
            continue
        other = differences(plan.rates.conditions_of(rate), config)
        if words := [f"{key} is {value}" for key, value in other.items() if key.startswith("training.")]:
            where = plan.place.at("settings", config.setting)
            yield f"{where}: the learning rates were tuned with other settings: {'; '.join(words)}"


def _shared_operands(plan: Plan) -> Iterator[str]:
    """Yield the generated benchmarks that are from the training data's side of the split.

    Validation problems are compared with the training data themselves (:mod:`rlvr.planning.overlap`).
    """
    if plan.study.tune:
        return
    (_, train), *benchmarks = data_places(plan)
    entries = plan.datasets.datasets
    one = entries[train]
    for place, name in benchmarks:
        other = entries[name]
        if isinstance(other, GeneratedData) and name != train and of_one_side(one, other):
            yield (
                f"{place}: {name!r} is of split {other.split!r}, as the training data {train!r}, and may "
                "share problems with it; use the other split"
            )
