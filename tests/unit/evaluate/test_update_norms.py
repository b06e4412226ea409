"""The rate at which the update of a method is as large as LoRA's."""

import shutil
from pathlib import Path

import pytest
import yaml

from rlvr.config.resolved import TrainConfig
from rlvr.errors import UserError
from rlvr.evaluate.update_norms import equal_norms, print_update_norms, update_norm
from rlvr.planning.plan import Plan, load_plan
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


def test_twice_the_scale_is_twice_the_update(tiny_folder):
    norms = [update_norm(config("lora", rank=8, alpha=alpha), tiny_folder, 1e-4) for alpha in (8, 16)]
    assert norms[1] == pytest.approx(2 * norms[0], rel=0.05)


def planned(config: Path, methods: list[dict[str, object]], **changed: object) -> Plan:
    study = {"extends": "demo", "title": "Changed", "methods": methods, **changed}
    (config / "studies" / "changed.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    return load_plan("changed", config)


def test_every_method_of_a_study_is_printed_once(repository, tmp_path, tiny_folder, capsys):
    config, resources = tmp_path / "config", tmp_path / "resources"
    shutil.copytree(repository / "config", config)
    (resources / "models").mkdir(parents=True)
    (resources / "models" / "tiny").symlink_to(tiny_folder)
    lora = {"method": "lora", "parameters": {"rank": 8, "alpha": 16}}
    settings = {"first": {"methods": ["lora"]}, "second": {}}
    plan = planned(config, [lora, {"method": "ia3"}], settings=settings, train_seeds=[1, 0])
    print_update_norms(plan, resources)
    around = capsys.readouterr().out.splitlines()[-1]
    assert list(yaml.safe_load(around)["around"]) == ["lora", "ia3"]
    with pytest.raises(UserError, match="lora has the presets recommended and paper"):
        print_update_norms(planned(config, [lora, lora | {"preset": "paper"}]), resources)
    with pytest.raises(UserError, match="it has no method 'lora'"):
        print_update_norms(planned(config, [{"method": "ia3"}]), resources)
