"""Records of a study: JSON files with one object each."""

from typing import Literal

from rlvr.config.claims import Measurement, Pair
from rlvr.config.presets import Fault
from rlvr.config.resolved import TrainConfig
from rlvr.config.values import Settings
from rlvr.errors import RunStatus


class RunInfo(Settings):
    """Name, configuration and cost of a run."""

    run: str
    """Name of the run: `model--method--preset--setting--sSEED`."""
    study: str
    """Name of the study."""
    model: str
    """Entry of `config/models.yaml`."""
    method: str
    """Method as the study names it."""
    preset: str
    """`paper`, `released` or `recommended`."""
    trains_as: str
    """Method that was trained; differs from `method` in some `released` presets."""
    faults: tuple[Fault, ...]
    """Faults of the released code that were reproduced."""
    setting: str
    """Name of the setting in the study."""
    train_seed: int
    """Training seed."""
    config: TrainConfig
    """The resolved configuration."""
    config_sha256: str
    """Hash of the resolved configuration."""
    status: RunStatus
    """How the run ended. `finished`; or `exhausted`: complete before its last step, because there was no more
    to learn. Or failed: `refused`, it cannot be trained as configured; `diverged`, its reward collapsed, its
    loss or gradient is not finite, or the policy that samples is not the one that is trained;
    `uninformative`, none of its first groups had anything to learn from; `crashed`, another error in every
    attempt that was allowed."""
    seconds: float
    """Wall time over all attempts, in seconds; of an interrupted attempt, up to its last checkpoint."""
    devices: int
    """Devices in use at the same time; 1 on a CPU."""
    device_seconds: float
    """`seconds` x `devices`."""
    attempts: int
    """Attempts, including the last one."""


class TrainInfo(Settings):
    """Outcome of training."""

    trainable_parameters: int
    """Trainable scalars at the end of training."""
    total_parameters: int
    """Parameters of the base model."""
    steps: int
    """Training steps."""
    dropped_prompts: int
    """Training problems left out because their prompts exceed `training.max_prompt_tokens`."""
    reward_first: float
    """Mean reward of the first step that sampled."""
    reward_last: float
    """Mean reward of the last five steps that sampled."""
    peak_memory_bytes: int
    """Peak memory of the last attempt, in bytes: the device's, or main memory on a CPU."""


class Hardware(Settings):
    """Machine of the last attempt."""

    machine: str
    """Architecture, such as `x86_64`."""
    processor: str
    """Name of the processor."""
    cpu_count: int | None
    """Logical processors."""
    accelerator: str | None
    """Name of the GPU, or null."""


class Environment(Settings):
    """Code, packages and hardware."""

    git_commit: str | None
    """Commit of the code; null outside a checkout."""
    git_dirty: bool | None
    """Whether the checkout had uncommitted changes."""
    packages: dict[str, str]
    """Versions of the packages that affect the numbers."""
    hardware: Hardware
    """The machine."""


class MetaInfo(Environment):
    """Provenance of a run: its code, machine and inputs."""

    earlier_git_commits: list[str]
    """Commits of earlier attempts, where they differ from `git_commit`."""
    model_sha256: str
    """Hash of the prepared model folder."""
    data_sha256: str
    """Hash of the prepared training problems."""


class RunRecord(Settings):
    """Configuration, outcome and provenance of a training run."""

    format_version: Literal[2] = 2
    """Version of this format."""
    run_info: RunInfo
    """Name, configuration and cost."""
    train_info: TrainInfo
    """Outcome."""
    meta_info: MetaInfo
    """Provenance."""


class PaperAccuracy(Settings):
    """An accuracy that the paper reports."""

    key: str
    """Its row of `config/claims/numbers.csv`, `TABLE/METHOD/SETTING`."""
    value: float
    """The accuracy, a fraction."""
    sampling_se: float
    """Standard error that the sampling of completions alone must give it."""


