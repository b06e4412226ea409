"""Faults of the authors' released code: each would be noticed, and is reproduced only on request."""

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from rlvr.config.loading import load_yaml
from rlvr.config.presets import MethodFile
from rlvr.config.resolved import TrainConfig
from rlvr.errors import UserError
from rlvr.methods import Method, get_method, methods
from rlvr.methods.faults import FAULTS, trained_method
from rlvr.methods.policy import load_trained_state, trained_state
from rlvr.methods.weights import exported_weights, merged_weights
from rlvr.planning.plan import load_plan, train_configs
from tests.helpers.small_methods import (
    base_model,
    distance,
    logits,
    method_of,
    plain_with,
    policy_of,
    train,
    untrained,
)

PAPER = {
    *("full", "lora", "dora", "adalora", "miss", "pissa", "milora", "rslora", "lora_plus", "lora_fa", "vera"),
    *("ln_tuning", "ia3", "rank1_lora"),
}
"""The rows of the paper's tables."""


def config_of(
    method: str, preset: str = "released", trains_as: str | None = None, faults=(), parameters=None
) -> TrainConfig:
    """The configuration of a run of one step."""
    return TrainConfig(
        study="s", run="r", model="m", method=method, preset=preset, trains_as=trains_as or method,
        faults=faults, setting="main", train_seed=0, parameters=parameters or {}, dataset="d",
        prompt={},
        answer_format="boxed",
        training={"steps": 1, "prompts_per_step": 1, "group_size": 2, "learning_rate": 1e-3,
                  "sampling": {"max_new_tokens": 4}},
    )  # fmt: skip


# --- what would be noticed -----------------------------------------------------------------------


class MissesModules(get_method("miss")):
    """MiSS, VeRA, IA3 and LN-tuning got no target modules, so PEFT adapted two of seven (D9)."""

    def peft_config(self):
        config = super().peft_config()
        config.target_modules = {"q_proj", "v_proj"}
        return config


class IsPlainLora(get_method("dora")):
    """The 7B DoRA was LoRA (D5)."""

    def peft_config(self):
        config = super().peft_config()
        config.use_dora = False
        return config


class DispatchedAsLora(get_method("adalora")):
    """AdaLoRA's name, LoRA's code (D1)."""

    def wrap(self, model, total_steps, seed):
        return method_of("lora", rank=self.parameters.initial_rank).wrap(model, total_steps, seed)


@pytest.mark.parametrize(
    ("impostor", "message"),
    [
        (MissesModules, "does not adapt the modules it declares"),
        (IsPlainLora, "parameters where"),
        (DispatchedAsLora, "parameters where"),
    ],
)
def test_a_method_that_is_not_what_it_says_is_refused(impostor, message):
    with pytest.raises(UserError, match=message):
        untrained(impostor(method_of(impostor.name).parameters))


def test_a_preset_of_one_method_cannot_hold_the_settings_of_another(tmp_path):
    """IA3's script passed the type milora (D4): here the parameters would not fit."""
    with pytest.raises(ValidationError):
        get_method("ia3").Parameters(rank=32, alpha=32)


def test_a_state_of_another_method_is_refused():
    dora, lora = method_of("dora"), method_of("lora")
    with pytest.raises(UserError, match="belongs to another method"):
        load_trained_state(dora, policy_of("dora"), trained_state(lora, policy_of("lora")), "file")


def test_a_folder_without_an_export_is_never_taken_for_the_untrained_model(tmp_path):
    from safetensors.torch import load_file, save_file

    with pytest.raises(UserError, match="not an exported run"):
        list(exported_weights(base_model(), tmp_path / "typo"))
    policy_of("full").save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights.pop("model.norm.weight")
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=r"model\.norm\.weight"):
        list(exported_weights(base_model(), tmp_path))


# --- what is reproduced on request ------------------------------------------------------------------


def faulty(name: str, *faults: str) -> Method:
    """The method with faults of the released code, on the small model."""
    parameters = method_of(name).parameters.model_dump(mode="json")
    return trained_method(config_of(name, faults=faults, parameters=parameters))


