"""Tables of a study: one class per file, one field per column."""

from typing import Annotated, Literal

from pydantic import AfterValidator

from rlvr.artifacts.learning import ForgettingRow, LearningRow, ReferenceScore
from rlvr.artifacts.metrics import documented, documented_measure
from rlvr.artifacts.rows import OptionalFloat, Row, VariantRow
from rlvr.config.choices import FinishReason, Status
from rlvr.errors import RunStatus

OVERALL = "overall"
UNCONTAMINATED = "overall_uncontaminated"
SAMPLE_WEIGHTED = "overall_sample_weighted"
MEANS = {
    OVERALL: (
        "Macro mean: every benchmark counts the same. With several training seeds the standard error is not "
        "that of independent benchmarks, because each trained model answers all of them."
    ),
    UNCONTAMINATED: (
        "Macro mean without the problems found in the training data; a benchmark without any other problem "
        "is left out. Equal to `overall` where nothing is contaminated; absent if contamination is unknown."
    ),
    SAMPLE_WEIGHTED: (
        "Mean in which every sample counts the same, so that large benchmarks dominate. This is what the "
        "evaluation script of the paper's authors prints (`perl/eval` of MikaStars39/PeRL)."
    ),
}
"""Names of means over benchmarks in the column `benchmark` -> meaning."""

Metric = Annotated[str, AfterValidator(documented)]
Measure = Annotated[str, AfterValidator(documented_measure)]


class Sample(Row):
    """One sampled completion."""

    problem_id: str
    """Id of the problem in the prepared benchmark."""
    sample_index: int
    """0 .. k - 1 within the problem."""
    seed: int
    """Seed of the completion."""
    text: str
    """The completion without special tokens, preceded by what the chat template opens it with (`<think>`)."""
    n_tokens: int
    """Tokens of the completion, the end token included."""
    finish_reason: FinishReason
    """`stop`: the model ended it; `length`: truncated at `max_new_tokens`."""
    seconds: float
    """Wall time of the batch divided by its size, in seconds."""

    @property
    def key(self) -> tuple[str, int]:
        """Problem id and sample index."""
        return self.problem_id, self.sample_index


class Grade(Row):
    """The grade of one sample."""

    problem_id: str
    """As in the samples."""
    sample_index: int
    """As in the samples."""
    extracted: str | None
    """The answer found in the completion, or null."""
    correct: bool
    """Whether the answer matches the gold answer."""
    lenient: bool
    """`correct` with answers outside the requested format accepted; never a reward."""
    status: Status
    """`ok`: the answer was compared with the gold answer. Otherwise the sample counts as incorrect:
    `no_answer` in the requested format, an answer that repeats the problem or is not evaluated
    (`unevaluated`), unreadable gold answer (`unparsed_gold`), `timeout` or `error` of the comparison."""
    verifier_version: str
    """Version of the grader: its rules and its library."""


class SummaryRow(VariantRow):
    """One metric of one method on one benchmark, over all training seeds."""

    train_seeds: int
    """Training seeds, taken together in this row; 0 for the untrained model."""
    planned_seeds: int
    """Training seeds that the study plans: more than `train_seeds` where runs failed or are missing
    (`runs.csv`)."""
    benchmark: str
    """Name of a benchmark, or of a mean over benchmarks."""
    metric: Metric
    """Name of the metric."""
    value: OptionalFloat
    """The estimate; empty where it cannot be computed."""
    se: OptionalFloat
    """Standard error, clustered by problem; with several training seeds it includes their variation."""
    ci_low: OptionalFloat
    """Lower end of the 95 % confidence interval."""
    ci_high: OptionalFloat
    """Upper end of the 95 % confidence interval."""
    n_problems: int
    """Problems that the value is computed from."""
    n_samples: int
    """Samples that the value is computed from."""
    trainable_parameters: int
    """Trainable scalars; the largest number where training seeds differ."""
    device_seconds: float
    """Cost of training in device seconds, summed over training seeds."""


