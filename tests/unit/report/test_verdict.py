"""The first screen: what the tables say about the best method, what ties with it, and how sure that is."""

import json

import pandas as pd
import pytest

from rlvr.analysis.claims.answer import answer_claims
from rlvr.report import text
from rlvr.report.leading import ONE_RUN
from tests.helpers.report_page import Page
from tests.helpers.report_tree import Tree, build, edit, fail, write_tree


def verdict(page: Page) -> str:
    """The text of the first screen, without that of its figure."""
    section = page.by_id("verdict")
    said = section["text"]
    for figure in page.all("svg", section):
        said = said.replace(figure["text"], "")
    return " ".join(said.replace("\xa0", " ").split())


def comparisons(tree: Tree) -> pd.DataFrame:
    return pd.read_csv(tree.folder.table("comparisons"), keep_default_na=False, na_values=[""])


def test_the_leader_its_lead_and_what_ties_are_those_of_the_tables(tree, page):
    leader = pd.read_csv(tree.folder.table("leader"))
    (best,) = set(leader.leader)
    frame = comparisons(tree)
    (row,) = frame[
        (frame.method == best) & (frame.baseline == "lora") & (frame.benchmark == "overall")
    ].to_dict("records")
    low, high = text.points(row["ci_low"], ""), text.points(row["ci_high"], "")
    said = verdict(page)
    assert (
        f"{best}, {text.points(row['difference'])} over lora ({low} to {high})".replace("\xa0", " ") in said
    )
    apart = (leader.p_corrected < 0.05) & (leader.ci_high < 0)
    tied = list(leader[~apart].method)
    assert tied and apart.any() and f"{apart.sum()} others are behind it" in said
    sentence = said.split("Not told apart from it: ")[1].split(" others are behind")[0]
    assert all(method in sentence for method in tied)


def test_how_many_beat_the_untrained_model_is_counted(tree, page):
    frame = comparisons(tree)
    gains = frame[(frame.baseline == "base") & (frame.benchmark == "overall")]
    better = gains[(gains.p_holm < 0.05) & (gains.ci_low > 0)]
    assert f"{len(better)} of the {len(gains)} runs beat the untrained model" in verdict(page)


def test_methods_that_differ_from_lora_are_above_or_below_it(tmp_path):
    methods = ("base", "lora", "full", "dora", "rslora", "pissa")
    tree = write_tree(tmp_path, methods=methods, benchmarks={"sums": (12, 2)}, steps=5)

    def change(frame):
        sign = frame.method.map({"full": 1, "dora": 1}).fillna(-1)
        ends = {"ci_low": 0.1 * sign - 0.05, "ci_high": 0.1 * sign + 0.05}
        return frame.assign(difference=0.1 * sign, p_holm=0.001, **ends)

    edit(tree.folder.table("comparisons"), change)
    said = verdict(Page(build(tree)))
    for side, expected in (("Above", {"full", "dora"}), ("Below", {"rslora", "pissa"})):
        named = said.split(f"{side} lora (Holm): ")[1].split(".")[0]
        assert set(named.replace(" and ", ", ").split(", ")) == expected


def test_nothing_is_claimed_that_p_or_interval_does_not_say(small):
    edit(small.folder.table("comparisons"), lambda frame: frame.assign(p_holm=0.5))
    edit(small.folder.table("leader"), lambda frame: frame.assign(p_corrected=1.0))
    said = verdict(Page(build(small)))
    assert "None of the 2 runs is shown to beat the untrained model" in said
    assert "None differs from lora (smallest Holm p = 0.500)." in said and "behind it" not in said
    unsure = {"p_holm": 0.001, "difference": 0.1, "ci_low": -0.05, "ci_high": 0.25}
    edit(small.folder.table("comparisons"), lambda frame: frame.assign(**unsure))
    said = verdict(Page(build(small)))
    assert "None of the 2 runs is shown to beat" in said and "None differs from lora" in said


