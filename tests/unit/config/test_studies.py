"""A study over the one that it extends: what null takes out, and where a fault is."""

import shutil
from pathlib import Path

import pytest
import yaml

from rlvr.config.reference import INTRODUCTION
from rlvr.config.schema import Study
from rlvr.config.studies import load_study, merged
from rlvr.errors import UserError
from rlvr.planning.plan import configs, fingerprints, load_plan


@pytest.fixture
def studies(repository: Path, tmp_path: Path) -> Path:
    """A copy of the studies beside the catalogues."""
    shutil.copytree(repository / "config", tmp_path / "config")
    return tmp_path / "config" / "studies"


def child(studies: Path, text: str, parent: str = "demo") -> Study:
    path = studies / "child.yaml"
    path.write_text(f"extends: {parent}\ntitle: A child\n{text}")
    return load_study(path)[0]


def test_null_removes_a_benchmark_and_resets_a_key(studies):
    study = child(
        studies,
        "answer_format: null\n"
        "training: {warmup_steps: null, rollout_batch_size: null}\n"
        "evaluation: {benchmarks: {differences: null}}\n",
    )
    assert list(study.evaluation.benchmarks) == ["sums"]
    assert study.answer_format == "boxed"
    assert (study.training.warmup_steps, study.training.rollout_batch_size) == (0, 256)
    assert study.training.steps == 32, "what is not named stays"


def test_null_removes_a_setting_and_a_whole_block(studies):
    (studies / "small.yaml").write_text("extends: grid\ntitle: x\nsettings: {rank16: null, grpo: null}\n")
    names = list(child(studies, "settings: {rank1: null}\n", "small").settings)
    assert names == ["main", "rank4", "lr-low", "lr-high", "dr-grpo"]
    assert list(child(studies, "settings: null\n", "grid").settings) == ["main"]


def test_null_stays_a_value_where_it_is_one(studies):
    study = child(studies, "training: {soft_overlong: null, dynamic_sampling: null}\n")
    assert study.training.soft_overlong is None
    assert study.training.dynamic_sampling is None, "off, and not the algorithm's default"


@pytest.mark.parametrize("key", ["training", "models", "methods", "train_dataset"])
def test_null_cannot_take_out_what_is_needed(studies, key):
    with pytest.raises(UserError, match=rf"child\.yaml, line 3: {key}: this key is required"):
        child(studies, f"{key}: null\n")


def test_null_for_what_the_parent_does_not_have_is_no_way_to_leave_a_value_out(studies):
    with pytest.raises(UserError, match=r"training\.checkpoint_every: .*there is no value"):
        child(studies, "training: {checkpoint_every: null}\n")


def test_null_in_a_setting_resets_a_key_of_training_and_a_parameter(studies):
    child(
        studies,
        "methods: [{method: lora, parameters: {rank: 8, alpha: 16}}]\n"
        "settings:\n  main: {}\n"
        "  plain: {parameters: {rank: null, alpha: null}, training: {warmup_steps: null}}\n",
    )
    named = configs(load_plan("child", studies.parent))
    main, plain = (named[f"train/tiny--lora--recommended--{name}--s0"] for name in ("main", "plain"))
    assert (main.training.warmup_steps, plain.training.warmup_steps) == (5, 0)
    assert (main.parameters["rank"], plain.parameters["rank"]) == (8, 32)


def test_the_example_of_the_documentation_does_what_it_says(studies):
    block = INTRODUCTION.split("```yaml")[2].split("```")[0]
    values = yaml.safe_load(block)
    (studies / "child.yaml").write_text(yaml.safe_dump(values))
    study, _ = load_study(studies / "child.yaml")
    assert values["extends"] == "demo" and list(study.evaluation.benchmarks) == ["sums"]
    assert (study.training.warmup_steps, study.training.soft_overlong) == (0, None)


def test_without_a_type_null_replaces():
    assert merged({"a": 1, "b": {"c": 1}}, {"a": None, "b": {"c": None}}) == {"a": None, "b": {"c": None}}


