"""Countdown from its problems to the tables, in one process: solutions are rewarded, and nothing else."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from rlvr.analysis.aggregate import aggregate
from rlvr.artifacts import StudyFolder
from rlvr.config.resolved import BASE
from rlvr.dapo.train import train
from rlvr.data.prepare import prepare_data
from rlvr.data.problems import read_problems
from rlvr.evaluate.generate import generate
from rlvr.evaluate.grade import grade
from rlvr.files import write_json
from rlvr.methods.export import export
from rlvr.models.pretrain import encode, sampled_accuracy
from rlvr.models.tiny import build_model, build_tokenizer
from rlvr.planning.plan import Plan, configs, load_plan
from rlvr.verify.arithmetic import evaluate
from tests.helpers.analysis_tree import AGGREGATED
from tests.helpers.paths import REPOSITORY

SMALLER = {"steps": 4, "prompts_per_step": 8, "group_size": 8, "warmup_steps": 0, "rollout_batch_size": 64}
LORA = "tiny-countdown--lora--recommended--main--s0"


@pytest.fixture(scope="module")
def plan(tmp_path_factory) -> Plan:
    """The study, with LoRA alone, fewer steps, and few problems of small numbers."""
    config = tmp_path_factory.mktemp("countdown") / "config"
    shutil.copytree(REPOSITORY / "config", config)
    path = config / "studies" / "countdown.yaml"
    study = yaml.safe_load(path.read_text())
    study["methods"] = [choice for choice in study["methods"] if choice["method"] == "lora"]
    study["training"] |= SMALLER
    path.write_text(yaml.safe_dump(study))
    path = config / "datasets.yaml"
    datasets = yaml.safe_load(path.read_text())
    for name, entry in datasets["datasets"].items():
        if name.startswith("countdown-bare"):
            entry |= {"size": 30, "largest_number": 9, "largest_target": 20}
    path.write_text(yaml.safe_dump(datasets))
    return load_plan("countdown", config)


@pytest.fixture(scope="module")
def results(plan, tmp_path_factory) -> StudyFolder:
    """What every rule of the workflow makes of it."""
    root = tmp_path_factory.mktemp("run")
    folder, model = StudyFolder(root / "results"), root / "model"
    for name, config in configs(plan).items():
        write_json(folder.config(name), config.model_dump(mode="json"))
    benchmarks = plan.study.evaluation.benchmarks
    wanted = [plan.study.train_dataset, *(one.dataset for one in benchmarks.values())]
    data = {name: root / f"{name}.parquet" for name in wanted}
    for name, path in data.items():
        write_json(root / "entry.json", plan.datasets.datasets[name].model_dump(mode="json"))
        prepare_data(root / "entry.json", path)
    learn(model, list(data.values()))
    run, config = folder.run(LORA), folder.config(f"train/{LORA}")
    train(config, model, data[plan.study.train_dataset], root / "state", run.root)
    export(config, model, run.trained, run.adapter)
    for name, adapter in ((f"tiny-countdown--{BASE}", None), (LORA, run.adapter)):
        generate(
            [folder.config(f"generate/{benchmark}") for benchmark in benchmarks],
            model,
            [data[benchmark.dataset] for benchmark in benchmarks.values()],
            adapter,
            root / "journals",
            folder.samples_of(name),
            references=folder.references_of(name),
        )
        for key, benchmark in benchmarks.items():
            samples, grades = folder.samples(name, key), folder.grades(name, key)
            grade(folder.config(f"grade/{key}"), samples, data[benchmark.dataset], grades)
    tables = {name: folder.table(name) for name in AGGREGATED}
    aggregate(folder.manifest, folder.root, None, **tables)
    return folder


def learn(folder: Path, data: list[Path]) -> None:
    """Write a model that knows some of the solutions."""
    tokenizer = build_tokenizer()
    model = build_model(tokenizer, hidden_size=64, layers=1, heads=1, intermediate_size=128, seed=0)
    rows = [row for path in data for row in read_problems(path).head(30).to_dict("records")]
    encoded = encode(tokenizer, rows)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    while sampled_accuracy(model, encoded) < 0.3:
        model(input_ids=encoded.ids, labels=encoded.labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_json(folder / "provenance.json", {"sha256": "test"})


def test_the_reward_is_for_a_solution_and_for_nothing_else(results):
    log = pd.read_parquet(results.run(LORA).train_log)
    assert len(log) == SMALLER["steps"] and 0.02 < log["reward/correct"].mean() < 0.98
    samples, grades = (pd.read_parquet(path(LORA, "three")) for path in (results.samples, results.grades))
    answers = samples.merge(grades, on=["problem_id", "sample_index"])
    asked = answers["problem_id"].str.split("=", expand=True)
    solved = [
        evaluate(text) == (tuple(map(int, numbers.split(","))), int(target))
        for text, numbers, target in zip(answers["text"], asked[0], asked[1], strict=True)
    ]
    assert answers["correct"].tolist() == solved and 0 < sum(solved) < len(solved)


def test_the_tables_have_what_was_unlearned_and_how_fast_it_learned(results):
    forgetting, learning = (pd.read_csv(results.table(name)) for name in ("forgetting", "learning"))
    assert set(forgetting["measure"]) == {"accuracy", "logprob"}
    assert (forgetting.loc[forgetting["measure"] == "logprob", ["before", "after"]] < 0).all(axis=None)
    assert learning["planned_steps"].tolist() == [SMALLER["steps"]] and learning["area"].between(0, 1).all()
    overall = pd.read_csv(results.table("summary")).query("benchmark == 'overall' and metric == 'avg@8'")
    assert (overall["n_problems"] == 30).all()
