"""The grid of a study: settings are deltas of whole runs, sets are lists of methods."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save_file
from transformers import AutoConfig

from rlvr.config.resolved import TrainConfig
from rlvr.errors import UserError
from rlvr.planning.notices import notices
from rlvr.planning.plan import (
    Plan,
    check_methods,
    configs,
    fingerprints,
    generate_configs,
    grade_configs,
    load_plan,
    study_manifest,
    train_configs,
)
from rlvr.planning.table import print_plan


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


@pytest.mark.parametrize("key", ["methods", "presets", "settings"])
def test_a_comparison_with_what_the_study_lacks_is_refused(config, key):
    with pytest.raises(UserError, match=rf"changed.yaml, line \d+: contrasts\.{key}: 'mian' is not known"):
        runs(config, methods=[LORA], contrasts={key: ["mian"]})


def test_a_study_compares_with_what_there_is_unless_it_says_otherwise(config):
    runs(config, methods=[{"method": "dora"}], contrasts={"methods": ["dora"]})
    manifest = study_manifest(load_plan("changed", config))
    assert manifest.contrasts.model_dump() == {"methods": ["dora"], "presets": None, "settings": None}


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
        ([{"set": "paper", "parameters": {"rank": 1}}], r"methods\.0: `parameters` needs `method`"),
        (
            [{"set": "paper", "learning_rate_factor": 2}],
            r"methods\.0: `learning_rate_factor` needs `method`",
        ),
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


def printed(capsys, name: str, config: Path) -> str:
    print_plan(load_plan(name, config))
    return " ".join(capsys.readouterr().out.split())


def test_the_printed_plan_shows_what_a_setting_changes(repository, capsys):
    shown = printed(capsys, "grid", repository / "config")
    assert "Algorithm DAPO, clip range -0.2 to +0.28 (unless noted)" in shown
    assert "Algorithm: GRPO" in shown and "Algorithm: DAPO" not in shown
    assert "rank16" in shown and "0.001" in shown


def test_the_printed_plan_says_once_what_all_runs_share(repository, capsys):
    shown = printed(capsys, "released-1.5b", repository / "config")
    for fact in (
        "Training data dapo-math-17k", "Prompt think-then-answer", "Answer format boxed", "Preset released",
        "authors' training reward", "Dynamic sampling off", "Batch 16 prompts × 8 completions",
        "Rollout precision bfloat16",
    ):  # fmt: skip
        assert shown.count(fact) == 1, fact


def test_a_factor_of_the_study_replaces_the_presets_and_is_on_record(config, capsys):
    chosen = [{"method": "full", "learning_rate_factor": 2}, {"method": "vera"}, {"method": "lora"}]
    found = runs(config, methods=chosen)
    rates = {name: one.training.learning_rate for name, one in found.items()}
    assert rates == {"full/main": 1e-2, "vera/main": 5e-2, "lora/main": 5e-3}
    plan = load_plan("changed", config)
    factors = {run.method: run.rate_factor for run in study_manifest(plan).runs}
    assert factors.pop("base") is None
    assert {method: (factor.value, factor.given_by) for method, factor in factors.items()} == {
        "full": (2, "study"), "vera": (10, "preset"), "lora": (1, "preset"),
    }  # fmt: skip
    shown = printed(capsys, "changed", config)
    assert "0.01 = 0.005 × 2 (study)" in shown and "0.05 = 0.005 × 10 (preset)" in shown


def test_the_demo_trains_at_the_rates_that_were_tuned_for_it(repository):
    """No rate is set by hand, and none was chosen with a seed of the demo."""
    tuned = yaml.safe_load((repository / "config/rates/demo-rates.yaml").read_text())
    plan = load_plan("demo", repository / "config")
    assert {one.method: one.training.learning_rate for one in train_configs(plan)} == {
        rate["method"]: rate["learning_rate"] for rate in tuned["rates"]
    }
    assert not set(plan.study.train_seeds) & set(tuned["protocol"]["train_seeds"])
    assert tuned["protocol"]["steps"] == plan.study.training.steps


def test_the_audit_repeats_the_released_codes_half_rank_of_lora(repository):
    """D6: LoRA alone had half of the text's rank and alpha."""
    found = {
        (one.method, one.preset): one.parameters
        for one in train_configs(load_plan("audit-mini", repository / "config"))
    }
    ours, theirs = found["lora", "paper"], found["lora", "released"]
    assert (theirs["rank"], theirs["alpha"]) == (ours["rank"] / 2, ours["alpha"] / 2)
    assert found["adalora", "released"]["rank"] == found["pissa", "released"]["rank"] == ours["rank"]


