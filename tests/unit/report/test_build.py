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
from tests.helpers.report_tree import METHODS, answer, build, edit, write_tree

# Self-contained, deterministic, safe


def test_same_inputs_elsewhere_give_the_same_bytes(html, tmp_path):
    assert build(write_tree(tmp_path, not_run=("ia3",))) == html


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
    assert page.all("h1")[0]["text"] == "Which method should one train with? <Demo & check>"


# Structure


def test_order_of_the_sections(page):
    ids = [e["attributes"]["id"] for e in page.all("section")]
    assert ids == ["verdict", "methods", "training", "cost", "samples", "provenance"]
    assert ids == [e["attributes"]["href"][1:] for e in page.all("a", page.all("nav")[0])]


def test_landmarks_and_anchors(page):
    assert page.all("html")[0]["attributes"]["lang"] == "en"
    assert len(page.all("h1")) == 1 and len(page.all("main")) == 1
    ids = [e["attributes"]["id"] for e in page.elements if "id" in e["attributes"]]
    assert len(ids) == len(set(ids))
    anchors = [e["attributes"]["href"] for e in page.all("a") if e["attributes"]["href"].startswith("#")]
    assert anchors[0] == "#content" and len(anchors) > 7
    assert {anchor[1:] for anchor in anchors} <= set(ids)


def test_tables_are_accessible(page):
    for table in page.all("table"):
        assert len(page.all("caption", table)) == 1
        assert all(e["attributes"]["scope"] in ("col", "row") for e in page.all("th", table))
        (box,) = [e for e in table["within"] if e["attributes"].get("class") == "scroll"]
        assert box["attributes"]["data-scroll"] and "tabindex" not in box["attributes"]
    sortable = [e for e in page.all("th") if "aria-sort" in e["attributes"]]
    assert len(sortable) >= 6 and not page.all("button")


def test_every_figure_has_a_role_a_title_and_a_description(page):
    figures = page.all("svg")
    assert len(figures) > 60
    for figure in figures:
        assert figure["attributes"]["role"] == "img"
        assert page.all("title", figure)[0]["text"] and page.all("desc", figure)[0]["text"]


# Agrees with the tables


def test_results_show_what_was_simulated(tree, page):
    rows = {row[0].split()[0]: row for row in page.table("Accuracy in %")}
    assert list(rows) == list(METHODS)
    for method in set(METHODS) - {"ia3"}:
        name = "tiny--base" if method == "base" else f"tiny--{method}--recommended--main--s0"
        sums, products = tree.correct[name, "sums"].mean(), tree.correct[name, "products"].mean()
        uncontaminated = tree.correct[name, "products"][3:].mean()
        shown = [float(cell.split()[0]) for cell in rows[method][1:5]]
        means = [50 * (sums + products), 50 * (sums + uncontaminated), 100 * sums, 100 * products]
        assert shown == pytest.approx(means, abs=0.051)
        assert rows[method][5] == f"{METHODS[method][1]:,}"


def test_intervals_are_beside_their_values(tree, page):
    summary = pd.read_csv(tree.results / "tables" / "summary.csv", keep_default_na=False)
    here = (summary.method == "lora") & (summary.benchmark == "sums") & (summary.metric == "avg@8")
    value, low, high = summary.loc[here, ["value", "ci_low", "ci_high"]].astype(float).iloc[0]
    (row,) = [row for row in page.table("Accuracy in %") if row[0].startswith("lora ")]
    assert row[3] == f"{100 * value:.1f} {100 * low:.1f} to {100 * high:.1f}"


def test_the_number_of_training_seeds_is_beside_the_numbers(page, tmp_path):
    names = [row[0] for row in page.table("Accuracy in %")]
    assert all("1 training seed" in name for name in names if not name.startswith(("base", "ia3")))
    assert "Each method was trained with 1 training seed" in answer(page)
    several = Page(build(write_tree(tmp_path, methods=("base", "lora", "full"), train_seeds=3, steps=20)))
    assert [row[0] for row in several.table("Accuracy in %")][1:] == [
        "lora 3 training seeds",
        "full 3 training seeds",
    ]
    assert "1 training seed" not in answer(several)


def test_missing_training_seeds_are_reported(tmp_path):
    tree = write_tree(tmp_path, methods=("base", "lora"), train_seeds=3, steps=20)
    edit(tree.results / "tables" / "summary.csv", lambda f: f.assign(train_seeds=f.train_seeds.clip(upper=1)))
    names = [row[0] for row in Page(build(tree)).table("Accuracy in %")]
    assert names == ["base (untrained)", "lora 1 of 3 training seeds"]