class ComparisonRow(VariantRow):
    """The paired difference of one method and one baseline on one benchmark.

    `contrasts` of a study says which pairs it has. The two sides have the same model and differ in their
    methods, their presets or their settings (column `contrast`); where they differ in presets or settings,
    `method` and `baseline` are equal.
    """

    contrast: Literal["methods", "presets", "settings"]
    """What the two sides differ in."""
    baseline: str
    """Method compared with; `base` is the untrained model."""
    baseline_preset: str
    """Preset of the baseline; `-` for the untrained model."""
    baseline_setting: str
    """Setting of the baseline; `-` for the untrained model."""
    benchmark: str
    """Name of a benchmark, `overall` or `overall_uncontaminated`."""
    difference: float
    """Mean over problems of the method's `avg@K` minus the baseline's; macro mean over benchmarks."""
    se: OptionalFloat
    """Standard error of the difference; with several training seeds it includes their variation."""
    ci_low: OptionalFloat
    """Lower end of the 95 % confidence interval."""
    ci_high: OptionalFloat
    """Upper end of the 95 % confidence interval."""
    p_value: float
    """Two-sided p, of the same question as the interval (column `compares`). `runs`: sign-flip permutation
    test over problems; `methods`, or several training seeds on one side: the t test of the interval."""
    p_holm: float
    """`p_value` corrected (Holm 1979) within its family on this benchmark. `methods`: all methods and presets
    of a setting that are compared with one method; `presets`: all methods of a setting compared with one
    preset; `settings`: all settings of a method compared with one setting."""
    minimum_detectable: OptionalFloat
    """2.8 standard errors: the difference detected with 80 % power at the 5 % level."""
    n_problems: int
    """Problems compared."""
    n_samples: int
    """Samples of both sides."""
    train_seeds: int
    """Training seeds; the smaller number of the two sides, not counting the untrained model."""
    se_seeds: OptionalFloat
    """Standard error of the difference over training seeds alone, the problems taken as they are; only where
    every trained side has several."""
    p_seeds: OptionalFloat
    """Two-sided p of the same: Welch's t test of the accuracies of single training runs, not corrected."""
    missing_seeds: int
    """Training seeds of the two sides that failed or are missing (`runs.csv`)."""
    compares: Literal["runs", "methods"]
    """What interval and p tell apart. `runs`: a trained side has one training seed, and another seed could
    give another result; `methods`: every trained side has several, and their variation is included."""
    probability_of_improvement: OptionalFloat
    """Probability that a training run of the method beats one of the baseline, over seeds x benchmarks
    (Agarwal et al. 2021); only in `overall` rows with at least three training seeds on both sides."""
    improvement_ci_low: OptionalFloat
    """Lower end of its 95 % confidence interval."""
    improvement_ci_high: OptionalFloat
    """Upper end of its 95 % confidence interval."""


class LeaderRow(VariantRow):
    """The paired difference of one method and the leader: the one with the highest mean over benchmarks.

    Every trained method of a model has a row but the leader. The leader is chosen from the same data, which
    favours it; the p values are corrected for all pairs of methods, whichever of them leads.
    """

    leader: str
    """Method of the leader."""
    leader_preset: str
    """Preset of the leader."""
    leader_setting: str
    """Setting of the leader."""
    difference: float
    """Mean over problems of the method's `avg@K` minus the leader's; macro mean over benchmarks."""
    se: OptionalFloat
    """Standard error of the difference; with several training seeds it includes their variation."""
    ci_low: OptionalFloat
    """Lower end of the 95 % confidence interval."""
    ci_high: OptionalFloat
    """Upper end of the 95 % confidence interval."""
    p_value: float
    """Two-sided p of the t test of the interval."""
    p_corrected: float
    """`p_value` times the number of pairs of the model's trained methods (Bonferroni), at most 1."""
    train_seeds: int
    """Training seeds, the smaller number of the two sides."""
    missing_seeds: int
    """Training seeds of the two sides that failed or are missing (`runs.csv`)."""


class BudgetRow(VariantRow):
    """Accuracy if every completion were truncated at `budget` tokens."""

    train_seeds: int
    """As in `summary.csv`."""
    benchmark: str
    """Name of a benchmark."""
    budget: int
    """Tokens."""
    value: float
    """Share of samples that are correct and no longer than the budget."""
    se: OptionalFloat
    """Standard error."""
    ci_low: OptionalFloat
    """Lower end of the 95 % confidence interval."""
    ci_high: OptionalFloat
    """Upper end of the 95 % confidence interval."""
    n_problems: int
    """Problems that the value is computed from."""
    n_samples: int
    """Samples that the value is computed from."""


class RunRow(VariantRow):
    """One planned run: whether it is in the other tables, and why not."""

    run: str
    """Name of the run."""
    train_seed: OptionalFloat
    """Training seed; unknown for the untrained model."""
    status: Literal[RunStatus, "not_trained", "not_evaluated"]
    """`finished` and `exhausted` runs are in the other tables, and no others: see `status` of a run's record;
    `not_trained` and `not_evaluated`: missing so far."""
    steps: OptionalFloat
    """Finished training steps."""
    planned_steps: OptionalFloat
    """Planned training steps."""
    reward_last: OptionalFloat
    """Mean reward of the last steps that sampled."""
    attempts: OptionalFloat
    """Attempts to train it."""
    device_seconds: OptionalFloat
    """Cost of training in device seconds."""
    reason: str | None
    """Why it failed."""
    learning_rate: OptionalFloat
    """Learning rate; unknown before the run has ended."""
    rate_given_by: Literal["preset", "study", "tuned", "shared"] | None
    """Where the learning rate comes from; see `RateFactor`."""
    rate_trials: OptionalFloat
    """Training runs that the choice of a tuned rate cost."""