def test_the_released_experiment_runs_the_released_code(repository):
    plan = load_plan("released-1.5b", repository / "config")
    paper = load_plan("paper-1.5b", repository / "config")
    trained, described = list(train_configs(plan)), list(train_configs(paper))
    assert [one.method for one in trained] == [one.method for one in described]
    for one, text in zip(trained, described, strict=True):
        assert (one.preset, one.reward, text.reward) == ("released", "released-reward", "rlvr")
        assert one.prompt.system and "then answer" in one.prompt.system and one.prompt != text.prompt
        assert one.training.dynamic_sampling is None and one.training.importance_cap == 2
        assert one.training.steps == text.training.steps == 1024
    for one in generate_configs(plan):
        assert (one.sampling.temperature, one.sampling.top_p) == (0.7, 0.9)
        length = 31744 if one.reference_format is None else 4096
        assert (one.sampling.max_new_tokens, one.seed, one.shared_seed) == (length, 42, True)
    assert {one.grader for one in grade_configs(plan)} == {"released-eval"}


def test_an_algorithm_brings_its_own_defaults_and_the_study_wins(config):
    grpo = {"training": {"algorithm": "grpo"}}
    found = runs(config, methods=[LORA], settings={"main": {}, "grpo": grpo})
    dapo, other = found["lora/main"].training, found["lora/grpo"].training
    assert (dapo.clip_high, dapo.dynamic_sampling.max_rounds) == (0.28, 4)
    assert (other.clip_low, other.clip_high, other.dynamic_sampling) == (0.2, 0.2, None)
    written = other.model_dump()
    assert (written["clip_high"], written["dynamic_sampling"]) == (0.2, None), "resolved values are explicit"
    explicit = {"clip_high": 0.3, "dynamic_sampling": {"max_rounds": 2}}
    found = runs(config, methods=[LORA], training=explicit, settings={"main": {}, "grpo": grpo})
    for run in found.values():
        assert (run.training.clip_high, run.training.dynamic_sampling.max_rounds) == (0.3, 2)
    assert [run.training.algorithm for run in found.values()] == ["dapo", "grpo"]


@pytest.mark.parametrize(
    ("algorithm", "low", "high", "replaces_groups"),
    [
        ("dapo", 0.2, 0.28, True),
        ("grpo", 0.2, 0.2, False),
        ("dr_grpo", 0.2, 0.2, False),
        ("gspo", 3e-4, 4e-4, False),
        ("cispo", 1, 4, True),
    ],
)
def test_the_defaults_of_an_algorithm_are_the_published_ones(
    config, capsys, algorithm, low, high, replaces_groups
):
    (run,) = runs(config, methods=[LORA], training={"algorithm": algorithm}).values()
    training = run.training
    assert (training.clip_low, training.clip_high) == (low, high)
    assert (training.dynamic_sampling is not None) == replaces_groups
    plan = load_plan("changed", config)
    print_plan(plan)
    assert "Not as published" not in capsys.readouterr().out
    assert not any("hardly clips" in notice for notice in notices(plan))
    runs(config, methods=[LORA], training={"algorithm": algorithm, "clip_low": 0.1})
    print_plan(load_plan("changed", config))
    assert f"{algorithm} with clip_low 0.1 instead of its {low:g}" in " ".join(
        capsys.readouterr().out.split()
    )


