"""Two rates on validation problems, the one that does not ruin the model chosen, and a study that has it."""

import json
import shlex
from pathlib import Path

import pytest

from rlvr.artifacts import RateRow, read_rows
from rlvr.cli import main
from rlvr.config.loading import load_yaml
from rlvr.config.rates import TunedRates
from rlvr.files import sha256_of
from tests.helpers.checkout import Checkout, make_checkout
from tests.helpers.cli_examples import example_of
from tests.helpers.quick_study import STUDY, write_study

TUNING = """
extends: faults
title: A choice between two rates
train_seeds: [7]
training: {steps: 2, checkpoint_every: 2}
tune:
  validation: {dataset: held-out, title: Held-out digits, samples_per_problem: 8}
  rates: [1.0e-6, 1.0]
"""
TUNED = """
extends: faults
title: A study at the chosen rate
training: {steps: 1}
rates: tuning
"""
HELD_OUT = """
  held-out:
    source: arithmetic
    levels: [L1]
    operations: ["+"]
    split: train
    size: 12
    style: bare
    seed: 5
    apart_from: [*digits]
"""
RATES = Path("config/rates/tuning.yaml")
RUN = "small--lora--recommended--main--s0"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout in which a study has chosen between two rates."""
    checkout = make_checkout(tmp_path_factory.mktemp("tuning") / "checkout")
    write_study(checkout.folder)
    studies, datasets = checkout.folder / "config/studies", checkout.folder / "config/datasets.yaml"
    datasets.write_text(
        datasets.read_text().replace("digits: {", "digits: &digits {", 1).replace("size: 60", "size: 40")
        + HELD_OUT
    )
    assert "title:" in STUDY
    (studies / "tuning.yaml").write_text(TUNING)
    checkout.snakemake("rates", "--cores", "2", "--config", "studies=[tuning]")
    return checkout


def planned(checkout: Checkout) -> dict[str, int]:
    return checkout.planned("train", "--config", "studies=[tuned]")


def test_the_rate_that_is_better_on_validation_problems_is_chosen(checkout):
    table = checkout.folder / "results/tuning/tables/rates.csv"
    rows = read_rows(table, RateRow)
    assert dict(zip(rows["setting"], rows["chosen"], strict=True)) == {"r1e-06": True, "r1": False}
    assert rows["n_samples"][0] == 96 and rows["status"][0] == "finished"
    rates = load_yaml(checkout.folder / RATES, TunedRates)
    (rate,) = rates.rates
    assert (rate.learning_rate, rate.edge, rate.trials) == (1e-6, "lowest", 2)
    assert rates.protocol.table_sha256 == sha256_of(table) and rates.protocol.steps == 2
    log = (checkout.folder / "logs/tuning/choose-rates.log").read_text()
    assert "the chosen rate is the lowest of the grid" in log
    assert "Validation accuracy in %" in (checkout.folder / "reports/tuning.html").read_text()
    assert not (checkout.folder / "results/tuning/samples/small--base/unseen.parquet").exists(), "no test"


def test_a_study_has_the_chosen_rate_and_an_edited_one_trains_its_runs_again(checkout):
    (checkout.folder / "config/studies/tuned.yaml").write_text(TUNED)
    record = checkout.folder / f"results/tuned/runs/{RUN}/run.json"
    first = planned(checkout)
    assert first["train_run"] == 1 and "choose_rates" not in first
    checkout.snakemake("train", "--cores", "2", "--config", "studies=[tuned]")
    assert json.loads(record.read_text())["run_info"]["config"]["training"]["learning_rate"] == 1e-6
    assert planned(checkout) == {}
    path = checkout.folder / RATES
    text = path.read_text()
    path.write_text(f"{text}# the same rates\n")
    assert planned(checkout) == {}
    path.write_text(text.replace("learning_rate: 1.0e-06", "learning_rate: 2.0e-06", 1))
    assert planned(checkout)["train_run"] == 1
    path.unlink()
    refused = checkout.snakemake("-n", "--config", "studies=[tuned]", check=False)
    path.write_text(text)
    assert "study 'tuning' has not chosen any rates yet" in refused.stdout + refused.stderr


def test_validation_problems_that_are_trained_on_stop_before_any_training(checkout):
    study = checkout.folder / "config/studies/leaking.yaml"
    study.write_text(TUNING.replace("held-out", "digits").replace("tuning", "leaking"))
    done = checkout.snakemake("-n", "rates", "--config", "studies=[leaking]", check=False)
    study.unlink()
    assert done.returncode != 0
    assert "tune.validation.dataset: 'digits' shares problems with 'digits' (training data)" in (
        done.stdout + done.stderr
    )


def test_the_examples_of_the_verbs_write_the_same_again(checkout, monkeypatch):
    monkeypatch.chdir(checkout.folder)
    table, rates = Path("results/tuning/tables/rates.csv").read_bytes(), RATES.read_bytes()
    for verb in ("choose-rates", "write-rates"):
        words = shlex.split(example_of(verb).replace("demo-rates", "tuning").replace("\\\n", " "))
        assert main(words[1:]) == 0
    assert (Path("rates.csv").read_bytes(), RATES.read_bytes()) == (table, rates)
