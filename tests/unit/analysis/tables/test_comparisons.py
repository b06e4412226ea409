from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from rlvr.analysis.stats.paired import holm
from rlvr.artifacts import ComparisonRow
from rlvr.config.contrasts import Contrasts
from tests.helpers.analysis_tree import PROBLEMS, Results, pick


def test_comparisons_end_to_end(results: Results) -> None:
    summary, comparisons = results.aggregate()
    assert results.comparisons.read_text().splitlines()[0] == ",".join(ComparisonRow.columns())
    pairs = [("full", "base"), ("full", "lora"), ("lora", "base"), ("lora", "full")]
    pairs += [("dora", "base"), ("dora", "full"), ("dora", "lora")]
    assert [(row["method"], row["baseline"]) for row in comparisons[::3]] == pairs
    for row in comparisons:
        ours, theirs = (
            float(pick(summary, method=method, benchmark=row["benchmark"], metric="avg@4")["value"])
            for method in (row["method"], row["baseline"])
        )
        assert float(row["difference"]) == pytest.approx(ours - theirs, abs=1e-9)
        assert float(row["ci_low"]) <= float(row["difference"]) <= float(row["ci_high"])
        assert float(row["p_value"]) <= float(row["p_holm"]) <= 1
        assert float(row["minimum_detectable"]) == pytest.approx(2.8 * float(row["se"]))
        runs = sum({"base": 1, "dora": 1}.get(side, 2) for side in (row["method"], row["baseline"]))
        assert int(row["n_samples"]) == runs * 4 * int(row["n_problems"])
        runs = "dora" in (row["method"], row["baseline"])
        assert (row["train_seeds"], row["compares"]) == (("1", "runs") if runs else ("2", "methods"))
    family = [row for row in comparisons if row["baseline"] == "base" and row["benchmark"] == "overall"]
    smallest = min(family, key=lambda row: float(row["p_value"]))
    assert float(smallest["p_holm"]) == pytest.approx(min(1, 3 * float(smallest["p_value"])))
    mirrored = [
        pick(comparisons, method=m, baseline=b, benchmark="sums")
        for m, b in (("full", "lora"), ("lora", "full"))
    ]
    assert float(mirrored[0]["difference"]) == -float(mirrored[1]["difference"])


def test_comparison_of_single_training_seeds_is_the_paired_one(tmp_path: Path) -> None:
    study = Results(tmp_path, {"sums": 4})
    runs = [study.add("base"), study.add("dora", "recommended", "main", 0)]
    _, comparisons = study.aggregate()
    base, dora = (study.grades(run, "sums").groupby("problem_id")["correct"].mean() for run in runs)
    row = pick(comparisons, benchmark="sums")
    assert float(row["se"]) == pytest.approx(stats.sem(dora - base))


def test_a_baseline_of_the_same_setting_and_preset_is_preferred(tmp_path: Path) -> None:
    study = Results(tmp_path, {"sums": 2})
    study.add("base")
    for method, preset, setting in [
        ("lora", "paper", "main"), ("lora", "recommended", "main"), ("full", "recommended", "main"),
        ("dora", "paper", "main"), ("dora", "released", "main"), ("dora", "paper", "long"),
    ]:  # fmt: skip
        study.add(method, preset, setting, 0)
    summary, comparisons = study.aggregate()
    value = {
        (row["method"], row["preset"], row["setting"]): float(row["value"])
        for row in summary
        if row["metric"] == "avg@2" and row["benchmark"] == "sums"
    }
    baselines = {
        (preset, setting): [
            row["baseline"]
            for row in comparisons
            if (row["method"], row["preset"], row["setting"]) == ("dora", preset, setting)
            and row["benchmark"] == "sums"
            and row["baseline"] != "dora"
        ]
        for preset, setting in [("paper", "main"), ("released", "main"), ("paper", "long")]
    }
    # two LoRA presets, none of them "released": no comparable baseline; full has one preset, so that is taken
    assert baselines == {
        ("paper", "main"): ["base", "full", "lora"],
        ("released", "main"): ["base", "full"],
        ("paper", "long"): ["base"],
    }
    row = pick(comparisons, method="dora", preset="paper", setting="main", baseline="lora", benchmark="sums")
    expected = value["dora", "paper", "main"] - value["lora", "paper", "main"]
    assert float(row["difference"]) == pytest.approx(expected)


