"""Records of a study: JSON files with one object each."""

from typing import Literal

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
