"""The section of the audit: absent without a table; effects, and what was not run."""

from rlvr.artifacts import AuditRow, write_rows
from tests.helpers.report_page import Page
from tests.helpers.report_tree import build

NAMED = {"paper": "Rank 32.", "code": "Rank 16 <b>and</b> alpha 32.", "option": "`released` of `lora`."}
SIDES = {"study": "audit-mini", "code_side": "lora released", "text_side": "lora paper", "note": "The rank."}
EFFECT = {"model": "tiny", "benchmark": "sums", "difference": -0.042, "ci_low": -0.08, "ci_high": -0.004}


def test_effects_and_gaps_are_shown(small):
    assert 'id="audit"' not in build(small)
    rows = [
        AuditRow(
            id="D6", title="Half", status="measured", **NAMED, **SIDES, **EFFECT, p_holm=0.03, train_seeds=1
        ),
        AuditRow(id="D7", title="Reload", status="not run", **NAMED, **SIDES),
        AuditRow(
            id="D12", title="Stops", status="not run", **NAMED, note="A run that stops has no accuracy."
        ),
    ]
    write_rows(small.folder.table("audit"), AuditRow, rows)
    page = Page(build(small))
    section = page.by_id("released-code")
    text = section["text"].replace("\u00a0", " ").replace("\u2212", "-")
    assert "1 of 3 differences are measured" in text
    assert "-4.2 points" in text and "-8.0 to -0.4" in text and "0.030" in text
    assert text.count("not run") == 2 and "A run that stops has no accuracy." in text
    assert "Rank 16 <b>and</b> alpha 32." in text
