"""Write what a run leaves behind: trained tensors, training log, record."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from safetensors.torch import save_file

from rlvr.artifacts import (
    FailedRun,
    MetaInfo,
    RunFolder,
    RunInfo,
    RunRecord,
    RunStatus,
    TrainInfo,
    write_record,
    write_train_log,
)
from rlvr.artifacts.placeholders import write_no_tensors
from rlvr.config.resolved import TrainConfig
from rlvr.dapo.setup import Run
from rlvr.files import content_hash, replacing
from rlvr.methods.policy import trainable_parameters, trained_state


def write_results(run: Run, output: Path) -> None:
    """Write the files of a finished run; `run.json` comes last and marks the run as complete.

    Of several ranks, rank 0 writes.
    """
    folder = RunFolder(output)
    state = trained_state(run.learner.method, run.learner.policy)
    if not run.ranks.leads:
        return
    with replacing(folder.trained) as temporary:
        save_file({name: tensor.cpu().contiguous() for name, tensor in state.items()}, temporary)
    write_train_log(folder.train_log, run.log)
    write_record(folder.record, run_record(run))


def run_record(run: Run) -> RunRecord:
    """Return what was run, what came out of it, and where it comes from."""
    config = run.config
    rewards = pd.DataFrame(run.log)["reward/mean"].dropna()
    complete = len(run.log) >= config.training.steps
    return RunRecord(
        run_info=run_info(
            config, "finished" if complete else "exhausted", run.seconds, run.devices, run.attempts
        ),
        train_info=TrainInfo(
            trainable_parameters=trainable_parameters(run.learner.policy),
            total_parameters=run.learner.total_parameters,
            steps=len(run.log),
            dropped_prompts=run.dropped_prompts,
            reward_first=float(rewards.iloc[0]),
            reward_last=float(rewards.tail(5).mean()),
            peak_memory_bytes=int(run.log[-1]["memory/peak_bytes"]),
        ),
        meta_info=MetaInfo(**dict(run.environment), earlier_git_commits=run.earlier_commits, **run.inputs),
    )


def run_info(config: TrainConfig, status: RunStatus, seconds: float, devices: int, attempts: int) -> RunInfo:
    """Return name, configuration and cost of a run."""
    return RunInfo(
        run=config.run,
        study=config.study,
        model=config.model,
        method=config.method,
        preset=config.preset,
        trains_as=config.trains_as,
        faults=config.faults,
        setting=config.setting,
        train_seed=config.train_seed,
        config=config,
        config_sha256=content_hash(config.model_dump()),
        status=status,
        seconds=seconds,
        devices=devices,
        device_seconds=seconds * devices,
        attempts=attempts,
    )


def write_failed(output: Path, record: FailedRun, log: Sequence[Mapping[str, float]]) -> None:
    """Write the files of a failed run: the record, its training log so far, and no tensors."""
    folder, info, failure = RunFolder(output), record.run_info, record.failure
    reason = f"{info.run}: {info.status} after {failure.steps} steps: {failure.reason}"
    write_no_tensors(folder.trained, reason)
    write_train_log(folder.train_log, [dict(row) for row in log])
    write_record(folder.record, record)
