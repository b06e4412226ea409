"""A study in which two runs of three fail for good: all is made of the third, and the exit code says so."""

import shutil

import pandas as pd
import pytest
import yaml

from tests.helpers.checkout import Checkout

ALL = ("all", "--cores", "2", "--config", "studies=[failing]")
MAIN, ALARM, ABSURD = (f"tiny--lora--recommended--{name}--s0" for name in ("main", "alarm", "absurd"))
STUDY = {
    "extends": "mini",
    "title": "One run of three does not fail",
    "methods": [{"method": "lora", "parameters": {"rank": 8, "alpha": 16}}],
    "settings": {
        "main": {},
        "alarm": {"training": {"mismatch_alarm": 1e-12}},
        "absurd": {"training": {"learning_rate": 1.0, "steps": 40}},
    },
    "training": {"steps": 2, "warmup_steps": 0, "prompts_per_step": 16},
}


@pytest.fixture(scope="module")
def checkout(finished: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy of the finished study, for its model and data."""
    folder = tmp_path_factory.mktemp("failures") / "checkout"
    shutil.copytree(finished.folder, folder, symlinks=True)
    (folder / "config/studies/failing.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False))
    return Checkout(folder)


def test_a_study_with_failed_runs(checkout: Checkout) -> None:
    done = checkout.snakemake(*ALL, check=False)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "study failing: 2 of 3 training runs failed" in said
    assert f"- {ALARM}: diverged after 0 of 2 steps: the policy that samples is not" in said
    assert f"- {ABSURD}: diverged after " in said and " of 40 steps: the reward collapsed from " in said

    results = checkout.folder / "results/failing"
    runs = pd.read_csv(results / "tables/runs.csv").set_index("run")
    assert runs["status"].to_dict() == {
        **{"tiny--base": "finished", MAIN: "finished"},
        **{ALARM: "diverged", ABSURD: "diverged"},
    }
    assert runs.loc[ABSURD, "steps"] < 20, "it ends early"
    assert set(pd.read_csv(results / "tables/summary.csv")["setting"]) == {"-", "main"}
    page = (checkout.folder / "reports/failing.html").read_text()
    assert "Failed runs" in page and f'<th scope="row">{ABSURD}</th><td>diverged</td>' in page

    again = checkout.snakemake(*ALL, check=False)
    assert again.returncode != 0
    assert "study failing: 2 of 3 training runs failed" in again.stdout + again.stderr
    assert checkout.planned(*ALL) == {"check_runs": 1}, "nothing is trained again"
    (results / f"runs/{ALARM}/run.json").unlink()
    assert checkout.planned(*ALL)["train_run"] == 1, "but a run without its record is"
