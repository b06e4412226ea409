"""Tables of a study: one class per file, one field per column."""

from typing import ClassVar

from rlvr.config.choices import FinishReason, Status
from rlvr.config.schema import Settings

OVERALL = "overall"
"""Macro mean: every benchmark counts the same."""
UNCONTAMINATED = "overall_uncontaminated"
"""Macro mean without the problems found in the training data; a benchmark with no other problem is left out."""
SAMPLE_WEIGHTED = "overall_sample_weighted"
"""Every sample counts the same, as in the script of the paper's authors (MikaStars39/PeRL, `perl/eval`)."""


class Row(Settings):
    """One row of a table; the fields are the columns, in order."""

    format_version: ClassVar[int] = 1
    """Raised when columns change; Parquet files carry it."""

    @classmethod
    def columns(cls) -> list[str]:
        """Return the names of the columns, in order."""
        return list(cls.model_fields)


class Sample(Row):
    """`samples/RUN/BENCHMARK.parquet`: one sampled completion."""

    problem_id: str
    """Id of the problem in the prepared benchmark."""
    sample_index: int
    """0 .. k - 1 within the problem."""
    seed: int
    """Seed of this completion alone."""
    text: str
    """The completion, without special tokens; an opening `<think>` that the chat template wrote is included."""
    n_tokens: int
    """Tokens of the completion, the end token included."""
    finish_reason: FinishReason
    """`stop`: the model ended it; `length`: truncated at `max_new_tokens`."""
    seconds: float
    """Wall time of the batch divided by its size."""

    @property
    def key(self) -> tuple[str, int]:
        """Which completion of which problem this is."""
        return self.problem_id, self.sample_index


class Grade(Row):
    """`grades/RUN/BENCHMARK.parquet`: the grade of one sample."""

    problem_id: str
    """As in the samples."""
    sample_index: int
    """As in the samples."""
    extracted: str | None
    """The answer found in the completion; null where there is none."""
    correct: bool
    """Whether the answer matches the gold answer."""
    lenient: bool
    """`correct` if the answer may also stand outside the requested format; never a reward."""
    status: Status
    """How the grade came about; all but `ok` count as incorrect."""
    verifier_version: str
    """Rules and library that graded."""


class _Variant(Row):
    """The columns that name a configured method."""

    study: str
    """Name of the study."""
    model: str
    """Entry of `config/models.yaml`."""
    method: str
    """Method; `base` is the untrained model."""
    preset: str
    """Preset; `-` for the untrained model."""
    setting: str
    """Setting of the study; `-` for the untrained model."""


class SummaryRow(_Variant):
    """`tables/summary.csv`: one metric of one method on one benchmark, over all training seeds."""

    train_seeds: int
    """Training seeds that the row covers; 0 for the untrained model."""
    benchmark: str
    """Name of a benchmark, or `overall`, `overall_uncontaminated`, `overall_sample_weighted`."""
    metric: str
    """See the list of metrics."""
    value: float
    """The estimate; empty where it cannot be computed."""
    se: float
    """Standard error, clustered by problem; with several training seeds it covers them too."""
    ci_low: float
    """Lower end of the 95 % interval."""
    ci_high: float
    """Upper end of the 95 % interval."""
    n_problems: int
    """Problems that the number rests on."""
    n_samples: int
    """Samples that the number rests on."""
    trainable_parameters: int
    """Trainable scalars; the largest count where seeds differ."""
    device_seconds: float
    """Training cost, summed over training seeds."""


class ComparisonRow(_Variant):
    """`tables/comparisons.csv`: the paired difference of one method and one baseline on one benchmark."""

    baseline: str
    """Method compared with: `base`, `full` or `lora`."""
    benchmark: str
    """As in `summary.csv`."""
    difference: float
    """Mean over problems of the method's avg@K minus the baseline's."""
    se: float
    """Standard error of the difference."""
    ci_low: float
    """Lower end of the 95 % interval."""
    ci_high: float
    """Upper end of the 95 % interval."""
    p_value: float
    """Two-sided sign-flip permutation test over problems: do these trained models differ?"""
    p_holm: float
    """`p_value` corrected for all methods compared with this baseline (Holm 1979)."""
    minimum_detectable: float
    """2.8 SE: the difference found with 80 % power."""
    n_problems: int
    """Problems compared."""
    n_samples: int
    """Samples of both sides."""
    train_seeds: int
    """Training seeds; the smaller number of the two sides."""
    probability_of_improvement: float
    """Agarwal et al. 2021, over seeds x benchmarks; overall rows with three training seeds a side."""
    improvement_ci_low: float
    """Lower end of its 95 % interval."""
    improvement_ci_high: float
    """Upper end of its 95 % interval."""


class BudgetRow(_Variant):
    """`tables/budget.csv`: the accuracy if every completion were truncated at `budget` tokens."""

    train_seeds: int
    """As in `summary.csv`."""
    benchmark: str
    """Name of a benchmark."""
    budget: int
    """Tokens."""
    value: float
    """Share of samples that are correct and no longer than the budget."""
    se: float
    """Standard error."""
    ci_low: float
    """Lower end of the 95 % interval."""
    ci_high: float
    """Upper end of the 95 % interval."""
    n_problems: int
    """Problems that the number rests on."""
    n_samples: int
    """Samples that the number rests on."""


class ContaminationRow(Row):
    """`tables/contamination.csv`: how many problems of a benchmark are in the training data."""

    dataset: str
    """Entry of `config/datasets.yaml`."""
    problems: int
    """Problems of the benchmark."""
    contaminated: int
    """Of these, found in the training data."""


class ContaminatedProblem(Row):
    """`tables/contaminated_problems.csv`: one benchmark problem that is in the training data."""

    dataset: str
    """Entry of `config/datasets.yaml`."""
    problem_id: str
    """Id of the problem in the prepared benchmark."""
    train_id: str
    """Id of the most similar training problem."""
    similarity: float
    """0..1; 1 is the same words, numbers and signs."""
    same_answer: bool
    """Whether the two gold answers agree."""


TABLES: tuple[type[Row], ...] = (
    Sample,
    Grade,
    SummaryRow,
    ComparisonRow,
    BudgetRow,
    ContaminationRow,
    ContaminatedProblem,
)
