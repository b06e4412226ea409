"""`config/audit.yaml`, the page made from it, and the presets that reproduce the released code agree."""

import re
from dataclasses import astuple
from pathlib import Path
from typing import get_args

import pytest
import yaml

from rlvr.analysis.inputs.groups import Group
from rlvr.analysis.tables.contrasts import pairs_of
from rlvr.config.audit import Audit, Contrast, Difference, Side
from rlvr.config.audit_reference import RESULTS, reference_text
from rlvr.config.catalogue import EvaluationCatalogue, PromptCatalogue
from rlvr.config.loading import load_yaml
from rlvr.config.presets import Fault, MethodFile, Preset
from rlvr.errors import UserError
from rlvr.planning.plan import load_plan, study_manifest, train_configs
from tests.helpers.paths import REPOSITORY

CONFIG = REPOSITORY / "config"
AUDIT = load_yaml(CONFIG / "audit.yaml", Audit)
ADAPTERS_SHARE = {"dynamic_sampling": None, "soft_overlong": None, "importance_cap": 2.0}


def presets_of(method: str) -> dict[str, Preset]:
    return load_yaml(CONFIG / "methods" / f"{method}.yaml", MethodFile).presets


def released_presets() -> dict[str, Preset]:
    """Method -> its preset `released`, for all methods that have one."""
    files = {path.stem: presets_of(path.stem) for path in (CONFIG / "methods").glob("*.yaml")}
    return {method: presets["released"] for method, presets in files.items() if "released" in presets}


def test_the_page_is_generated_from_the_data() -> None:
    results = REPOSITORY / RESULTS
    page = reference_text(CONFIG, results)
    assert (REPOSITORY / "docs" / "released-code.md").read_text() == page, "run: make schemas"


@pytest.mark.parametrize("difference", AUDIT.differences, ids=lambda difference: difference.id)
def test_what_reproduces_a_difference_exists(difference: Difference) -> None:
    for use in difference.presets:
        preset = presets_of(use.method)[use.preset]
        assert preset.trains_as == use.trains_as or use.trains_as is None, use
        assert set(use.faults) <= set(preset.faults), use
    assert (
        set(difference.evaluations)
        <= load_yaml(CONFIG / "evaluations.yaml", EvaluationCatalogue).evaluations.keys()
    )
    assert set(difference.prompts) <= load_yaml(CONFIG / "prompts.yaml", PromptCatalogue).prompts.keys()


def test_every_fault_and_every_confused_method_is_explained() -> None:
    uses = [use for difference in AUDIT.differences for use in difference.presets]
    shared = {fault for difference in AUDIT.differences for fault in difference.faults}
    for method, preset in released_presets().items():
        own = [use for use in uses if (use.method, use.preset) == (method, "released")]
        explained = shared | {fault for use in own for fault in use.faults}
        assert set(preset.faults) <= explained, method
        assert preset.trains_as in {None, *(use.trains_as for use in own)}, method
    assert {fault for preset in released_presets().values() for fault in preset.faults} == set(
        get_args(Fault)
    )


def test_all_released_adapters_share_what_the_page_says() -> None:
    shared = {fault for difference in AUDIT.differences for fault in difference.faults}
    for method, preset in released_presets().items():
        assert preset.training == ADAPTERS_SHARE, method
        assert method == "full" or shared <= set(preset.faults), method


def test_presets_cite_differences_that_are_explained() -> None:
    texts = [path.read_text() for path in (CONFIG / "methods").glob("*.yaml")]
    cited = {number for text in texts for number in re.findall(r"\bD\d+\b", text)}
    assert cited
    assert cited <= {difference.id for difference in AUDIT.differences}


SIDES = [
    pytest.param(contrast, id=f"{difference.id}-{contrast.code.label}")
    for difference in AUDIT.differences
    for contrast in difference.contrasts
]


@pytest.mark.parametrize("contrast", SIDES)
def test_every_contrast_is_a_pair_that_its_study_compares(contrast: Contrast) -> None:
    manifest = study_manifest(load_plan(contrast.study, CONFIG))
    counts = {"train_seeds": 1, "planned_seeds": 1, "trainable_parameters": 0, "device_seconds": 0.0}
    groups = [Group(*astuple(variant), **counts, scores={}) for variant in manifest.variants]
    pairs = {
        frozenset({label_of(pair.method), label_of(pair.baseline)})
        for pair in pairs_of(groups, manifest.variants, manifest.contrasts)
    }
    assert frozenset({contrast.code.label, contrast.text.label}) in pairs


def label_of(group: Group) -> str:
    return Side(method=group.method, preset=group.preset, setting=group.setting).label


def test_a_pair_of_the_audit_differs_in_nothing_that_is_not_named() -> None:
    """Two presets of a method in one setting share all that the other released runs change (D15)."""
    configs = train_configs(load_plan("audit-mini", CONFIG))
    runs = {(one.method, one.preset, one.setting): one for one in configs}
    for contrast in (contrast for difference in AUDIT.differences for contrast in difference.contrasts):
        code, text = (runs[side.method, side.preset, side.setting] for side in (contrast.code, contrast.text))
        if code.setting == text.setting and code.method == text.method:
            assert code.training.model_dump(exclude={"learning_rate"}) == text.training.model_dump(
                exclude={"learning_rate"}
            )
            assert "in_place_merge" not in code.faults


def test_the_miniature_measures_most_differences() -> None:
    measured = [difference.id for difference in AUDIT.differences if difference.contrasts]
    assert len(measured) >= 15
    assert "D8b" in measured


def changed(folder: Path, edit) -> Path:
    data = yaml.safe_load((CONFIG / "audit.yaml").read_text())
    edit(data["sections"][0]["differences"])
    (folder / "audit.yaml").write_text(yaml.safe_dump(data))
    return folder / "audit.yaml"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda rows: rows.pop(1), "number them D1 to D19 in order"),
        (lambda rows: rows[2].pop("here"), "name what reproduces it"),
        (lambda rows: rows[0]["where"][0].update(commit="HEAD"), "commit"),
        (lambda rows: rows[3]["presets"][0].update(faults=["no_such"]), "no_such"),
        (lambda rows: rows[0].pop("contrasts"), "give either `contrasts`"),
        (lambda rows: rows[0].update(unmeasured="no reason"), "give either `contrasts`"),
    ],
)
def test_an_audit_with_a_gap_is_refused(edit, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        load_yaml(changed(tmp_path, edit), Audit)
