"""What cannot work is refused before the first job, with its place and a way out."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from rlvr.config.catalogue import ArithmeticData, HubData, LocalData
from rlvr.config.training import Prompt
from rlvr.errors import UserError
from rlvr.planning.checks import check_engines, check_plan
from rlvr.planning.notices import format_notice, notices
from rlvr.planning.overlap import shared_problems
from rlvr.planning.plan import Plan, load_plan
from rlvr.rollout.engines import factory
from tests.helpers.paths import REPOSITORY

LORA = [{"method": "lora", "parameters": {"rank": 8, "alpha": 16}}]
REVISION = "7" * 40


@pytest.fixture
def config(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the configuration, in a working folder without data."""
    shutil.copytree(repository / "config", tmp_path / "config")
    monkeypatch.chdir(tmp_path)
    return Path("config")


def planned(config: Path, **changed: object) -> Plan:
    study = {"extends": "demo", "title": "Changed", "methods": LORA, **changed}
    (config / "studies" / "changed.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    return load_plan("changed", config)


def add(config: Path, catalogue: str, **entries: object) -> None:
    path = config / f"{catalogue}.yaml"
    content = yaml.safe_load(path.read_text())
    content[catalogue] |= entries
    path.write_text(yaml.safe_dump(content, sort_keys=False))


def benchmark(dataset: str, **more: object) -> dict[str, object]:
    return {"dataset": dataset, "title": dataset, "samples_per_problem": 1, **more}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"training": {"steps": True}}, r"line \d+: training\.steps: true is a truth value"),
        ({"training": {"learning_rate": True}}, r"training\.learning_rate: true is a truth value"),
        ({"training": {"betas": [True, 0.9]}}, r"training\.betas: true is a truth value"),
        ({"train_seeds": [True]}, r"train_seeds: true is a truth value"),
        ({"settings": {"a": {"training": {"steps": False}}}}, r"settings\.a\.training: steps: false is a tr"),
        (
            {"methods": [{"method": "lora", "parameters": {"rank": True}}]},
            r"methods\[0\]: parameters of lora: rank: true is a truth value",
        ),
        ({"training": {"betas": [0.9]}}, r"training\.betas\.1: this value is required"),
        ({"training": {"group_size": 1}}, r"training\.group_size: .*2 .*value is 1.*an advantage compares"),
        ({"training": {"learning_rate": 50}}, r"learning_rate 50 is above 10: AdamW moves every weight"),
        ({"training": {"learning_rate": 3}}, r"line \d+: training: learning_rate 3 is above 1"),
        (
            {"methods": [{"method": "c3a"}], "training": {"learning_rate": 0.05}},
            r"learning_rate 25 is above 10: .*\(it is 0\.05 times learning_rate_factor 500 of c3a\)",
        ),
        ({"training": {"weight_decay": 300}}, r"weight_decay 300: times the learning rate 0\.005 it is 1 or"),
        ({"training": {"updates_per_step": 65}}, r"updates_per_step 65 is above prompts_per_step 64"),
        ({"training": {"sampling": {"temperature": 0}}}, r"sampling\.temperature 0: all completions .* same"),
        (
            {"training": {"sampling": {"temperature": 50}}},
            r"sampling\.temperature: .*10 \(the value is 50\); Divides",
        ),
        ({"train_seeds": [-1]}, r"train_seeds\.0: .*\(the value is -1\)"),
        ({"seed": 2**70}, r"seed: .*less than 9223372036854775808"),
        (
            {"methods": [{"method": "lora", "parameters": {"alpha": float("inf")}}]},
            r"parameters of lora: alpha: Input should be a finite number",
        ),
        (
            {"methods": [{"method": "lora", "parameters": {"dropout": 1.0}}]},
            r"parameters of lora: dropout: .*less than 1",
        ),
        (
            {"methods": [{"method": "lora", "parameters": {"rank": [1, 2, 4]}}]},
            r"rank: .*for several values add a setting for each",
        ),
        (
            {"evaluation": {"sampling": {"temperature": 0}}},
            r"benchmarks\.sums\.samples_per_problem: with sampling\.temperature 0 \(greedy\) all 8 samples",
        ),
        (
            {"methods": [{"method": "LoRA"}]},
            r"methods\.0\.method: a name has only .*did you mean 'lora'",
        ),
        ({"train_dataset": "My Data"}, r"train_dataset: a name has only small .*did you mean 'my-data'\?"),
        ({"methods": ["lora"]}, r"methods\.0: must be a mapping .*the keys are .*method"),
    ],
)
def test_a_value_that_cannot_work_is_refused(config, changed, message):
    with pytest.raises(UserError, match=message) as error:
        planned(config, **changed)
    assert str(error.value).startswith("config/studies/")
    assert len(str(error.value).splitlines()) == 1


