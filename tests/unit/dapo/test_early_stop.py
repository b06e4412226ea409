"""A run that cannot learn stops early and says why; every other run goes on."""

from pathlib import Path

import pandas as pd
import pytest

from rlvr.artifacts import RunRecord, read_record
from rlvr.config.resolved import TrainConfig
from rlvr.dapo.early_stop import CORRECT, INCORRECT, TRUNCATED, Example, FirstSteps, outcome_of
from rlvr.dapo.train import train
from rlvr.data.problems import write_problems
from rlvr.errors import RunFailure, UserError
from rlvr.files import write_json
from rlvr.verify.verdict import Verdict
from tests.helpers.records import train_config

KEY = "stop_after_uninformative_steps"


def config_with(**training: object) -> TrainConfig:
    values = {
        "steps": 7,
        "prompts_per_step": 2,
        "group_size": 3,
        "learning_rate": 1e-3,
        "checkpoint_every": 2,
    }
    values |= {"sampling": {"max_new_tokens": 5}, "dynamic_sampling": {"max_rounds": 2}}
    config = train_config(parameters={"rank": 4, "alpha": 8}, answer_format="boxed")
    return TrainConfig(**{**config.model_dump(), "training": {**values, **training}})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [{"id": f"p{i}", "problem": f"{i}+{i}", "answer": str(2 * i), "origin": "test"} for i in range(30)]
    write_problems(tmp_path / "data.parquet", pd.DataFrame(rows), {"entry": {"source": "test"}})
    return tmp_path / "data.parquet"


class Trial:
    """Trains in a folder, several times if need be."""

    def __init__(self, folder: Path, model: Path, data: Path) -> None:
        self.folder, self.model, self.data = folder, model, data

    def train(self, config: TrainConfig, reward=None, name: str = "run") -> pd.DataFrame:
        write_json(self.folder / f"{name}.json", config.model_dump(mode="json"))
        output = self.folder / name
        train(
            self.folder / f"{name}.json", self.model, self.data, self.folder / f"{name}-state", output, reward
        )
        return pd.read_parquet(output / "train_log.parquet")


@pytest.fixture
def trial(tmp_path: Path, tiny_folder: Path, data: Path) -> Trial:
    return Trial(tmp_path, tiny_folder, data)


def incorrect(problems, completions):
    return [0.0] * len(problems)


def informative_in_round(number: int):
    """All completions are incorrect, but for the first one in one round of sampling."""
    rounds = iter(range(10_000))

    def reward(problems, completions):
        return [float(next(rounds) == number), *[0.0] * (len(problems) - 1)]

    return reward


def correct_from_round(number: int):
    """The first round has a correct completion; from one round on all are correct."""
    rounds = iter(range(10_000))

    def reward(problems, completions):
        now = next(rounds)
        return [1.0] * len(problems) if now >= number else [1.0, *[0.0] * (len(problems) - 1)]

    return reward


def incorrect_from_round(number: int):
    """The same with the opposite end."""
    rounds = iter(range(10_000))

    def reward(problems, completions):
        return [float(next(rounds) < number), *[0.0] * (len(problems) - 1)]

    return reward


def message_of(trial: Trial, config: TrainConfig, reward=None, name: str = "run") -> str:
    with pytest.raises(UserError) as error:
        trial.train(config, reward, name)
    assert not (trial.folder / name).exists(), "a run that stops leaves no results"
    return str(error.value)


def test_a_run_without_an_informative_group_stops_after_five_steps(trial):
    message = message_of(trial, config_with(), incorrect)
    assert "stopped after 5 steps, because no group had both correct and incorrect completions" in message
    # five steps of two rounds of two groups of three completions
    assert "Of 20 groups, 20 were all incorrect and 0 all correct. Of 60 completions\n" in message
    assert message.endswith(f"`training.{KEY}: null` trains in any case")
    last = sorted((trial.folder / "run-state").glob("*/step-*"))[-1]
    assert last.name == "step-000004"


def test_correct_completions_alone_teach_nothing_either(trial):
    message = message_of(trial, config_with(), lambda problems, completions: [1.0] * len(problems))
    assert "0 were all incorrect and 20 all correct" in message
    assert "- 100 % are correct, such as " in message and "use harder problems" in message


@pytest.mark.parametrize(("training", "steps"), [({KEY: 2}, 2), ({"steps": 3}, 3)])
def test_the_steps_are_configured_and_at_most_all(trial, training, steps):
    assert f"stopped after {steps} steps" in message_of(trial, config_with(**training), incorrect)


def test_null_trains_to_the_end(trial):
    assert len(trial.train(config_with(**{KEY: None}), incorrect)) == 7


def test_one_informative_group_in_the_first_steps_is_enough(trial):
    log = trial.train(config_with(), informative_in_round(9))  # the last round of the fifth step
    assert log["groups/kept"].tolist() == [0, 0, 0, 0, 1, 0, 0]


def test_a_run_that_has_learned_everything_is_complete(trial):
    log = trial.train(config_with(), correct_from_round(1))
    assert log["groups/informative_fraction"].tolist()[1:] == [0] * 5
    record = read_record(trial.folder / "run/run.json", RunRecord)
    assert (record.run_info.status, record.train_info.steps) == ("exhausted", 6)
    again = trial.train(config_with(), correct_from_round(1))  # from its last checkpoint
    assert again["step"].tolist() == log["step"].tolist()
    assert len(trial.train(config_with(**{KEY: None}), correct_from_round(1), "null")) == 7


