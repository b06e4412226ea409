"""A small study from nothing to its report: the model learns, because of its reward and of nothing else."""

import json
import re
from pathlib import Path

import pandas as pd

from rlvr.config.resolved import GradeConfig, TrainConfig, read_config
from rlvr.dapo.train import train
from rlvr.evaluate.generate import generate
from rlvr.evaluate.grade import grade
from rlvr.methods.export import export
from rlvr.seeds import derive_seed

LORA = "tiny--lora--recommended--main--s0"
RUNS = ["tiny--full--recommended--main--s0", LORA]


def table(checkout, name: str) -> pd.DataFrame:
    return pd.read_csv(checkout.folder / f"results/mini/tables/{name}.csv")


def test_every_promised_file_is_there(finished):
    results = finished.folder / "results" / "mini"
    for run in RUNS:
        assert (results / "runs" / run / "train_log.parquet").exists()
        assert (results / "runs" / run / "adapter").is_dir()
        info = json.loads((results / "runs" / run / "run.json").read_text())
        assert info["run_info"]["status"] == "finished"
        assert info["run_info"]["device_seconds"] > 0
        assert len(info["meta_info"]["model_sha256"]) == len(info["meta_info"]["data_sha256"]) == 64
    assert (finished.folder / "reports" / "mini.html").stat().st_size > 20_000
    assert table(finished, "contamination")["contaminated"].tolist() == [0]


def test_snakemakes_own_report_has_the_same_figures_and_tables(finished, tmp_path):
    path = tmp_path / "snakemake.html"
    finished.snakemake("--report", str(path), "--config", "studies=[mini]")
    found = re.search(r"var categories = (\{.*\});", path.read_text())
    assert found
    categories = json.loads(found[1])
    assert categories["Report"] == {"Other": ["reports/mini.html"]}
    tables = (finished.folder / "results/mini/tables").glob("*.csv")
    expected = {f"results/mini/tables/{path.name}" for path in tables} | {"results/mini/claims.json"}
    assert len(expected) > 6
    assert set(categories["Tables"]["Other"]) == expected
    figures = {path.name for path in (finished.folder / "results/mini/figures").glob("*.svg")}
    shown = [Path(figure) for part in categories["Figures"].values() for figure in part]
    assert {figure.name for figure in shown} == figures and len(figures) > 3
    assert "The paired differences that study mini asks for" in path.read_text()


def test_full_changes_every_direction_and_lora_as_many_as_its_rank(finished):
    spectra = pd.read_parquet(finished.folder / "results/mini/tables/spectra.parquet")
    ranks = spectra[spectra["measure"] == "update/effective_rank"].groupby("run")["value"]
    assert set(ranks.groups) == set(RUNS)
    assert ranks.max()[LORA] <= 8 < ranks.min()[RUNS[0]]
    steps = spectra.loc[spectra["run"] == LORA, "step"]
    assert steps.max() == 30 and steps.nunique() == 2  # the checkpoint before the last one is measured too
    assert 'id="spectra"' in (finished.folder / "reports" / "mini.html").read_text()


def test_reward_rises_in_training(finished):
    for run in RUNS:
        log = pd.read_parquet(finished.folder / f"results/mini/runs/{run}/train_log.parquet")
        assert log["reward/correct"].tail(8).mean() > log["reward/correct"].head(4).mean() + 0.05, run


def test_trained_models_beat_the_untrained_on_unseen_problems(finished):
    comparisons = table(finished, "comparisons")
    for method in ("full", "lora"):
        row = comparisons.query("baseline == 'base' and method == @method and benchmark != 'overall'").iloc[0]
        assert row["difference"] > 0.05, method
        assert row["ci_low"] > 0, method


def accuracy_after_a_coin_toss(finished, folder: Path) -> float:
    """Train LoRA exactly as the study did, but with rewards thrown by a coin; measure as the study did."""
    root = finished.folder
    configs, model = root / "results/mini/configs", root / "resources/models/tiny"
    config = configs / f"train/{LORA}.json"
    seed = read_config(config, TrainConfig).train_seed

    def toss(problems, completions):
        return [
            float(derive_seed(seed, "coin", problem.id, i, *completion.token_ids) % 2)
            for i, (problem, completion) in enumerate(zip(problems, completions, strict=True))
        ]

    dataset = read_config(config, TrainConfig).dataset
    train(config, model, root / f"resources/data/{dataset}.parquet", folder / "state", folder, reward=toss)
    export(config, model, folder / "trained.safetensors", folder / "adapter")
    how_to_generate = next((configs / "generate").glob("*.json"))
    how_to_grade = configs / "grade" / how_to_generate.name
    data = root / f"resources/data/{read_config(how_to_grade, GradeConfig).dataset}.parquet"
    generate([how_to_generate], model, [data], folder / "adapter", folder / "journals", folder)
    grade(how_to_grade, folder / f"{how_to_generate.stem}.parquet", data, folder / "grades.parquet")
    return pd.read_parquet(folder / "grades.parquet")["correct"].mean()


def test_with_a_coin_toss_for_a_reward_the_gain_vanishes(finished, tmp_path):
    summary = table(finished, "summary").query(
        "metric.str.fullmatch('avg@[0-9]+') and benchmark != 'overall'"
    )
    untrained = summary.query("method == 'base'")["value"].iloc[0]
    trained = summary.query("method == 'lora'")["value"].iloc[0]
    assert accuracy_after_a_coin_toss(finished, tmp_path) < untrained + 0.25 * (trained - untrained)
