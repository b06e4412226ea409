"""The table of the audit: the sign of an effect, pairs in either order, and what was not run."""

import pandas as pd
import pytest

from rlvr.analysis.audit import answer_of, audit_rows, write_audit
from rlvr.artifacts import AuditRow, ComparisonRow, RunRow, read_rows, write_record
from rlvr.config.audit import Audit, Contrast
from rlvr.config.audit_reference import reference_text
from rlvr.config.loading import load_yaml
from rlvr.config.resolved import StudyManifest, read_config
from tests.helpers.analysis_tree import Results
from tests.helpers.paths import REPOSITORY

CODE, TEXT = {"method": "lora", "preset": "released"}, {"method": "lora", "preset": "paper"}
CONFIG = REPOSITORY / "config"


@pytest.fixture
def study(tmp_path) -> Results:
    """LoRA by the text and by the code, on two benchmarks."""
    results = Results(tmp_path / "results", {"sums": 4, "products": 4})
    results.add("base")
    results.add("lora", "paper", "main", 0)
    results.add("lora", "released", "main", 0)
    results.contrasts = results.contrasts.model_copy(update={"presets": ["paper"]})
    results.aggregate()
    return results


def manifest(study: Results, name: str) -> StudyManifest:
    """Give the study the name of one that the audit names, or of another."""
    renamed = read_config(study.folder.manifest, StudyManifest).model_copy(update={"study": name})
    write_record(study.folder.manifest, renamed)
    return renamed


def comparisons(study) -> pd.DataFrame:
    return read_rows(study.folder.table("comparisons"), ComparisonRow)


def runs(study) -> pd.DataFrame:
    return read_rows(study.folder.table("runs"), RunRow)


def test_an_effect_is_code_minus_text_whichever_the_study_has_as_baseline(study):
    row = comparisons(study).query("contrast == 'presets' and benchmark == 'overall'").iloc[0]
    found = answer_of(Contrast(code=CODE, text=TEXT), "tiny", comparisons(study))
    assert (found["difference"], found["benchmark"]) == (row["difference"], "overall")
    turned = answer_of(Contrast(code=TEXT, text=CODE), "tiny", comparisons(study))
    assert turned["difference"] == -row["difference"]
    assert (turned["ci_low"], turned["ci_high"]) == (-row["ci_high"], -row["ci_low"])
    assert turned["p_value"] == row["p_value"]


def test_a_pair_that_was_not_compared_has_no_answer(study):
    other = {"method": "lora", "preset": "paper", "setting": "alpha"}
    assert answer_of(Contrast(code=CODE, text=other), "tiny", comparisons(study)) is None
    assert answer_of(Contrast(code=CODE, text=TEXT), "another model", comparisons(study)) is None


def test_the_table_has_every_difference_measured_or_not(study, tmp_path):
    manifest(study, "audit-mini")
    write_audit(study.folder.manifest, study.folder.root, CONFIG, tmp_path / "audit.csv")
    table = read_rows(tmp_path / "audit.csv", AuditRow)
    audit = load_yaml(CONFIG / "audit.yaml", Audit)
    assert list(dict.fromkeys(table["id"])) == [one.id for one in audit.differences]
    assert table.loc[table["status"] == "measured", "id"].tolist() == ["D6"]
    assert table.loc[table["status"] == "measured", "difference"].notna().all()
    unmeasured = table[table["code_side"].isna()]
    assert unmeasured["note"].str.len().gt(10).all() and "D12" in set(unmeasured["id"])


def test_another_study_measures_nothing(study):
    audit = load_yaml(CONFIG / "audit.yaml", Audit)
    rows = audit_rows(audit, manifest(study, "demo"), comparisons(study), runs(study))
    assert {row.status for row in rows} == {"not run"}


def test_a_pair_of_which_a_run_failed_says_how(study):
    table = runs(study)
    table.loc[table["preset"] == "released", ["status", "reason"]] = "diverged", "the loss is NaN"
    audit = load_yaml(CONFIG / "audit.yaml", Audit)
    rows = audit_rows(audit, manifest(study, "audit-mini"), comparisons(study).iloc[:0], table)
    (row,) = [row for row in rows if row.status == "failed"]
    assert row.id == "D6" and row.note.endswith(": the loss is NaN")


def test_the_page_shows_committed_effects(study, tmp_path):
    manifest(study, "audit-mini")
    write_audit(study.folder.manifest, study.folder.root, CONFIG, tmp_path / "audit.csv")
    page = reference_text(CONFIG, tmp_path / "audit.csv")
    effect = read_rows(tmp_path / "audit.csv", AuditRow).query("status == 'measured'").iloc[0]
    (line,) = [line for line in page.splitlines() if line.startswith("| D6 ")]
    assert f"{100 * effect['difference']:+.1f} (" in line and "not run" not in line
    assert page.count("| not run |") == 17
