"""The section of the learning rates: absent where they were not tuned; the choice, its cost and its end."""

import json

from rlvr.artifacts import RateRow, write_rows
from tests.helpers.report_page import Page
from tests.helpers.report_tree import Tree, build, write_tree

PROTOCOL = {
    "study": "demo-rates", "table_sha256": "5" * 64, "dataset": "sums-tuning", "problems": 256,
    "samples_per_problem": 4, "steps": 20, "train_seeds": [100, 101],
}  # fmt: skip
RATE = {
    "model": "tiny",
    "preset": "recommended",
    "tried": [1e-3, 3e-3, 1e-2],
    "trials": 6,
    "accuracy": 0.8125,
}


def change_manifest(tree: Tree, **changes: object) -> None:
    manifest = json.loads(tree.manifest.read_text())
    tree.manifest.write_text(json.dumps(manifest | changes))


def words(page: Page, name: str) -> str:
    return " ".join(page.by_id(name)["text"].split())


def test_a_study_with_tuned_rates_says_so_beside_the_results(small):
    assert 'id="rates"' not in build(small)
    rates = [
        RATE | {"method": "lora", "learning_rate": 3e-3},
        RATE | {"method": "full", "learning_rate": 1e-3, "edge": "lowest"},
    ]
    manifest = json.loads(small.manifest.read_text())
    for run in manifest["runs"]:
        if run["method"] == "lora":
            run["rate_factor"] = {"value": 1.0, "given_by": "tuned", "trials": 6}
    change_manifest(small, runs=manifest["runs"], rates={"protocol": PROTOCOL, "rates": rates})
    page = Page(build(small))
    text = words(page, "rates")
    assert "tuned by study demo-rates: every method was trained for 20 steps" in text
    assert "256 problems of sums-tuning (4 samples each)" in text
    rows = {row[0]: row for row in page.table("Learning rate of each method")}
    assert rows["lora"][1:] == ["0.003", "0.001, 0.003, 0.01", "6", "81.2"]
    assert rows["full"][1] == "0.001 lowest of the grid"
    assert "whether a better one lies beyond" in text
    assert page.methods()["lora"]["rate"] == "0.003 best of 6 trials"
    assert "tuned on other problems" in words(page, "configuration")


def test_a_study_that_tunes_shows_every_trial(small):
    def row(rate: float, seed: int, **changes: object) -> RateRow:
        fields = {
            "study": "demo", "model": "tiny", "method": "lora", "preset": "recommended",
            "setting": f"r{rate:g}", "run": f"r{rate:g}-{seed}", "train_seed": seed, "learning_rate": rate,
            "status": "finished", "accuracy": 0.5, "mean_accuracy": 0.5, "n_problems": 9, "n_samples": 36,
            "chosen": False, "edge": None,
        }  # fmt: skip
        return RateRow(**fields | changes)

    diverged = {"status": "diverged", "accuracy": None, "mean_accuracy": None}
    rows = [
        row(1e-3, 101, accuracy=0.6, chosen=True, edge="lowest"),  # the study lists its seeds in this order
        row(1e-3, 100, accuracy=0.4, chosen=True, edge="lowest"),
        row(1e-2, 100, mean_accuracy=None),
        row(1e-2, 101, **diverged),
        row(1e-3, 100, method="full", **diverged),
        row(1e-3, 101, method="full", **diverged),
    ]
    write_rows(small.folder.table("rates"), RateRow, rows)
    change_manifest(small, tunes=True)
    page = Page(build(small))
    shown = page.table("Validation accuracy in %")
    text = words(page, "rates")
    assert text.index("Seed 100") < text.index("Seed 101")
    assert shown[0][:5] == ["lora", "0.001", "40.0", "60.0", "50.0"]
    assert shown[0][5].startswith("chosen lowest of the grid")
    assert shown[1] == ["lora", "0.01", "50.0", "diverged", "–", ""]
    assert "No rate is chosen for full" in words(page, "rates")
    assert "tables/rates.csv" in words(page, "provenance")


def test_presets_of_a_method_are_named(tmp_path):
    presets = ("recommended", "released")
    tree = write_tree(
        tmp_path, methods=("base", "lora"), presets=presets, benchmarks={"sums": (20, 4)}, steps=5
    )
    rates = [
        RATE | {"method": "lora", "preset": preset, "learning_rate": rate}
        for preset, rate in zip(presets, (1e-3, 3e-3), strict=True)
    ]
    change_manifest(tree, rates={"protocol": PROTOCOL, "rates": rates})
    rows = Page(build(tree)).table("Learning rate of each method")
    assert [row[:2] for row in rows] == [["lora · recommended", "0.001"], ["lora · released", "0.003"]]
