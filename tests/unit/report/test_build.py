"""The report: agrees with the tables, is safe with hostile text, is complete when runs are missing."""

import json
import re
import shutil

import pandas as pd
import pytest

from rlvr.errors import UserError
from rlvr.report import text
from rlvr.report.build import content_security_policy
from tests.helpers.report_page import Page
from tests.helpers.report_tree import METHODS, Tree, build, edit, write_tree

SMALL = {"sums": (20, 4), "products": (12, 2)}

# Self-contained, deterministic, safe


def test_same_inputs_elsewhere_give_the_same_bytes(tree, html, tmp_path):
    shutil.copytree(tree.root, tmp_path, dirs_exist_ok=True)
    assert build(Tree(tmp_path, tree.study)) == html


def test_nothing_is_requested_from_anywhere(html, page):
    meta = [e["attributes"] for e in page.all("meta") if "http-equiv" in e["attributes"]]
    (script,) = [e["text"] for e in page.all("script") if not e["attributes"]]
    assert [m["content"] for m in meta] == [content_security_policy(page.all("style")[0]["text"], script)]
    assert "unsafe" not in meta[0]["content"]
    for element in page.elements:
        for name, value in element["attributes"].items():
            if name in ("src", "href", "srcset", "action", "xlink:href", "data") and element["tag"] != "a":
                assert value.startswith(("data:", "#")), (element["tag"], value)
    assert "@import" not in html and "url(" not in html


def test_hostile_text_stays_text(html, page):
    assert [e["attributes"].get("type") for e in page.all("script")] == ["application/json", None]
    assert not page.all("img")
    assert not [e for e in page.elements if any(name.startswith("on") for name in e["attributes"])]
    assert "&lt;script&gt;document.title=&#39;owned&#39;&lt;/script&gt;" in html
    completions = [e["text"] for e in page.all("pre") if e["attributes"].get("class") == "completion"]
    assert any("<script>document.title='owned'</script>" in completion for completion in completions)
    assert any("</pre></td></table><img src=x onerror=alert(1)>" in completion for completion in completions)
    assert any(
        "\\u202egnp.exe {{ 7 * 7 }} {% raw %} \\u0000\\u001b[31m" in completion for completion in completions
    )
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", html)
    assert "Which method should one train with? <Demo & check>" in page.by_id("verdict")["text"]


# Structure


def test_order_of_the_sections(page):
    ids = [e["attributes"]["id"] for e in page.all("section")]
    assert ids == ["verdict", "claims", "methods", "training", "cost", "samples", "provenance"]
    assert ids == [e["attributes"]["href"][1:] for e in page.all("a", page.all("nav")[0])]


def test_landmarks_and_anchors(page):
    assert page.all("html")[0]["attributes"]["lang"] == "en"
    assert len(page.all("h1")) == 1 and len(page.all("main")) == 1
    ids = [e["attributes"]["id"] for e in page.elements if "id" in e["attributes"]]
    assert len(ids) == len(set(ids))
    anchors = [e["attributes"]["href"] for e in page.all("a") if e["attributes"]["href"].startswith("#")]
    assert anchors[0] == "#content" and len(anchors) > 7
    assert {anchor[1:].split("?")[0] for anchor in anchors} <= set(ids)


def test_tables_are_accessible(page):
    for table in page.all("table"):
        assert len(page.all("caption", table)) == 1
        assert all(e["attributes"]["scope"] in ("col", "row") for e in page.all("th", table))
        (box,) = [e for e in table["within"] if e["attributes"].get("class") == "scroll"]
        assert box["attributes"]["data-scroll"] and "tabindex" not in box["attributes"]
    sortable = [e for e in page.all("th") if "aria-sort" in e["attributes"]]
    assert len(sortable) >= 6 and not any(
        page.all("button", header) for header in page.all("th", page.all("thead")[0])
    )


