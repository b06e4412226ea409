"""The grid of a study: settings are deltas of whole runs, sets are lists of methods."""

import shutil
from pathlib import Path

import pytest
import yaml
from transformers import AutoConfig

from rlvr.config.resolved import TrainConfig
from rlvr.errors import UserError
from rlvr.plan import Plan, check_methods, load_plan, print_plan, study_manifest, train_configs


@pytest.fixture
def config(repository: Path, tmp_path: Path) -> Path:
    """A copy of the configuration that a test may change."""
    shutil.copytree(repository / "config", tmp_path / "config")
    return tmp_path / "config"


def runs(config: Path, **changed: object) -> dict[str, TrainConfig]:
    """Return the runs of a study that extends the demo, by method and setting."""
    study = {"extends": "demo", "title": "A grid", **changed}
    (config / "studies" / "changed.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    found = list(train_configs(load_plan("changed", config)))
    return {f"{one.method}/{one.setting}": one for one in found}


LORA = {"method": "lora", "parameters": {"rank": 8, "alpha": 16}}


def test_one_study_holds_four_ranks_three_rates_and_three_algorithms(repository):
    plan = load_plan("grid", repository / "config")
    found = {one.setting: one for one in train_configs(plan)}
    main = found["main"]
    ranks = {name: one.parameters["rank"] for name, one in found.items()}
    assert (main.parameters["rank"], ranks["rank1"], ranks["rank4"], ranks["rank16"]) == (8, 1, 4, 16)
    assert {one.training.learning_rate for one in found.values()} == {1e-3, 5e-3, 2e-2}
    assert {one.training.algorithm for one in found.values()} == {"dapo", "grpo", "dr_grpo"}
    for name, one in found.items():
        changed = {key for key in ("parameters", "training") if getattr(one, key) != getattr(main, key)}
        assert changed == (set() if name == "main" else {"parameters" if "rank" in name else "training"})
    assert len({one.run for one in found.values()}) == len(found) == 8
    assert [variant.setting for variant in study_manifest(plan).variants[1:]] == list(found)


def test_a_setting_applies_to_the_methods_it_lists(config):
    small = {"methods": ["lora"], "parameters": {"rank": 2, "alpha": 4}}
    found = runs(config, methods=[LORA, {"method": "full"}], settings={"main": {}, "rank2": small})
    assert list(found) == ["lora/main", "lora/rank2", "full/main"]
    assert found["lora/rank2"].parameters["rank"] == 2


def test_a_run_has_one_learning_rate_with_the_presets_factor_in_it(config):
    settings = {"main": {}, "slow": {"training": {"learning_rate": 1e-3}}}
    found = runs(config, methods=[LORA, {"method": "full"}], settings=settings)
    rates = {name: one.training.learning_rate for name, one in found.items()}
    assert rates == {"lora/main": 5e-3, "lora/slow": 1e-3, "full/main": 5e-4, "full/slow": 1e-4}
    assert "learning_rate" not in TrainConfig.model_fields


def test_a_setting_that_a_method_cannot_have_names_setting_and_method(config):
    with pytest.raises(UserError, match=r"settings\.rank2: parameters of full: rank: unknown key"):
        runs(config, methods=[{"method": "full"}], settings={"rank2": {"parameters": {"rank": 2}}})


def test_a_setting_for_a_method_that_the_study_lacks_is_refused(config):
    with pytest.raises(UserError, match=r"settings\.a\.methods: 'lra' is not known; did you mean 'lora'"):
        runs(config, methods=[LORA], settings={"a": {"methods": ["lra"]}})


def test_the_set_of_the_paper_is_its_fourteen_rows(repository, config):
    found = runs(config, methods={"set": "paper", "preset": "paper"})
    demo = [one.method for one in train_configs(load_plan("demo", repository / "config"))]
    assert sorted(one.method for one in found.values()) == sorted(demo)
    assert {one.preset for one in found.values()} == {"paper"}


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ({"set": "papr"}, r"methods: set: 'papr' is not known; did you mean 'paper'"),
        ([{"set": "paper", "method": "lora"}], r"methods\.0: give either `method` or `set`"),
        ([{}], r"methods\.0: give either `method` or `set`"),
        ([{"set": "paper", "parameters": {"rank": 1}}], r"methods\.0: `parameters` need `method`"),
        (
            [{"set": "paper"}, {"method": "lora"}],
            r"methods\[1\]: lora with preset recommended is listed twice",
        ),
        ([{"mthod": "lora"}], r"methods\.0\.mthod: unknown key; did you mean 'method'"),
    ],
)
def test_a_wrong_choice_of_methods_is_refused(config, methods, message):
    with pytest.raises(UserError, match=message):
        runs(config, methods=methods)


