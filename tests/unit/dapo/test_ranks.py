"""Several ranks train what one process trains; one that dies ends the run, which then continues."""

import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from rlvr.artifacts import TRAIN_LOG
from rlvr.dapo.failures import refusals
from rlvr.dapo.ranks import Ranks, RanksDiffer
from tests.helpers.training_case import TrainingCase
from tests.unit.dapo.test_train import config_at, data  # noqa: F401 (data is a fixture)

STEPS = 5
CLIPPED = {
    "steps": STEPS,
    "checkpoint_every": 2,
    "updates_per_step": 2,
    "clip_low": 0.001,
    "clip_high": 0.001,
    "max_grad_norm": 0.02,
    "tokens_per_microbatch": 24,
}
"""Clips of ratio and gradient act in every step, and an update takes several passes."""
RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "lora": ("lora", {}),
    "dora": ("dora", {}),
    "adalora": ("adalora", {}),
    "full": ("full", {"sync": "merged"}),
    "full-checkpointing": ("full", {"sync": "merged", "gradient_checkpointing": True}),
    "full-live": ("full", {"sync": "live"}),
    "lora-adapter": ("lora", {"sync": "adapter", "updates_per_step": 1}),
}


@dataclass(frozen=True)
class Case(TrainingCase):
    """A run with its configuration."""

    run: str = "lora"

    def arguments(self, name: str, **changes: Any) -> list[str | Path]:
        config = self.folder / "config.json"
        if not config.exists():
            method, settings = RUNS[self.run]
            config_at(config, method, **{**CLIPPED, **settings, **changes})
        return self.command(config, name)

    def weights(self, name: str) -> dict[str, torch.Tensor]:
        return load_file(self.folder / name / "trained.safetensors")

    def log(self, name: str) -> pd.DataFrame:
        """All columns of the log but measured times and memory."""
        log = pd.read_parquet(self.folder / name / "train_log.parquet")
        return log[[column for column in log if not column.startswith(("time/", "memory/"))]]


@pytest.fixture
def case_of(tiny_folder: Path, tmp_path: Path, data: Path) -> Callable[..., Case]:  # noqa: F811
    return partial(Case, tmp_path, tiny_folder, data)


def check_equal(case: Case, one: str, other: str) -> None:
    """Compare weights and logs of two runs to float32 tolerance; what is counted, exactly."""
    expected, found = case.weights(one), case.weights(other)
    assert expected.keys() == found.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], atol=2e-5, rtol=1e-3)
    logs = case.log(one), case.log(other)
    assert list(logs[0]) == list(logs[1])
    pd.testing.assert_frame_equal(logs[0], logs[1], rtol=1e-3, atol=1e-5)
    counted = [name for name in TRAIN_LOG if name.startswith(("groups/", "tokens/", "rollouts/", "reward/"))]
    pd.testing.assert_frame_equal(logs[0][counted], logs[1][counted], check_exact=True)


@pytest.mark.parametrize("run", RUNS)
def test_two_ranks_train_what_one_does(trainer, case_of, run):
    case = case_of(run)
    one = trainer.train(case.arguments("one"))
    two = trainer.train(case.arguments("two"), ranks=2)
    assert (one["exitcodes"], two["exitcodes"]) == ([0], [0, 0]), two["shown"]
    log = case.log("one")
    assert log["groups/carried"].max() > 0 and log["groups/dropped"].max() > 0, "dynamic sampling acts"
    assert (log["optim/grad_norm"] > CLIPPED["max_grad_norm"]).all(), "the gradient is clipped"
    check_equal(case, "one", "two")


@pytest.mark.parametrize("run", ["adalora", "full"])
def test_a_run_continues_on_another_number_of_ranks(trainer, case_of, run):
    """One step on one rank, the next on two, the rest on one."""
    case = case_of(run)
    assert trainer.train(case.arguments("whole"))["exitcode"] == 0
    for ranks in (1, 2):
        attempt = trainer.train([*case.arguments("parts"), "--max-minutes", "0"], ranks=ranks)
        assert set(attempt["exitcodes"]) == {75}, attempt["shown"]
    assert case.steps_saved("parts") == 2
    assert trainer.train(case.arguments("parts"))["exitcode"] == 0
    check_equal(case, "whole", "parts")


def test_ranks_in_parts_are_the_whole_run_bit_for_bit(trainer, case_of):
    """With dropout, whose draws depend on the rank and the step alone."""
    case = case_of("lora")
    config_at(case.folder / "config.json", "lora", 0.3, **CLIPPED)
    assert trainer.train(case.arguments("whole"), ranks=2)["exitcodes"] == [0, 0]
    stopped = trainer.train([*case.arguments("parts"), "--max-minutes", "0"], ranks=2)
    assert stopped["exitcodes"] == [75, 75] and case.steps_saved("parts") == 1
    assert trainer.train(case.arguments("parts"), ranks=2)["exitcodes"] == [0, 0]
    whole, parts = case.weights("whole"), case.weights("parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    pd.testing.assert_frame_equal(case.log("whole"), case.log("parts"), check_exact=True)


def test_more_ranks_than_completions(trainer, case_of):
    """Three ranks, of which an update of one short group leaves some without rows."""
    case = case_of("full")
    few = {"prompts_per_step": 1, "group_size": 2, "updates_per_step": 1, "sync": "merged"}
    config_at(case.folder / "config.json", "full", **{**CLIPPED, **few})
    assert trainer.train(case.arguments("one"))["exitcode"] == 0
    three = trainer.train(case.arguments("three"), ranks=3)
    assert three["exitcodes"] == [0, 0, 0], three["shown"]
    check_equal(case, "one", "three")


def test_the_others_end_when_a_rank_is_killed(trainer, case_of):
    """As `torchrun` starts them: no launcher watches."""
    case = case_of("lora")
    whole = trainer.train(case.arguments("whole", steps=12), ranks=2)
    killed = trainer.train(case.arguments("killed"), 0.7 * whole["seconds"], signal.SIGKILL, ranks=2)
    assert killed["exitcodes"] == [75, -signal.SIGKILL], killed["shown"]
    assert "rank 0: another rank has ended" in killed["shown"]
    assert "the same command continues from the last checkpoint" in killed["shown"]
    assert 0 < case.steps_saved("killed") < 12
    assert trainer.train(case.arguments("killed"), ranks=2)["exitcodes"] == [0, 0]
    check_equal(case, "whole", "killed")


@pytest.mark.parametrize("size", [1, 2, 3, 8])
@pytest.mark.parametrize("sizes", [[], [5], [1] * 12, [9, 1, 1, 1, 8, 2], [0, 0, 3], [0, 0]])
def test_shares_are_consecutive_and_cover_all_rows(size, sizes):
    rows = []
    for rank in range(size):
        ranks = Ranks()
        ranks.rank, ranks.size = rank, size
        rows += range(len(sizes))[ranks.share(sizes)]
    assert rows == list(range(len(sizes)))


def test_shares_have_about_as_much_work():
    ranks = Ranks()
    ranks.size = 2
    assert ranks.share([1] * 12) == slice(0, 6)
    assert ranks.share([9, 1, 1, 1, 8, 2]) == slice(0, 3)


def test_ranks_that_differ_are_told_apart(monkeypatch):
    ranks = Ranks()
    monkeypatch.setattr(ranks, "gathered", lambda items: [*items, 4])
    with (
        pytest.raises(RanksDiffer, match=r"the ranks differ in the last checkpoint \(3, 4\)"),
        refusals(),  # of another attempt, they may not
    ):
        ranks.require_same(3, "the last checkpoint")