def test_figures_have_a_role_a_title_and_a_description_and_small_plots_are_hidden(page):
    figures = page.all("svg")
    sparks = [figure for figure in figures if figure["attributes"]["class"] == "spark"]
    assert len(sparks) == len(METHODS) and len(figures) - len(sparks) > 6
    for figure in figures:
        if figure in sparks:
            assert figure["attributes"]["aria-hidden"] == "true"
            continue
        assert figure["attributes"]["role"] == "img"
        assert page.all("title", figure)[0]["text"] and page.all("desc", figure)[0]["text"]


# Agrees with the tables


def test_accuracies_are_those_that_were_simulated(tree, page):
    rows = page.methods()
    assert set(rows) == set(METHODS) - {"base"} | {"base (untrained)"}
    for method in set(METHODS) - {"ia3"}:
        name = "tiny--base" if method == "base" else f"tiny--{method}--recommended--main--s0"
        sums, products = tree.correct[name, "sums"].mean(), tree.correct[name, "products"].mean()
        uncontaminated = tree.correct[name, "products"][3:].mean()
        row = rows["base (untrained)" if method == "base" else method]
        columns = ("avg", "overall_uncontaminated-avg", "sums-avg", "products-avg")
        means = [50 * (sums + products), 50 * (sums + uncontaminated), 100 * sums, 100 * products]
        assert [float(row[column].split()[0]) for column in columns] == pytest.approx(means, abs=0.051)
        if method != "base":
            assert row["parameters"] == f"{METHODS[method][1]:,}"


def test_the_best_method_is_first_and_the_untrained_model_and_what_was_not_run_last(page):
    rows = page.methods()
    assert next(iter(rows)) == "base (untrained)" and list(rows)[-1] == "ia3"
    values = [float(row["avg"].split()[0]) for row in list(rows.values())[1:-1]]
    assert values == sorted(values, reverse=True)


def test_intervals_are_beside_their_values(tree, page):
    summary = pd.read_csv(tree.results / "tables" / "summary.csv", keep_default_na=False)
    here = (summary.method == "lora") & (summary.benchmark == "sums") & (summary.metric == "avg@8")
    value, low, high = summary.loc[here, ["value", "ci_low", "ci_high"]].astype(float).iloc[0]
    assert page.methods()["lora"]["sums-avg"] == f"{100 * value:.1f} {100 * low:.1f}–{100 * high:.1f}"


def test_the_number_of_training_seeds_is_said_once(page, tmp_path):
    (caption,) = page.all("caption", page.by_id("methods-table"))
    assert "Accuracy in %, 1\xa0training seed per method" in caption["text"]
    tree = write_tree(tmp_path, methods=("base", "lora", "full"), train_seeds=3, steps=20, benchmarks=SMALL)
    edit(
        tree.folder.table("summary"),
        lambda f: f.assign(train_seeds=f.train_seeds.where(f.method != "lora", 1)),
    )
    several = Page(build(tree))
    (caption,) = several.all("caption", several.by_id("methods-table"))
    assert "1 to 3\xa0training seeds per method" in caption["text"]
    notes = {label: row["note"] for label, row in several.methods().items()}
    assert notes == {"base (untrained)": "", "lora": "1 of 3\xa0seeds".replace("\xa0", " "), "full": ""}


def test_paired_differences_are_those_of_the_table(tree, page):
    frame = pd.read_csv(tree.folder.table("comparisons"), keep_default_na=False)
    shown = page.methods()
    here = frame[(frame.baseline == "lora") & (frame.benchmark == "overall")].set_index("method")
    for method, expected in here.iterrows():
        row = shown[method]
        low, high = (text.points(expected[end], "") for end in ("ci_low", "ci_high"))
        assert row["difference"] == f"{text.points(expected.difference, '')} {low} to {high}"
        assert row["p"] == text.p_value(expected.p_holm).replace("\xa0", " ")
        assert float(row["detectable"]) == pytest.approx(100 * expected.minimum_detectable, abs=0.051)
    assert shown["ia3"]["difference"] == shown["lora"]["difference"] == "–"


