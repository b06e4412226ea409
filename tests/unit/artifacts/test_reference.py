import re
from pathlib import Path

import pytest

from rlvr.artifacts import METRICS, TABLES, TRAIN_LOG, RunRecord, StudyFolder, SummaryRow, write_rows
from rlvr.artifacts.reference import EXAMPLE, RECORDS, reference_text
from rlvr.artifacts.reference import TABLES as TABLE_FILES
from tests.helpers.paths import REPOSITORY

PAGE = REPOSITORY / "docs" / "reference" / "artifacts.md"


def test_the_page_is_in_step_with_the_code() -> None:
    """Renaming a field, column, metric or path changes the page, and so this fails."""
    assert PAGE.read_text() == reference_text(), "run: make schemas"


def test_the_page_has_every_table_metric_and_column() -> None:
    names = [name for kind in TABLES for name in kind.columns()] + [*METRICS, *TRAIN_LOG]
    names += [*RunRecord.model_fields, "trainable_parameters", "device_seconds", "git_commit", "cpu_count"]
    page = PAGE.read_text()
    assert [name for name in names if f"| `{name}` |" not in page] == []
    assert set(TABLE_FILES.values()) == set(TABLES) and RunRecord in RECORDS.values()


def test_links_lead_to_headings() -> None:
    pages = {"": PAGE, "../../config/README.md": REPOSITORY / "config" / "README.md"}
    for page, anchor in set(re.findall(r"\]\(([^)#]*)#([^)]*)\)", PAGE.read_text())):
        headings = re.findall(r"^#+ (.*)$", pages[page].read_text(), re.MULTILINE)
        assert anchor in {heading.lower().replace(" ", "-") for heading in headings}, anchor


def test_the_example_prints_the_overall_accuracy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = SummaryRow(
        study="demo", model="tiny", method="lora", preset="paper", setting="main", train_seeds=1,
        planned_seeds=1, benchmark="overall", metric="avg@4", value=0.375, se=0.1, ci_low=0.125,
        ci_high=0.625, n_problems=10, n_samples=40, trainable_parameters=512, device_seconds=20.5,
    )  # fmt: skip
    others = {"benchmark": "sums", "value": 0.25}, {"metric": "iqm", "value": 0.5}
    rows = [row, *(row.model_copy(update=other) for other in others)]
    write_rows(StudyFolder(tmp_path / "results" / "demo").table("summary"), SummaryRow, rows)
    monkeypatch.chdir(tmp_path)
    exec(EXAMPLE, {})
    assert capsys.readouterr().out.splitlines()[-1].split()[-4:] == ["main", "0.375", "0.125", "0.625"]
    assert EXAMPLE in PAGE.read_text()
