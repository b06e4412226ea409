"""Tables on what training unlearns and how fast it learns: one class per file, one field per column."""

from typing import Literal

from rlvr.artifacts.rows import OptionalFloat, Row, VariantRow


class ReferenceScore(Row):
    """The log-probability of the reference solution of one problem, on a forgetting benchmark."""

    problem_id: str
    """Id of the problem in the prepared benchmark."""
    n_tokens: int
    """Tokens of the reference, the end of the turn included."""
    logprob: float
    """Sum of the log-probabilities of its tokens after the prompt, at temperature 1, in nats."""


class ForgettingRow(VariantRow):
    """What training changed on a forgetting benchmark, which enters no mean over benchmarks.

    The method is compared with the untrained model, problem by problem (docs/learning.md).
    """

    benchmark: str
    """Name of a forgetting benchmark."""
    measure: Literal["accuracy", "logprob"]
    """`accuracy`: share of correct samples; `logprob`: mean log-probability of a token of the reference
    solution, in nats, the mean over its tokens first and then over problems."""
    before: float
    """The measure under the untrained model."""
    after: float
    """The measure under the trained policy, a mean over training seeds."""
    difference: float
    """`after` minus `before`; negative is forgotten."""
    se: OptionalFloat
    """Standard error of the difference; with several training seeds it includes their variation."""
    ci_low: OptionalFloat
    """Lower end of the 95 % confidence interval."""
    ci_high: OptionalFloat
    """Upper end of the 95 % confidence interval."""
    p_value: float
    """Two-sided p of the same question as the interval, as in `comparisons.csv`."""
    p_holm: float
    """The same, corrected (Holm 1979) for all methods and presets of a setting and model."""
    n_problems: int
    """Problems compared."""
    train_seeds: int
    """Training seeds of the method."""
    missing_seeds: int
    """Training seeds that failed or are missing (`runs.csv`)."""


class LearningRow(VariantRow):
    """How fast a method learned, from the training logs (docs/learning.md).

    The reward of a step is `reward/mean` of the training log. Steps that sampled nothing are left out.
    """

    train_seeds: int
    """Training seeds, taken together in this row."""
    missing_seeds: int
    """Training seeds that failed or are missing (`runs.csv`)."""
    planned_steps: int
    """Planned training steps."""
    area: OptionalFloat
    """Area under the reward curve from the first to the last planned step, divided by the steps between: the
    mean reward in training; a mean over training seeds."""
    area_sd: OptionalFloat
    """Standard deviation of the area over training seeds; empty for one."""
    first: float
    """Reward of the first step that sampled, a mean over all runs of the model."""
    best: float
    """The largest final reward of a method of the model: the mean of the last five steps that sampled, and
    over training seeds."""
    level: OptionalFloat
    """Halfway from `first` to `best`; empty where `best` is not above `first`."""
    reached: int
    """Training seeds that reached the level."""
    steps_to_level: OptionalFloat
    """Median over training seeds of the steps until the mean reward of the last five steps that sampled
    reached the level; a seed that never did counts as later than any other. Empty where the median is such a
    seed: it is censored, more than `planned_steps`."""
    steps_earliest: OptionalFloat
    """Steps of the first training seed to reach the level; empty where none did."""
    steps_latest: OptionalFloat
    """Steps of the last one; empty where one never did."""