def test_blocks_of_a_setting_are_merged_into_what_the_study_wrote(config):
    settings = {"main": {}, "fresh": {"training": {"dynamic_sampling": {"surplus": "discard"}}}}
    training = {"dynamic_sampling": {"max_rounds": 9}}
    found = runs(config, methods=[LORA], training=training, settings=settings)
    fresh = found["lora/fresh"].training.dynamic_sampling
    assert (fresh.max_rounds, fresh.surplus) == (9, "discard")
    assert found["lora/main"].training.dynamic_sampling.surplus == "carry"


def test_the_printed_plan_says_where_an_algorithm_is_not_its_papers(config, capsys):
    settings = {"main": {}, "grpo": {"training": {"algorithm": "grpo"}}}
    runs(config, methods=[LORA], settings=settings)
    print_plan(load_plan("changed", config))
    assert "Not as published" not in capsys.readouterr().out
    runs(config, methods=[LORA], training={"clip_high": 0.28, "dynamic_sampling": {}}, settings=settings)
    print_plan(load_plan("changed", config))
    shown = " ".join(capsys.readouterr().out.split())
    assert "Not as published: grpo with clip_high 0.28 instead of its 0.2 in lora--recommended--grpo" in shown
    assert "Not as published: grpo with dynamic sampling in lora--recommended--grpo" in shown


def test_the_main_experiment_is_strictly_on_policy(repository):
    for run in train_configs(load_plan("paper-1.5b", repository / "config")):
        if run.preset == "paper":
            assert run.training.dynamic_sampling.surplus == "discard"


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"sampling": {"top_p": 0.9}}, r"sampling\.top_p 0\.9: the loss takes probabilities over the whole"),
        ({"warmup_steps": 32}, r"warmup_steps 32 leaves none of the 32 optimizer steps"),
        ({"soft_overlong": {"buffer_tokens": 7}}, r"buffer_tokens 7 is above sampling\.max_new_tokens 6"),
        ({"clip_low": 1.1}, r"clip_low.*less than or equal to 1"),
        ({"learning_rate": float("inf")}, r"learning_rate.*finite number"),
        ({"sampling": {"temperature": float("inf")}}, r"temperature.*finite number"),
    ],
)
@pytest.mark.parametrize("place", ["study", "setting"])
def test_training_that_cannot_work_is_refused_before_the_first_job(config, training, message, place):
    changed = (
        {"training": training}
        if place == "study"
        else {"settings": {"main": {}, "odd": {"training": training}}}
    )
    with pytest.raises(UserError, match=message):
        runs(config, methods=[LORA], **changed)


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


@pytest.mark.parametrize("sign", ["config.json", "weights"])
def test_a_local_quantised_model_is_refused_before_it_is_prepared(sign, config, tmp_path):
    plan = planned_on(config, tmp_path / "qwen3", "qwen3", {"method": "full"})
    path = tmp_path / "qwen3" / "config.json"
    if sign == "weights":
        tensors = {"model.layers.0.mlp.up_proj.qweight": torch.zeros(8, 8, dtype=torch.int32)}
        save_file(tensors, tmp_path / "qwen3" / "model.safetensors")
    else:
        quantised = {"quantization_config": {"quant_method": "gptq"}}
        path.write_text(json.dumps({**json.loads(path.read_text()), **quantised}))
    with pytest.raises(UserError, match=r"a quantised model \(GPTQ.*cannot be trained here|model \(gptq: "):
        check_methods(plan, tmp_path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"training": {"algorithm": ["grpo"]}}, r"algorithm"),
        (
            {"training": {"rollout_dtype": "float16", "rollout_compute_dtype": "bfloat16"}},
            r"rollout_compute_dtype: bfloat16 would round weights of rollout_dtype: float16 again",
        ),
        (
            {"training": {"sync": "live", "rollout_dtype": "bfloat16"}},
            r"rollout_dtype bfloat16 has no effect with sync: live",
        ),
        (
            {"training": {"sync": "live", "rounding": "stochastic"}},
            r"rounding stochastic has no effect with sync: live",
        ),
        (
            {"training": {"engine": "vllm", "sync": "live"}},
            r"sync: live is impossible with engine: vllm.*use sync: merged .*or engine: transformers",
        ),
        (
            {"evaluation": {"engine": "vllm", "dtype": "bfloat16"}},
            r"engine: vllm serves merged weights; set merged_dtype: bfloat16",
        ),
        (
            {"methods": {"set": "paper", "preset": "released", "faults": ["in_place_merge"]}},
            r"`faults` needs `method`",
        ),
        ({"methods": [LORA | {"faults": ["in_place_merge"] * 2}]}, r"faults: in_place_merge is listed twice"),
    ],
)
def test_what_would_be_other_than_asked_is_refused(config, changed, message):
    with pytest.raises(UserError, match=message):
        runs(config, **changed)