def test_the_data_of_the_menus_are_the_tables(tree, page):
    data, rows = (
        page.data["methods"],
        [e["attributes"]["data-v"] for e in page.all("tr") if "data-v" in e["attributes"]],
    )
    frame = pd.read_csv(tree.folder.table("comparisons"), keep_default_na=False, na_values=[""])
    for row in frame.to_dict("records"):
        found, at = data["differences"][row["baseline"]][row["benchmark"]], rows.index(row["method"])
        low, high = text.points(row["ci_low"], ""), text.points(row["ci_high"], "")
        cells = {name: cells[at] for name, (_, cells) in found["columns"].items() if cells}
        assert cells["difference"][:2] == [text.points(row["difference"], ""), f"{low} to {high}"]
        assert cells["p"][0] == text.p_value(row["p_holm"])
        assert cells["detectable"][0] == text.percent(row["minimum_detectable"], "")
        assert cells["difference"][2] == pytest.approx(row["difference"], rel=1e-3, abs=1e-9)
        zero, _, _, left, right, dot, apart = found["plots"][at]
        assert left < dot < right and (dot > zero) == (row["difference"] > 0)
        assert apart == (row["p_holm"] < 0.05 and not row["ci_low"] <= 0 <= row["ci_high"])
    summary = pd.read_csv(tree.folder.table("summary"), keep_default_na=False, na_values=[""])
    lengths = summary[(summary.metric == "tokens_mean") & (summary.benchmark == "products")]
    for row in lengths.to_dict("records"):
        below, cells = data["values"]["products"]["tokens_mean"]
        assert below == "Products" and cells[rows.index(row["method"])][0] == f"{row['value']:.1f}"


def test_contaminated_problems_are_counted_beside_the_benchmark(page):
    assert [(row[1], row[-1]) for row in page.table("Benchmarks.")] == [
        ("sums-test", "0 of 160"),
        ("products-test", "3 of 90"),
    ]
    assert "  results/demo/tables/contamination.csv" in page.by_id("provenance")["text"]


# Partial results


def test_without_a_count_of_contaminated_problems_the_page_says_nothing_about_them(small):
    (small.results / "tables" / "contamination.csv").unlink()
    page = Page(build(small))
    setup = page.by_id("setup")
    assert "contaminated" not in setup["text"].lower()
    assert "tables/contamination.csv" not in page.by_id("provenance")["text"]
    assert "contaminated problems not counted" in page.by_id("verdict")["text"]
    assert [row[-1] for row in page.table("Benchmarks.")] == ["160"]


def test_what_was_not_run_is_marked(page):
    row = page.methods()["ia3"]
    assert row["note"] == "not run" and set(row.values()) == {"ia3 not run", "not run", "–", ""}
    runs = {row[0]: row[1] for row in page.table("Runs.")}
    assert runs["tiny--ia3--recommended--main--s0"] == "not run"
    assert runs["tiny--lora--recommended--main--s0"] == "finished"
    assert "Not run: ia3." in page.by_id("verdict")["text"]
    assert "ia3" not in [line["key"] for line in page.data["training"]["tiny"]["lines"]]


def test_weight_sync_noise_and_mismatch_are_among_the_curves_of_training(tree, page):
    panel = page.data["training"]["tiny"]
    assert {"noise", "mismatch", "reward", "length"} <= set(panel["y"])
    (line,) = [line for line in panel["lines"] if line["key"] == "lora"]
    log = pd.read_parquet(tree.folder.run("tiny--lora--recommended--main--s0").train_log)
    noise = log["sync/noise_to_signal"].rolling(6, center=True, min_periods=1).mean()
    assert line["y"]["noise"] == [None if pd.isna(one) else pytest.approx(one, rel=0.01) for one in noise]
    assert line["x"]["tokens"][-1] == pytest.approx(log["tokens/generated"].sum(), rel=0.01)


def test_what_is_nearly_constant_is_said_in_words(page):
    caption = page.all("figcaption", page.by_id("training"))[0]["text"]
    assert "nearly constant and not shown:" in caption and "batch filled (%) 100" in caption
    assert "filled" not in page.data["training"]["tiny"]["y"]


