"""The DAG of every study, the profiles, and what a wrong configuration does to `snakemake`."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from rlvr.config.choices import PaperItem
from rlvr.config.studies import load_study
from tests.helpers.checkout import Checkout, make_checkout
from tests.helpers.paths import REPOSITORY


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout without results."""
    return make_checkout(tmp_path_factory.mktemp("dag") / "checkout")


BUILT_IN = {"demo", "demo-rates", "grid", "released-mini", "tuned"}
"""Studies of the model that is pretrained here."""


def counts(study: str, runs: int, benchmarks: int, data: int) -> dict[str, int]:
    """Jobs of a study with one model, from nothing."""
    evaluated = runs + 1  # the untrained model is evaluated too
    return {
        "resolve_config": runs + 2 * benchmarks + 1,
        "resolve_entry": 1 + data,
        "pretrain_model" if study in BUILT_IN else "prepare_model": 1,
        "prepare_data": data,
        "train_run": runs,
        f"generate_{study}": evaluated,
        "grade_samples": evaluated * benchmarks,
        "aggregate_study": 1,
        "answer_claims": 1,
        "find_contamination": 1,
        "render_report": 1,
        "check_runs": 1,
    }


@pytest.mark.parametrize(
    ("study", "runs", "benchmarks", "data"),
    [
        ("demo", 14, 2, 6),
        ("smollm2", 4, 4, 5),
        ("smollm2-precision", 33, 4, 4),
        ("smollm2-gpu", 42, 4, 5),
        ("paper-1.5b", 14, 7, 8),
        ("grid", 8, 2, 5),
        ("released-mini", 84, 2, 5),
    ],
)
def test_every_study_plans_its_whole_grid(checkout, study, runs, benchmarks, data):
    assert checkout.planned("all", "--config", f"studies=[{study}]") == counts(study, runs, benchmarks, data)


def test_the_audit_is_made_from_one_study_of_the_miniature(checkout):
    audit = checkout.planned("audit", "--config", "studies=[audit-mini]")
    assert audit["audit_study"] == audit["render_report"] == 1 and audit["train_run"] == 34
    refused = checkout.snakemake("-n", "audit", check=False)
    assert refused.returncode and "select one that it names: audit-mini" in refused.stdout + refused.stderr


def test_figure_3_measures_the_spectra_of_studies_that_ask_for_them(checkout):
    figure = checkout.planned("figure3", "--config", "studies=[spectra-mini]")
    assert figure["measure_spectra"] == figure["render_report"] == 1 and figure["train_run"] == 12


def test_a_study_that_tunes_trains_its_grid_on_validation_problems_alone(checkout):
    tuning = ("--config", "studies=[demo-rates]")
    planned = checkout.planned("all", *tuning)
    # Test problems are prepared to be kept apart, and never sampled.
    assert planned == counts("demo-rates", 70, 1, 6) | {"choose_rates": 1}
    assert checkout.planned("rates", *tuning) == planned | {"rates": 1, "write_rates": 1}
    refused = checkout.snakemake("-n", "rates", check=False)
    assert (
        refused.returncode
        and "none of the studies demo has a block `tune`; select one that has: demo-rates"
        in (refused.stdout + refused.stderr)
    )


def test_nothing_is_trained_before_validation_problems_are_known_to_be_apart(checkout):
    target = "results/demo-rates/runs/tiny--lora--recommended--x1--s100/run.json"
    planned = checkout.planned(target)
    assert (planned["find_contamination"], planned["train_run"]) == (1, 1)
    assert "find_contamination" not in checkout.planned(
        target.replace("demo-rates", "demo").replace("x1--s100", "main--s0")
    )
    contamination = checkout.snakemake("-n", "-p", "results/demo-rates/tables/contamination.csv").stdout
    assert "--refuse" in contamination and "--train resources/data/sums-test.parquet" in contamination