def test_a_reward_that_collapses_is_a_divergence(trial):
    with pytest.raises(RunFailure) as error:
        trial.train(config_with(**{KEY: 3}, steps=20), incorrect_from_round(2))
    assert error.value.status == "diverged"
    assert "the reward collapsed from 0." in str(error.value) and "to 0.00 in the last 3" in str(error.value)


def test_an_algorithm_without_dynamic_sampling_stops_too(trial):
    message = message_of(trial, config_with(algorithm="grpo", dynamic_sampling=None), incorrect)
    assert "stopped after 5 steps" in message and "Of 10 groups" in message


def test_a_length_punishment_teaches_where_groups_of_incorrect_completions_are_trained_on(trial):
    """A run that learns to end its completions can become correct; dynamic sampling drops these groups."""
    punished = {"soft_overlong": {"buffer_tokens": 4}}
    log = trial.train(config_with(algorithm="grpo", dynamic_sampling=None, **punished), incorrect)
    assert len(log) == 7 and (log["optim/grad_norm"] > 0).any()
    assert "stopped after 5 steps" in message_of(trial, config_with(**punished), incorrect, "dapo")


class PowerCut(Exception):
    """Simulates a killed machine."""


def test_a_resumed_run_stops_with_the_message_of_the_uninterrupted_one(trial):
    whole = message_of(trial, config_with(), incorrect, "whole")
    rounds = iter(range(10_000))

    def cut_in_step_3(problems, completions):
        if next(rounds) == 7:
            raise PowerCut
        return incorrect(problems, completions)

    with pytest.raises(PowerCut):
        trial.train(config_with(), cut_in_step_3, "resumed")
    assert message_of(trial, config_with(), incorrect, "resumed") == whole
    assert message_of(trial, config_with(), incorrect, "resumed") == whole, "and again, from its checkpoint"


def test_a_resumed_run_remembers_that_a_group_was_informative(trial):
    rounds = iter(range(10_000))

    def informative_then_cut(problems, completions):
        now = next(rounds)
        if now == 5:
            raise PowerCut
        return [float(now == 0), *[0.0] * (len(problems) - 1)]

    with pytest.raises(PowerCut):
        trial.train(config_with(steps=5), informative_then_cut)
    assert len(trial.train(config_with(steps=5), incorrect)) == 5


def test_the_verifier_gives_the_reasons(trial):
    """An untrained model with an unreachable format: nothing is in a box, and most is truncated."""
    message = message_of(trial, config_with(**{KEY: 1}, prompts_per_step=24))
    lines = message.splitlines()[1:-1]
    assert lines[0].startswith("- ") and "before an answer, such as " in lines[0]
    assert "truncated after training.sampling.max_new_tokens = 5" in lines[0]
    assert lines[0].endswith("; raise max_new_tokens")
    assert "have no answer in the format boxed, such as " in lines[1]
    assert "for problem 'p" in lines[1] and "with gold '" in lines[1]
    shares = [int(line.removeprefix("- ").split(" %")[0]) for line in lines]
    assert sum(shares) == pytest.approx(100, abs=1)


@pytest.mark.parametrize(
    ("correct", "status", "finish_reason", "outcome"),
    [
        (True, "ok", "length", CORRECT),
        (False, "ok", "stop", INCORRECT),
        (False, "ok", "length", INCORRECT),
        (False, "no_answer", "length", TRUNCATED),
        (False, "no_answer", "stop", "no_answer"),
        (False, "unparsed_gold", "length", "unparsed_gold"),
        (False, "timeout", "stop", "timeout"),
    ],
)
def test_what_becomes_of_a_completion(correct, status, finish_reason, outcome):
    verdict = Verdict(correct, status, None, 0.0)
    assert outcome_of(verdict.correct, verdict.status, finish_reason) == outcome


def test_another_grader_is_named_and_not_the_format_that_it_ignores():
    first = FirstSteps()
    first.record(["no_answer"], [Example("p7", "4", "so")])
    config = config_with(**{KEY: 1}).model_copy(update={"reward": "released-reward"})
    with pytest.raises(UserError, match="have no answer that released-reward reads, such as ") as error:
        first.end_step(informative=False, config=config)
    assert "answer_format" not in str(error.value)


def test_every_reason_has_its_share_an_example_and_a_way_out():
    first = FirstSteps()
    example = Example("p7", "proof", "so " * 200 + "the answer is \\boxed{4}")
    for outcome, count in {"unparsed_gold": 60, INCORRECT: 39, "a new status": 1}.items():
        for _ in range(count):
            first.record([outcome], [example])
    config = config_with(**{KEY: 1})
    with pytest.raises(UserError) as error:
        first.end_step(informative=False, config=config)
    head, gold, wrong, other, last = str(error.value).splitlines()
    assert "Of 100 groups, 100 were all incorrect" in head
    assert gold.startswith("- 60 % have a gold answer that cannot be read, such as 'so so so ")
    assert "the answer is \\\\boxed{4}' for problem 'p7' with gold 'proof'; see `columns.answer`" in gold
    assert len(gold) < 400 and "sums-train in datasets.yaml" in gold
    assert wrong.startswith("- 39 % are incorrect")
    assert other.startswith("- 1 % are a new status")
    assert "null" in last