class RateRow(VariantRow):
    """One trial of a study that tunes: a method trained at one rate with one training seed."""

    run: str
    """Name of the run."""
    train_seed: int
    """Training seed."""
    learning_rate: OptionalFloat
    """Learning rate of the run; empty where it has not been trained."""
    status: Literal[RunStatus, "not_trained", "not_evaluated"]
    """As in `runs.csv`."""
    accuracy: OptionalFloat
    """Share of correct samples on the validation problems; empty where the run failed or is missing."""
    mean_accuracy: OptionalFloat
    """Mean over the training seeds of this rate; empty where one of them failed or is missing."""
    n_problems: int
    """Validation problems counted; those that are similar to training or test problems are not."""
    n_samples: int
    """Samples counted."""
    chosen: bool
    """Whether this is the rate of the method: the one with the highest mean accuracy, of equal ones the
    lowest. A rate at which a seed diverged is not chosen; where a trial is missing or failed otherwise, none
    is."""
    edge: Literal["lowest", "highest"] | None
    """The end of the grid at which the chosen rate lies: a better one may lie beyond."""


class ContaminationRow(Row):
    """How many problems of a benchmark are in the training data."""

    dataset: str
    """Entry of `config/datasets.yaml`."""
    problems: int
    """Problems of the benchmark."""
    contaminated: int
    """Problems of the benchmark found in the training data."""


class ContaminatedProblem(Row):
    """One benchmark problem that is in the training data."""

    dataset: str
    """Entry of `config/datasets.yaml`."""
    problem_id: str
    """Id of the problem in the prepared benchmark."""
    train_id: str
    """Id of the most similar training problem."""
    similarity: float
    """Similarity of the two problems, 0..1; 1: the same words, numbers and signs."""
    same_answer: bool
    """Whether the two gold answers agree."""


class AuditRow(Row):
    """A difference between the paper and its released code, and what a pair of runs measures of it.

    A difference has one row per pair that measures it and model, or one row without a measurement.
    """

    id: str
    """Number of the difference in `config/audit.yaml`."""
    title: str
    """What it is, in a few words."""
    paper: str | None = None
    """What the text states; empty where it states nothing."""
    code: str
    """What the code does."""
    option: str
    """What reproduces it."""
    status: Literal["measured", "failed", "not run"]
    """Whether the study has the pair of runs; `failed`: one of the two sides has none that finished."""
    study: str | None = None
    """Study that has the pair; empty where no pair measures it."""
    code_side: str | None = None
    """Runs as the code did it: method, preset and, where it is not `main`, the setting."""
    text_side: str | None = None
    """Runs as the text describes it."""
    note: str | None = None
    """What of the difference the pair measures, where it is not all; why no pair does, or how it failed."""
    model: str | None = None
    """Entry of `config/models.yaml`."""
    benchmark: str | None = None
    """Benchmark, or the mean over benchmarks."""
    difference: OptionalFloat = float("nan")
    """Accuracy as the code did it minus accuracy as the text describes it, paired by problem; a fraction."""
    ci_low: OptionalFloat = float("nan")
    """Lower end of its 95 % confidence interval."""
    ci_high: OptionalFloat = float("nan")
    """Upper end of its 95 % confidence interval."""
    p_value: OptionalFloat = float("nan")
    """Two-sided p of the comparison."""
    p_holm: OptionalFloat = float("nan")
    """The same, corrected within the family of the comparison."""
    n_problems: OptionalFloat = float("nan")
    """Problems compared."""
    train_seeds: OptionalFloat = float("nan")
    """Training seeds, the smaller number of the two sides."""


class SpectrumRow(Row):
    """One measure of the update of one weight (`docs/spectra.md`)."""

    run: str
    """Name of the run; `MODEL--base` in rows about the untrained weights themselves."""
    step: int
    """Training step after which the weights were saved; 0 in rows about the untrained weights."""
    layer: str
    """Name of the linear layer in the plain model; of other weights, the name of the weight itself."""
    other: str | None
    """Second run of a comparison of two; empty in other rows."""
    measure: Measure
    """Name of the measure."""
    components: OptionalFloat
    """Share of the singular components, largest first, up to which a cumulative energy counts; else empty."""
    value: OptionalFloat
    """The measure; empty where it is undefined, as for a weight that training did not change."""


TABLES: tuple[type[Row], ...] = (
    Sample,
    Grade,
    SummaryRow,
    ComparisonRow,
    LeaderRow,
    BudgetRow,
    ReferenceScore,
    ForgettingRow,
    LearningRow,
    RunRow,
    RateRow,
    ContaminationRow,
    ContaminatedProblem,
    AuditRow,
    SpectrumRow,
)
