"""The configuration of the runs: what they share, and the learning rate and settings of each."""

import json
from pathlib import Path

import pandas as pd
import pytest

from rlvr.config.overview import compared
from tests.helpers.report_page import Page
from tests.helpers.report_tree import Tree, build, write_tree

SMALL = {"benchmarks": {"sums": (12, 2)}, "steps": 20}


def section(page: Page, name: str) -> dict:
    found = page.by_id(name)
    return found


def facts(page: Page) -> dict[str, str]:
    """Title -> value of all shared settings."""
    here = section(page, "configuration")
    titles, values = ([" ".join(e["text"].split()) for e in page.all(tag, here)] for tag in ("dt", "dd"))
    return dict(zip(titles, values, strict=True))


def change_record(tree: Tree, method: str, change) -> None:
    path = tree.folder.run(f"tiny--{method}--recommended--main--s0").record
    record = json.loads(path.read_text())
    change(record["run_info"]["config"])
    path.write_text(json.dumps(record))


def test_shared_settings_are_shown_once(page):
    shown = facts(page)
    for title, value in {
        "Training data": "sums-train",
        "Algorithm": "DAPO, clip range -0.2 to +0.28",
        "Batch": "16 prompts × 8 completions",
        "Steps": "60",
        "Updates per step": "1",
        "Rollouts": "temperature 1, top-p 1, at most 40 tokens",
        "Training precision": "float32",
        "Rollout precision": "float32",
        "Weight sync": "live",
        "Adapted layers": "q, v",
        "Evaluation sampling": "temperature 0.6, top-p 0.95, at most 40 tokens",
        "Evaluation precision": "bfloat16",
    }.items():
        assert shown[title] == value
    assert shown["Dynamic sampling"].startswith("max rounds 4")


def settings(page: Page) -> dict[str, list[str]]:
    """Label -> rate, rank, alpha, dropout of every method but the untrained model."""
    columns = ("rate", "rank", "alpha", "dropout")
    return {label: [row[name] for name in columns] for label, row in list(page.methods().items())[1:]}


def test_every_run_has_its_learning_rate_and_where_it_comes_from(page):
    rows = settings(page)
    assert rows["lora"] == ["0.003", "8", "16", "0.05"]
    assert rows["full"] == ["0.0003 0.003 × 0.1 (preset)", "–", "–", "–"]
    assert rows["pissa"][0] == "0.0009 0.003 × 0.3 (study)"
    assert rows["ia3"][0] == "–"
    text = section(page, "configuration")["text"]
    assert "Learning rates differ by a factor of 100, from 0.0003 to 0.03." in text
    assert "A factor of the study was chosen for this study" in text


def test_a_run_that_departs_says_where_and_the_shared_value_says_so(tmp_path):
    tree = write_tree(tmp_path, methods=("base", "lora", "dora", "rslora"), **SMALL)
    change_record(tree, "dora", lambda config: config["training"].update(algorithm="grpo", clip_high=0.2))
    page = Page(build(tree))
    assert facts(page)["Algorithm"] == "DAPO, clip range -0.2 to +0.28 (unless noted)"
    departures = {label: row["departs"] for label, row in page.methods().items()}
    assert departures.pop("dora") == "Algorithm: GRPO, clip range -0.2 to +0.2"
    assert set(departures.values()) == {"–"}


def test_a_setting_without_a_title_of_its_own_is_shown_too(page):
    further = facts(page)["Further settings"]
    assert "max prompt tokens 512" in further and "gradient checkpointing no" in further


def test_records_of_earlier_versions_have_rates_without_an_origin(tmp_path):
    tree = write_tree(tmp_path, methods=("base", "lora", "full"), **SMALL)
    study = json.loads(tree.manifest.read_text())
    study["runs"] = [
        {key: value for key, value in run.items() if key != "rate_factor"} for run in study["runs"]
    ]
    tree.manifest.write_text(json.dumps(study))
    tree.folder.config("generate/sums").unlink()
    page = Page(build(tree))
    rates = {label: row[0] for label, row in settings(page).items()}
    assert rates == {"lora": "0.003 origin not recorded", "full": "0.0003 origin not recorded"}
    assert "Evaluation precision" not in facts(page)


def test_without_a_finished_run_there_is_no_configuration(tmp_path):
    page = Page(build(write_tree(tmp_path, methods=("base", "lora"), not_run=("lora",), **SMALL)))
    assert "configuration" not in [e["attributes"].get("id") for e in page.elements]


def test_the_most_common_value_is_the_shared_one():
    rows = [{"a": "1", "b": "x"}, {"a": "2", "b": "x"}, {"a": "2", "b": "x"}, {"b": "x", "c": "y"}]
    usual = {"a": "2 (unless noted)", "b": "x", "c": "y"}
    assert compared(rows) == (usual, [{"a": "1"}, {}, {}, {}])


def add_columns(path: Path, **columns) -> None:
    pd.read_parquet(path).assign(**columns).to_parquet(path)


@pytest.fixture
def logged(tmp_path) -> Tree:
    """Two methods whose logs say where the groups came from."""
    tree = write_tree(tmp_path, methods=("base", "lora", "dora", "full"), **SMALL)
    for method, carried, filled in (("lora", 0.5, 1.0), ("dora", 0.0, 1.0), ("full", 0.25, 1.0)):
        shares = {"groups/carried_fraction": [0.0, *[carried] * 19], "groups/filled_fraction": filled}
        path = tree.folder.run(f"tiny--{method}--recommended--main--s0").train_log
        add_columns(path, **shares, **{"rollouts/completions": [100.0 * step for step in range(1, 21)]})
    return tree


def training_text(tree: Tree) -> tuple[str, list[str]]:
    page = Page(build(tree))
    here = section(page, "training")
    return " ".join(here["text"].split()), list(page.data["training"]["tiny"]["y"])


def test_the_share_of_groups_of_an_older_policy_is_said_and_plotted(logged):
    text, titles = training_text(logged)
    assert (
        "Not strictly on-policy: 23.8 % (full) to 47.5 % (lora) of the groups trained on were sampled" in text
    )
    assert "at most 50.0 % in one step" in text and "Every batch was full." in text
    assert "Completions sampled per training run: 2,000." in text
    assert "carried" in titles
    assert "filled" not in titles


def test_batches_that_were_not_full_are_said_and_plotted(logged):
    path = logged.folder.run("tiny--dora--recommended--main--s0").train_log
    add_columns(path, **{"groups/filled_fraction": [0.25, *[1.0] * 19]})
    text, titles = training_text(logged)
    assert "Batches were smaller than configured in 5.0 % (dora) of the steps" in text
    assert "the smallest was 25.0 % full" in text
    assert "filled" in titles
