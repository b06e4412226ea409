"""The rate at which the update of a method is as large as LoRA's."""

import pytest

from rlvr.config.resolved import TrainConfig
from rlvr.errors import UserError
from rlvr.evaluate.update_norms import equal_norms, print_update_norms, update_norm
from rlvr.planning.plan import load_plan
from tests.helpers.records import train_config

RATE = 1e-3


def config(method: str, **parameters: object) -> TrainConfig:
    return train_config(method=method, run=method, parameters=parameters)


def test_at_its_multiple_a_method_moves_the_weights_as_far_as_lora(tiny_folder):
    runs = [config("lora", rank=8, alpha=16), config("ia3")]
    found = equal_norms(runs, tiny_folder, RATE)
    assert list(found) == ["lora", "ia3"]
    norm, multiple = found["lora"]
    assert multiple == 1
    first, multiple = found["ia3"]
    assert first < norm and multiple > 1, "gains near one move the weights little"
    assert update_norm(runs[1], tiny_folder, RATE * multiple) == pytest.approx(norm, rel=0.05)


def test_a_study_with_a_method_twice_is_refused(repository, tmp_path):
    plan = load_plan("audit-mini", repository / "config")
    with pytest.raises(UserError, match="it has the method 'lora' more than once"):
        print_update_norms(plan, tmp_path)


def test_twice_the_scale_is_twice_the_update(tiny_folder):
    norms = [update_norm(config("lora", rank=8, alpha=alpha), tiny_folder, 1e-4) for alpha in (8, 16)]
    assert norms[1] == pytest.approx(2 * norms[0], rel=0.05)
