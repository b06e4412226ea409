"""The real problem files, if `shared/data` is beside the checkout."""

import json
import shutil
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from rlvr.config.catalogue import Checks, DataCatalogue, LocalData
from rlvr.config.loading import load_yaml
from rlvr.data.checks import check_rows
from rlvr.data.contamination import exact_matches
from rlvr.data.prepare import prepare_data
from rlvr.data.problems import COLUMNS, read_problems
from rlvr.data.reading import read_entry
from rlvr.data.similarity import best_matches
from rlvr.errors import UserError
from rlvr.files import content_hash, read_json, write_json
from rlvr.verify.gold_answers import check_golds
from tests.helpers.paths import REPOSITORY, SHARED_DATA

pytestmark = pytest.mark.skipif(
    not SHARED_DATA.exists(), reason="no problem files at ../shared/data, beside the checkout"
)

BENCHMARKS = {
    "aime24": ("aime24", 30),
    "aime25": ("aime25", 30),
    "amc23": ("amc23", 40),
    "hmmt25": ("hmmt_feb25", 30),
    "math500": ("math500", 500),
    "minerva": ("minerva_math", 272),
    "brumo25": ("brumo25", 30),
    "cmimc25": ("cmimc25", 40),
    "olympiadbench": ("olympiadbench", 675),
    "gsm8k": ("gsm8k_test", 1319),
}
"""Data set -> (file, number of problems)."""

CONTENT = {
    "aime24": "dbf5b9f5bb6d22c623523268c6883c83040af3714aa8f6f46713bfbae58f4b06",
    "aime25": "ea50c4450d0795c7a8a734c35391f80d8277e61114cde9bea1f74736a0f8208d",
    "amc23": "c9dad2051ecc95f04226881f16126bed9cb597cbd2ab8c07d9171432c51d2240",
    "hmmt25": "de77ef659d4cac53971ba1dc67c740f4474aea23cb18953b5bca8b835c5dab0f",
    "math500": "ddeade282b119b25ad0a480870569e055bf72246ca5c7724a781b083d781962d",
    "minerva": "6fd8d0c3cab42b035bf9728e5d3152972061f09fee4824fdff0fbe56fca4f267",
    "brumo25": "f6191ac36524bc947551bc9d6a51dab8dfd12f2fcc806f9f0315204eca8e0739",
    "cmimc25": "8eb84bcf92eab5b0a7575600eb06e78185365a4f51556a053f9bcfefaa03e59d",
    "olympiadbench": "eda31a82d217c9f5f9523e5dcd452b2f7d83eef746b4633e1a7cbb684d69a087",
    "gsm8k": "300577307afa8c56be34531a486f3d57777307b5ebba51b20f2cd04fa612549d",
}
"""Data set -> `content_sha256`: a benchmark stays what it was."""

DEFECTS = {
    "aime24": {"image": 2},
    "aime25": {"control_characters": 2, "image": 5},
    "math500": {"image": 42, "choice_letter": 3},
    "minerva": {"image": 1, "text_answer": 1},
    "olympiadbench": {"sentence_answer": 1, "text_answer": 1},
}
"""Data set -> rows that are kept in spite of a defect; all pictures but that of Minerva are code, `[asy]`."""

TEXT_ANSWERS = {"minerva": ["minerva-027"], "olympiadbench": ["olympiad-2045"]}
"""Gold answers that cannot be parsed: an equation with astronomical symbols, and `t(0,4]`."""


def local(kind: str, name: str, **settings: object) -> LocalData:
    path = str(SHARED_DATA / kind / f"{name}.jsonl")
    return LocalData.model_validate({"source": "local", "path": path, "columns": {"id": "id"}, **settings})


@pytest.mark.parametrize("dataset", BENCHMARKS)
def test_every_benchmark_is_prepared_whole_and_every_gold_verifies_against_itself(
    dataset, tmp_path, monkeypatch, caplog
):
    """By the entry of the catalogue, with the file at the path of its key `local`."""
    monkeypatch.chdir(tmp_path)
    file, problems = BENCHMARKS[dataset]
    Path("data").mkdir()
    shutil.copy(SHARED_DATA / "benchmarks" / f"{file}.jsonl", f"data/{dataset}.jsonl")
    entry = load_yaml(REPOSITORY / "config" / "datasets.yaml", DataCatalogue).datasets[dataset]
    write_json("entry.json", entry.model_dump(mode="json"))
    prepare_data(Path("entry.json"), Path("out.parquet"))
    assert len(read_problems(Path("out.parquet"))) == problems
    provenance = read_json("out.provenance.json")
    rows = provenance["rows"]
    assert rows["read"] == rows["kept"] == problems
    assert provenance["content_sha256"] == CONTENT[dataset]
    assert rows["kept_with_defects"] == DEFECTS.get(dataset, {})
    for one in TEXT_ANSWERS.get(dataset, []):
        assert f"(id {one!r}): kept: text_answer" in caplog.text


