"""What the report shows beside accuracies: lengths, budgets, contamination, seeds, settings, faults."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rlvr.report import build_report
from tests.helpers.report_page import Page
from tests.helpers.report_tree import MORE_METHODS, Tree, write_tree


def build(tree: Tree) -> Page:
    output = tree.root / "report.html"
    build_report(tree.manifest, tree.results, tree.resources, output)
    return Page(output.read_text(encoding="utf-8"))


def table(tree: Tree, name: str) -> pd.DataFrame:
    return pd.read_csv(tree.results / "tables" / f"{name}.csv", keep_default_na=False, na_values=[""])


def titles(page: Page) -> dict[str, str]:
    """The descriptions of all figures by their titles."""
    return {page.all("title", f)[0]["text"]: page.all("desc", f)[0]["text"] for f in page.all("svg")}


@pytest.fixture(scope="module")
def one(tmp_path_factory) -> tuple[Tree, Page]:
    """One training seed, contaminated products."""
    tree = write_tree(tmp_path_factory.mktemp("one"), methods=("base", "full", "lora", "vera"), steps=20)
    return tree, build(tree)


@pytest.fixture(scope="module")
def three(tmp_path_factory) -> tuple[Tree, Page]:
    """Three training seeds, nothing contaminated."""
    tree = write_tree(
        tmp_path_factory.mktemp("three"), methods=("base", "full", "lora"), steps=20, train_seeds=3,
        contaminated=0, benchmarks={"sums": (40, 4), "products": (30, 4)},
    )  # fmt: skip
    return tree, build(tree)


def test_lengths_and_times_are_those_of_the_samples(one):
    tree, page = one
    rows = [row for row in page.table("Tokens per completion") if row[0] == "vera 1 training seed"]
    assert [row[1] for row in rows] == ["Sums", "Products"]
    for name, row in zip(("sums", "products"), rows, strict=True):
        run = "tiny--vera--recommended--main--s0"
        samples = pd.read_parquet(tree.results / "samples" / run / f"{name}.parquet")
        correct = tree.correct[run, name].reshape(-1)
        tokens = samples["n_tokens"]
        assert row[2:] == [
            f"{tokens.mean():.1f}",
            *(f"{np.quantile(tokens, share, method='inverted_cdf'):.0f}" for share in (0.5, 0.95)),
            *(f"{tokens[which].mean():.1f}" for which in (correct, ~correct)),
            "0.0100",
            f"{0.01 * len(samples):.1f}",
        ]


def test_untruncated_accuracy_is_beside_the_truncation_rate(one):
    tree, page = one
    (row, *_) = [row for row in page.table("Accuracy, untruncated only") if row[0].startswith("lora")]
    run = "tiny--lora--recommended--main--s0"
    untruncated = pd.read_parquet(tree.folder.samples(run, "sums"))["finish_reason"] == "stop"
    correct = tree.correct[run, "sums"].reshape(-1)
    assert row[:3] == ["lora 1 training seed", "Sums", f"{100 * correct[untruncated].mean():.1f} %"]
    assert row[3] == f"{100 * (correct & untruncated).mean():.1f} %"
    grades = pd.read_parquet(tree.results / "grades" / run / "sums.parquet")
    assert row[4] == f"{100 * grades['lenient'].mean():.1f} %" and grades["lenient"].sum() > correct.sum()
    assert row[9] == f"{100 * (~untruncated).mean():.1f} %" and not untruncated.all()


def test_one_sample_per_problem_has_no_rerun_error_and_is_not_called_not_run(tmp_path):
    benchmarks = {"sums": (12, 2), "products": (12, 1)}
    page = build(write_tree(tmp_path, methods=("base", "lora"), benchmarks=benchmarks, steps=5))
    rows = {(row[0].split()[0], row[1]): row[-1] for row in page.table("Accuracy, untruncated only")}
    assert rows["lora", "Products"] == "n/a"
    assert rows["lora", "Sums"] not in ("n/a", "not run")


def test_a_study_without_untruncated_completions_says_so(tmp_path):
    tree = write_tree(tmp_path, methods=("base", "lora"), benchmarks={"sums": (12, 2)}, steps=5)
    path = tree.results / "tables" / "summary.csv"
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    frame.loc[frame.metric.str.endswith("/untruncated"), ["value", "se", "ci_low", "ci_high"]] = ""
    frame.to_csv(path, index=False)
    assert {row[2] for row in build(tree).table("Accuracy, untruncated only")} == {"n/a"}


def test_contaminated_and_uncontaminated_problems_have_accuracies_of_their_own(one):
    tree, page = one
    rows = {row[0]: row for row in page.table("Contaminated and uncontaminated problems")}
    assert list(rows) == ["base (untrained)", *(f"{m} 1 training seed" for m in ("full", "lora", "vera"))]
    correct = tree.correct["tiny--full--recommended--main--s0", "products"]
    shown = [float(cell.split()[0]) for cell in rows["full 1 training seed"][1:]]
    assert shown == pytest.approx([100 * correct[:3].mean(), 100 * correct[3:].mean()], abs=0.051)
    heads = [e["text"] for e in page.all("th") if e["attributes"]["scope"] == "col"]
    assert "Products, contaminated 3\xa0problems" in heads
    assert "Products, uncontaminated 87\xa0problems" in heads
    assert any(head.startswith("Uncontaminated avg") for head in heads)
    assert "results/demo/tables/contaminated_problems.csv" in [row[0] for row in page.table("Files")]


def test_without_contamination_no_table_mentions_it(three):
    _, page = three
    words = [e["text"] for e in page.all("th")] + [e["text"] for e in page.all("summary")]
    assert not [word for word in words if "ncontaminated" in word]
    assert not [e for e in page.all("h3") if "ontaminated" in e["text"]]


def test_the_sample_weighted_mean_is_labelled(one):
    tree, page = one
    rows = {row[0]: row for row in page.table("Other means")}
    correct = np.concatenate([tree.correct["tiny--base", name].reshape(-1) for name in ("sums", "products")])
    assert float(rows["base (untrained)"][1].split()[0]) == pytest.approx(100 * correct.mean(), abs=0.051)
    assert len(rows["lora 1 training seed"]) == 2  # no IQM


def test_iqm_and_probability_of_improvement_need_three_training_seeds(one, three):
    tree, page = three
    summary, comparisons = table(tree, "summary"), table(tree, "comparisons")
    rows = {row[0]: row for row in page.table("Other means")}
    iqm = summary[(summary.metric == "iqm") & (summary.method == "lora")].iloc[0]
    assert rows["lora 3 training seeds"][2] == (
        f"{100 * iqm.value:.1f} {100 * iqm.ci_low:.1f} to {100 * iqm.ci_high:.1f}"
    )
    assert rows["base (untrained)"][2] == "–"
    pair = (comparisons.method == "full") & (comparisons.baseline == "lora")
    chance = comparisons[pair & (comparisons.benchmark == "overall")].iloc[0]
    (row,) = page.table("Accuracy minus that of lora, Overall")
    assert row[-1] == (
        f"{chance.probability_of_improvement:.2f} "
        f"{chance.improvement_ci_low:.2f} to {chance.improvement_ci_high:.2f}"
    )
    assert len(row) == 8 and len(page.table("Accuracy minus that of base, Overall")[0]) == 7
    assert "P (improvement)" in [e["text"] for e in page.all("th")]
    assert not [e for e in one[1].all("th") if e["text"] in ("P (improvement)", "Interquartile (IQM)")]


def test_one_training_seed_is_mentioned_beside_every_number(one):
    _, page = one
    captions = [
        "Accuracy in %",
        "Contaminated and",
        "Other means",
        "Accuracy, untruncated only",
        "Tokens per",
    ]
    captions += [f"Accuracy minus that of {b}, {n}," for b in ("base", "lora") for n in ("Overall", "Sums")]
    for caption in captions:
        names = [row[0] for row in page.table(caption)]
        assert all(name.endswith("1 training seed") for name in names if not name.startswith("base")), caption
    for section in ("pass-at-k", "budget"):
        part = page.by_id(section)
        headings = [e["text"] for tag in ("h4", "summary") for e in page.all(tag, part)]
        assert headings and all(text.endswith("1\xa0training seed per method") for text in headings)
    scatter = page.by_id("parameters")
    assert "1\xa0training seed per method" in scatter["text"]


def test_budget_curves_are_those_of_the_table_and_end_at_the_accuracy(one):
    tree, page = one
    described = titles(page)["Accuracy of lora within a token budget, Products"].replace("\xa0", "")
    shown = {int(b): float(v) for b, v in re.findall(r"(\d+) ([\d.]+)%", described)}
    budget = table(tree, "budget")
    mine = budget[(budget.method == "lora") & (budget.benchmark == "products")].set_index("budget")["value"]
    assert shown == pytest.approx({int(b): 100 * v for b, v in mine.items()}, abs=0.051) and len(shown) > 5
    correct = tree.correct["tiny--lora--recommended--main--s0", "products"]
    assert shown[max(shown)] == pytest.approx(100 * correct.mean(), abs=0.051)


def test_each_preset_has_a_scatter_plot_of_its_own_with_the_same_axes(tmp_path):
    tree = write_tree(
        tmp_path, methods=("base", "full", "lora", "vera"), presets=("paper", "recommended"), steps=5,
        benchmarks={"sums": (20, 2)},
    )  # fmt: skip
    page = build(tree)
    scatters = [f for f in page.all("svg") if "trainable parameters (log scale)" in f["text"]]
    names = [page.all("title", f)[0]["text"].rsplit(" ", 1)[1] for f in scatters]
    assert names == ["paper", "recommended"]
    ticks = [
        [(e["attributes"]["x"], e["attributes"]["y"], e["text"]) for e in page.all("text", figure)
         if e["attributes"]["class"] == "tick"]
        for figure in scatters
    ]  # fmt: skip
    assert ticks[0] == ticks[1] and len(ticks[0]) > 4
    labels = [e["text"] for e in page.all("text", scatters[0]) if e["attributes"]["class"] == "label"]
    assert {"full", "lora", "vera"} <= set(labels)


def test_rows_that_are_not_what_their_name_says_say_so(tmp_path):
    tree = write_tree(
        tmp_path, methods=("base", "lora", "miss", "pissa"), presets=("released",), steps=5,
        benchmarks={"sums": (20, 2)},
    )  # fmt: skip
    assert MORE_METHODS["miss"]
    assert "really" not in build(tree).all("main")[0]["text"].lower()
    study = json.loads(tree.manifest.read_text())
    changes = {"miss": {"trains_as": "lora"}, "pissa": {"faults": ["in_place_merge", "pissa_reload"]}}
    study["runs"] = [run | changes.get(run["method"], {}) for run in study["runs"]]
    tree.manifest.write_text(json.dumps(study))
    page = build(tree)
    names = [row[0] for row in page.table("Accuracy in %")]
    assert names[2:] == [
        "miss (really lora) 1 training seed",
        "pissa 1 training seed reproduces: in place merge and pissa reload",
    ]
    for caption in ("Accuracy minus that of base, Overall", "Tokens per", "Accuracy, untruncated only"):
        assert any(row[0].startswith("miss (really lora)") for row in page.table(caption)), caption
    headers = [e["text"].strip() for e in page.all("th") if e["attributes"]["scope"] == "row"]
    assert not [text for text in headers if text.startswith("miss") and "lora" not in text]
    assert "Mean reward of miss (really lora)" in titles(page)
    setup = page.by_id("setup")["text"]
    assert "pissa: in place merge and pissa reload" in setup and "Misnamed methods" in setup


@pytest.mark.parametrize("name", ["budget", "comparisons"])
def test_a_table_of_an_older_version_is_named(tmp_path: Path, name: str):
    tree = write_tree(tmp_path, methods=("base", "lora"), benchmarks={"sums": (12, 2)}, steps=5)
    column = {"budget": "budget", "comparisons": "probability_of_improvement"}[name]
    path = tree.results / "tables" / f"{name}.csv"
    pd.read_csv(path, keep_default_na=False).drop(columns=column).to_csv(path, index=False)
    with pytest.raises(Exception, match=f"{name}.csv: column '{column}' is missing"):
        build(tree)


def test_another_grader_and_a_shared_seed_are_reported(tmp_path):
    tree = write_tree(tmp_path, methods=("base", "lora"), steps=5, benchmarks={"sums": (20, 2)})

    def setup() -> str:
        return build(tree).by_id("setup")["text"]

    assert "Graded by" not in setup() and "Sampling seed" not in setup()
    study = json.loads(tree.manifest.read_text())
    tree.manifest.write_text(json.dumps(study | {"grader": "released-eval", "shared_seed": True}))
    assert "Graded by" in setup() and "released-eval" in setup() and "copies of one sample" in setup()