def test_a_study_of_which_only_the_untrained_model_was_run(tmp_path):
    tree = write_tree(tmp_path, methods=("base", "lora", "dora"), not_run=("lora", "dora"), benchmarks=SMALL)
    page = Page(build(tree))
    assert "No method has been compared with the untrained tiny yet." in page.by_id("verdict")["text"]
    assert [row["note"] for row in page.methods().values()] == ["", "not run", "not run"]


def test_without_a_pretraining_curve_there_is_no_section_for_it(small):
    shutil.rmtree(small.resources / "models")
    page = Page(build(small))
    assert "pretraining" not in [e["attributes"].get("id") for e in page.elements]


def test_several_models_benchmarks_and_presets(tmp_path):
    tree = write_tree(
        tmp_path, models=("tiny", "small"), methods=("base", "lora", "full"), steps=20,
        benchmarks={"sums": (20, 8), "aime24": (10, 16), "math500": (30, 4)},
    )  # fmt: skip
    for path in (
        tree.manifest,
        tree.results / "tables" / "summary.csv",
        tree.results / "tables" / "comparisons.csv",
        tree.folder.table("leader"),
        tree.results / "tables" / "budget.csv",
    ):
        if path.suffix == ".json":
            study = json.loads(path.read_text())
            study["runs"] = [
                r | ({"preset": "paper"} if r["method"] == "full" else {}) for r in study["runs"]
            ]
            path.write_text(json.dumps(study))
        else:
            edit(path, lambda f: f.assign(preset=f.preset.where(f.method != "full", "paper")))
    edit(
        tree.folder.table("leader"),
        lambda f: f.assign(leader_preset=f.leader_preset.where(f.leader != "full", "paper")),
    )
    page = Page(build(tree))
    keys = [
        e["attributes"]["data-v"]
        for e in page.all("tr", page.by_id("methods-table"))
        if "data-v" in e["attributes"]
    ]
    names = ("base", "lora.recommended", "full.paper")
    assert sorted(keys) == sorted(f"{model}.{name}" for model in ("tiny", "small") for name in names)
    assert [key.split(".")[0] for key in keys] == ["tiny"] * 3 + ["small"] * 3
    assert len([e for e in page.all("div") if e["attributes"].get("class") == "verdict"]) == 2


# Bad input


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: (t.results / "tables" / "summary.csv").unlink(), "summary.csv: file not found"),
        (lambda t: (t.results / "tables" / "summary.csv").write_text(""), "summary.csv: not a readable CSV"),
        (
            lambda t: edit(t.results / "tables" / "comparisons.csv", lambda f: f.drop(columns="p_holm")),
            "comparisons.csv: column 'p_holm' is missing",
        ),
        (
            lambda t: edit(t.results / "tables" / "summary.csv", lambda f: f.assign(se="about")),
            "summary.csv, line 2: se is 'about', not a number",
        ),
        (
            lambda t: edit(t.results / "tables" / "summary.csv", lambda f: f.assign(method="qlora")),
            "summary.csv, line 2: tiny qlora - - is not a run of",
        ),
        (
            lambda t: edit(t.results / "tables" / "summary.csv", lambda f: pd.concat([f, f])),
            "more than one avg@k on sums",
        ),
        (
            lambda t: edit(t.results / "tables" / "contamination.csv", lambda f: f.assign(contaminated="")),
            "contamination.csv, line 2: contaminated is empty, not a whole number",
        ),
        (lambda t: t.manifest.write_text('{"study": "demo"}'), "study.json: title: this key is required"),
        (
            lambda t: (t.resources / "data" / "sums-test.parquet").unlink(),
            "sums-test.parquet: file not found",
        ),
        (
            lambda t: next(t.results.glob("runs/*/train_log.parquet")).write_text("PAR1"),
            "train_log.parquet: not a readable Parquet file",
        ),
        (
            lambda t: next(t.results.glob("runs/*/run.json")).write_text(
                '{"format_version": 2, "run_info": {}}'
            ),
            "run.json: run_info.run: this key is required",
        ),
    ],
)
def test_a_damaged_input_is_named_and_nothing_is_written(small, spoil, message):
    spoil(small)
    with pytest.raises(UserError, match=re.escape(message)):
        build(small)
    assert not list((small.root / "reports").glob("*"))
