"""How a study is evaluated: presets that it names and changes, prompts by name."""

import shutil
from pathlib import Path

import pytest
import yaml

from rlvr.config.catalogue import EvaluationCatalogue, PromptCatalogue
from rlvr.config.loading import load_yaml
from rlvr.config.training import Prompt
from rlvr.errors import UserError
from rlvr.planning.plan import (
    Plan,
    configs,
    fingerprints,
    generate_configs,
    grade_configs,
    load_plan,
    train_configs,
)


@pytest.fixture
def config(repository: Path, tmp_path: Path) -> Path:
    """A copy of the configuration that a test may change."""
    shutil.copytree(repository / "config", tmp_path / "config")
    return tmp_path / "config"


def planned(config: Path, **changed: object) -> Plan:
    """Return the demo with other values in its evaluation; None takes a key out."""
    path = config / "studies" / "demo.yaml"
    study = yaml.safe_load(path.read_text())
    study["evaluation"] |= changed
    study["evaluation"] = {key: value for key, value in study["evaluation"].items() if value is not None}
    (config / "studies" / "changed.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    return load_plan("changed", config)


def test_the_authors_settings_as_a_preset(config):
    plan = planned(config, preset="released", sampling=None)
    generation, grading = next(generate_configs(plan)), next(grade_configs(plan))
    assert generation.sampling.model_dump() == {"temperature": 0.7, "top_p": 0.9, "max_new_tokens": 31744}
    assert generation.prompt.user.endswith('Remember to put your answer on its own line after "Answer:".')
    assert (generation.seed, generation.shared_seed, plan.study.seed) == (42, True, 0)
    assert (grading.grader, grading.answer_format) == ("released-eval", "answer-line")


PAPER = {
    "aime24": ("HuggingFaceH4/aime_2024", "train", 32),
    "aime25": ("yentinglin/aime_2025", "train", 32),
    "amc23": ("zwhe99/amc23", "test", 32),
    "hmmt25": ("MathArena/hmmt_feb_2025", "train", 32),  # theirs: FlagEval/HMMT_2025, see datasets.yaml
    "math500": ("HuggingFaceH4/MATH-500", "test", 4),
    "minerva": ("math-ai/minervamath", "test", 4),
}
"""Benchmark -> repository, split and k of the authors' script (`perl/eval.py`) and the paper's Table 2."""


def test_the_papers_study_measures_as_the_paper_says(repository):
    plan = load_plan("paper-1.5b", repository / "config")
    entries = plan.datasets.datasets
    of_the_paper = [one for one in generate_configs(plan) if one.reference_format is None]
    found = {
        one.benchmark: (entries[one.dataset].repo, entries[one.dataset].split, one.samples_per_problem)
        for one in of_the_paper
    }
    assert found == PAPER
    for one in of_the_paper:
        assert one.sampling.model_dump() == {"temperature": 0.6, "top_p": 0.95, "max_new_tokens": 32768}
        assert one.prompt.user == plan.prompts.prompts["boxed"].user and one.prompt.system is None
        assert (one.seed, one.shared_seed) == (42, False)
    assert entries[plan.study.train_dataset].config == "all"


def test_what_the_study_says_replaces_the_preset_value_by_value(config):
    own = {"sampling": {"max_new_tokens": 12}, "seed": 0, "shared_seed": False, "grader": "rlvr"}
    plan = planned(config, preset="released", **own)
    generation = next(generate_configs(plan))
    assert generation.sampling.model_dump() == {"temperature": 0.7, "top_p": 0.9, "max_new_tokens": 12}
    assert (generation.seed, generation.shared_seed) == (0, False)
    assert "Answer:" in generation.prompt.user
    assert next(grade_configs(plan)).grader == "rlvr"


def test_recommended_asks_as_in_training(config):
    plan = planned(config, preset="recommended")
    assert next(generate_configs(plan)).prompt == next(train_configs(plan)).prompt
    assert next(grade_configs(plan)).answer_format == plan.study.answer_format == "first-line-number"


def test_without_a_preset_everything_is_as_the_study_says(config):
    plan = planned(config)
    assert plan.study.evaluation.grader == "rlvr"
    assert next(generate_configs(plan)).sampling.temperature == 1.0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"preset": "relaesed"}, r"evaluation\.preset: 'relaesed' is not known; did you mean 'released'\?"),
        ({"prompt": "boxd"}, r"evaluation\.prompt: 'boxd' is not known; did you mean 'boxed'\?"),
        ({"prompt": {"usr": "x"}}, r"evaluation\.prompt\.usr: unknown key; did you mean 'user'\?"),
        ({"prompt": {"user": "x"}}, r"evaluation\.prompt: user must contain \{problem\}"),
        ({"prompt": 3}, r"evaluation\.prompt: .*\(the value is 3\)"),
        ({"grader": "released-evl"}, r"evaluation\.grader: .*did you mean 'released-eval'\?"),
        ({"sampling": None}, r"evaluation\.sampling: this key is required"),
        ({"sampling": {"temperature": 0.5}}, r"evaluation\.sampling\.max_new_tokens: this key is required"),
    ],
)
def test_a_wrong_value_names_key_value_and_the_nearest_known_one(config, changed, message):
    with pytest.raises(UserError, match=message) as error:
        planned(config, **changed)
    assert len(str(error.value).splitlines()) == 1, "one fault, one line"


