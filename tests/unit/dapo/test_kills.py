"""A run that is killed at any moment, any number of times, ends as one that was never killed."""

import json
import os
import random
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rlvr.artifacts import TRAIN_LOG
from rlvr.locks import exclusive
from tests.helpers.forked_trainer import ForkedTrainer
from tests.helpers.training_case import TrainingCase
from tests.unit.dapo.test_train import config_at, data  # noqa: F401 (data is a fixture)

DETERMINED = [name for name in TRAIN_LOG if not name.startswith(("time/", "memory/"))]
"""All columns but measured times and memory."""
RUNS: dict[str, dict[str, Any]] = {
    "adalora": {},
    "pissa": {},
    "lora_fa": {},
    "full": {"updates_per_step": 2},
    "vera": {"overlong_filtering": True},
    "lora": {"dropout": 0.3, "algorithm": "gspo", "dynamic_sampling": {"max_rounds": 2}},
    "dora": {"sync": "live", "dropout": 0.1},
}
"""Method -> settings of its run; all sample dynamically and carry surplus groups to the next step."""
STEPS = 8
MOST_KILLS = 40


@dataclass(frozen=True)
class Case(TrainingCase):
    """A run with its configuration."""

    method: str

    def arguments(self, name: str) -> list[str | Path]:
        config = self.folder / "config.json"
        if not config.exists():
            settings = {"steps": STEPS, "checkpoint_every": 1, **RUNS[self.method]}
            config_at(config, self.method, settings.pop("dropout", 0), **settings)
        return self.command(config, name)

    def results(self, name: str) -> tuple[bytes, dict[str, bytes], str]:
        """Weights and export, byte for byte, and the determined columns of the log, digit for digit."""
        log = pd.read_parquet(self.folder / name / "train_log.parquet")
        own = [column for column in log.columns if column.startswith("method/")]
        weights = (self.folder / name / "trained.safetensors").read_bytes()
        adapter = {file.name: file.read_bytes() for file in (self.folder / name / "adapter").iterdir()}
        assert "README.md" in adapter and any(file.endswith(".safetensors") for file in adapter)
        return weights, adapter, repr(log[[*DETERMINED, *own]].to_dict("records"))


@pytest.fixture
def case_of(tiny_folder: Path, tmp_path: Path, data: Path) -> Callable[[str], Case]:  # noqa: F811
    """Method -> its run."""
    return partial(Case, tmp_path, tiny_folder, data)


def between(landed: list[int]) -> bool:
    """Return whether a kill found a run that had done some steps and not all."""
    return any(0 < steps < STEPS for steps in landed)


def check_kills(trainer: ForkedTrainer, case: Case, kills: int) -> list[int]:
    """Kill a run so often, at random moments, and compare; return the steps that each kill left behind.

    A moment is a random time of the undisturbed run. A run that ends before it is compared and begun again.
    On a busy machine a run starts more slowly than the undisturbed one did, and all moments can lie before
    its first step: kills go on until one has found a run between two steps.
    """
    whole = trainer.train(case.arguments("whole"))
    assert whole["exitcode"] == 0, whole["shown"]
    wanted = case.results("whole")
    carried = pd.read_parquet(case.folder / "whole/train_log.parquet")["groups/carried"]
    assert carried.max() > 0, "surplus groups are part of the state"
    generator, begun = random.Random(case.method), 0
    landed: list[int] = []

    def are_enough() -> bool:
        return len(landed) >= kills and (between(landed) or len(landed) >= MOST_KILLS)

    while not are_enough():
        name, exitcode = f"killed-{begun}", -signal.SIGKILL
        begun += 1
        while exitcode != 0:
            moment = None if are_enough() else generator.uniform(0, whole["seconds"])
            attempt = trainer.train(case.arguments(name), moment)
            exitcode = attempt["exitcode"]
            if exitcode != 0:  # neither damage nor a lock stops an attempt
                assert exitcode == -signal.SIGKILL, attempt["shown"]
                landed.append(case.steps_saved(name))
        assert case.results(name) == wanted
    return landed


@pytest.mark.parametrize("method", ["adalora", "lora"])
def test_a_killed_run_ends_as_one_never_killed(trainer, case_of, method):
    landed = check_kills(trainer, case_of(method), kills=4)
    assert between(landed), landed


@pytest.mark.slow
@pytest.mark.parametrize("method", RUNS)
def test_fifty_kills_over_seven_methods(trainer, case_of, method):
    kills = 8 if method == "lora" else 7
    landed = check_kills(trainer, case_of(method), kills)
    print(f"{method}: steps in the newest checkpoint after each kill: {landed}")
    assert between(landed), landed


def test_a_signal_finishes_the_step_and_the_same_command_continues(trainer, case_of):
    case = case_of("lora")
    seconds = trainer.train(case.arguments("whole"))["seconds"]
    stopped = trainer.train(case.arguments("stopped"), 0.5 * seconds, signal.SIGTERM)
    assert stopped["exitcode"] == 75, stopped["shown"]
    assert "the same command continues from the checkpoint in" in stopped["shown"]
    assert 0 < case.steps_saved("stopped") < STEPS
    assert not (case.folder / "stopped").exists()
    assert not list(case.folder.glob("state-stopped/*/lock")), "the lock is given back"
    assert trainer.train(case.arguments("stopped"))["exitcode"] == 0
    assert case.results("stopped") == case.results("whole")
    assert json.loads((case.folder / "stopped/run.json").read_text())["run_info"]["attempts"] == 2


def test_a_run_in_parts_of_a_time_budget_is_the_whole_run(trainer, case_of):
    """Of no time at all, so that every attempt does one step."""
    case = case_of("lora")
    attempts = [trainer.train([*case.arguments("parts"), "--max-minutes", "0"]) for _ in range(STEPS)]
    assert [attempt["exitcode"] for attempt in attempts] == [75] * (STEPS - 1) + [0]
    assert f"stopped by --max-minutes 0 with 3 of {STEPS} steps done" in attempts[2]["shown"]
    assert trainer.train(case.arguments("whole"))["exitcode"] == 0
    assert case.results("parts") == case.results("whole")


def test_a_second_trainer_of_a_run_exits_with_75_and_names_the_first(trainer, case_of):
    case = case_of("lora")
    assert trainer.train(case.arguments("run"))["exitcode"] == 0
    (state,) = (case.folder / "state-run").iterdir()
    with exclusive(state / "lock"):
        second = trainer.train(case.arguments("run"))
    assert second["exitcode"] == 75
    holder = f"locked by process {os.getpid()} on {socket.gethostname()}"
    assert f"warning: {state / 'lock'}: {holder}" in second["shown"]
    assert trainer.train(case.arguments("run"))["exitcode"] == 0
