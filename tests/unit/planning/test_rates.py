"""The learning rates of a study: of presets, shared, or tuned; what tuned rates are refused for."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from rlvr.config.loading import load_yaml
from rlvr.config.rates import TunedRates, rates_path
from rlvr.errors import UserError
from rlvr.planning.checks import check_plan
from rlvr.planning.notices import notices
from rlvr.planning.plan import Plan, configs, fingerprints, load_plan, study_manifest, train_configs
from rlvr.planning.table import print_plan
from tests.helpers.rates import write_tuned_rates

LORA = {"method": "lora", "parameters": {"rank": 8, "alpha": 16}}
METHODS = [LORA, {"method": "full"}]
VALIDATION = {"dataset": "sums-tuning", "title": "Validation", "samples_per_problem": 4}
TUNE = {"validation": VALIDATION, "factors": [0.3, 1, 3]}


@pytest.fixture
def config(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the configuration, in a working folder without data."""
    shutil.copytree(repository / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    return Path("config")


def planned(config: Path, name: str = "changed", **changed: object) -> Plan:
    study = {"extends": "demo", "title": "Changed", "methods": METHODS, **changed}
    (config / "studies" / f"{name}.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    return load_plan(name, config)


def tuned(config: Path, setting: str = "x0.3", **changed: object) -> Path:
    """Tune LoRA and Full, and write that one setting has won."""
    planned(config, "tuning", **{"train_seeds": [100, 101], "training": {"steps": 9}, "tune": TUNE} | changed)
    return write_tuned_rates(config, "tuning", setting)


def rates(plan: Plan) -> dict[str, float]:
    return {f"{one.method}/{one.setting}": one.training.learning_rate for one in train_configs(plan)}


def test_a_trial_has_the_rate_of_its_method_times_its_factor(config):
    plan = planned(config, tune=TUNE | {"around": {"full": 0.02}})
    assert rates(plan) == pytest.approx({
        "lora/x0.3": 1.5e-3, "lora/x1": 5e-3, "lora/x3": 1.5e-2,
        "full/x0.3": 3e-5, "full/x1": 1e-4, "full/x3": 3e-4,
    })  # fmt: skip
    manifest = study_manifest(plan)
    assert manifest.tunes and [one.benchmark for one in manifest.benchmarks] == ["validation"]


def test_plain_rates_are_the_rates_of_the_trials(config):
    plan = planned(config, tune={"validation": VALIDATION, "rates": [1e-3, 4e-2]})
    assert rates(plan) == {"lora/r0.001": 1e-3, "lora/r0.04": 4e-2, "full/r0.001": 1e-3, "full/r0.04": 4e-2}


def test_a_study_with_tuned_rates_has_exactly_those(config):
    tuned(config)
    trial = {
        one.method: one.training.learning_rate
        for one in train_configs(load_plan("tuning", config))
        if one.setting == "x0.3"
    }
    plan = planned(config, rates="tuning", settings={
        "tuned": {}, "half": {"learning_rate_factor": 0.5}, "shared": {"rate": "shared"},
        "preset": {"rate": "preset"},
    })  # fmt: skip
    assert rates(plan) == {
        "lora/tuned": trial["lora"], "lora/half": trial["lora"] / 2, "lora/shared": 5e-3, "lora/preset": 5e-3,
        "full/tuned": trial["full"], "full/half": trial["full"] / 2, "full/shared": 5e-3, "full/preset": 5e-4,
    }  # fmt: skip
    factors = {f"{run.method}/{run.setting}": run.rate_factor for run in study_manifest(plan).runs}
    assert (factors["full/tuned"].given_by, factors["full/tuned"].trials) == ("tuned", 6)
    assert factors["full/tuned"].value == pytest.approx(0.03)
    assert [factors[f"full/{name}"].given_by for name in ("shared", "preset")] == ["shared", "preset"]
    applied = study_manifest(plan).rates
    assert applied.protocol.study == "tuning" and [one.method for one in applied.rates] == ["lora", "full"]
    check_plan(plan)
    assert [one.partition(": ")[2] for one in notices(plan)] == [
        "settings.preset: trains lora exactly as setting 'shared' does"
    ]


def test_each_model_and_preset_of_a_method_has_its_own_tuned_rate(config):
    grid = {
        "models": ["tiny", "smollm2-135m-instruct"],
        "methods": [LORA, LORA | {"preset": "paper", "learning_rate_factor": 2}],
    }
    path = tuned(config, **grid)
    grid["methods"] = [LORA, LORA | {"preset": "paper"}]
    plan = planned(config, rates="tuning", **grid)
    found = {(one.model, one.preset): one.training.learning_rate for one in train_configs(plan)}
    assert len(found) == 4 and len(set(found.values())) == 2
    applied = study_manifest(plan).rates
    assert {(one.model, one.preset): one.learning_rate for one in applied.rates} == found
    content = yaml.safe_load(path.read_text())
    for one in content["rates"]:
        if (one["model"], one["preset"]) == ("tiny", "paper"):
            one["learning_rate"] = 0.004
    path.write_text(yaml.safe_dump(content))
    again = train_configs(load_plan("changed", config))
    changed = {(one.model, one.preset): one.training.learning_rate for one in again}
    assert changed == found | {("tiny", "paper"): 0.004}


@pytest.mark.parametrize(
    "rewritten",
    [
        lambda text: "\ufeff" + text.replace("\n", "\r\n"),  # saved by an editor on Windows
        lambda text: yaml.safe_dump(yaml.safe_load(text), width=40),  # keys in another order, lines broken
        lambda text: json.dumps(yaml.safe_load(text)),  # JSON is YAML 1.2, with numbers such as 1e-05
    ],
    ids=["windows", "sorted", "json"],
)
def test_rates_are_read_as_other_tools_write_them(config, rewritten):
    prompt = {"system": "Only the number.\nNo words: none.", "user": "Add: {problem}\n"}
    training = {"weight_decay": 1e-5}
    path = tuned(config, prompt=prompt, training=training)
    plan = planned(config, rates="tuning", prompt=prompt, training=training)
    path.write_bytes(rewritten(path.read_text()).encode())
    again = load_plan("changed", config)
    assert again.runs == plan.runs and notices(again) == notices(plan)


def test_the_plan_says_what_rates_were_chosen_from(config, capsys):
    tuned(config)
    print_plan(planned(config, rates="tuning"))
    shown = " ".join(capsys.readouterr().out.split())
    assert "0.0015 = best of 6 trials" in shown
    assert (
        "Learning rates tuned by tuning: 6 trials per method, of 9 steps, on 256 problems of sums-tuning"
        in shown
    )


def test_an_edited_rate_changes_exactly_its_runs(config):
    path = tuned(config)
    before = fingerprints(configs(planned(config, rates="tuning", train_seeds=[0, 1])))
    text = path.read_text()
    (rate,) = [one.learning_rate for one in load_yaml(path, TunedRates).rates if one.method == "full"]
    path.write_text(text.replace(f"learning_rate: {rate}", "learning_rate: 0.0002", 1))
    after = fingerprints(configs(load_plan("changed", config)))
    assert {name for name in before if before[name] != after[name]} == {
        "train/tiny--full--recommended--main--s0", "train/tiny--full--recommended--main--s1", "study",
    }  # fmt: skip


def test_rates_that_are_not_there_say_how_to_make_them(config):
    planned(config, "tuning", train_seeds=[100], tune=TUNE)
    with pytest.raises(
        UserError, match=r"rates: study 'tuning' has not chosen any rates yet.*snakemake rates --"
    ):
        planned(config, rates="tuning")
    with pytest.raises(UserError, match=r"changed\.yaml, line \d+: rates: 'tunign' is not known"):
        planned(config, rates="tunign")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"methods": [{"method": "lora", "parameters": {"rank": 4, "alpha": 16}}]},
            r"the rate of lora .* of something else: parameters\.rank is 4 here, 8 when .*snakemake rates",
        ),
        ({"settings": {"a": {"parameters": {"alpha": 8}}}, "methods": [LORA]}, r"alpha is 8.* here, 16"),
        ({"methods": [LORA | {"preset": "paper"}]}, r"no rate of lora with preset paper on model tiny \(it"),
        ({"methods": [LORA, {"method": "ia3"}]}, r"no rate of ia3 with preset recommended on model tiny"),
        ({"models": ["smollm2-135m-instruct"]}, r"no rate of lora .* on model smollm2-135m-instruct"),
        ({"train_dataset": "differences-train"}, r'dataset is "differences-train" here, "sums-train" when'),
        ({"prompt": {"user": "Add: {problem}"}}, r"prompt is .*Add: .* here"),
        ({"answer_format": "boxed"}, r"answer_format is \"boxed\" here"),
        ({"train_seeds": [7, 101]}, r"line \d+: train_seeds: training seed 101 chose the rates"),
        (
            {"methods": [LORA | {"learning_rate_factor": 2}]},
            r"learning_rate_factor: it has no effect, because no setting has `rate: preset`",
        ),
        (
            {"settings": {"slow": {"training": {"learning_rate": 1e-3}}}},
            r"settings\.slow\.training\.learning_rate: it has no effect where `rates`",
        ),
    ],
)  # fmt: skip
def test_rates_of_something_else_are_refused_with_the_way_out(config, changed, message):
    tuned(config)
    planned(config, rates="tuning")
    with pytest.raises(UserError, match=message):
        planned(config, rates="tuning", **changed)


