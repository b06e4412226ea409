"""A study with `tune` as a grid of rates on validation problems, and which of its keys go together."""

import shutil
from pathlib import Path

import pytest
import yaml

from rlvr.config.schema import Study
from rlvr.config.studies import load_study
from rlvr.errors import UserError

VALIDATION = {"dataset": "sums-tuning", "title": "Validation", "samples_per_problem": 4}


@pytest.fixture
def studies(repository: Path, tmp_path: Path) -> Path:
    """A copy of the studies beside the catalogues."""
    shutil.copytree(repository / "config", tmp_path / "config")
    return tmp_path / "config" / "studies"


def study(studies: Path, name: str = "changed", extends: str = "demo", **changed: object) -> Study:
    content = {"extends": extends, "title": "Changed", **changed}
    (studies / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return load_study(studies / f"{name}.yaml")[0]


def test_factors_become_settings_and_validation_the_only_benchmark(studies):
    tuning = study(studies, tune={"validation": VALIDATION, "factors": [3, 0.1, 1]})
    assert {name: one.learning_rate_factor for name, one in tuning.settings.items()} == {
        "x0.1": 0.1,
        "x1": 1,
        "x3": 3,
    }
    assert {one.rate for one in tuning.settings.values()} == {None}
    assert {name: one.dataset for name, one in tuning.evaluation.benchmarks.items()} == {
        "validation": "sums-tuning"
    }
    assert tuning.tune.apart_from == ["sums-test", "differences-test"], "the benchmarks are its test data"
    assert tuning.contrasts.model_dump() == {"methods": ["base"], "presets": [], "settings": []}


def test_plain_rates_are_the_same_for_all_methods(studies):
    tuning = study(studies, tune={"validation": VALIDATION, "rates": [5e-2, 1e-3], "apart_from": ["math500"]})
    assert {name: one.training["learning_rate"] for name, one in tuning.settings.items()} == {
        "r0.001": 1e-3,
        "r0.05": 5e-2,
    }
    assert {one.rate for one in tuning.settings.values()} == {"shared"}
    assert tuning.tune.apart_from == ["sums-test", "differences-test", "math500"]


@pytest.mark.parametrize(
    ("tune", "message"),
    [
        ({}, "tune: give either `factors` or `rates`"),
        ({"factors": [1, 2], "rates": [1e-3, 1e-2]}, "tune: give either `factors` or `rates`"),
        ({"factors": [1]}, "factors: a choice needs two values or more"),
        ({"rates": [1e-3, 0.001]}, "rates: 0.001 is listed twice"),
        ({"rates": [1e-3, 1e-2], "around": {"lora": 2}}, "around: it goes with `factors`"),
        ({"factors": [0, 1]}, "factors.0: .*greater than 0"),
    ],
)
def test_a_grid_that_is_none_is_refused(studies, tune, message):
    with pytest.raises(UserError, match=message) as error:
        study(studies, tune={"validation": VALIDATION, **tune})
    assert "changed.yaml, line" in str(error.value)


def test_settings_beside_tune_are_refused_with_the_way_out(studies):
    tune = {"validation": VALIDATION, "factors": [1, 3]}
    with pytest.raises(UserError, match=r"settings: the settings of a study with `tune` are its rates.*null"):
        study(studies, extends="grid", tune=tune)
    assert list(study(studies, extends="grid", settings=None, tune=tune).settings) == ["x1", "x3"]


def test_a_study_tunes_or_has_tuned_rates(studies):
    tune = {"validation": VALIDATION, "factors": [1, 3]}
    with pytest.raises(UserError, match="rates: a study that tunes has no tuned rates"):
        study(studies, tune=tune, rates="demo-rates")
    with pytest.raises(UserError, match=r"settings\.main\.rate: `tuned` needs the key `rates`"):
        study(studies, settings={"main": {"rate": "tuned"}})


def test_rates_hold_for_the_study_that_names_them_and_not_for_its_heirs(studies):
    assert study(studies, name="parent", rates="demo-rates").rates == "demo-rates"
    assert study(studies, extends="parent").rates is None
    assert study(studies, extends="parent", rates="others").rates == "others"


def test_what_a_grid_greedily_samples_is_sampled_once(studies):
    """The checks of an evaluation hold for the benchmark that it gets."""
    greedy = {
        "sampling": {"temperature": 0},
        "benchmarks": {"differences": None, "sums": {"samples_per_problem": 1}},
    }
    tune = {"validation": VALIDATION, "factors": [1, 3]}
    with pytest.raises(UserError, match=r"validation\.samples_per_problem: with sampling\.temperature 0"):
        study(studies, tune=tune, evaluation=greedy)
