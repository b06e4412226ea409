from pathlib import Path

import pytest

from rlvr.analysis.aggregate import aggregate
from rlvr.artifacts import BudgetRow, ComparisonRow, SummaryRow, read_rows
from rlvr.errors import UserError
from rlvr.files import read_json, write_json
from tests.helpers.analysis_tree import AGGREGATED, Results


def test_a_second_time_gives_the_same_bytes(results: Results) -> None:
    results.aggregate()
    tables = results.summary, results.comparisons, results.budget
    first = [table.read_bytes() for table in tables]
    results.aggregate()
    assert [table.read_bytes() for table in tables] == first


def test_a_damaged_manifest_is_named(results: Results, tmp_path: Path) -> None:
    results.aggregate()
    manifest = read_json(results.folder.manifest)
    del manifest["runs"][0]["preset"]
    write_json(results.folder.manifest, manifest)
    outputs = {name: tmp_path / f"{name}.csv" for name in AGGREGATED}
    with pytest.raises(UserError, match=r"study\.json: runs\.0\.preset: this key is required"):
        aggregate(results.folder.manifest, results.folder.root, None, **outputs)
    assert not any(path.exists() for path in outputs.values())


def test_every_table_can_be_read_again(results: Results) -> None:
    results.contaminate("sums-1")
    summary, comparisons = results.aggregate()
    assert len(read_rows(results.summary, SummaryRow)) == len(summary)
    assert len(read_rows(results.comparisons, ComparisonRow)) == len(comparisons)
    assert set(read_rows(results.budget, BudgetRow)["benchmark"]) == {"sums", "products"}