@pytest.mark.parametrize(
    ("name", "rows", "kept", "dropped"),
    [
        (
            "dapo_math_14k_en",
            "c3dd51f5a36444337d3b5efa87db840d1aea7736eb572e3565786f3b2fd1a1cf",
            {"control_characters": 640, "duplicate_problem": 129, "image": 568},
            [],
        ),
        pytest.param(
            "math_train",
            "8f75ebb76cb1ac5f978c4b968a101f7e187882991bee74b7931ea0dac02cdc61",
            {"duplicate_problem": 1, "image": 707, "choice_letter": 40, "text_answer": 8},
            [],
            marks=pytest.mark.slow,
        ),
        ("gsm8k_train", "c237de316ca17c7c326f6d9ac00e82a30a075864c40627c360eeda9f73f6d792", {}, []),
        (
            "deepscaler_sub",
            "6daa0be0b17665cd74df95f1a621a7ba9f327cf01b6fc9fe20e6d542abc61175",
            {"control_characters": 3, "image": 38, "choice_letter": 1, "text_answer": 4},
            ["dsr-sub-1187"],
        ),
    ],
)
def test_training_files_are_read_and_their_defects_are_counted(name, rows, kept, dropped):
    reading = read_entry(local("train", name))
    assert content_hash([[getattr(row, column) for column in COLUMNS] for row in reading.rows]) == rows
    keep = Checks(control_characters="keep", duplicate_problem="keep", unparsable_answer="drop")
    checked = check_rows(reading.rows, reading.findings, keep)
    assert Counter(finding.kind for finding in checked.kept) == kept
    assert [(finding.kind, finding.id) for finding in checked.dropped] == [
        ("unparsable_answer", name) for name in dropped
    ]
    assert len(checked.rows) == len(reading.rows) - len(dropped)


def test_the_training_file_stops_by_default_and_is_prepared_without_its_defects_on_request(tmp_path):
    write_json(tmp_path / "entry.json", local("train", "dapo_math_14k_en").model_dump(mode="json"))
    with pytest.raises(
        UserError, match=r"control_characters: .*\(640 of 14116\).*\n +line 5790 \(id 'dapo-05789'\): U\+000C"
    ):
        prepare_data(tmp_path / "entry.json", tmp_path / "out.parquet")
    drop = {"control_characters": "drop", "duplicate_problem": "drop"}
    write_json(
        tmp_path / "entry.json", local("train", "dapo_math_14k_en", checks=drop).model_dump(mode="json")
    )
    prepare_data(tmp_path / "entry.json", tmp_path / "out.parquet")
    dropped = pd.read_csv(tmp_path / "out.dropped.csv")
    kinds = dropped["reason"].str.partition(":")[0].value_counts()
    assert kinds["control_characters"] == 640
    assert len(read_problems(tmp_path / "out.parquet")) == 14116 - len(dropped)


def test_a_sample_of_the_training_golds_verifies_against_itself():
    """The other training files are checked completely, above."""
    rows = read_entry(local("train", "math_train")).rows[::50]
    assert set(check_golds([row.answer for row in rows])) == {None}


def test_the_known_contamination_is_found():
    """Compared with a published list; five of its pairs are below the threshold and were found by reading.

    One more is found: the same problem in different LaTeX.
    """
    known = [json.loads(line) for line in (SHARED_DATA / "contamination.jsonl").open(encoding="utf-8")]
    by_hand = {(one["train_set"], one["benchmark_id"]) for one in known if one["similarity"] < 0.8}
    expected = {(one["train_set"], one["benchmark_id"]) for one in known}
    problems = [row for file, _ in BENCHMARKS.values() for row in read_entry(local("benchmarks", file)).rows]
    texts = [row.problem for row in problems]
    found = set()
    for train_set in sorted({one["train_set"] for one in known}):
        training = [row.problem for row in read_entry(local("train", train_set)).rows]
        matches = best_matches(texts, training, 0.8).keys() | exact_matches(texts, training).keys()
        found |= {(train_set, problems[position].id) for position in matches}
    assert len(by_hand) == 5
    assert expected - found == by_hand
    assert found - expected == {("dapo_math_14k_en", "olympiad-1938")}
