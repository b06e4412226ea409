"""The stages of a run: counts, running jobs, and the time left."""

import os
import re
from pathlib import Path

from rlvr.status.stages import OTHER, STAGES, Job, Stages, stage_of
from tests.helpers.paths import REPOSITORY

NOW = 1_800_000_000.0


def training(number: int, started: float = NOW, log: Path | None = None) -> Job:
    return Job(number, "train", f"Training run {number}", log, started)


def test_every_rule_of_the_workflow_belongs_to_a_stage():
    text = "".join(path.read_text() for path in (REPOSITORY / "workflow" / "rules").glob("*.smk"))
    rules = [*re.findall(r"^rule (\w+):", text, re.MULTILINE), "generate_demo"]
    assert len(rules) > 10
    assert [rule for rule in rules if stage_of(rule) == OTHER] == []


def test_the_stages_are_in_the_order_of_the_work_and_a_rule_of_no_stage_is_counted_too():
    stages = Stages.of_rules({"train_run": 2, "prepare_data": 3, "prepare_model": 1, "mine": 1})
    assert stages.planned == {"prepare": 4, "train": 2, OTHER: 1}
    assert list(stages.planned) == [name for name in (*STAGES, OTHER) if name in stages.planned]


def test_a_job_that_ends_is_counted_and_one_that_fails_until_it_is_tried_again():
    stages = Stages({"train": 3}, NOW)
    for number in (1, 2):
        stages.start(training(number))
    assert stages.finish(1, NOW + 10) == training(1) and stages.fail(2) == training(2)
    row = stages.row("train", {}, NOW + 10)
    assert (row.done, row.failed, row.running, row.total) == (1, 1, 0, 3)
    stages.start(training(2, NOW + 11))
    row = stages.row("train", {}, NOW + 11)
    assert (row.done, row.failed, row.running) == (1, 0, 1)
    assert stages.finish(99, NOW) is None and stages.fail(99) is None, "jobs of no stage"


def test_the_time_left_is_unknown_before_a_job_says_or_shows_how_long_it_takes():
    stages = Stages({"train": 4}, NOW)
    stages.start(training(1))
    assert stages.row("train", {}, NOW + 5).seconds_left is None


def test_the_time_left_counts_jobs_that_run_at_once_and_those_that_wait():
    stages = Stages({"train": 5}, NOW)
    stages.start(training(1))
    stages.start(training(2))
    stages.finish(1, NOW + 40)  # usual: 40 s; two at once
    stages.start(training(3, NOW + 40))
    row = stages.row("train", {}, NOW + 50)
    # run 2 should have ended, run 3 has 30 s left, 2 runs of 40 s wait: 110 s on two.
    assert row.seconds_left == 55


def test_a_running_job_says_itself_how_long_it_takes(tmp_path: Path):
    log = tmp_path / "run.log"
    log.write_text("run: 20/60  reward 0.5  length 4  80 s left\n")
    os.utime(log, (NOW, NOW))
    stages = Stages({"train": 2}, NOW - 40)
    stages.start(training(1, NOW - 40, log))
    view = stages.view(NOW)
    ((_, progress),) = view.jobs
    assert progress is not None and (progress.steps, progress.planned_steps, progress.reward) == (20, 60, 0.5)
    assert view.rows[0].seconds_left == 80 + 120, "its own rest, and a second run as long as this one"
    assert view.seconds_left == 200 and view.all_known and view.submitted == 0


def test_a_job_of_a_cluster_waits_until_it_writes_its_log(tmp_path: Path):
    log = tmp_path / "run.log"
    stages = Stages({"train": 1, "report": 1}, NOW)
    stages.start(training(1, NOW, log))
    assert stages.view(NOW).submitted == 1 and stages.view(NOW).jobs == []
    log.write_text("run: 59/60  reward 0.5  1 s left\n")
    os.utime(log, (NOW - 3600, NOW - 3600))
    assert stages.view(NOW).submitted == 1, "the log of an earlier attempt"
    os.utime(log, (NOW + 30, NOW + 30))
    view = stages.view(NOW + 30)
    assert view.submitted == 0 and len(view.jobs) == 1
    assert view.seconds_left is not None and not view.all_known, "nothing is known of the report"
