"""How a run is put together from its configuration."""

import json
from pathlib import Path

import pandas as pd
import pytest

from rlvr.config.resolved import TrainConfig
from rlvr.dapo.sampling import TrainingProblem
from rlvr.dapo.setup import setup, verified_reward
from rlvr.data.problems import write_problems
from rlvr.files import write_json
from rlvr.rollout.engines.base import Completion
from rlvr.verify.pool import Verifier
from tests.helpers.records import train_config

BOXED, BARE = "4 is not it\n\\boxed{7}", "7"


def rewards(folder: Path, model: Path, config: TrainConfig, **columns: object) -> list[bool]:
    """Whether two completions are correct of a problem whose answer is 7, or as ``columns`` say."""
    data = folder / "data.parquet"
    rows = pd.DataFrame([{"id": "a", "problem": "3+4", "answer": "7", "origin": "test", **columns}])
    write_problems(data, rows, {"entry": {"source": "test"}})
    write_json(folder / "config.json", config.model_dump(mode="json"))
    with setup(folder / "config.json", model, data, folder / "checkpoints") as run:
        (problem,) = run.sampler.stream.problems
        completions = [
            Completion(token_ids=[1], logprobs=[0.0], text=text, finish_reason="stop", seconds=0.0)
            for text in (BOXED, BARE)
        ]
        return [verdict.correct for verdict in run.sampler.reward([problem] * 2, completions)]


@pytest.mark.parametrize(("reward", "expected"), [("rlvr", [0, 1]), ("released-reward", [1, 0])])
def test_the_grader_of_the_configuration_gives_the_rewards(tmp_path, tiny_folder, reward, expected):
    """Ours takes the number on the first line; the authors' knows no format, and takes what is in a box."""
    config = train_config(reward=reward)
    assert rewards(tmp_path, tiny_folder, config) == expected


def test_a_copy_of_the_problem_earns_nothing():
    problem = TrainingProblem("a", (1,), "7", text="What is 3+4?")
    completions = [
        Completion(token_ids=[1], logprobs=[0.0], text=text, finish_reason="stop", seconds=0.0)
        for text in (r"\boxed{4+3}", r"\boxed{2+5}", r"\boxed{7}")
    ]
    with Verifier() as verifier:
        verdicts = verified_reward(verifier, "boxed")([problem] * 3, completions)
    assert [verdict.correct for verdict in verdicts] == [False, True, True]


def test_a_configuration_of_an_earlier_version_has_our_reward():
    written = train_config().model_dump(mode="json")
    del written["reward"]
    assert TrainConfig.model_validate(json.loads(json.dumps(written))).reward == "rlvr"


@pytest.mark.parametrize(("alternates", "expected"), [(["8", "7"], [0, 1]), (["8"], [0, 0])])
def test_any_of_several_right_answers_earns_the_reward(tmp_path, tiny_folder, alternates, expected):
    found = rewards(tmp_path, tiny_folder, train_config(reward="rlvr"), answer="9", alternates=alternates)
    assert found == expected
