"""The verdict in five lines, from the tables."""

import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from rlvr.artifacts import StudyFolder
from rlvr.report.verdict import verdict_lines
from tests.helpers.report_tree import Tree, edit, fail, write_tree

METHODS = ("base", "full", "lora", "pissa", "ia3")
BENCHMARKS = {"sums": (60, 4), "products": (40, 2)}


def verdict(tree: Tree) -> dict[str, str]:
    lines = verdict_lines(tree.results, tree.resources, tree.root / "reports" / "demo.html")
    assert len(lines) == 5
    return {line[:10].strip(): line[10:].replace("\xa0", " ") for line in lines}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return write_tree(tmp_path_factory.mktemp("verdict"), methods=METHODS, benchmarks=BENCHMARKS)


@pytest.fixture
def tree(written: Tree, tmp_path: Path) -> Tree:
    """A copy of the tree that a test may edit."""
    shutil.copytree(written.root, tmp_path, dirs_exist_ok=True)
    return replace(written, root=tmp_path)


def test_the_best_method_its_tie_group_and_what_it_took(tree):
    summary = pd.read_csv(tree.folder.table("summary"))
    accuracy = summary[(summary["benchmark"] == "overall") & (summary["metric"] == "avg")]
    values = accuracy.set_index("method")["value"]
    leader = values.drop("base").idxmax()
    said = verdict(tree)
    assert said["Best"].startswith(f"{leader}, {100 * values[leader]:.1f} % overall, +")
    gain = 100 * (values[leader] - values["base"])
    assert f"+{gain:.1f} points over the untrained model" in said["Best"]
    assert said["How sure"].startswith("1 training seed: runs are told apart, not methods; differences ")
    assert said["Took"].startswith("4 training runs, 0 failed; ")
    assert said["Claims"] == "not answered"
    assert said["Report"].endswith("reports/demo.html")


@pytest.mark.parametrize(
    ("p_holm", "interval", "group"),
    [
        (0.01, (0.02, 0.06), "behind it"),
        (0.2, (0.02, 0.06), "not told apart"),
        (0.01, (-0.01, 0.06), "not told apart"),
    ],
)
def test_a_method_is_behind_where_p_and_interval_both_say_so(tree, p_holm, interval, group):
    def same(frame: pd.DataFrame) -> pd.DataFrame:
        frame["p_holm"], (frame["ci_low"], frame["ci_high"]) = p_holm, interval
        return frame

    edit(tree.folder.table("comparisons"), same)
    best = verdict(tree)["Best"]
    assert f"{group}: " in best
    other = {"behind it": "not told apart", "not told apart": "behind it"}[group]
    assert f"{other}: " not in best


def test_methods_that_the_study_does_not_compare_with_the_best_are_said(tree):
    edit(tree.folder.table("comparisons"), lambda frame: frame[frame["baseline"] == "base"])
    assert "; not compared with it: " in verdict(tree)["Best"]


def test_failed_runs_are_counted(tree):
    fail(tree, next(run for run in _runs(tree.folder) if "pissa" in run))
    assert verdict(tree)["Took"].startswith("4 training runs, 1 failed; ")


def test_several_seeds_compare_methods(tmp_path):
    said = verdict(
        write_tree(tmp_path, methods=("base", "lora", "full"), benchmarks=BENCHMARKS, train_seeds=2)
    )
    assert said["How sure"].startswith("2 training seeds: the variation between seeds is included")


def _runs(folder: StudyFolder) -> list[str]:
    return sorted(path.name for path in (folder.root / "runs").iterdir())
