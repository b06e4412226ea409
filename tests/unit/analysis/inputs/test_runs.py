"""A study of which runs failed or are missing: the tables are made of the others and say so."""

import pytest

from rlvr.analysis.check_runs import check_runs
from rlvr.errors import UserError
from tests.helpers.analysis_tree import Results, pick, read_csv


def runs_of(results: Results) -> dict[str, dict[str, str]]:
    return {row["run"]: row for row in read_csv(results.folder.table("runs"))}


def check(results: Results) -> None:
    check_runs(results.folder.manifest, results.folder.root)


def test_a_complete_study_has_all_runs_and_passes(results: Results) -> None:
    summary, comparisons = results.aggregate()
    assert {row["status"] for row in runs_of(results).values()} == {"finished"}
    assert {row["learning_rate"] for row in runs_of(results).values()} == {"", "0.003"}
    assert all(row["train_seeds"] == row["planned_seeds"] for row in summary)
    assert {row["missing_seeds"] for row in comparisons} == {"0"}
    check(results)


def test_a_failed_seed_is_left_out_and_named(results: Results) -> None:
    results.fail("run4")  # the second seed of LoRA
    summary, comparisons = results.aggregate()
    row = pick(summary, method="lora", benchmark="products", metric="avg@4")
    assert float(row["value"]) == pytest.approx(results.grades("run3", "products")["correct"].mean())
    assert [row[key] for key in ("train_seeds", "planned_seeds", "n_samples")] == ["1", "2", "24"]
    row = pick(comparisons, method="full", baseline="lora", benchmark="overall")
    assert [row[key] for key in ("train_seeds", "missing_seeds", "compares")] == ["1", "1", "runs"]
    row = runs_of(results)["run4"]
    assert [row[key] for key in ("status", "steps", "planned_steps", "reward_last")] == [
        "diverged", "7", "40", "-1",
    ]  # fmt: skip
    assert row["reason"].startswith("the reward collapsed")


def test_a_method_without_a_complete_run_is_in_no_table_but_the_runs(results: Results) -> None:
    results.fail("run5")
    summary, comparisons = results.aggregate()
    assert "dora" not in {row["method"] for row in summary + comparisons}
    assert runs_of(results)["run5"]["method"] == "dora"


def test_a_failed_baseline_is_not_replaced_by_another(tmp_path) -> None:
    """Not by another preset, and not by another setting."""
    study = Results(tmp_path, {"sums": 4})
    study.add("base")
    for preset, setting in (("paper", "main"), ("recommended", "main"), ("recommended", "long")):
        study.add("lora", preset, setting, 0)
    study.add("dora", "recommended", "main", 0)
    study.fail("run2")
    _, comparisons = study.aggregate()
    assert {(row["method"], row["baseline"]) for row in comparisons} == {("lora", "base"), ("dora", "base")}


def test_runs_that_are_missing_so_far_are_named(results: Results) -> None:
    results.folder.run("run1").record.unlink()
    results.folder.grades("run2", "sums").unlink()
    summary, _ = results.aggregate()
    assert "full" not in {row["method"] for row in summary}
    rows = runs_of(results)
    assert [rows[run]["status"] for run in ("run1", "run2", "run3")] == [
        "not_trained", "not_evaluated", "finished",
    ]  # fmt: skip


def test_a_study_without_any_complete_run_has_no_tables(results: Results) -> None:
    for run in results.runs:
        results.folder.grades(run.run, "sums").unlink()
    with pytest.raises(UserError, match="no run of the study has been trained and evaluated yet"):
        results.aggregate()


def test_the_check_names_every_failed_and_missing_run(results: Results) -> None:
    results.fail("run4")
    results.aggregate()
    results.folder.run("run1").record.unlink()
    with pytest.raises(UserError) as error:
        check(results)
    message = str(error.value).splitlines()
    assert message[0].startswith("study demo: 1 of 5 training runs failed")
    assert message[1].startswith("- run4: diverged after 7 of 40 steps: the reward collapsed")
    assert message[1].endswith("(log: logs/demo/train/run4.log)")
    assert message[2] == "- run1: not trained"
    assert message[3].endswith(f"rm {results.folder.run('run4').record}")