def test_without_null_a_child_is_as_before(studies):
    child(studies, "description: x\n")
    before = fingerprints(configs(load_plan("demo", studies.parent)))
    after = fingerprints(configs(load_plan("child", studies.parent)))
    assert before.keys() == after.keys()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  steps: 32", "  steps: many", r"demo\.yaml, line 27: training\.steps: .*'many'"),
        ("models: [tiny]", "models: [tny]", r"demo\.yaml, line 7: models: 'tny' is not known"),
        (
            "warmup_steps: 5",
            "warmup_steps: 70",
            r"demo\.yaml, line 31: training: warmup_steps 70 leaves",
        ),
    ],
)
def test_a_fault_of_the_parent_is_named_with_its_file_and_line(studies, old, new, message):
    path = studies / "demo.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    (studies / "child.yaml").write_text("extends: demo\ntitle: A child\n")
    with pytest.raises(UserError, match=message):
        load_plan("child", studies.parent)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("extends: [demo]\n", r"line 1: extends: a name has only small letters"),
        ("extends: ../demo\n", r"line 1: extends: a name has only small letters"),
        ("extends: dmeo\n", r"line 1: extends: 'dmeo' is not known; did you mean 'demo'\?"),
        ("extends: child\n", r"line 1: extends: child -> child is circular"),
        ("extends: list\n", r"list\.yaml: a study must be a mapping"),
    ],
)
def test_a_parent_that_is_none_is_named_with_the_line(studies, text, message):
    (studies / "child.yaml").write_text(text)
    (studies / "list.yaml").write_text("- a\n")
    with pytest.raises(UserError, match=message):
        load_study(studies / "child.yaml")


def test_the_line_of_a_list_is_that_of_the_item(studies):
    with pytest.raises(UserError, match=r"child\.yaml, line 5: models: 'tnyy' is not known"):
        child(studies, "models:\n  - tiny\n  - tnyy\n")
        load_plan("child", studies.parent)


SCALE = "title: ignored\nmodels: [tiny]\ntraining: {steps: 3}\n"
PARENT = """
title: Parent
shows: [table3]
models: [large]
methods: [{method: lora}]
train_dataset: sums-train
training:
  {steps: 100, prompts_per_step: 16, group_size: 8, learning_rate: 1.0e-5, sampling: {max_new_tokens: 9}}
evaluation:
  sampling: {max_new_tokens: 9}
  benchmarks: {sums: {dataset: sums-test, title: Sums, samples_per_problem: 2}}
"""


def scaled(folder: Path, text: str, scale: str = SCALE) -> Study:
    """Load a study at the scale `small` of a parent that shows Table 3."""
    (folder / "studies").mkdir(exist_ok=True)
    (folder / "scales").mkdir(exist_ok=True)
    (folder / "scales" / "small.yaml").write_text(scale)
    (folder / "studies" / "parent.yaml").write_text(PARENT)
    (folder / "studies" / "child.yaml").write_text(text)
    return load_study(folder / "studies" / "child.yaml")[0]


def test_a_scale_is_between_the_study_and_its_parent(tmp_path):
    study = scaled(tmp_path, "extends: parent\nscale: small\ntitle: Mine\ntraining: {group_size: 4}\n")
    training = study.training
    assert (study.title, study.models) == ("Mine", ["tiny"])
    assert (training.steps, training.group_size, training.prompts_per_step) == (3, 4, 16)
    assert (study.scaled_from, study.scale, study.shows) == ("parent", "small", ["table3"])


def test_what_a_study_shows_and_its_scale_are_not_inherited(tmp_path):
    study = scaled(tmp_path, "extends: parent\ntitle: Another\n")
    assert (study.scaled_from, study.shows) == (None, [])


@pytest.mark.parametrize(
    ("text", "scale", "message"),
    [
        ("extends: parent\nscale: smal\n", SCALE, r"child.yaml, line 2: scale: 'smal' is not known; did you"),
        ("extends: parent\nscale: small\n", "extends: parent\n", r"small.yaml: a scale must be a mapping"),
        (
            "extends: parent\nscale: small\n",
            "training: {stps: 3}\n",
            r"small.yaml, line 1: training.stps: un",
        ),
        (PARENT + "scale: small\n", SCALE, r"a scale is laid over the study that is extended"),
    ],
)
def test_a_wrong_scale_is_named_with_its_file(tmp_path, text, scale, message):
    with pytest.raises(UserError, match=message):
        scaled(tmp_path, text, scale)


def test_every_study_measures_what_training_unlearns(repository):
    """On something that the models are not trained on; for built-in ones, what they were pretrained on."""
    for path in sorted((repository / "config" / "studies").glob("*.yaml")):
        study = load_study(path)[0]
        named = {one.dataset for one in study.evaluation.benchmarks.values() if one.forgetting}
        if study.tune:  # it has validation problems alone
            continue
        assert named and study.train_dataset not in named, path


def test_one_benchmark_must_measure_what_is_learned(studies):
    with pytest.raises(UserError, match="benchmarks: all have `forgetting: true`"):
        child(studies, "evaluation: {benchmarks: {sums: null}}\n")
