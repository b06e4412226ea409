"""Studies with many settings of one method: labels, order, figures."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from rlvr.report import build_report
from rlvr.report.inputs import Inputs, read_inputs
from rlvr.report.sections.parameters import figure_groups
from rlvr.report.sections.training import reference_of
from tests.helpers.report_page import Page
from tests.helpers.report_tree import METHODS, Tree, write_tree

RANKS = ("rank1", "rank2", "rank4", "rank8", "rank16", "rank32", "rank64")
TEN = (*RANKS, "slow", "fast", "grpo")
SMALL = {"benchmarks": {"sums": (12, 2)}, "steps": 5}


def build(tree: Tree) -> Page:
    output = tree.root / "report.html"
    build_report(tree.manifest, tree.results, tree.resources, output)
    return Page(output.read_text(encoding="utf-8"))


def planned(root: Path, methods: tuple[str, ...], settings: Mapping, **options) -> Tree:
    """Write a study of which only the untrained model has been run."""
    return write_tree(
        root, methods=("base", *methods), not_run=methods, settings=settings, **options, **SMALL
    )


def inputs_of(tree: Tree) -> Inputs:
    return read_inputs(tree.manifest, tree.results, tree.resources)


def groups_of(tree: Tree) -> dict[str, list[str]]:
    """Title -> labels of each figure of accuracy against parameters."""
    inputs = inputs_of(tree)
    return {title: list(some.values()) for title, some in figure_groups(inputs, inputs.trained).items()}


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


def test_every_table_has_one_labelled_row_per_setting(ten):
    _, page = ten
    labels = [f"lora · {setting}" for setting in TEN]
    for caption in ("Accuracy in %", "Accuracy minus that of base, Sums", "Tokens per"):
        rows = [row[0].removesuffix(" 1 training seed") for row in page.table(caption)]
        assert [row for row in rows if not row.startswith("base")] == labels, caption
    titles = [page.all("title", figure)[0]["text"] for figure in page.all("svg")]
    for prefix in ("Mean reward of ", "pass@k of "):
        names = [title.removeprefix(prefix).split(",")[0] for title in titles if title.startswith(prefix)]
        assert names == labels, prefix


def test_the_answer_counts_runs_and_variants_where_a_method_has_several(ten):
    _, page = ten
    (sentence,) = [e["text"] for e in page.all("p") if e["attributes"].get("class") == "answer"]
    assert "of the 10 training runs" in sentence and "methods" not in sentence
    assert "Each variant was trained with 1 training seed" in page.all("main")[0]["text"]


def test_ten_settings_of_one_method_are_one_figure(ten):
    tree, page = ten
    assert groups_of(tree) == {"lora": list(TEN)}
    (scatter,) = [f for f in page.all("svg") if "trainable parameters (log scale)" in f["text"]]
    labels = [e["text"] for e in page.all("text", scatter) if e["attributes"]["class"] == "label"]
    assert set(TEN) <= set(labels)


def test_settings_of_few_methods_share_the_figure_of_the_others(some):
    tree, page = some
    names = ["full · main", "lora · main", "lora · rank1", "lora · rank4", "lora · grpo"]
    names += ["dora · main", "dora · grpo", "pissa · main", "vera · main"]
    assert groups_of(tree) == {"": names}
    assert [row[0].removesuffix(" 1 training seed") for row in page.table("Accuracy in %")][1:] == names
    setup = page.by_id("setup")["text"]
    assert "rank1 (lora only)" in setup and "grpo (lora and dora only)" in setup and "main (" not in setup


def test_settings_of_every_method_have_a_figure_each_unless_methods_are_fewer(tmp_path):
    four = planned(tmp_path / "4", ("full", "lora", "dora", "vera"), dict.fromkeys(("main", "grpo")))
    assert groups_of(four) == {name: ["full", "lora", "dora", "vera"] for name in ("main", "grpo")}
    settings = dict.fromkeys(("main", "rank1", "rank4", "grpo")) | {"rank16": ("dora",)}
    two = planned(tmp_path / "2", ("lora", "dora"), settings)
    assert groups_of(two) == {"lora": ["main", "rank1", "rank4", "grpo"], "dora": list(settings)}


def test_a_setting_of_less_than_half_of_the_methods_has_no_figure_of_its_own(tmp_path):
    methods = tuple(method for method in METHODS if method != "base")
    less = planned(tmp_path / "3", methods[:7], {"main": None, "grpo": methods[:3]})
    assert list(groups_of(less)) == [""] and len(groups_of(less)[""]) == 10
    half = planned(tmp_path / "4", methods[:7], {"main": None, "grpo": methods[:4]})
    assert groups_of(half) == {"main": list(methods[:7]), "grpo": list(methods[:4])}


def test_a_few_extra_settings_beside_two_presets_share_a_figure(tmp_path):
    methods = ("full", "lora", "dora", "pissa", "vera")
    settings = {"main": None, "rank1": ("lora",)}
    groups = groups_of(planned(tmp_path, methods, settings, presets=("paper", "recommended")))
    assert list(groups) == ["paper · main", "recommended · main", "Other presets and settings"]
    assert groups["Other presets and settings"] == [f"lora · {p} · rank1" for p in ("paper", "recommended")]


def test_training_curves_are_compared_with_the_nearest_lora(some):
    tree, page = some
    inputs = inputs_of(tree)
    references = {
        inputs.label(variant): reference and inputs.label(reference)
        for variant in inputs.trained
        for reference in [reference_of(inputs, variant)]
    }
    assert references == {
        **dict.fromkeys(["full · main", "dora · main", "pissa · main", "vera · main"], "lora · main"),
        **dict.fromkeys(["lora · rank1", "lora · rank4", "lora · grpo"], "lora · main"),
        "dora · grpo": "lora · grpo",
        "lora · main": None,
    }
    described = {page.all("title", f)[0]["text"]: page.all("desc", f)[0]["text"] for f in page.all("svg")}
    assert described["Mean reward of dora · grpo"].endswith("The dashed line is lora · grpo.")
    assert "dashed" not in described["Mean reward of lora · main"]
    training = page.by_id("training")["text"]
    assert "in panels of lora, its first variant" in training


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


def test_settings_of_a_method_have_a_table_of_their_own(some):
    _, page = some
    own = [
        row[0].removesuffix(" 1 training seed")
        for row in page.table("Accuracy minus that of lora · main, Sums")
    ]
    assert own == ["lora · rank1", "lora · rank4", "lora · grpo"]
    others = [row[0] for row in page.table("Accuracy minus that of lora, Sums")]
    assert others and not any(row.startswith("lora") for row in others)
    assert page.table("Accuracy minus that of dora · main, Sums")[0][0].startswith("dora · grpo")