def evaluated(method: Method, folder: Path) -> tuple[float, float]:
    """Train, export, evaluate: return how far evaluated from trained is, and trained from the base."""
    policy = untrained(method)
    train(method, policy)
    method.export(policy, folder)
    model = base_model()
    torch.manual_seed(7)  # another process, another state of the generator
    served = logits(plain_with(exported_weights(model, folder)))
    return float((served - logits(policy)).abs().max()), distance(policy)


@pytest.mark.parametrize(("name", "fault"), [("pissa", "pissa_reload"), ("milora", "milora_reload")])
def test_the_released_reload_evaluates_another_model_than_was_trained(name, fault, tmp_path):
    ours, moved = evaluated(method_of(name), tmp_path / "ours")
    theirs, _ = evaluated(faulty(name, fault), tmp_path / "theirs")
    assert ours < 1e-4 < 1e-2 < theirs, "the fault is what makes the difference"
    assert moved > 1e-2


def test_the_released_milora_counts_the_minor_part_twice(tmp_path):
    """Without any training the evaluated weight is W0 + B0 A0 instead of W0."""
    method = faulty("milora", "milora_reload")
    policy = untrained(method)
    method.export(policy, tmp_path)
    plain = dict(base_model().named_parameters())
    for name, layer in method.adapted_layers(policy):
        part = layer.scaling["default"] * layer.lora_B["default"].weight @ layer.lora_A["default"].weight
        served = dict(exported_weights(base_model(), tmp_path))[f"{name}.weight"]
        torch.testing.assert_close(served, plain[f"{name}.weight"] + part, atol=1e-5, rtol=0)
        break


def drift(method: Method, syncs: int) -> float:
    """Return how far a bfloat16 base has moved, relative to its size, after syncs of a trained policy."""
    policy = untrained(method, "bfloat16")
    weights = [method.base_weights(layer)["weight"] for _, layer in method.adapted_layers(policy)]
    before = [weight.float().clone() for weight in weights]
    train(method, policy, "bfloat16")
    for _ in range(syncs):
        for _ in merged_weights(method, policy):
            pass
    moved = sum(float((new - old).square().sum()) for new, old in zip(weights, before, strict=True))
    return (moved / sum(float(old.square().sum()) for old in before)) ** 0.5


def test_the_released_merge_corrupts_the_frozen_base_and_ours_does_not():
    assert drift(method_of("lora"), 5) == 0
    assert drift(faulty("lora", "in_place_merge"), 1) > 1e-4


# --- and only on request --------------------------------------------------------------------------


@pytest.mark.parametrize("field", [{"faults": ["in_place_merge"]}, {"trains_as": "lora"}])
@pytest.mark.parametrize("preset", ["paper", "recommended"])
def test_only_the_preset_released_may_be_wrong(preset, field):
    with pytest.raises(ValidationError, match="only the preset `released` may have trains_as or faults"):
        MethodFile(presets={preset: field})


@pytest.mark.parametrize("wrong", [{"faults": ("in_place_merge",)}, {"trains_as": "dora"}])
def test_a_configuration_with_a_fault_must_be_of_the_preset_released(wrong):
    with pytest.raises(ValidationError, match="must train 'lora', and without faults"):
        config_of("lora", preset="recommended", **wrong)


def test_a_method_without_faults_is_the_registered_one():
    assert type(trained_method(config_of("pissa"))) is get_method("pissa")


def test_every_fault_is_reached_by_a_released_preset(repository):
    presets = presets_of(repository)
    used = {fault for by_name in presets.values() for preset in by_name.values() for fault in preset.faults}
    assert used == set(FAULTS)


def presets_of(repository: Path) -> dict[str, dict]:
    folder = repository / "config" / "methods"
    return {name: load_yaml(folder / f"{name}.yaml", MethodFile).presets for name in methods()}


def test_the_papers_methods_have_three_presets_and_every_method_a_recommended_one(repository):
    presets = presets_of(repository)
    assert {name for name in presets if set(presets[name]) == {"paper", "released", "recommended"}} == PAPER
    assert all("recommended" in by_name for by_name in presets.values())