def test_a_study_with_tuned_rates_trains_what_changes_and_tunes_nothing(checkout):
    study = checkout.folder / "config" / "studies" / "tuned.yaml"
    methods = "methods: [{method: lora, parameters: {rank: 8, alpha: 16}}, {method: full}]"
    study.write_text(f"extends: demo\ntitle: Tuned\nrates: demo-rates\n{methods}\n")
    rates = checkout.folder / "config" / "rates" / "demo-rates.yaml"
    asked = ("all", "--config", "studies=[tuned]")
    planned = checkout.planned(*asked)
    away = rates.rename(rates.with_suffix(".away"))
    refused = checkout.snakemake("-n", *asked, check=False)
    away.rename(rates)
    study.unlink()
    assert planned == counts("tuned", 2, 2, 6), "the problems that chose the rates too"
    assert refused.returncode
    assert "tune them: snakemake rates --config 'studies=[demo-rates]'" in refused.stdout + refused.stderr


def test_all_is_the_default_target_and_the_demo_the_default_study(checkout):
    assert checkout.planned() == checkout.planned("all", "--config", "studies=[demo]")


def test_the_slurm_profile_plans_the_paper_without_slurm(checkout):
    done = checkout.snakemake("--profile", "slurm", "-n", "all")
    assert "reports/paper-1.5b.html" in done.stdout
    assert "reports/demo.html" not in done.stdout


def test_named_targets_stop_where_they_say(checkout):
    assert set(checkout.planned("data")) == {"resolve_entry", "prepare_data", "pretrain_model", "data"}
    trained = checkout.planned("train")
    assert trained["train_run"] == 14
    assert "generate_demo" not in trained
    assert trained["check_runs"] == 1
    assert "aggregate_study" not in checkout.planned("evaluate")
    assert "render_report" not in checkout.planned("tables")


ITEMS = {
    "paper-1.5b": ["table3", "table4", "figure1"],
    "ablations": ["table5", "figure4", "figure5"],
    "paper-7b": ["table6"],
    "spectra": ["figure3"],
}
"""Study -> what of the paper it makes."""


@pytest.mark.parametrize(("study", "item"), [(study, items[0]) for study, items in ITEMS.items()])
def test_a_table_or_figure_of_the_paper_is_a_target_at_both_scales(checkout, study, item):
    mini = checkout.planned(item, "--config", f"studies=[{study}-mini]")
    full = checkout.planned(item)
    for plan, name in ((mini, f"{study}-mini"), (full, study)):
        assert plan[f"generate_{name}"] == plan["train_run"] + 1  # the untrained model
        assert plan["answer_claims"] == plan["render_report"] == 1
    assert mini["train_run"] == 3 * full["train_run"]


def test_every_table_and_figure_has_its_study():
    shown = {name: load_study(REPOSITORY / "config/studies" / f"{name}.yaml")[0].shows for name in ITEMS}
    assert shown == ITEMS
    assert sorted(item for items in ITEMS.values() for item in items) == sorted(get_args(PaperItem))


def test_the_claims_are_answered_by_the_selected_studies_or_by_all_that_test_them(checkout):
    mini = checkout.planned("claims", "--config", "studies=[demo,ablations-mini]")
    assert (mini["answer_claims"], mini["train_run"]) == (1, 27)
    assert checkout.planned("claims")["answer_claims"] == len(ITEMS)


def test_a_file_of_another_study_can_be_asked_for_by_path(checkout):
    assert checkout.planned("results/smollm2/tables/summary.csv")["train_run"] == 4


PROBE = """
from snakemake.iocontainers import InputFiles, Wildcards

for name in ("train_run", "generate_STUDY"):
    names = Wildcards(fromdict={"study": "STUDY", "run": trained_runs("STUDY")[0]})
    found = workflow.get_rule(name).expand_resources(names, InputFiles(), 1)
    print(name, found.get("gpu"), found.get("devices"), found.get("checkpoints"))
"""
"""Prints the resources of a job as executors see them."""