def test_the_printed_plan_shows_what_a_setting_changes(repository, capsys):
    print_plan(load_plan("grid", repository / "config"))
    shown = capsys.readouterr().out
    assert "algorithm grpo" in " ".join(shown.split())
    assert "rank16" in shown and "0.001" in shown


def test_a_rank_above_the_size_of_a_layer_is_refused_before_the_first_job(config):
    path = config / "studies" / "paper-1.5b.yaml"
    path.write_text(path.read_text() + "settings: {huge: {methods: [pissa], parameters: {rank: 4096}}}\n")
    with pytest.raises(UserError, match=r"model 'deepseek-r1-distill-qwen-1.5b': method 'pissa': rank 4096"):
        check_methods(load_plan("paper-1.5b", config))


def planned_on(config: Path, folder: Path, family: str, *methods: dict[str, object]) -> Plan:
    """Plan methods on a local model of which nothing is there but its `config.json`."""
    folder.mkdir()
    AutoConfig.for_model(family, hidden_size=64, num_hidden_layers=2, num_attention_heads=2).save_pretrained(
        folder
    )
    models = yaml.safe_load((config / "models.yaml").read_text())
    models["models"]["mine"] = {"source": "local", "path": str(folder)}
    (config / "models.yaml").write_text(yaml.safe_dump(models))
    study = {"extends": "demo", "title": "Mine", "models": ["mine"], "methods": list(methods)}
    (config / "studies" / "mine.yaml").write_text(yaml.safe_dump(study))
    return load_plan("mine", config)


def test_methods_that_a_family_cannot_do_are_refused_together_with_modules_and_way_out(config, tmp_path):
    chosen = [{"method": name} for name in ("full", "lora", "dora", "ln_tuning")]
    plan = planned_on(config, tmp_path / "phi3", "phi3", *chosen)
    with pytest.raises(UserError) as error:
        check_methods(plan, tmp_path)
    message = str(error.value)
    assert message.count("\n") == 2, "one message for both methods"
    assert "mine.yaml: model 'mine': methods 'lora', 'dora' do not fit this phi3 model" in message
    assert "no block has a linear layer called q_proj, k_proj, v_proj, gate_proj, up_proj" in message
    assert "self_attn.qkv_proj (64 -> " in message
    assert "`parameters: {target_modules: [o_proj, qkv_proj, gate_up_proj, down_proj]}`" in message
    assert "did you mean" not in message


def test_the_way_out_that_the_message_names_is_one(config, tmp_path):
    names = ["o_proj", "qkv_proj", "gate_up_proj", "down_proj"]
    chosen = {"method": "lora", "parameters": {"target_modules": names}}
    check_methods(planned_on(config, tmp_path / "phi3", "phi3", chosen), tmp_path)


def test_a_misspelt_module_is_answered_with_the_near_one(config, tmp_path):
    chosen = {"method": "lora", "parameters": {"target_modules": ["q_porj", "v_proj"]}}
    with pytest.raises(UserError, match=r"called q_porj \(did you mean q_proj by q_porj\?\)"):
        check_methods(planned_on(config, tmp_path / "qwen3", "qwen3", chosen), tmp_path)


def test_models_that_only_preparation_will_tell_are_not_checked(repository, tmp_path):
    check_methods(load_plan("smollm2", repository / "config"), tmp_path)