def test_of_many_known_keys_the_nearest_are_listed(config):
    with pytest.raises(UserError) as error:
        planned(config, training={"warmup": 3})
    message = str(error.value)
    assert "did you mean 'warmup_steps'" in message
    assert re.search(r"\(known keys, the nearest of \d+: warmup_steps, ", message) and message.count(",") < 12


def test_a_branch_is_no_revision(config):
    add(config, "datasets", mine={"source": "hub", "repo": "a/b", "revision": "main", "split": "train"})
    with pytest.raises(UserError, match=r"datasets\.mine\.revision: must be a full commit hash.*main"):
        planned(config)


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", ["training", "evaluation"])
def test_an_engine_that_is_not_installed_is_named_with_key_and_way_out(config, block, monkeypatch):
    find = factory.importlib.util.find_spec
    monkeypatch.setattr(
        factory.importlib.util, "find_spec", lambda name: None if name == "vllm" else find(name)
    )
    plan = planned(config, **{block: {"engine": "vllm"}})
    with pytest.raises(UserError, match=rf"{block}\.engine: .*vLLM is not installed.*docs/engines\.md"):
        check_engines(plan)
    check_plan(plan)  # jobs may run elsewhere


def test_vllm_on_several_devices_is_refused_before_the_first_job(config):
    plan = planned(config, training={"engine": "vllm"}, compute={"gpus": 2})
    with pytest.raises(UserError, match=r"training\.engine: vllm is not supported.*\(compute\.gpus: 2\)"):
        check_plan(plan)


def test_missing_files_are_named_together_with_key_and_way_out(config, tmp_path):
    add(config, "datasets", mine={"source": "local", "path": "data/mine.jsonl"})
    sha256 = "0" * 64
    add(
        config,
        "models",
        folder={"source": "local", "path": "models/folder"},
        file={"source": "gguf", "file": "models/x.gguf", "sha256": sha256},
        package={"source": "gguf", "package": "no_such_package", "file": "x.gguf", "sha256": sha256},
    )
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mime.jsonl").touch()
    plan = planned(config, models=["folder", "file", "package"], train_dataset="mine")
    with pytest.raises(UserError) as error:
        check_plan(plan, tmp_path / "resources")
    lines = str(error.value).splitlines()
    assert [line.split(": ")[1] for line in lines] == [
        "models.folder.path",
        "models.file.file",
        "models.package.package",
        "datasets.mine.path",
    ]
    assert all("config/models.yaml, line " in line for line in lines[:3])
    assert "'no_such_package' is installed; install it, or give a `file`" in lines[2]
    assert "data/mine.jsonl does not exist; did you mean 'mime.jsonl'?" in lines[3]
    assert f"put it there, or correct the path; it is relative to {tmp_path}" in lines[3]


def test_what_is_prepared_needs_no_file(config, tmp_path):
    add(config, "datasets", mine={"source": "local", "path": "data/mine.jsonl"})
    plan = planned(config, train_dataset="mine")
    (tmp_path / "resources" / "data").mkdir(parents=True)
    (tmp_path / "resources" / "data" / "mine.parquet").touch()
    check_plan(plan, tmp_path / "resources")


# --- data -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sums-test", "again"])
def test_a_benchmark_is_not_trained_on(config, name):
    entries = yaml.safe_load((config / "datasets.yaml").read_text())["datasets"]
    add(config, "datasets", again=entries["sums-test"])
    plan = planned(config, train_dataset=name)
    with pytest.raises(
        UserError, match=rf"benchmarks\.sums\.dataset: 'sums-test' is the training data '{name}"
    ):
        check_plan(plan)


def test_a_benchmark_is_not_pretrained_on(config):
    plan = planned(config, evaluation={"benchmarks": {"val": benchmark("sums-validation")}})
    with pytest.raises(UserError, match=r"benchmarks\.val\.dataset: .* is in `pretraining` of model 'tiny'"):
        check_plan(plan)