@pytest.mark.parametrize(("study", "gpus"), [("demo", None), ("smollm2-gpu", 1)])
def test_a_job_asks_for_a_device_or_says_nothing_of_devices(checkout, study, gpus):
    """Kubernetes refuses a job with `gpu`, even 0, if it does not name the manufacturer."""
    probe = checkout.folder / "probe.smk"
    probe.write_text((checkout.folder / "Snakefile").read_text() + PROBE.replace("STUDY", study))
    done = checkout.snakemake("-n", "data", "-s", "probe.smk", "--config", "checkpoints=/scratch/mine")
    probe.unlink()
    for rule in ("train_run", f"generate_{study}"):
        assert f"{rule} {gpus} {gpus or 0} /scratch/mine" in done.stdout + done.stderr


def test_a_training_on_several_devices_is_told_their_number(checkout):
    target = "results/demo/runs/tiny--lora--recommended--main--s0/run.json"
    study = checkout.folder / "config/studies/demo.yaml"
    text = study.read_text()
    study.write_text(text.replace("compute: {", "compute: {gpus: 4, "))
    try:
        assert "--gpus 4" in checkout.snakemake("-n", "-p", target).stdout
    finally:
        study.write_text(text)


THREADS = 8 * (os.cpu_count() or 1)


@pytest.mark.parametrize(("profile", "threads"), [(["--profile", "slurm"], THREADS), ([], os.cpu_count())])
def test_only_a_job_of_this_machine_has_no_more_threads_than_it_has_cores(checkout, profile, threads):
    study = checkout.folder / "config" / "studies" / "wide.yaml"
    study.write_text(f"extends: demo\ntitle: Wide\ncompute: {{threads: {THREADS}}}\n")
    probe = checkout.folder / "probe.smk"
    lines = PROBE.replace("STUDY", "wide").replace('found.get("gpu")', 'found.get("_cores")')
    probe.write_text((checkout.folder / "Snakefile").read_text() + lines)
    done = checkout.snakemake(*profile, "-n", "data", "-s", "probe.smk", "--config", "studies=[wide]")
    probe.unlink()
    study.unlink()
    assert f"train_run {threads} " in done.stdout + done.stderr


def test_jobs_that_fit_no_partition_stop_before_any_is_submitted(checkout):
    study = checkout.folder / "config" / "studies" / "large.yaml"
    study.write_text("extends: demo\ntitle: Large\ncompute: {gpus: 9, train_minutes: 4000}\n")
    asked = ("-n", "data", "--config", "studies=[large]")
    done = checkout.snakemake("--profile", "slurm", *asked, check=False)
    elsewhere = checkout.snakemake(*asked)
    study.unlink()
    shown = done.stdout + done.stderr
    assert done.returncode != 0
    assert re.search(
        r"training of full, lora.* runtime 4000.* fits no partition of slurm/partitions.yaml", shown
    )
    assert "gpu has max_gpu 8, max_runtime 2880; set compute.gpus of the study lower" in shown
    assert re.search(r"generation of base.* fits no partition", shown) is None, "one engine, one GPU"
    assert "partition" not in elsewhere.stdout + elsewhere.stderr


JOB = ("--mode", "remote", "--executor", "dryrun", "--nolock", "--cores", "all", "--target-jobs")
"""How executors call Snakemake in a job, here without doing it."""