def test_a_setting_may_have_other_parameters_with_another_rate(config):
    tuned(config)
    rank4 = {"methods": ["lora"], "parameters": {"rank": 4, "alpha": 8}, "rate": "preset"}
    assert rates(planned(config, rates="tuning", settings={"main": {}, "rank4": rank4}))["lora/rank4"] == 5e-3


@pytest.mark.parametrize(
    ("catalogue", "name", "value", "entry"),
    [
        ("models", "tiny", {"layers": 4}, "models/tiny"),
        ("datasets", "sums-train", {"size": 2999}, "data/sums-train"),
        ("datasets", "sums-tuning", {"seed": 9}, "data/sums-tuning"),
    ],
)
def test_rates_of_an_entry_that_has_changed_since_are_refused(config, catalogue, name, value, entry):
    tuned(config)
    path = config / f"{catalogue}.yaml"
    content = yaml.safe_load(path.read_text())
    content[catalogue][name] |= value
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    with pytest.raises(UserError, match=f"rates: the entry {entry} of the catalogue has changed"):
        planned(config, rates="tuning")


def test_another_algorithm_than_the_rates_were_tuned_with_is_noticed(config):
    tuned(config)
    plan = planned(config, rates="tuning", settings={"main": {}, "grpo": {"training": {"algorithm": "grpo"}}})
    (notice,) = [one for one in notices(plan) if "grpo" in one]
    assert "settings.grpo" in notice and 'algorithm is "grpo" here, "dapo" when the rate was tuned' in notice