def test_paired_differences_are_those_of_the_table(tree, page):
    frame = pd.read_csv(tree.results / "tables" / "comparisons.csv", keep_default_na=False)
    here = frame[(frame.baseline == "lora") & (frame.benchmark == "products")].set_index("method")
    rows = page.table("Accuracy minus that of lora, Products")
    assert [row[0].split()[0] for row in rows] == [m for m in METHODS if m not in ("base", "lora")]
    for row in rows[:-1]:
        expected = here.loc[row[0].split()[0]]
        assert float(row[2].split()[0].replace("−", "-")) == pytest.approx(
            100 * expected.difference, abs=0.051
        )
        assert float(row[5]) == pytest.approx(100 * expected.minimum_detectable, abs=0.051)
        assert row[4] == text.p_value(expected.p_holm).replace("\xa0", " ")
    assert rows[-1][:2] == ["ia3", "not run"]


def test_nothing_is_set_in_bold_among_the_values(page):
    assert not [e for e in page.elements if e["tag"] in ("b", "strong", "mark")]


def test_contaminated_problems_are_counted_beside_the_benchmark(page):
    assert [(row[1], row[-1]) for row in page.table("Benchmarks.")] == [
        ("sums-test", "0 of 160"),
        ("products-test", "3 of 90"),
    ]
    assert "results/demo/tables/contamination.csv" in [row[0] for row in page.table("Files")]


# Partial results


def test_without_a_count_of_contaminated_problems_the_page_says_nothing_about_them(small):
    (small.results / "tables" / "contamination.csv").unlink()
    page = Page(build(small))
    setup = page.by_id("setup")
    assert "contaminated" not in setup["text"].lower()
    assert "results/demo/tables/contamination.csv" not in [row[0] for row in page.table("Files")]
    assert [row[-1] for row in page.table("Benchmarks.")] == ["160"]


def test_a_method_without_a_baseline_to_pair_with_is_not_called_not_run(small):
    def unpaired(frame):
        return frame[~((frame.baseline == "base") & (frame.method == "dora"))]

    edit(small.results / "tables" / "comparisons.csv", unpaired)
    rows = Page(build(small)).table("Accuracy minus that of base, Overall")
    assert [row[1] for row in rows] == ["", "no comparable baseline run"]


def test_what_was_not_run_is_marked(page):
    (row,) = [row for row in page.table("Accuracy in %") if row[0].startswith("ia3")]
    assert row == ["ia3 not run", *["not run"] * 4, "–", "–"]
    runs = {row[0]: row[1] for row in page.table("Runs.")}
    assert runs["tiny--ia3--recommended--main--s0"] == "not run"
    assert runs["tiny--lora--recommended--main--s0"] == "finished"
    assert "Not run: ia3." in answer(page)
    titles = {page.all("title", figure)[0]["text"]: figure["text"] for figure in page.all("svg")}
    assert "not run" in titles["Mean reward of ia3"] and "not run" not in titles["Mean reward of lora"]


def test_weight_sync_noise_and_mismatch_are_plotted_with_the_training(page):
    described = {page.all("title", figure)[0]["text"]: figure["text"] for figure in page.all("svg")}
    assert "from 0.58 at step 1 to 0.12" in described["Weight-sync noise-to-signal ratio of lora"]
    kl = described["Mismatch KL (nats per token) of lora"]
    assert re.search(r"from 0\.000\d+ at step 1 to 0\.000\d+ at step 60", kl)


def test_a_study_of_which_only_the_untrained_model_was_run(tmp_path):
    tree = write_tree(tmp_path, methods=("base", "lora", "dora"), not_run=("lora", "dora"))
    page = Page(build(tree))
    assert "No method has been compared with the untrained tiny yet." in answer(page)
    assert [row[1] for row in page.table("Accuracy in %")][1:] == ["not run", "not run"]


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
    page = Page(build(tree))
    assert [row[:2] for row in page.table("Accuracy in %")] == [
        [name, model]
        for model in ("tiny", "small")
        for name in ("base (untrained)", "lora · recommended 1 training seed", "full · paper 1 training seed")
    ]
    assert len([e for e in page.all("p") if e["attributes"].get("class") == "answer"]) == 2


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
