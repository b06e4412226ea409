"""The claims of the paper on the page: a verdict, the paper's number, and the way to the rows and samples."""

from pathlib import Path

import pandas as pd
import pytest

from rlvr.analysis.claims.answer import answer_claims
from rlvr.artifacts import ClaimRecord, read_records, write_records
from rlvr.files import read_json, write_json
from tests.helpers.report_page import Page
from tests.helpers.report_tree import Tree, build, write_tree


@pytest.fixture(scope="module")
def answered(
    repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Tree, dict[str, ClaimRecord]]:
    """A study of the paper in miniature: three training seeds, preset `paper`."""
    tree = write_tree(
        tmp_path_factory.mktemp("claims"), methods=("base", "full", "lora", "dora"), study="paper-1.5b-mini",
        presets=("paper",), train_seeds=3, steps=10, benchmarks={"sums": (40, 4)}, contaminated=0,
    )  # fmt: skip
    manifest = read_json(tree.manifest) | {"scaled_from": "paper-1.5b", "scale": "mini"}
    write_json(tree.manifest, manifest)
    answer_claims(tree.manifest, tree.results, repository / "config", tree.folder.claims)
    return tree, {record.id: record for record in read_records(tree.folder.claims, ClaimRecord)}


def test_each_tested_claim_has_its_verdict_and_leads_to_its_row_and_samples(answered):
    tree, records = answered
    html = build(tree)
    page = Page(html)
    tested = [record for record in records.values() if record.verdict != "not_tested"]
    assert {"full-above-base", "lora-above-base", "dora-above-lora"} <= {record.id for record in tested}
    rows = {row["attributes"]["id"]: row for row in page.all("tr") if "id" in row["attributes"]}
    for record in tested:
        row = rows[f"claim--{record.id}"]
        assert record.claim in row["text"] and record.verdict.replace("_", " ") in row["text"]
        (link,) = page.all("a", row)
        target = dict(part.split("=") for part in link["attributes"]["href"].split("?")[1].split("&"))
        assert target["on"] in page.data["methods"]["differences"][target["base"]]
        assert target["pin"] == record.row["method"]
        shown = record.samples[:4]
        assert all(f"results/paper-1.5b-mini/{path}" in row["text"] for path in shown)
        assert all((tree.results / path).exists() for path in record.samples)


def test_the_papers_numbers_are_beside_those_of_the_study(answered):
    tree, _ = answered
    rows = {(row[0], row[1]): row for row in Page(build(tree)).table("Accuracies in %, with 95 % intervals")}
    assert rows["Table 3", "DoRA"][2:5] == ["Overall", "46.6 45.4 to 47.8", "dora"]
    summary = pd.read_csv(tree.folder.table("summary"))
    here = summary.query("method == 'dora' and benchmark == 'overall' and metric == 'avg@4'")["value"].iloc[0]
    assert rows["Table 3", "DoRA"][5].startswith(f"{100 * here:.1f} ")
    assert {name for _, name in rows} == {"Base", "Full", "LoRA", "DoRA"}


def test_claims_that_are_not_tested_name_the_command(answered):
    tree, records = answered
    page = Page(build(tree))
    missing = [record for record in records.values() if record.verdict == "not_tested"]
    rows = page.table("Claims that this study does not test")
    rows += page.table("Claims of the paper that this study does not test")
    assert len(rows) == len(missing) > 20
    for record in missing:
        (row,) = [row for row in rows if row[0].startswith(f"{record.claim} ")]
        assert record.command in row[0] and record.reason in " ".join(row)


def test_without_answers_there_is_no_section(small):
    assert 'id="claims"' not in build(small)


def test_hypotheses_of_the_study_stand_apart_from_the_papers_claims(answered):
    """Here claims of the paper under another name, before the tree is read again."""
    tree, records = answered
    kept = tree.folder.claims.read_text()
    tested = next(record for record in records.values() if record.verdict != "not_tested")
    ours = tested.model_copy(update={"id": "ours", "source": "mine", "verdict": "replicated"})
    write_records(tree.folder.claims, [*records.values(), ours])
    page = Page(build(tree))
    tree.folder.claims.write_text(kept)
    (row,) = page.table("Hypotheses of this study")
    assert tested.claim in row[0] and row[3].startswith("holds ")
    chips = next(e["text"] for e in page.all("p") if "does not hold" in e["text"])
    assert chips.split() == ["1", "holds", "0", "does", "not", "hold"]


@pytest.fixture(scope="module")
def elsewhere(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """A study that is none of the paper's: methods of the paper in two settings, hypotheses of its own."""
    tree = write_tree(
        tmp_path_factory.mktemp("elsewhere"), methods=("base", "full", "lora", "dora"), study="rates",
        presets=("recommended",), settings={"tuned": None, "shared": None}, train_seeds=6, steps=10,
        benchmarks={"sums": (40, 4)}, contaminated=0,
    )  # fmt: skip
    answer_claims(tree.manifest, tree.results, repository / "config", tree.folder.claims)
    return tree


def test_claims_on_methods_that_the_study_compares_have_its_differences_and_hypotheses(elsewhere):
    page = Page(build(elsewhere))
    touched = {
        row[0].split(" Where ")[0]: row
        for row in page.table("Claims of the paper that this study does not test")
    }
    dora = next(
        row for claim, row in touched.items() if claim.startswith("DoRA consistently outperforms LoRA")
    )
    assert dora[1].startswith("+4.1")
    assert "tuned" in dora[2] and "shared" in dora[2]
    assert "At tuned rates, DoRA and LoRA end within three points of each other." in dora[3]
    assert "full fine-tuning" not in dora[3], "a hypothesis about other methods"
    rows = pd.read_csv(elsewhere.folder.table("comparisons")).query(
        "method == 'dora' and baseline == 'lora' and benchmark == 'overall' and contrast == 'methods'"
    )
    assert set(rows["setting"]) == {"tuned", "shared"}
    for difference in rows["difference"]:
        assert f"{abs(100 * difference):.1f}" in dora[2]
    others = " ".join(row[0] for row in page.table("Claims that this study does not test"))
    assert not any(claim in others for claim in touched), "a claim is in one table"
    assert "PiSSA collapses below the untrained model." in others


def test_a_claim_about_two_settings_has_no_counterpart_in_another_study(elsewhere):
    others = " ".join(row[0] for row in Page(build(elsewhere)).table("Claims that this study does not test"))
    assert "Half the learning rate changes the accuracy of LoRA little." in others
