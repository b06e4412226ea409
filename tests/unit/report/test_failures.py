"""Failed runs are on the page with their reason, and their methods are not called `not run`."""

from pathlib import Path

import pytest

from tests.helpers.report_page import Page
from tests.helpers.report_tree import Tree, build, fail, write_tree

LORA, DORA = "tiny--lora--recommended--main--s1", "tiny--dora--recommended--main--s{}"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """One seed of LoRA and all of DoRA failed; full and IA3 are complete and not run."""
    tree = write_tree(
        tmp_path_factory.mktemp("failures"),
        methods=("base", "full", "lora", "dora", "ia3"),
        not_run=("ia3",),
        benchmarks={"sums": (20, 2), "products": (10, 2)},
        train_seeds=2,
        steps=12,
    )
    for run in (LORA, DORA.format(0), DORA.format(1)):
        fail(tree, run)
    return tree


@pytest.fixture(scope="module")
def page(tree: Tree) -> Page:
    return Page(build(tree))


def section(page: Page, name: str) -> str:
    found = page.by_id(name)
    return " ".join(found["text"].split())


def test_every_failed_run_is_listed_with_steps_rewards_and_reason(page: Page) -> None:
    rows = {row[0]: row[1:] for row in page.table("Failed runs")}
    assert list(rows) == [LORA, DORA.format(0), DORA.format(1)]
    for row in rows.values():
        assert row[:2] == ["diverged", "7 of 60"]
        assert row[2].replace("\u2212", "-") == "0.510 to -1.000"
        assert row[3] == "the reward collapsed <b>at once</b>; lower training.learning_rate"
    text = section(page, "failures")
    assert "End of the log of " + LORA in text and "step 7 <script>alert(1)</script>" in text


def test_the_first_screen_says_which_numbers_are_of_fewer_seeds(page: Page) -> None:
    said = " ".join(page.by_id("verdict")["text"].split())
    assert "8 runs, 3 failed · 2 not run" in said.replace("\xa0", " ") and "Not run: ia3." in said
    assert "Failed: lora, seed 1: diverged after 7 of 60 steps; dora, seed 0: diverged" in said
    assert page.all("a", page.by_id("verdict"))[-1]["attributes"]["href"] == "#failures"


def test_the_table_tells_failed_from_not_run(page: Page) -> None:
    notes = {label: row["note"].replace("\xa0", " ") for label, row in page.methods().items()}
    assert notes["dora"] == "failed" and notes["ia3"] == "not run" and notes["lora"] == "1 of 2 seeds"


def test_a_failed_run_is_marked_where_it_ended(page: Page) -> None:
    lines = {line["key"]: line for line in page.data["training"]["tiny"]["lines"]}
    ((place, _),) = lines["lora"]["marks"]["reward"]
    assert place["step"] == 7 and len(lines["dora"]["marks"]["reward"]) == 2
    assert lines["full"]["marks"] == {}


def test_the_provenance_has_the_failed_runs(page: Page) -> None:
    (row,) = [row for row in page.table("Runs") if row[0] == LORA]
    assert row[1:3] == ["diverged", "1"] and row[5:8] == ["7", "–", "–"]


def test_a_study_without_failures_has_no_such_section(tmp_path: Path) -> None:
    tree = write_tree(tmp_path, methods=("base", "lora"), benchmarks={"sums": (10, 2)}, steps=5)
    assert "failures" not in [e["attributes"].get("id") for e in Page(build(tree)).elements]
