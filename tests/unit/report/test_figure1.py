"""The paper's curves and accuracies are in the figures of a study of its model, and in no other."""

from pathlib import Path

import pandas as pd
import pytest

from rlvr.analysis.claims.answer import answer_claims
from rlvr.files import read_json, write_json
from rlvr.report.figure1 import CURVES, DATASET, MODEL
from tests.helpers.paths import SHARED_DATA
from tests.helpers.report_page import Page
from tests.helpers.report_tree import Tree, build, write_tree

NUMBERS = SHARED_DATA.parent / "paper" / "results.csv"


@pytest.fixture
def tree(repository: Path, tmp_path: Path) -> Tree:
    """A small study of the paper's model and data, two methods of which are in Figure 1."""
    tree = write_tree(
        tmp_path, methods=("base", "lora", "dora", "rslora"), models=(MODEL,), study="paper-1.5b",
        presets=("paper",), steps=10, benchmarks={"sums": (40, 4), "products": (20, 4)}, contaminated=0,
    )  # fmt: skip
    write_json(tree.manifest, read_json(tree.manifest) | {"train_dataset": DATASET})
    answer_claims(tree.manifest, tree.results, repository / "config", tree.folder.claims)
    return tree


def published(page: Page) -> dict[str, dict]:
    """Return the paper's lines in the panel of training, by label."""
    (panel,) = page.data["training"].values()
    return {line["label"]: line for line in panel["lines"] if line["kind"] == "published"}


def test_the_papers_curves_are_dotted_lines_of_the_methods_that_it_shows(tree):
    page = Page(html := build(tree))
    lines = published(page)
    assert set(lines) == {"dora, the paper", "lora, the paper"}
    given = pd.read_csv(CURVES).query("method == 'dora'")
    assert lines["dora, the paper"]["x"] == {"step": given["step"].tolist()}
    assert lines["dora, the paper"]["y"] == {"correct": given["correct"].tolist()}
    assert "the share of correct completions in the paper (Figure 1" in html


def test_the_papers_accuracies_are_beside_the_methods_at_their_cost(tree):
    html = build(tree)
    assert "the paper's accuracy, at our cost" in html
    figure = html[html.index('id="cost"') :].split("</svg>")[0]
    assert figure.count('class="paper"') == 3


def test_another_model_or_other_data_have_neither(tree):
    write_json(tree.manifest, read_json(tree.manifest) | {"train_dataset": "sums-train"})
    assert not published(Page(build(tree)))


def test_the_miniature_has_neither(small):
    html = build(small)
    assert not published(Page(html)) and "the paper's accuracy, at our cost" not in html


@pytest.mark.skipif(not NUMBERS.exists(), reason="the digitised figure is not beside this checkout")
def test_the_curves_are_those_of_the_source():
    """As digitised, with the points that could not be read left out."""
    source = pd.read_csv(NUMBERS).query("table == 'Fig1-right'")
    steps = source["setting"].str.extract(r"step=(\d+)")[0].astype(int)
    read = source["value"] != "not found"
    names = source["method"].str.lower().replace({"lora+": "lora_plus"}).str.replace("-", "_")
    expected = sorted(zip(names[read], steps[read], source["value"][read].astype(float), strict=True))
    assert sorted(pd.read_csv(CURVES).itertuples(index=False, name=None)) == expected
