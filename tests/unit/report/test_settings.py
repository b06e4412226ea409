"""Studies with many settings of one method: labels, order, figures."""

import pandas as pd
import pytest

from rlvr.report import build_report
from rlvr.report.inputs import Inputs, read_inputs
from rlvr.report.text import points
from tests.helpers.report_page import Page
from tests.helpers.report_tree import Tree, write_tree

RANKS = ("rank1", "rank2", "rank4", "rank8", "rank16", "rank32", "rank64")
TEN = (*RANKS, "slow", "fast", "grpo")
SMALL = {"benchmarks": {"sums": (12, 2)}, "steps": 5}


def build(tree: Tree) -> Page:
    output = tree.root / "report.html"
    build_report(tree.manifest, tree.results, tree.resources, output)
    return Page(output.read_text(encoding="utf-8"))


def inputs_of(tree: Tree) -> Inputs:
    return read_inputs(tree.manifest, tree.results, tree.resources)


@pytest.fixture(scope="module")
def ten(tmp_path_factory) -> tuple[Tree, Page]:
    """LoRA alone, in ten settings."""
    settings = dict.fromkeys(TEN)
    tree = write_tree(tmp_path_factory.mktemp("ten"), methods=("base", "lora"), settings=settings, **SMALL)
    return tree, build(tree)


@pytest.fixture(scope="module")
def some(tmp_path_factory) -> tuple[Tree, Page]:
    """Five methods, and further settings of LoRA and DoRA."""
    settings = {"main": None, "rank1": ("lora",), "rank4": ("lora",), "grpo": ("lora", "dora")}
    methods = ("base", "full", "lora", "dora", "pissa", "vera")
    tree = write_tree(tmp_path_factory.mktemp("some"), methods=methods, settings=settings, **SMALL)
    return tree, build(tree)


def test_the_table_and_every_figure_have_one_label_per_setting(ten):
    _, page = ten
    labels = {f"lora · {setting}" for setting in TEN}
    assert set(page.methods()) == labels | {"base (untrained)"}
    for section in ("training", "pass-at-k"):
        lines = page.data[section]["tiny"]["lines"]
        assert {line["label"] for line in lines} - {"base (untrained)"} == labels, section
    (scatter, *_) = page.all("svg", page.by_id("cost"))
    assert {e["text"] for e in page.all("text", scatter) if "data-pin" in e["attributes"]} == labels


def test_settings_are_compared_with_the_untrained_model_and_with_the_first_one(ten):
    _, page = ten
    assert "points against the untrained model" in page.by_id("verdict")["text"]
    assert (
        "None of the 10 runs" in page.by_id("verdict")["text"]
        or "of the 10 runs" in page.by_id("verdict")["text"]
    )
    figure = page.all("svg", page.by_id("contrasts"))[0]
    described = page.all("desc", figure)[0]["text"]
    assert [one.split(" ")[2] for one in described.rstrip(".").split("; ")] == list(TEN[1:])


def test_settings_of_some_methods_are_named(some):
    _, page = some
    setup = page.by_id("setup")["text"]
    assert "rank1 (lora only)" in setup and "grpo (lora and dora only)" in setup and "main (" not in setup


def test_a_study_with_presets_compares_each_method_with_itself(tmp_path):
    tree = write_tree(
        tmp_path, methods=("base", "full", "lora"), presets=("recommended", "released"), **SMALL
    )
    page = build(tree)
    figure = page.all("svg", page.by_id("contrasts"))[0]
    rows = page.all("desc", figure)[0]["text"].rstrip(".").split("; ")
    assert [row.split(" ")[0] + row.split(" ")[2] for row in rows] == ["fullreleased", "lorareleased"]
    frame = pd.read_csv(tree.folder.table("comparisons"))
    expected = frame[(frame.contrast == "presets") & (frame.benchmark == "sums")].set_index("method")
    for row in rows:
        difference = expected.loc[row.split(" ")[0], "difference"]
        assert points(difference, "") in row
    assert set(page.data["methods"]["differences"]) >= {"base", "lora", "preset.recommended"}


def test_variants_of_one_method_are_side_by_side_whatever_the_order_of_the_study(some):
    tree, _ = some
    inputs = inputs_of(tree)
    shuffled = inputs.study.model_copy(
        update={"runs": sorted(inputs.study.runs, key=lambda run: run.setting)}
    )
    changed = Inputs(**{**vars(inputs), "study": shuffled})
    methods = [variant.method for variant in changed.variants]
    assert [a for a, b in zip(methods, [None, *methods], strict=False) if a != b] == list(
        dict.fromkeys(methods)
    )
    assert shuffled.variants != changed.variants


def test_settings_of_a_method_can_be_compared_with_another_of_its_settings(some):
    _, page = some
    keys = [
        e["attributes"]["data-v"]
        for e in page.all("tr", page.by_id("methods-table"))
        if "data-v" in e["attributes"]
    ]
    differences = page.data["methods"]["differences"]["setting.main"]["sums"]["plots"]
    compared = {key for key, one in zip(keys, differences, strict=True) if one}
    assert compared == {"lora.rank1", "lora.rank4", "lora.grpo", "dora.grpo"}
