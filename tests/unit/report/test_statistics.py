"""What the report shows beside accuracies: lengths, budgets, contamination, seeds, settings, faults."""

import json
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


def test_lengths_are_those_of_the_samples(one):
    tree, page = one
    run, row = "tiny--vera--recommended--main--s0", page.methods()["vera"]
    samples = pd.read_parquet(tree.results / "samples" / run / "sums.parquet")
    correct, tokens = tree.correct[run, "sums"].reshape(-1), samples["n_tokens"]
    expected = {
        "tokens_mean": tokens.mean(),
        "tokens_p50": np.quantile(tokens, 0.5, method="inverted_cdf"),
        "tokens_p95": np.quantile(tokens, 0.95, method="inverted_cdf"),
        "tokens_mean-correct": tokens[correct].mean(),
        "tokens_mean-incorrect": tokens[~correct].mean(),
    }
    assert {name: row[name] for name in expected} == {
        name: f"{value:.1f}" for name, value in expected.items()
    }
    assert row["generation"] == "0.0100" and "Sums" in page.columns()["tokens_mean"]


def test_rates_are_those_of_the_samples_and_grades(one):
    tree, page = one
    run, row = "tiny--lora--recommended--main--s0", page.methods()["lora"]
    untruncated = pd.read_parquet(tree.folder.samples(run, "sums"))["finish_reason"] == "stop"
    correct = tree.correct[run, "sums"].reshape(-1)
    grades = pd.read_parquet(tree.folder.grades(run, "sums"))
    assert row["avg-untruncated"] == f"{100 * correct[untruncated].mean():.1f}"
    assert row["avg-truncated_as_incorrect"] == f"{100 * (correct & untruncated).mean():.1f}"
    assert row["avg-lenient"] == f"{100 * grades['lenient'].mean():.1f}"
    assert row["truncation_rate"] == f"{100 * (~untruncated).mean():.1f}" and not untruncated.all()
    summary = table(tree, "summary").query("method == 'lora' and benchmark == 'sums'").set_index("metric")
    assert row["pass"] == f"{100 * summary.loc['pass@8', 'value']:.1f}"
    assert row["maj"] == f"{100 * summary.loc['maj@8', 'value']:.1f}"


def test_a_metric_that_is_not_known_is_a_dash(tmp_path):
    benchmarks = {"sums": (12, 1), "products": (12, 2)}
    tree = write_tree(tmp_path, methods=("base", "lora"), benchmarks=benchmarks, steps=5)
    path = tree.results / "tables" / "summary.csv"
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    frame.loc[frame.metric.str.endswith("/untruncated"), ["value", "se", "ci_low", "ci_high"]] = ""
    frame.to_csv(path, index=False)
    row = build(tree).methods()["lora"]
    assert row["rerun_se"] == row["avg-untruncated"] == "–" and row["avg"] != "–"


def test_contaminated_and_uncontaminated_problems_have_accuracies_of_their_own(one):
    tree, page = one
    correct = tree.correct["tiny--full--recommended--main--s0", "products"]
    row, names = (
        page.methods()["full"],
        [f"products-avg-{part}" for part in ("contaminated", "uncontaminated")],
    )
    shown = [float(row[name].split()[0]) for name in names]
    assert shown == pytest.approx([100 * correct[:3].mean(), 100 * correct[3:].mean()], abs=0.051)
    assert [page.columns()[name] for name in names] == ["Productscontaminated", "Productsuncontaminated"]
    assert "  results/demo/tables/contaminated_problems.csv" in page.by_id("provenance")["text"]


def test_without_contamination_no_column_mentions_it(three):
    _, page = three
    assert not [head for head in page.columns().values() if "ncontaminated" in head]
    assert "On Uncontaminated" not in page.by_id("verdict")["text"]


def test_the_sample_weighted_mean_is_labelled(one):
    tree, page = one
    correct = np.concatenate([tree.correct["tiny--base", name].reshape(-1) for name in ("sums", "products")])
    name = "overall_sample_weighted-avg"
    shown = page.methods()["base (untrained)"][name]
    assert float(shown.split()[0]) == pytest.approx(100 * correct.mean(), abs=0.051)
    assert page.columns()[name].startswith("Sample-weighted") and "overall-iqm" not in page.columns()