def hub(**changed: object) -> HubData:
    return HubData(**{"source": "hub", "repo": "a/b", "revision": REVISION, "split": "test", **changed})


def local(path: Path | str, **changed: object) -> LocalData:
    return LocalData(source="local", path=str(path), **changed)


def test_what_shows_that_two_entries_hold_the_same_problems(tmp_path):
    for name in ("one", "copy"):
        (tmp_path / f"{name}.jsonl").write_text('{"problem": "1+1", "answer": "2"}\n')
    (tmp_path / "other.jsonl").write_text('{"problem": "2+2", "answer": "4"}\n')
    one, copy, other = (local(tmp_path / f"{name}.jsonl") for name in ("one", "copy", "other"))
    first, second = {"skip": 0, "take": 10}, {"skip": 10, "take": 10}
    same = [
        (hub(), hub(revision="8" * 40, rows=first)),
        (one, local(f"{tmp_path}/./one.jsonl")),
        (one, copy),
        (local(tmp_path, split="train"), local(tmp_path, split="train")),
        (one, hub(local={"path": str(tmp_path / "one.jsonl")})),
        (hub(rows={"skip": 5, "take": 10}), hub(rows=first)),
    ]
    different = [
        (hub(), hub(split="train")),
        (hub(), hub(config="main")),
        (hub(rows=first), hub(rows=second)),
        (one, other),
        (local(tmp_path, split="train"), local(tmp_path, split="test")),
        (one, local(tmp_path / "absent.jsonl")),
        (one, hub()),
    ]
    assert all(shared_problems("a", *pair[:1], "b", *pair[1:]) for pair in same)
    assert not any(shared_problems("a", *pair[:1], "b", *pair[1:]) for pair in different)
    assert shared_problems("a", one, "a", one) == "one data set"


# --- models ---------------------------------------------------------------------------------------


def test_a_precision_that_rounds_a_known_base_is_refused(config):
    plan = planned(config, training={"dtype": "bfloat16"})
    with pytest.raises(UserError, match=r"training\.dtype: bfloat16 would round the float32 .* 'tiny'"):
        check_plan(plan)


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"training": {"sampling": {"max_new_tokens": 512}}}, "training.sampling"),
        ({"evaluation": {"sampling": {"max_new_tokens": 512}}}, "evaluation.sampling"),
        ({"evaluation": {"benchmarks": {"sums": {"max_new_tokens": 600}}}}, "evaluation.benchmarks.sums"),
    ],
)
def test_completions_that_leave_no_position_for_a_prompt_are_refused(config, changed, key):
    with pytest.raises(UserError) as error:
        check_plan(planned(config, **changed))
    assert f"{key}.max_new_tokens: " in str(error.value)
    assert "leaves none of the 512 positions of model 'tiny' for a prompt" in str(error.value)


@pytest.mark.parametrize(
    "study", sorted(path.stem for path in (REPOSITORY / "config/studies").glob("*.yaml"))
)
def test_every_shipped_study_passes_and_what_is_noticed_is_known(complete_config, tmp_path, study):
    plan = load_plan(study, complete_config)
    check_plan(plan, tmp_path)
    found = notices(plan)
    if study == "released-1.5b":  # D15: it asks for no box, and rewards nothing else
        assert len(found) == 1 and "does not ask for the format boxed" in found[0]
    elif study == "rates":  # the rate of all is LoRA's own
        assert len(found) == 1 and "settings.shared: trains lora exactly as setting 'tuned' does" in found[0]
    else:
        assert found == []


COUNTDOWN = {"train_dataset": "countdown-bare-train", "answer_format": "first-line"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            COUNTDOWN | {"answer_format": "first-line-number"},
            r"changed\.yaml, line \d+: answer_format: first-line-number finds no expression.*use first-line",
        ),
        (
            COUNTDOWN | {"reward": "released-reward"},
            r"reward: released-reward cannot check Countdown; set reward",
        ),
        (
            {
                "evaluation": {
                    "grader": "math-verify",
                    "benchmarks": {"sums": {"dataset": "countdown-3-test"}},
                }
            },
            r"evaluation\.grader: math-verify cannot check Countdown; set grader: rlvr",
        ),
        (
            {"evaluation": {"benchmarks": {"sums": {"dataset": "countdown-3-test"}}}},
            r"evaluation\.benchmarks\.sums\.answer_format: first-line-number finds no expression",
        ),
    ],
)
def test_graders_and_formats_by_which_no_expression_is_correct_are_refused(
    config, tmp_path, changed, message
):
    with pytest.raises(UserError, match=message):
        check_plan(planned(config, **changed), tmp_path)


