"""One row per method, with one level for all methods of a model."""

import pytest

from rlvr.artifacts import LearningRow, read_rows, write_train_log
from rlvr.config.resolved import BASE
from tests.helpers.analysis_tree import Results, pick, read_csv, reward_log

FAST = [0.2] + [0.8] * 39
SLOW = [0.2] * 30 + [0.6] * 10
FLAT = [0.2] * 40


@pytest.fixture
def study(tmp_path) -> Results:
    results = Results(tmp_path / "results", {"sums": 2})
    results.add(BASE)
    for method, curves in {"full": [FAST], "lora": [SLOW, FAST, FLAT], "dora": [FLAT]}.items():
        for seed, rewards in enumerate(curves):
            run = results.add(method, "recommended", "main", seed)
            write_train_log(results.folder.run(run).train_log, reward_log(rewards))
    return results


def rows(results: Results) -> list[dict[str, str]]:
    results.aggregate()
    path = results.folder.table("learning")
    read_rows(path, LearningRow)
    return read_csv(path)


def test_the_level_is_halfway_to_the_best_method(study):
    found = rows(study)
    assert [row["method"] for row in found] == ["full", "lora", "dora"]
    assert {(row["first"], row["best"], row["level"]) for row in found} == {("0.2", "0.8", "0.5")}
    assert {row["planned_steps"] for row in found} == {"40"}


def test_steps_are_censored_where_a_seed_never_reaches_the_level(study):
    found = rows(study)
    full, lora, dora = found
    assert (full["reached"], full["steps_to_level"], full["steps_latest"]) == ("1", "5", "5")
    assert (lora["reached"], lora["train_seeds"]) == ("2", "3")
    assert (lora["steps_earliest"], lora["steps_to_level"], lora["steps_latest"]) == ("5", "34", "")
    assert (dora["reached"], dora["steps_to_level"], dora["steps_earliest"]) == ("0", "", "")


def test_the_area_has_the_spread_of_the_seeds(study):
    full, lora, _ = rows(study)
    assert float(full["area"]) == pytest.approx((0.5 + 38 * 0.8) / 39)
    assert full["area_sd"] == ""
    assert float(lora["area_sd"]) > 0.2


def test_where_nothing_was_learned_no_level_is_defined(tmp_path):
    results = Results(tmp_path / "results", {"sums": 2})
    results.add(BASE)
    run = results.add("lora", "recommended", "main", 0)
    write_train_log(results.folder.run(run).train_log, reward_log(FLAT))
    (row,) = rows(results)
    assert (row["level"], row["steps_to_level"], row["reached"]) == ("", "", "0")
    assert float(row["area"]) == pytest.approx(0.2)


def test_a_failed_seed_is_counted_as_missing(study):
    study.fail("run2")
    lora = pick(rows(study), method="lora")
    assert (lora["train_seeds"], lora["missing_seeds"]) == ("2", "1")