def test_a_job_reads_the_configuration_that_its_run_started_with(checkout):
    study, config = checkout.folder / "config/studies/queued.yaml", checkout.folder / "config/config.yaml"
    study.write_text("extends: demo\ntitle: Queued\ntraining: {steps: 7}\n")
    run = "tiny--lora--recommended--main--s0"
    checkout.snakemake("--cores", "1", "--", f"results/queued/configs/train/{run}.json")
    before = config.read_text()
    for path in (study, config):
        path.write_text("title: {broken\n")
    for copy in (checkout.folder / ".snakemake" / "rlvr").glob("*/config"):
        if (copy / "studies" / "queued.yaml").exists():
            os.environ["RLVR_CONFIG"] = str(copy)
    job = (*JOB, f"train_run:study=queued,run={run}", "--allowed-rules", "train_run")
    done = checkout.snakemake("-n", *job, check=False)
    del os.environ["RLVR_CONFIG"]
    without = checkout.snakemake("-n", *job, check=False)
    config.write_text(before)
    study.unlink()
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Training {run}" in done.stdout
    assert without.returncode != 0, "the folder itself is broken"


def test_checkpoints_may_be_elsewhere(checkout):
    target = "results/demo/runs/tiny--lora--recommended--main--s0/run.json"
    shown = checkout.snakemake("-n", "-p", target, "--config", "checkpoints=/my scratch").stdout
    assert "--checkpoints '/my scratch'/demo/tiny--lora--recommended--main--s0" in shown
    assert "--checkpoints checkpoints/demo/" in checkout.snakemake("-n", "-p", target).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "studies=[dmeo]"], "did you mean 'demo.yaml'?"),
        (["--config", "study=[demo]"], "did you mean 'studies'?"),
        (
            ["results/demo/runs/tiny--lora--recommended--main--s9/run.json"],
            "is not in study 'demo'; known: ",
        ),
    ],
)
def test_wrong_names_stop_before_the_first_job(checkout, arguments, message):
    done = checkout.snakemake("-n", *arguments, check=False)
    assert done.returncode != 0
    assert message in done.stdout + done.stderr


def test_a_wrong_key_stops_with_file_line_and_nearest_key(checkout):
    path = checkout.folder / "config" / "studies" / "wrong.yaml"
    path.write_text((path.parent / "demo.yaml").read_text().replace("group_size:", "groop_size:"))
    done = checkout.snakemake("all", "--config", "studies=[wrong]", check=False)
    path.unlink()
    assert done.returncode != 0
    assert "wrong.yaml, line" in done.stderr
    assert "training.groop_size: unknown key; did you mean 'group_size'?" in done.stderr
    assert not (checkout.folder / "results" / "wrong").exists()


def test_modules_that_a_model_does_not_have_stop_before_the_first_job(checkout):
    path = checkout.folder / "config" / "studies" / "fused.yaml"
    methods = "methods: [{method: lora, parameters: {target_modules: [qkv_proj]}}]"
    path.write_text(f"extends: demo\ntitle: Fused\n{methods}\n")
    done = checkout.snakemake("-n", "all", "--config", "studies=[fused]", check=False)
    path.unlink()
    assert done.returncode != 0
    shown = done.stdout + done.stderr  # a dry run logs to stdout
    assert "model 'tiny': method 'lora' does not fit this qwen2 model" in shown
    assert "no block has a linear layer called qkv_proj" in shown
    assert "target_modules: [q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj]" in shown


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"studies: [demo]\nstudies: [smollm2]\n", "config.yaml, line 2: studies: this key is given twice"),
        ("studies: [demo]\n".encode("utf-16"), "config/config.yaml: the file is UTF-16"),
    ],
)
def test_the_file_that_snakemake_reads_itself_is_checked_first(checkout, content, message):
    path = checkout.folder / "config" / "config.yaml"
    original = path.read_bytes()
    path.write_bytes(content)
    done = checkout.snakemake("-n", "all", check=False)
    path.write_bytes(original)
    assert done.returncode != 0
    assert message in done.stdout + done.stderr