# --- problems that must not be shared ----------------------------------------------------------------


def refused(plan: Plan) -> str:
    with pytest.raises(UserError) as error:
        check_plan(plan)
    return str(error.value)


def validated_on(config: Path, entry: dict[str, object], **changed: object) -> Plan:
    path = config / "datasets.yaml"
    content = yaml.safe_load(path.read_text())
    content["datasets"]["held-out"] = entry
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return planned(config, tune=TUNE | {"validation": VALIDATION | {"dataset": "held-out"}}, **changed)


SUMS = {"source": "arithmetic", "levels": ["L3"], "operations": ["+"], "size": 50, "style": "bare"}


def test_generated_problems_of_the_training_data_are_no_validation(config):
    shown = refused(validated_on(config, SUMS | {"split": "train", "seed": 8}))
    assert "tune.validation.dataset: 'held-out' shares problems with 'sums-train' (training data): " in shown
    assert " problems; choose" in shown and "`apart_from` in the entry of generated problems" in shown
    assert "'sums-validation' (pretraining of model tiny)" in shown


def test_generated_problems_of_a_benchmark_are_no_validation(config):
    shown = refused(validated_on(config, SUMS | {"split": "test", "seed": 8}))
    assert "shares problems with 'sums-test' (test data)" in shown and "sums-train" not in shown


def test_the_data_sets_of_other_studies_may_be_kept_apart_too(config):
    plan = planned(config, tune=TUNE | {"apart_from": ["sums-tuning"]})
    assert "'sums-tuning' shares problems with 'sums-tuning' (test data): one data set" in refused(plan)
    with pytest.raises(UserError, match=r"tune\.apart_from: 'sums-tets' is not known; did you mean"):
        planned(config, tune=TUNE | {"apart_from": ["sums-tets"]})
    with pytest.raises(UserError, match=r"tune\.around: 'lra' is not known; did you mean 'lora'"):
        planned(config, tune=TUNE | {"around": {"lra": 2}})


def test_slices_of_one_file_are_apart_where_their_rows_are(config):
    Path("all.jsonl").write_text("")
    path = config / "datasets.yaml"
    content = yaml.safe_load(path.read_text())
    whole = {"source": "local", "path": "all.jsonl"}
    content["datasets"]["first"] = whole | {"rows": {"take": 10}}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    check_plan(validated_on(config, whole | {"rows": {"skip": 10, "take": 5}}, train_dataset="first"))
    plan = validated_on(config, whole | {"rows": {"skip": 9, "take": 5}}, train_dataset="first")
    assert "'held-out' shares problems with 'first' (training data): both are all.jsonl" in refused(plan)


def test_a_benchmark_that_chose_the_rates_is_refused(config):
    tuned(config)
    benchmarks = {
        "differences": None,
        "mine": {"dataset": "sums-tuning", "title": "M", "samples_per_problem": 1},
    }
    plan = planned(config, rates="tuning", evaluation={"benchmarks": benchmarks})
    assert "on problems of 'sums-tuning' study 'tuning' chose the learning rates (one data set)" in refused(
        plan
    )
    check_plan(planned(config, rates="tuning", evaluation={"benchmarks": benchmarks}, settings={"main": {
        "rate": "shared"}}))  # fmt: skip


def test_the_file_of_rates_is_part_of_the_configuration(config):
    assert rates_path(config, "tuning") == tuned(config) == Path("config/rates/tuning.yaml")