def test_iqm_and_probability_of_improvement_need_three_training_seeds(one, three):
    tree, page = three
    summary, comparisons = table(tree, "summary"), table(tree, "comparisons")
    iqm = summary[(summary.metric == "iqm") & (summary.method == "lora")].iloc[0]
    assert page.methods()["lora"]["overall-iqm"] == (
        f"{100 * iqm.value:.1f} {100 * iqm.ci_low:.1f}–{100 * iqm.ci_high:.1f}"
    )
    assert page.methods()["base (untrained)"]["overall-iqm"] == "–"
    pair = (comparisons.method == "full") & (comparisons.baseline == "lora")
    chance = comparisons[pair & (comparisons.benchmark == "overall")].iloc[0]
    assert page.methods()["full"]["improvement"] == f"{chance.probability_of_improvement:.2f}"
    assert "improvement" not in one[1].columns()


def test_the_number_of_training_seeds_is_beside_every_table_and_figure(one, three):
    for (_, page), words in (
        (one, "1\xa0training seed per method"),
        (three, "3\xa0training seeds per method"),
    ):
        (caption,) = page.all("caption", page.by_id("methods-table"))
        assert words in caption["text"]
        for section in ("training", "pass-at-k", "budget", "cost"):
            captions = page.all("figcaption", page.by_id(section))
            assert captions and words in captions[0]["text"], section


def test_budget_curves_are_those_of_the_table_and_end_at_the_accuracy(one):
    tree, page = one
    (line,) = [line for line in page.data["budget"]["tiny"]["lines"] if line["key"] == "lora"]
    shown = dict(zip(line["x"]["budget:products"], line["y"]["products"], strict=True))
    budget = table(tree, "budget")
    mine = budget[(budget.method == "lora") & (budget.benchmark == "products")].set_index("budget")["value"]
    assert shown == pytest.approx(mine.to_dict(), abs=0.002) and len(shown) > 5
    correct = tree.correct["tiny--lora--recommended--main--s0", "products"]
    assert shown[max(shown)] == pytest.approx(correct.mean(), abs=0.002)


def test_pass_at_k_is_that_of_the_table_and_its_gain_is_over_the_untrained_model(one):
    tree, page = one
    summary = table(tree, "summary").query("benchmark == 'sums'").set_index(["method", "metric"])["value"]
    (line,) = [line for line in page.data["pass-at-k"]["tiny"]["lines"] if line["key"] == "full"]
    assert line["x"]["k:sums"] == [1, 2, 4, 8]
    expected = [summary["full", f"pass@{k}"] for k in (1, 2, 4, 8)]
    gains = [summary["full", f"pass@{k}"] - summary["base", f"pass@{k}"] for k in (1, 2, 4, 8)]
    assert line["y"]["sums"] == pytest.approx(expected, abs=0.002)
    assert line["y"]["sums-gain"] == pytest.approx(gains, abs=0.002)


def test_the_pareto_line_is_of_those_that_none_beats_at_their_cost(one):
    _, page = one
    rows = {label: row for label, row in page.methods().items() if label in ("full", "lora", "vera")}
    cost = {label: int(row["parameters"].replace(",", "")) for label, row in rows.items()}
    avg = {label: float(row["avg"].split()[0]) for label, row in rows.items()}
    front = [a for a in rows if not any(cost[b] <= cost[a] and avg[b] > avg[a] for b in rows if b != a)]
    caption = page.all("figcaption", page.by_id("cost"))[0]["text"]
    named = caption.split("at least as accurate (")[1].split(")")[0].replace(" and ", ", ").split(", ")
    assert sorted(named) == sorted(front)


def test_rows_that_are_not_what_their_name_says_say_so(tmp_path):
    tree = write_tree(
        tmp_path, methods=("base", "lora", "miss", "pissa"), presets=("released",), steps=5,
        benchmarks={"sums": (20, 2)},
    )  # fmt: skip
    assert MORE_METHODS["miss"]
    study = json.loads(tree.manifest.read_text())
    changes = {"miss": {"trains_as": "lora"}, "pissa": {"faults": ["in_place_merge", "pissa_reload"]}}
    study["runs"] = [run | changes.get(run["method"], {}) for run in study["runs"]]
    tree.manifest.write_text(json.dumps(study))
    page = build(tree)
    rows = page.methods()
    assert rows["pissa"]["note"] == "reproduces: in place merge and pissa reload"
    assert "miss (really lora)" in rows and "miss" not in rows
    lines = {line["key"]: line["label"] for line in page.data["training"]["tiny"]["lines"]}
    assert lines["miss"] == "miss (really lora)"
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