def test_what_cannot_work_stops_and_what_is_rarely_meant_is_told(checkout):
    path = checkout.folder / "config" / "studies" / "odd.yaml"
    path.write_text("extends: demo\ntitle: Odd\ntraining: {clip_high: 28}\n")
    done = checkout.snakemake("-n", "all", "--config", "studies=[odd]")
    assert "odd.yaml, line 3: training.clip_high: 28 hardly clips" in done.stdout + done.stderr
    path.write_text("extends: demo\ntitle: Odd\ntrain_dataset: sums-test\n")
    done = checkout.snakemake("-n", "all", "--config", "studies=[odd]", check=False)
    path.unlink()
    assert done.returncode != 0
    assert "'sums-test' is the training data 'sums-test'" in done.stdout + done.stderr


CONFIGS = [
    f"results/edited/configs/{name}.json"
    for name in ("train/tiny--lora--recommended--main--s0", "generate/sums", "grade/sums")
]


@pytest.fixture(scope="module")
def resolved(checkout: Checkout) -> Path:
    """A study whose configurations are written; with tuned rates, another prompt would be refused."""
    study = checkout.folder / "config" / "studies" / "edited.yaml"
    text = (study.parent / "demo.yaml").read_text().replace("rates: demo-rates\n", "")
    study.write_text(f"seed: 0\n{text}")
    checkout.snakemake(*CONFIGS, "--cores", "1")
    return study


@pytest.mark.parametrize(
    ("old", "new", "rewritten"),
    [
        ("evaluation:", "evaluation:", set()),
        ("evaluation:", "evaluation:\n  grader: released-eval", {"grade"}),
        ("evaluation:", "evaluation:\n  shared_seed: true", {"generate"}),
        ("evaluation:", "evaluation:\n  prompt: boxed", {"generate"}),
        ("train_dataset:", "prompt: boxed\ntrain_dataset:", {"train", "generate"}),
    ],
)
def test_a_value_rewrites_the_configurations_that_hold_it(checkout, resolved, old, new, rewritten):
    """Jobs depend on their configurations, so another grader never costs a generation."""
    text = resolved.read_text()
    resolved.write_text(text.replace(old, new, 1))
    done = checkout.snakemake("-n", *CONFIGS)
    resolved.write_text(text)
    assert set(re.findall(r"Resolving (\w+)/", done.stdout)) == rewritten


def tool(*arguments: str, repository: Path) -> subprocess.CompletedProcess[str]:
    """Run a tool of this environment; snakefmt needs another one, shfmt, on the path."""
    folder = Path(sys.executable).parent
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [str(folder / arguments[0]), *arguments[1:]],
        cwd=repository,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path},
    )


def test_snakemake_lint_is_clean(repository):
    done = tool("snakemake", "--lint", repository=repository)
    assert done.returncode == 0, done.stdout + done.stderr


def test_snakefmt_is_clean(repository):
    done = tool("snakefmt", "--check", "Snakefile", "workflow", repository=repository)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_file_says_what_it_needs_and_makes(repository):
    for path in (repository / "workflow" / "rules").glob("*.smk"):
        text = path.read_text()
        assert text.startswith('"""'), path
        assert "REQUIRED INPUTS:" in text, path
        assert "OUTPUTS:" in text, path


def test_every_job_rule_has_log_benchmark_and_one_call(repository):
    for path in (repository / "workflow" / "rules").glob("*.smk"):
        for block in path.read_text().split("\nrule ")[1:]:
            name = block.partition(":")[0]
            assert "    log:" in block, name
            assert "    benchmark:" in block or "    localrule: True" in block, name
            assert len(re.findall(r"^ +rlvr ", block, re.MULTILINE)) == 1, name


def test_results_of_an_earlier_version_are_recognised(checkout):
    """What an upgrade redoes is shown before anything runs, with the reason and how to keep the results."""
    earlier = checkout.folder / "results" / "demo" / "cells"
    earlier.mkdir(parents=True)
    done = checkout.snakemake("-n", "all", "--config", "studies=[demo]")
    earlier.rmdir()
    shown = done.stdout + done.stderr  # a dry run logs to stdout
    assert "results/demo was written by an earlier version" in shown
    assert "move results/demo away first" in shown
    assert "train_run" in done.stdout