def test_every_departure_from_the_paper_gives_its_reason(repository):
    for name, by_name in presets_of(repository).items():
        values = {
            preset_name: preset.model_dump(exclude={"reason"}) for preset_name, preset in by_name.items()
        }
        for preset_name, preset in by_name.items():
            if values[preset_name] != values.get("paper"):
                assert preset.reason, f"{name}, {preset_name}"


@pytest.mark.parametrize("preset", ["paper", "released", "recommended"])
def test_every_preset_resolves_to_configurations(preset, repository, tmp_path):
    """All presets of all methods of the paper, checked as `snakemake` would check them."""
    import shutil

    import yaml

    shutil.copytree(repository / "config", tmp_path / "config")
    study = yaml.safe_load((tmp_path / "config/studies/demo.yaml").read_text())
    del study["rates"]  # tuned for the presets of the demo
    study["methods"] = [{"method": name, "preset": preset} for name in sorted(PAPER)]
    (tmp_path / "config/studies/all.yaml").write_text(yaml.safe_dump(study))
    configs = list(train_configs(load_plan("all", tmp_path / "config")))
    assert len(configs) == len(PAPER)
    for one in configs:
        assert trained_method(one).name == one.trains_as
        if preset == "released":
            assert one.training.dynamic_sampling is None and one.training.soft_overlong is None
            assert (one.method == "full") == (one.faults == ())


def test_an_adapter_sync_is_refused_for_a_study_with_a_method_that_has_no_such_form(repository, tmp_path):
    import shutil

    import yaml

    shutil.copytree(repository / "config", tmp_path / "config")
    path = tmp_path / "config/studies/demo.yaml"
    study = yaml.safe_load(path.read_text())
    del study["rates"]  # tuned with another sync
    study["training"]["sync"] = "adapter"
    path.write_text(yaml.safe_dump(study))
    with pytest.raises(UserError, match=r"sync: adapter needs an exact low-rank form.*use sync: merged"):
        load_plan("demo", tmp_path / "config")


def test_a_preset_leaves_the_sync_to_the_study():
    with pytest.raises(ValidationError, match="is a setting of the study"):
        MethodFile(presets={"recommended": {"training": {"rollout_dtype": "float16"}}})


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_magnitudes_in_bfloat16_are_off_and_ours_are_not(dtype):
    base = dict(base_model(dtype).named_parameters())

    def largest_error(faults: tuple[str, ...]) -> float:
        method = trained_method(config_of("dora", faults=faults, parameters={"rank": 4, "alpha": 8}))
        merged = merged_weights(method, untrained(method, dtype))
        return max(
            float((weight.detach() / base[name].detach().float() - 1).abs().max()) for name, weight in merged
        )

    assert largest_error(()) < 1e-6
    assert largest_error(("bf16_magnitude",)) > 1e-3


def test_the_faulty_magnitudes_are_those_of_peft_on_a_bfloat16_base():
    from peft import get_peft_model

    method = trained_method(config_of("dora", faults=("bf16_magnitude",), parameters={"rank": 4, "alpha": 8}))
    ours = untrained(method, "bfloat16").state_dict()
    pefts = get_peft_model(base_model("bfloat16"), method.peft_config()).state_dict()
    magnitudes = [name for name in ours if "magnitude" in name]
    assert magnitudes
    for name in magnitudes:
        assert torch.equal(ours[name], pefts[name]), name


def test_a_study_chooses_among_the_faults_of_a_preset(repository, tmp_path):
    import shutil

    import yaml

    shutil.copytree(repository / "config", tmp_path / "config")
    choice = {"method": "dora", "preset": "released", "parameters": {"rank": 8, "alpha": 16}}

    def faults(**chosen):
        study = {"extends": "demo", "title": "t", "methods": [choice | chosen]}
        (tmp_path / "config/studies/chosen.yaml").write_text(yaml.safe_dump(study))
        (run,) = train_configs(load_plan("chosen", tmp_path / "config"))
        return run.faults

    assert faults() == ("in_place_merge", "bf16_magnitude")
    assert faults(faults=["bf16_magnitude"]) == ("bf16_magnitude",)
    assert faults(faults=[]) == ()
    with pytest.raises(
        UserError, match=r"preset released of dora does not have 'pissa_reload' \(it has: in_"
    ):
        faults(faults=["pissa_reload"])