def test_a_baseline_of_another_model_is_none(tmp_path: Path) -> None:
    study = Results(tmp_path, {"sums": 2})
    study.add("base", model="small")
    study.add("lora", "paper", "main", 0, model="tiny")
    study.add("dora", "paper", "main", 0, model="tiny")
    _, comparisons = study.aggregate()
    assert {(row["method"], row["baseline"]) for row in comparisons} == {("dora", "lora")}


def test_from_three_training_seeds_there_is_a_probability_of_improvement(tmp_path: Path) -> None:
    study = Results(tmp_path, {"sums": 4, "products": 4})
    study.add("base")
    runs = {
        method: [study.add(method, "p", "main", seed) for seed in range(3)] for method in ("full", "lora")
    }
    study.add("dora", "p", "main", 0)
    _, comparisons = study.aggregate()
    scores = {
        method: [[study.grades(run, name)["correct"].mean() for name in PROBLEMS] for run in names]
        for method, names in runs.items()
    }
    chance = {
        (row["method"], row["baseline"], row["benchmark"]): row["probability_of_improvement"]
        for row in comparisons
    }
    assert {key for key, value in chance.items() if value} == {
        ("full", "lora", "overall"), ("lora", "full", "overall")
    }  # fmt: skip
    wins = [
        stats.mannwhitneyu(ours, theirs).statistic / 9
        for ours, theirs in zip(np.transpose(scores["full"]), np.transpose(scores["lora"]), strict=True)
    ]
    assert float(chance["full", "lora", "overall"]) == pytest.approx(np.mean(wins))
    assert float(chance["lora", "full", "overall"]) == pytest.approx(1 - np.mean(wins))


def test_with_two_training_seeds_there_is_none(results: Results) -> None:
    _, comparisons = results.aggregate()
    columns = ("probability_of_improvement", "improvement_ci_low", "improvement_ci_high")
    assert {row[column] for row in comparisons for column in columns} == {""}


@pytest.fixture
def ablation(tmp_path: Path) -> Results:
    """A study whose grid is not a full product: LoRA in four settings, DoRA in two, the others in one."""
    study = Results(tmp_path, {"sums": 4})
    study.contrasts = Contrasts(presets=[])
    study.add("base")
    study.add("full", "paper", "main", 0)
    for setting in ("main", "rank1", "rank8", "grpo"):
        for preset in ("paper", "recommended"):
            study.add("lora", preset, setting, 0)
    for setting in ("rank8", "main"):
        study.add("dora", "paper", setting, 0)
    study.add("pissa", "paper", "rank4", 0)
    return study


def test_settings_of_some_methods_only_have_comparable_baselines_only(ablation: Results) -> None:
    _, comparisons = ablation.aggregate()
    baselines: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for row in comparisons:
        if row["benchmark"] == "sums":
            key = row["method"], row["preset"], row["setting"]
            baselines.setdefault(key, []).append((row["baseline"], row["baseline_setting"]))
    base, full = ("base", "-"), ("full", "main")
    assert baselines == {
        ("full", "paper", "main"): [base, ("lora", "main")],
        **{("lora", preset, "main"): [base, full] for preset in ("paper", "recommended")},
        **{
            ("lora", preset, setting): [base, ("lora", "main")]
            for preset in ("paper", "recommended")
            for setting in ("rank1", "rank8", "grpo")
        },
        ("dora", "paper", "rank8"): [base, ("lora", "rank8")],
        ("dora", "paper", "main"): [base, full, ("lora", "main"), ("dora", "rank8")],
        ("pissa", "paper", "rank4"): [base],
    }


def test_a_setting_is_compared_with_the_first_setting_of_its_own_preset(ablation: Results) -> None:
    summary, comparisons = ablation.aggregate()
    for preset in ("paper", "recommended"):
        row = pick(
            comparisons, method="lora", preset=preset, setting="rank8", baseline="lora", benchmark="sums"
        )
        ours, theirs = (
            float(
                pick(summary, method="lora", preset=preset, setting=s, benchmark="sums", metric="avg@4")[
                    "value"
                ]
            )
            for s in ("rank8", "main")
        )
        assert float(row["difference"]) == pytest.approx(ours - theirs)
        assert (row["n_samples"], row["train_seeds"]) == ("80", "1")


