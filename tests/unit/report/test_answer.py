"""The answer: what the comparisons say, about runs or about methods, and nothing else."""

import pandas as pd
from rlvr.report.sections.answer import ONE_RUN

from rlvr.report import text
from tests.helpers.report_page import Page
from tests.helpers.report_tree import answer, build, edit, write_tree


def test_the_answer_follows_the_comparisons(tree, html):
    (sentence,) = [e["text"] for e in Page(html).all("p") if e["attributes"].get("class") == "answer"]
    frame = pd.read_csv(tree.results / "tables" / "comparisons.csv", keep_default_na=False)
    gains = frame[(frame.baseline == "base") & (frame.benchmark == "overall")]
    better = gains[(gains.p_holm < 0.05) & (gains.difference > 0)].sort_values("difference")
    assert sentence.startswith(
        f"{len(better)} of the {len(gains)} training runs beat the untrained model (tiny:"
    )
    for row in (better.iloc[0], better.iloc[-1]):
        low, high = text.points(row.ci_low, ""), text.points(row.ci_high, "")
        assert f"{row.method} by {text.points(row.difference)} (95\xa0% interval {low} to {high})" in sentence
    lora = frame[(frame.baseline == "lora") & (frame.benchmark == "overall") & (frame.p_holm < 0.05)]
    assert f"{len(lora)} of 7 differ from the run of lora" in sentence and "vera" in set(lora.method)


def test_the_answer_claims_nothing_that_is_not_significant(small):
    edit(small.results / "tables" / "comparisons.csv", lambda frame: frame.assign(p_holm=0.5))
    (sentence,) = [e["text"] for e in Page(build(small)).all("p") if e["attributes"].get("class") == "answer"]
    assert sentence.startswith("None of the 2 training runs is shown to beat the untrained model")
    assert sentence.endswith("none differs significantly from the run of lora (smallest Holm p = 0.500).")


def test_the_answer_claims_nothing_that_the_interval_does_not(small):
    edit(
        small.results / "tables" / "comparisons.csv",
        lambda frame: frame.assign(p_holm=0.001, difference=0.1, ci_low=-0.05, ci_high=0.25),
    )
    (sentence,) = [e["text"] for e in Page(build(small)).all("p") if e["attributes"].get("class") == "answer"]
    assert sentence.startswith("None of the 2 training runs is shown to beat the untrained model")
    assert "(smallest Holm p = 0.001, but its interval includes 0)." in sentence


def test_the_answer_names_methods_that_got_worse(small):
    def worse(frame):
        lost = (frame.baseline == "base") & (frame.method == "dora")
        return frame.assign(
            difference=frame.difference.where(~lost, -0.2),
            ci_low=frame.ci_low.where(~lost, -0.3),
            ci_high=frame.ci_high.where(~lost, -0.1),
            p_holm=frame.p_holm.where(~lost, 0.001),
        )

    edit(small.results / "tables" / "comparisons.csv", worse)
    (sentence,) = [e["text"] for e in Page(build(small)).all("p") if e["attributes"].get("class") == "answer"]
    assert "; 1 is below it: dora by −20.0\xa0points" in sentence


def test_with_one_seed_the_answer_is_about_runs_and_says_how_often_that_misleads(page):
    shown = answer(page)
    assert "interval and p tell these runs apart, not the methods" in shown
    assert "59\xa0% at 2.8\xa0points" in shown and "trained methods" not in shown


def test_with_several_seeds_the_answer_is_about_methods(tmp_path):
    tree = write_tree(
        tmp_path, methods=("base", "lora", "dora"), benchmarks={"sums": (40, 4)}, steps=5, train_seeds=2
    )
    shown = answer(Page(build(tree)))
    assert "of the 2 trained methods" in shown or "All 2 trained methods" in shown
    assert "run" not in shown and "simulations" not in shown
    rows = Page(build(tree)).table("Accuracy minus that of lora, Overall")
    assert [row[6] for row in rows] == ["methods"]
    frame = pd.read_csv(tree.results / "tables" / "comparisons.csv")
    inside = (frame.ci_low <= 0) & (frame.ci_high >= 0)
    assert ((frame.p_value < 0.05) == ~inside).all()


def test_the_shares_that_mislead_are_those_of_the_simulation(repository):
    simulated = (repository / "benchmarks" / "seed_noise.py").read_text()
    for spread in ("1.2", "2.8"):
        (row,) = [line for line in simulated.splitlines() if line.startswith(f"| {spread} |")]
        one = float(row.split("|")[2].removesuffix(" % "))
        assert f"{one:.0f}\xa0%" in ONE_RUN and f"{spread}\xa0points" in ONE_RUN