def test_a_set_can_leave_out_all_faults(config):
    found = runs(config, methods={"set": "paper", "preset": "released", "faults": []})
    assert {one.faults for one in found.values()} == {()}


def rerun(config: Path, file: str, old: str, new: str, study: str = "demo") -> set[str]:
    """Return the configurations of a study that an edit changes: all that reruns anything."""
    before = fingerprints(configs(load_plan(study, config)))
    path = config / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    after = fingerprints(configs(load_plan(study, config)))
    assert before.keys() == after.keys()
    return {name for name in before if before[name] != after[name]}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("studies/demo.yaml", "models: [tiny]", "models: [tiny] # a comment"),
        (
            "studies/demo.yaml",
            "compute: {",
            "compute: {threads: 3, memory_mb: 999, device: a100, ",
        ),
        ("studies/demo.yaml", "steps: 32\n", "steps:   32\n"),
        ("methods/oft.yaml", "presets:", "# a comment\npresets:"),
        ("methods/lora.yaml", "  paper:\n", "  paper:\n    learning_rate_factor: 7\n"),
        ("models.yaml", "repo: deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", "repo: other/model"),
        ("devices.yaml", "memory_gib: 79.6", "memory_gib: 95"),
        ("datasets.yaml", "problems: {", "problems: {sums-test: 1, "),
    ],
)
def test_a_comment_another_preset_or_what_is_planned_reruns_nothing(config, file, old, new):
    assert rerun(config, file, old, new) == set()


def test_a_rate_reruns_its_runs_alone(config):
    methods = [{"method": "lora"}, {"method": "ln_tuning", "learning_rate_factor": 20}]
    runs(config, methods=methods)
    changed = rerun(config, "studies/changed.yaml", "factor: 20", "factor: 19", "changed")
    assert changed == {"train/tiny--ln_tuning--recommended--main--s0", "study"}, (
        "the manifest shows the factor"
    )
    every = rerun(config, "studies/demo.yaml", "learning_rate: 5.0e-3", "learning_rate: 4.0e-3", "changed")
    assert every == {f"train/{config.run}" for config in train_configs(load_plan("changed", config))}


def test_what_is_rerun_depends_on_no_code(repository):
    """Else a docstring would retrain: the text of a rule and the code of the package are no triggers."""
    for name in ("default", "slurm"):
        path = repository / "workflow" / "profiles" / name / "profile.v9+.yaml"
        assert yaml.safe_load(path.read_text())["rerun-triggers"] == ["mtime", "input", "params"]
    for path in (repository / "workflow" / "rules").glob("*.smk"):
        inputs = re.findall(r"^ +input:\n((?: {8,}.*\n)+)", path.read_text(), re.MULTILINE)
        assert not [block for block in inputs if ".py" in block or ".smk" in block]