def test_settings_of_a_method_are_a_family_of_their_own(ablation: Results) -> None:
    _, comparisons = ablation.aggregate()
    families: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in comparisons:
        setting = "any" if row["method"] == row["baseline"] else row["setting"]
        key = setting, row["baseline"], row["baseline_setting"], row["benchmark"]
        families.setdefault(key, []).append(row)
    sizes = {key[:3]: len(rows) for key, rows in families.items() if key[3] == "sums"}
    assert sizes == {
        ("main", "base", "-"): 4, ("rank1", "base", "-"): 2, ("rank8", "base", "-"): 3,
        ("grpo", "base", "-"): 2,
        ("rank4", "base", "-"): 1, ("main", "full", "main"): 3, ("main", "lora", "main"): 2,
        ("rank8", "lora", "rank8"): 1, ("any", "lora", "main"): 6, ("any", "dora", "rank8"): 1,
    }  # fmt: skip
    for rows in families.values():
        expected = holm([float(row["p_value"]) for row in rows])
        assert [float(row["p_holm"]) for row in rows] == pytest.approx(expected)


def test_further_settings_change_no_other_comparison(ablation: Results) -> None:
    """Neither numbers nor corrections of the comparisons within the setting ``main``."""
    _, comparisons = ablation.aggregate()
    ablation.runs = [run for run in ablation.runs if run.setting in ("-", "main")]
    _, alone = ablation.aggregate()
    within = [
        row for row in comparisons if row["setting"] == "main" and row["baseline_setting"] in ("-", "main")
    ]
    assert within == alone and len(alone) == 2 * 9


def pairs(rows: list[dict[str, str]], contrast: str) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """The two sides of every pair of a kind on the sums, each as method, preset and setting."""
    sides = (("method", "preset", "setting"), ("baseline", "baseline_preset", "baseline_setting"))
    return [
        tuple(tuple(row[name] for name in side) for side in sides)
        for row in rows
        if row["contrast"] == contrast and row["benchmark"] == "sums"
    ]


@pytest.fixture
def presets(tmp_path: Path) -> Results:
    """LoRA and PiSSA in three presets, full in one; two training seeds."""
    study = Results(tmp_path, {"sums": 4})
    study.add("base")
    for seed in (0, 1):
        study.add("full", "paper", "main", seed)
    for method in ("lora", "pissa"):
        for preset in ("recommended", "paper", "released"):
            for seed in (0, 1):
                study.add(method, preset, "main", seed)
    return study


def test_presets_are_compared_with_the_first_of_their_method(presets: Results) -> None:
    _, comparisons = presets.aggregate()
    assert pairs(comparisons, "presets") == [
        ((method, preset, "main"), (method, "recommended", "main"))
        for method in ("lora", "pissa")
        for preset in ("paper", "released")
    ]
    family = [row for row in comparisons if row["contrast"] == "presets" and row["benchmark"] == "overall"]
    expected = holm([float(row["p_value"]) for row in family])
    assert [float(row["p_holm"]) for row in family] == pytest.approx(expected)


def test_a_study_says_what_it_compares(presets: Results) -> None:
    presets.contrasts = Contrasts(methods=["pissa"], presets=["paper", "released"], settings=[])
    _, comparisons = presets.aggregate()
    assert {row["contrast"] for row in comparisons} == {"methods", "presets"}
    assert pairs(comparisons, "methods") == [
        (("full", "paper", "main"), ("pissa", "paper", "main")),
        *(
            (("lora", preset, "main"), ("pissa", preset, "main"))
            for preset in ("recommended", "paper", "released")
        ),
    ]
    against = [(ours[1], theirs[1]) for ours, theirs in pairs(comparisons, "presets") if ours[0] == "lora"]
    assert against == [
        ("recommended", "paper"), ("recommended", "released"), ("paper", "released"), ("released", "paper")
    ]  # fmt: skip


def test_the_p_over_training_seeds_is_welchs(tmp_path: Path) -> None:
    study = Results(tmp_path, {"sums": 4, "products": 4})
    study.add("base")
    runs = {
        method: [study.add(method, "p", "main", seed) for seed in range(count)]
        for method, count in (("full", 3), ("lora", 4), ("dora", 1))
    }
    _, comparisons = study.aggregate()
    scores = {
        method: [np.mean([study.grades(run, name)["correct"].mean() for name in PROBLEMS]) for run in names]
        for method, names in runs.items()
    }
    untrained = np.mean([study.grades("run0", name)["correct"].mean() for name in PROBLEMS])
    expected = {
        ("full", "lora"): stats.ttest_ind(scores["full"], scores["lora"], equal_var=False).pvalue,
        ("lora", "base"): stats.ttest_1samp(scores["lora"], untrained).pvalue,
    }
    for (method, baseline), p_value in expected.items():
        row = pick(comparisons, method=method, baseline=baseline, benchmark="overall")
        assert float(row["p_seeds"]) == pytest.approx(p_value)
    assert pick(comparisons, method="dora", baseline="lora", benchmark="overall")["p_seeds"] == ""