class PaperNumbers(Settings):
    """The difference that the paper reports for a claim."""

    method: PaperAccuracy
    """Number of the method."""
    baseline: PaperAccuracy
    """Number of the baseline."""
    difference: float
    """Difference of its two accuracies, a fraction."""
    sampling_se: float
    """Standard error that the sampling of completions alone must give it."""
    se: float
    """The same with that of one training seed per side, where a study of the same model tells it."""
    model: str = ""
    """Model of its runs, in lower case; empty in records of earlier versions."""
    n_problems: int
    """Problems of its benchmarks."""
    n_samples: int
    """Samples of both sides."""
    train_seeds: Literal[1] = 1
    """Training seeds per side."""


class ClaimRecord(Settings):
    """The answer of a study to one claim, of the paper or of our own."""

    id: str
    """Name of the claim in `config/claims/SOURCE.yaml`."""
    source: str
    """File of the claim: `paper`, or that of a hypothesis of our own."""
    claim: str
    """The statement."""
    places: list[str]
    """Where the paper makes it; of a hypothesis, what it follows from."""
    family: str
    """Claims that it is corrected together with."""
    study: str
    """Study that tests it."""
    verdict: Literal["replicated", "not_replicated", "inconclusive", "not_tested"]
    """The verdict (`rlvr/analysis/claims/verdicts.py`)."""
    reason: str
    """Why."""
    points: Literal["for", "against"] | None = None
    """The side that the difference is on."""
    direction: Literal["above", "below", "equal"] | None = None
    """What the claim says of method and baseline."""
    contrast: Pair | None = None
    """The comparison that answers it; null where none does."""
    row: dict[str, str]
    """The row of `comparisons.csv` that answers it, by its key columns; empty where it is not tested."""
    statistic: float | None = None
    """The difference, a fraction."""
    se: float | None = None
    """Its standard error."""
    ci_low: float | None = None
    """Lower end of its 95 % confidence interval."""
    ci_high: float | None = None
    """Upper end of its 95 % confidence interval."""
    p_value: float | None = None
    """p of the claim, over training seeds and problems and over training seeds alone, whichever is larger."""
    p_holm: float | None = None
    """The same, corrected for the tested claims of its family."""
    n: int | None = None
    """Problems compared."""
    train_seeds: int | None = None
    """Training seeds, the smaller number of the two sides."""
    paper: PaperNumbers | None = None
    """What the paper reports."""
    samples: list[str]
    """The samples behind it, relative to the folder of the study; their grades are in `grades/` instead."""
    command: str | None = None
    """What would test it, where it is not tested."""
    note: str = ""
    """What limits the claim or its test."""
    related: list[Measurement]
    """What others measured, in another set-up."""
    alpha: float
    """Level of the test of its family."""
    margin: float
    """Largest difference that counts as equal."""
    test_sha256: str
    """Hash of all that decides the verdict (`fixed_in_advance`)."""
    registered: Literal["unchanged", "changed", "added", "unregistered"]
    """Whether the test is the one that was registered before the first training: `changed` or `added` since,
    or `unregistered`, where nothing was."""


class Registration(Settings):
    """The tests of the claims as they were before the first training of a study; written once."""

    file_sha256: str
    """Hash of the files with the claims."""
    after_results: bool
    """Whether the study already had finished runs when this was written."""
    tests: dict[str, str]
    """Claim -> hash of all that decides its verdict."""


class Failure(Settings):
    """Why and where a run failed."""

    reason: str
    """The error, with its way out."""
    steps: int
    """Finished training steps."""
    reward_first: float | None
    """Mean reward of the first step that sampled; null if none did."""
    reward_last: float | None
    """Mean reward of the last step that sampled; null if none did."""
    log: str
    """Log file of the last attempt."""
    last_lines: list[str]
    """What it ends with."""


class FailedRun(Settings):
    """Configuration, failure and provenance of a training run that cannot be finished."""

    format_version: Literal[2] = 2
    """Version of this format."""
    run_info: RunInfo
    """Name, configuration and cost."""
    failure: Failure
    """Why and where it failed."""
    meta_info: MetaInfo
    """Provenance."""