def test_methods_below_the_untrained_model_are_named(small):
    def worse(frame):
        lost = (frame.baseline == "base") & (frame.method == "dora")
        changed = {"difference": -0.2, "ci_low": -0.3, "ci_high": -0.1, "p_holm": 0.001}
        return frame.assign(**{name: frame[name].where(~lost, value) for name, value in changed.items()})

    edit(small.folder.table("comparisons"), worse)
    assert "; dora is below it." in verdict(Page(build(small)))


def test_another_leader_on_one_benchmark_is_said(tree, page):
    summary = pd.read_csv(tree.folder.table("summary"), keep_default_na=False, na_values=[""])
    avg = summary[summary.metric.str.fullmatch(r"avg@\d+") & (summary.method != "base")]
    best = {name: rows.loc[rows.value.idxmax(), "method"] for name, rows in avg.groupby("benchmark")}
    (leader,) = set(pd.read_csv(tree.folder.table("leader")).leader)
    for benchmark in ("sums", "products"):
        said = f"On {benchmark.capitalize()} {best[benchmark]} ("
        assert (said in verdict(page)) == (best[benchmark] != leader)
    assert set(best.values()) != {leader}, "this study has no split: the test is blind"


def test_one_seed_is_weak_and_says_how_often_it_misleads(page):
    said = verdict(page)
    assert "Weak: one training seed per method" in said and "interval and p tell these runs apart" in said
    assert "59 % at 2.8 points" in said


def test_one_seed_of_a_single_method_is_weak_and_is_not_said_of_all(small):
    def doubled(frame):
        trained = frame.method != "base"
        return frame.assign(train_seeds=frame.train_seeds + (trained & (frame.method != "dora")))

    edit(small.folder.table("summary"), doubled)
    said = verdict(Page(build(small))).replace("\u00a0", " ")
    assert "Weak: 1 to 2 training seeds per method" in said and "one training seed per method" not in said


def test_the_shares_that_mislead_are_those_of_the_simulation(repository):
    simulated = (repository / "benchmarks" / "seed_noise.py").read_text()
    for spread in ("1.2", "2.8"):
        (row,) = [line for line in simulated.splitlines() if line.startswith(f"| {spread} |")]
        one = float(row.split("|")[2].removesuffix(" % "))
        assert f"{one:.0f}\xa0%" in ONE_RUN and f"{spread}\xa0points" in ONE_RUN


def conditions(page: Page) -> dict[str, bool]:
    items = [e for e in page.all("li") if e["attributes"].get("class") in ("met", "unmet")]
    words = [" ".join(e["text"].replace("\xa0", " ").split()).split(":", 1)[1].strip() for e in items]
    return dict(zip(words, [e["attributes"]["class"] == "met" for e in items], strict=True))


def test_every_condition_is_stated_whether_met_or_not(page):
    told = conditions(page)
    assert told["1 training seed per method, 3 wanted"] is False
    assert told["3 of 250 problems contaminated"] is False
    assert told["0 of 9 runs failed, 1 not run"] is False
    assert told["code committed"] is True
    assert told["learning rates of 1 of 9 methods selected on this task, the others not"] is False
    assert any(text.startswith("at most") and text.endswith("completions truncated") for text in told)
    assert told["weight-sync noise at most 0.12 of the update"] is False


@pytest.fixture(scope="module")
def sound(repository, tmp_path_factory) -> Tree:
    """A study that meets every condition: three seeds, large, nothing contaminated, failed or noisy."""
    tree = write_tree(
        tmp_path_factory.mktemp("sound"), methods=("base", "full", "lora", "dora"), train_seeds=3, steps=120,
        presets=("paper",), contaminated=0, benchmarks={"sums": (400, 4)}, study="paper-1.5b-mini",
    )  # fmt: skip
    manifest = json.loads(tree.manifest.read_text()) | {"scaled_from": "paper-1.5b", "scale": "mini"}
    tree.manifest.write_text(json.dumps(manifest))
    answer_claims(tree.manifest, tree.results, repository / "config", tree.folder.claims)
    return tree


