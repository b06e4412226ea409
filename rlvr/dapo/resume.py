"""Save the state of a run, and continue from it."""

import logging
import math
from dataclasses import asdict, replace
from typing import Any

import torch

from rlvr.artifacts import TRAIN_LOG, Environment
from rlvr.config.loading import parse
from rlvr.dapo.checkpoints import TrainingState, read_checkpoint, write_checkpoint
from rlvr.dapo.early_stop import first_steps_from_json
from rlvr.dapo.sampling import group_from_json, group_to_json
from rlvr.dapo.setup import Run
from rlvr.dapo.update import Learner
from rlvr.locks import Lock
from rlvr.methods.policy import load_trained_state, trained_state
from rlvr.models.sharding import placed_optimizer_state, whole_optimizer_state

logger = logging.getLogger(__name__)


def save_checkpoint(run: Run, lock: Lock | None) -> None:
    """Write everything that the next step depends on; of several ranks, the one with the lock does.

    Nothing in it depends on the number of ranks, so that another number can continue.

    Raises:
        TryAgain: another process has taken over the run.
    """
    if lock:
        lock.check()
    learner, sampler = run.learner, run.sampler
    state = TrainingState(
        step=len(run.log),
        trained=trained_state(learner.method, learner.policy),
        optimizer=whole_optimizer_state(learner.optimizer),
        scheduler={
            key: value for key, value in learner.scheduler.state_dict().items() if key != "lr_lambdas"
        },
        progress={
            "cursor": sampler.stream.cursor,
            "loss_scale": asdict(learner.loss_scale),
            "surplus": [group_to_json(group) for group in sampler.surplus],
            "first_steps": asdict(sampler.first_steps),
            "log": [
                {key: None if value != value else value for key, value in row.items()} for row in run.log
            ],
            "seconds": run.seconds,
            "environment": run.environment.model_dump(),
            "earlier_commits": run.earlier_commits,
        },
    )
    if lock:
        write_checkpoint(run.folder, state)
    run.ranks.wait()


def resume(run: Run) -> None:
    """Continue from the last checkpoint, if there is one.

    Raises:
        UserError: all checkpoints are damaged, or the ranks see different ones.
    """
    run.ranks.wait()  # until rank 0 has the lock: another process may have written until then
    state = read_checkpoint(run.folder)
    run.ranks.require_same(state.step if state else 0, f"the last checkpoint in {run.folder.absolute()}")
    if state is None:
        logger.info("%s: no checkpoint in %s; starting at step 0", run.config.run, run.folder.absolute())
        return
    logger.info(
        "%s: resuming after %d steps, from the checkpoint in %s",
        run.config.run,
        state.step,
        run.folder.absolute(),
    )
    learner, sampler, progress = run.learner, run.sampler, state.progress
    load_trained_state(learner.method, learner.policy, state.trained, str(run.folder))
    load_optimizer_state(learner, state.optimizer)
    keep_functions = [None] * len(learner.optimizer.param_groups)  # the scheduler then keeps its own
    learner.scheduler.load_state_dict({**state.scheduler, "lr_lambdas": keep_functions})
    sampler.stream.cursor = progress["cursor"]
    learner.loss_scale = replace(learner.loss_scale, **progress["loss_scale"])
    sampler.surplus = [group_from_json(group) for group in progress["surplus"]]
    sampler.first_steps = first_steps_from_json(progress["first_steps"])
    run.log = [_log_row(row) for row in progress["log"]]
    run.earlier_seconds = progress["seconds"]
    _restore_environment(run, progress)


def _log_row(saved: dict[str, Any]) -> dict[str, float]:
    """Return a row of the training log; what an earlier version did not log is NaN."""
    row = {key: math.nan if value is None else value for key, value in saved.items()}
    return row | {name: math.nan for name in TRAIN_LOG if name not in row}


def _restore_environment(run: Run, progress: dict[str, Any]) -> None:
    """Attribute the run to the code that trains it: this attempt's, unless no step is left."""
    before = parse(Environment, progress["environment"], str(run.folder))
    if run.complete:
        logger.info("%s: already trained (commit %s); writing its results", run.config.run, before.git_commit)
        run.environment, run.earlier_commits = before, progress["earlier_commits"]
    else:
        commits = dict.fromkeys([*progress["earlier_commits"], before.git_commit])
        run.earlier_commits = [c for c in commits if c and c != run.environment.git_commit]


def load_optimizer_state(learner: Learner, state: dict[str, Any]) -> None:
    """Restore an optimizer's state on the device of its parameters.

    PyTorch moves the state that belongs to a parameter; LoRA-FA's optimizer keeps its state under names.
    """
    learner.optimizer.load_state_dict(placed_optimizer_state(learner.optimizer, state))
    device = next(learner.policy.parameters()).device
    states: dict[Any, dict[str, Any]] = learner.optimizer.state
    for owner, values in states.items():
        if isinstance(owner, str):
            for key, value in values.items():
                values[key] = value.to(device) if isinstance(value, torch.Tensor) else value