def test_a_training_prompt_may_be_named_too(config):
    path = config / "studies" / "demo.yaml"
    text = path.read_text().replace("rates: demo-rates\n", "")  # tuned with another prompt
    path.write_text(text + "prompt: think-boxed\n")
    assert "<think>" in (next(train_configs(load_plan("demo", config))).prompt.system or "")
    path.write_text(text + "prompt: think_boxed\n")
    with pytest.raises(UserError, match=r"prompt: 'think_boxed' .*did you mean 'think-boxed'\?"):
        load_plan("demo", config)


def changed_configs(config: Path, before: dict[str, str]) -> set[str]:
    after = fingerprints(configs(load_plan("changed", config)))
    return {name.partition("/")[0] for name in before if before[name] != after[name]}


def test_another_grader_changes_no_configuration_that_a_completion_depends_on(config):
    """The manifest names grader and seeds for the report."""
    before = fingerprints(configs(planned(config)))
    planned(config, grader="released-eval")
    assert changed_configs(config, before) == {"grade", "study"}
    planned(config, shared_seed=True)
    assert changed_configs(config, before) == {"generate", "study"}


def test_configurations_hold_the_text_of_a_prompt_and_not_where_it_is_from(config):
    plan = planned(config, prompt="boxed")
    assert type(next(generate_configs(plan)).prompt) is Prompt
    before = fingerprints(configs(plan))
    path = config / "prompts.yaml"
    text = path.read_text()
    path.write_text(text.replace("lighteval\n", "another source\n"))
    assert changed_configs(config, before) == set()
    path.write_text(text.replace("Please reason", "Reason"))
    assert changed_configs(config, before) == {"generate"}


def test_the_catalogues_say_where_their_entries_come_from(repository):
    prompts = load_yaml(repository / "config" / "prompts.yaml", PromptCatalogue).prompts
    evaluations = load_yaml(repository / "config" / "evaluations.yaml", EvaluationCatalogue).evaluations
    assert set(evaluations) == {"paper", "released", "recommended"}
    for entry in evaluations.values():
        assert entry.reason
        assert entry.prompt is None or entry.prompt in prompts


def test_merged_weights_are_rounded_once(config):
    found = [one.merged_dtype for one in generate_configs(planned(config, merged_dtype="bfloat16"))]
    assert found == ["bfloat16", "bfloat16"]
    with pytest.raises(UserError, match=r"merged_dtype: weights rounded to bfloat16 would be rounded again"):
        planned(config, merged_dtype="bfloat16", dtype="float16")
