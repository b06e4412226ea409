"""From the runs of a study that tunes to the table of its trials and the file that other studies read."""

from pathlib import Path

import pytest

from rlvr.analysis.check_runs import check_runs
from rlvr.analysis.rates import choose_rates, write_rates
from rlvr.artifacts import ContaminatedProblem, write_rows
from rlvr.config.loading import load_yaml
from rlvr.config.rates import TunedRates
from rlvr.config.resolved import BASE
from rlvr.errors import UserError
from rlvr.files import sha256_of
from tests.helpers.analysis_tree import Results, read_csv
from tests.helpers.records import train_config

TRAINING = train_config().training
PARAMETERS = {"lora": {"rank": 8, "alpha": 16}, "full": {}}


def tuned(root: Path, correct: dict[tuple[str, float], float]) -> Results:
    """A study that tunes: share of correct samples by method and rate, two training seeds."""
    study = Results(root, {"sums": 4})
    study.tunes, study.name = True, "demo-rates"
    study.add(BASE)
    for (method, rate), share in correct.items():
        add_trials(study, method, rate, share)
    write_rows(study.folder.table("contaminated_problems"), ContaminatedProblem, [])
    return study


def add_trials(
    study: Results, method: str, rate: float, share: float, preset: str = "recommended", model: str = "tiny"
) -> None:
    """Add a method at a rate with two training seeds."""
    for seed in (100, 101):
        training = TRAINING.model_copy(update={"learning_rate": rate})
        own = {"training": training, "parameters": PARAMETERS[method], "study": "demo-rates"}
        run = study.add(method, preset, f"r{rate:g}", seed, model, **own)
        keys = [(f"sums-{i}", j) for i in range(10) for j in range(4)]
        study.write(run, "sums", keys, [position < 40 * share for position in range(40)])


SHARES = {
    ("full", 1e-4): 0.7,
    ("full", 1e-3): 0.5,
    ("lora", 1e-4): 0.5,
    ("lora", 1e-3): 0.8,
    ("lora", 1e-2): 0.6,
}


@pytest.fixture
def study(tmp_path: Path) -> Results:
    return tuned(tmp_path / "results", SHARES)


def choose(study: Results) -> list[dict[str, str]]:
    table = study.folder.table("rates")
    choose_rates(
        study.write_manifest(), study.folder.root, study.folder.table("contaminated_problems"), table
    )
    return read_csv(table)


def write(study: Results, config: Path, output: Path) -> TunedRates:
    write_rates(study.folder.manifest, study.folder.root, config, output)
    return load_yaml(output, TunedRates)


def test_the_table_has_every_trial_and_the_choice(study):
    rows = choose(study)
    assert len(rows) == 10 and {row["study"] for row in rows} == {"demo-rates"}
    chosen = {(row["method"], row["learning_rate"]) for row in rows if row["chosen"] == "True"}
    assert chosen == {("full", "0.0001"), ("lora", "0.001")}
    assert {row["edge"] for row in rows if row["method"] == "full"} == {"lowest", ""}
    assert {(row["accuracy"], row["n_samples"]) for row in rows if row["setting"] == "r0.01"} == {
        ("0.6", "40")
    }


def test_problems_that_are_similar_to_others_do_not_count(study):
    study.contaminate("sums-0", "sums-1", "sums-2", "sums-3")  # sixteen samples, correct in every run
    rows = choose(study)
    assert {row["n_samples"] for row in rows} == {"24"}
    assert {row["accuracy"] for row in rows if row["setting"] == "r0.001" and row["method"] == "full"} == {
        "0.1666666667"
    }
    study.contaminate(*(f"sums-{number}" for number in range(10)))
    with pytest.raises(UserError, match="all validation problems are similar to training or test problems"):
        choose(study)


def test_a_diverged_trial_is_an_answer_and_a_crashed_one_is_not(study, tmp_path, repository):
    study.fail("run7")  # LoRA at the best rate, the first seed
    rows = choose(study)
    assert [row["learning_rate"] for row in rows if row["method"] == "lora" and row["chosen"] == "True"] == [
        "0.01",
        "0.01",
    ]
    check_runs(study.folder.manifest, study.folder.root)
    study.tunes = False
    with pytest.raises(UserError, match="1 of 10 training runs failed"):
        check_runs(study.write_manifest(), study.folder.root)


def test_a_missing_trial_is_named_and_nothing_is_written(study, tmp_path, repository):
    study.folder.run("run9").record.unlink()
    rows = choose(study)
    assert not any(row["chosen"] == "True" for row in rows if row["method"] == "lora")
    output = tmp_path / "rates.yaml"
    with pytest.raises(UserError, match=r"no rate is chosen for lora \(recommended, tiny\)"):
        write(study, repository / "config", output)
    assert not output.exists()


def test_the_file_says_what_was_chosen_how_and_with_what(study, tmp_path, repository):
    choose(study)
    rates = write(study, repository / "config", tmp_path / "rates.yaml")
    protocol = rates.protocol
    assert protocol.study == "demo-rates" and protocol.table_sha256 == sha256_of(study.folder.table("rates"))
    assert (protocol.dataset, protocol.problems, protocol.samples_per_problem) == ("sums-test", 10, 4)
    assert (protocol.steps, protocol.train_seeds) == (40, [100, 101])
    found = {rate.method: rate for rate in rates.rates}
    lora = found["lora"]
    assert (lora.learning_rate, lora.tried, lora.trials, lora.edge) == (1e-3, [1e-4, 1e-3, 1e-2], 6, None)
    assert lora.accuracy == pytest.approx(0.8) and found["full"].edge == "lowest"
    assert rates.conditions_of(lora)["parameters.rank"] == 8
    assert rates.conditions_of(lora)["dataset"] == rates.conditions["dataset"] == "sums-train"
    assert rates.conditions["training.group_size"] == 4 and "training.steps" not in rates.conditions
    assert set(rates.entries) == {"models/tiny", "data/sums-train", "data/sums-test"}


def test_every_model_and_preset_of_a_method_chooses_its_own_rate(tmp_path, repository):
    study = tuned(tmp_path / "results", {})
    smollm2 = "smollm2-135m-instruct"
    best = {("tiny", "recommended"): 1e-3, ("tiny", "paper"): 1e-4, (smollm2, "recommended"): 1e-4}
    for (model, preset), chosen in best.items():
        for rate in (1e-4, 1e-3, 1e-2):
            add_trials(study, "lora", rate, 0.8 if rate == chosen else 0.4, preset, model)
    choose(study)
    rates = write(study, repository / "config", tmp_path / "rates.yaml")
    assert {(one.model, one.preset): one.learning_rate for one in rates.rates} == best
    assert {(one.trials, len(one.tried), one.accuracy) for one in rates.rates} == {(6, 3, 0.8)}
    assert {"models/tiny", f"models/{smollm2}"} < set(rates.entries)


def test_the_same_runs_give_the_same_bytes(tmp_path, repository):
    texts = []
    for name in ("one", "two"):
        study = tuned(tmp_path / name, SHARES)
        choose(study)
        write(study, repository / "config", tmp_path / f"{name}.yaml")
        texts.append((tmp_path / f"{name}.yaml").read_bytes())
    assert texts[0] == texts[1]


def test_a_study_that_does_not_tune_chooses_no_rates(study):
    study.tunes = False
    with pytest.raises(UserError, match="study 'demo-rates' has no block `tune`"):
        choose(study)