def test_a_study_that_meets_every_condition_is_strong(sound):
    page = Page(build(sound))
    unmet = [text for text, met in conditions(page).items() if not met]
    assert conditions(page)["learning rates selected alike for all methods"] is True
    known = [text for text in unmet if not text.startswith(("differences of", "at most"))]
    assert known == []
    level = "Strong: every condition is met" if not unmet else f"Fair: {len(unmet)} of"
    assert level in verdict(page)
    assert "interval and p tell these runs apart" not in verdict(page) and "methods" in verdict(page)


def test_the_figure_has_the_untrained_model_and_a_tick_for_each_training_seed(sound):
    page = Page(build(sound))
    (figure,) = page.all("svg", page.by_id("verdict"))
    described = page.all("desc", figure)[0]["text"]
    ticks = [one for one in page.all("line", figure) if one["attributes"].get("class") == "seed"]
    assert len(ticks) == 9 and "| one training seed" in verdict(page)
    runs = [sound.correct[f"tiny--dora--paper--main--s{seed}", "sums"].mean() for seed in range(3)]
    loras = [sound.correct[f"tiny--lora--paper--main--s{seed}", "sums"].mean() for seed in range(3)]
    expected = text.listing([text.points(run - sum(loras) / 3, "") for run in runs])
    assert f"training seeds {expected}" in described
    frame = comparisons(sound)
    (gain,) = frame[
        (frame.method == "lora") & (frame.baseline == "base") & (frame.benchmark == "overall")
    ].to_dict("records")
    assert f"base (untrained) {text.points(-gain['difference'], '')}" in described


def test_a_mean_over_one_benchmark_is_named_after_it(sound):
    page = Page(build(sound))
    (figure,) = page.all("svg", page.by_id("verdict"))
    assert "points against lora, sums" in figure["text"]
    assert [one["text"] for one in page.all("option") if "selected" in one["attributes"]][1:2] == ["Sums"]
    assert "overall" not in verdict(page).lower()


def test_claims_that_are_not_tested_name_the_studies_that_test_them(page, sound):
    assert "They are about the studies paper-1.5b, " in verdict(page)
    assert "They are about" not in verdict(Page(build(sound)))


def test_claims_are_counted_by_verdict_and_the_paper_is_in_the_figure(sound):
    page = Page(build(sound))
    claims = json.loads(sound.folder.claims.read_text())
    (chips,) = [e for e in page.all("p") if e["attributes"].get("class") == "chips"]
    told = dict(reversed(link["text"].split(" ", 1)) for link in page.all("a", chips))
    for name in ("replicated", "not_replicated", "not_tested"):
        expected = sum(claim["verdict"] == name for claim in claims)
        assert int(told.get(name.replace("_", " "), 0)) == expected
    (figure,) = page.all("svg", page.by_id("verdict"))
    described = page.all("desc", figure)[0]["text"]
    assert ", the paper +4.1" in described and ", the paper +2.4" in described
    assert [e for e in page.all("path", figure) if e["attributes"]["class"] == "others"]
    assert "GeoRA" in verdict(page)


def test_failed_runs_are_on_the_first_screen(tmp_path):
    tree = write_tree(
        tmp_path, methods=("base", "lora", "dora"), train_seeds=2, benchmarks={"sums": (12, 2)}, steps=12
    )
    fail(tree, "tiny--dora--recommended--main--s1")
    said = verdict(Page(build(tree)))
    assert "4 runs, 1 failed" in said and "dora, seed 1: diverged after 7 of 60 steps" in said
    assert "1 of 4 runs failed" in said


def test_the_question_is_about_what_the_study_varies(tmp_path):
    settings = {"rank1": None, "rank8": None}
    tree = write_tree(
        tmp_path, methods=("base", "lora"), settings=settings, benchmarks={"sums": (12, 2)}, steps=5
    )
    (heading,) = Page(build(tree)).all("h1")
    assert heading["text"] == "Which setting of lora should one train with under RLVR?"