# --- notices --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "notice"),
    [
        (
            {"prompt": "boxed", "answer_format": "answer-line"},
            r"changed\.yaml, line \d+: prompt: .*asks for boxed, which answer-line reads only without",
        ),
        (
            {"prompt": "answer-line", "answer_format": "boxed"},
            r"prompt: the prompt asks for answer-line, in which boxed finds no answer; change `prompt` or",
        ),
        ({"answer_format": "boxed"}, r"answer_format: the prompt does not ask for the format boxed"),
        (
            {"evaluation": {"prompt": "boxed"}},
            r"evaluation\.benchmarks\.sums: the prompt asks for boxed, in which first-line-number finds no",
        ),
        (
            {"training": {"soft_overlong": {"buffer_tokens": 6}}},
            r"buffer_tokens: 6 is all of sampling",
        ),
        ({"training": {"clip_high": 28}}, r"training\.clip_high: 28 hardly clips; 0\.28 is usual for dapo"),
        ({"training": {"learning_rate": 0.5}}, r"training\.learning_rate: 0\.5 is far above the usual rates"),
        (
            {"training": {"prompts_per_step": 4000}},
            r"prompts_per_step: 4,000 is more than the 3,000 problems of 'sums-train'",
        ),
        (
            {"settings": {"main": {}, "again": {"training": {"steps": 32}}}},
            r"settings\.again: trains lora exactly as setting 'main' does",
        ),
        (
            {"methods": [*LORA, {"method": "full"}], "settings": {"main": {"methods": ["lora"]}}},
            r"methods\[1\]: full is not trained, because no setting has it",
        ),
        (
            {"train_dataset": "arithmetic-l3-test"},
            r"benchmarks\.sums\.dataset: 'sums-test' is of split 'test', as the training data",
        ),
        (
            {
                **COUNTDOWN,
                "train_dataset": "countdown-train",
                "evaluation": {
                    "benchmarks": {"sums": {"dataset": "countdown-bare-train", "answer_format": "first-line"}}
                },
            },
            r"benchmarks\.sums\.dataset: 'countdown-bare-train' is of split 'train', as the training data",
        ),
    ],
)
def test_what_works_and_is_rarely_meant_is_noticed(config, changed, notice):
    found = [one for one in notices(planned(config, **changed)) if re.search(notice, one)]
    assert len(found) == 1


def test_the_command_prints_notices_and_stops_at_faults(config, capsys, monkeypatch):
    from rlvr.cli import main

    planned(config, training={"clip_high": 28})
    assert main(["plan", "changed"]) == 0
    assert "warning: config/studies/changed.yaml, line " in capsys.readouterr().err
    planned(config, train_dataset="sums-test")
    assert main(["plan", "changed"]) == 1
    assert "is the training data 'sums-test'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("user", "answer_format", "contradicts"),
    [
        ("{problem} Put the answer in \\boxed{}.", "boxed", False),
        ("{problem} Put the answer in a box.", "boxed", False),
        ("{problem} End with a line `Answer: X`, or with \\boxed{X}.", "boxed", False),
        ("{problem}", "first-line-number", False),
        ("{problem} End with `Answer: X`.", "answer-line", False),
        ("{problem} Put the answer in \\boxed{}.", "first-line-number", True),
        ("{problem} End with `Answer: X`.", "boxed", True),
        ("{problem}", "answer-line", True),
        ("{problem} Put it in <answer> </answer> tags.", "answer-tag", False),
        ("{problem} Put it in <answer> </answer> tags.", "first-line", True),
        ("{problem}", "answer-tag", True),
        ("{problem} Reply with the expression alone.", "first-line", False),
    ],
)
def test_a_prompt_and_an_answer_format_agree_or_not(user, answer_format, contradicts):
    assert (format_notice(Prompt(user=user), answer_format) is not None) == contradicts


def test_arithmetic_is_the_same_only_if_the_entry_is():
    entry = {"source": "arithmetic", "levels": ["L1"], "operations": ["+"], "split": "train", "size": 9}
    one, other = ArithmeticData(**entry), ArithmeticData(**entry, seed=1)
    assert shared_problems("a", one, "b", one) and shared_problems("a", one, "b", other) is None
