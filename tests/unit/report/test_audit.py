"""The section of the audit: absent without a table; effects, and what was not run."""

import pytest

from rlvr.artifacts import AuditRow, write_rows
from tests.helpers.report_page import Page
from tests.helpers.report_tree import build

NAMED = {"paper": "Rank 32.", "code": "Rank 16 <b>and</b> alpha 32.", "option": "`released` of `lora`."}
SIDES = {"study": "audit-mini", "code_side": "lora released", "text_side": "lora paper", "note": "The rank."}
EFFECT = {"model": "tiny", "benchmark": "sums", "difference": -0.042, "ci_low": -0.08, "ci_high": -0.004}


@pytest.fixture
def audited(small):
    rows = [
        AuditRow(
            id="D6", title="Half", status="measured", **NAMED, **SIDES, **EFFECT, p_holm=0.03, train_seeds=1
        ),
        AuditRow(
            id="D9",
            title="Two layers of seven, at the same rank",
            status="measured",
            **NAMED,
            **SIDES,
            **EFFECT | {"difference": -0.1, "ci_low": -0.3, "ci_high": 0.1},
            p_holm=0.03,
            train_seeds=1,
        ),
        AuditRow(id="D7", title="Reload", status="not run", **NAMED, **SIDES),
        AuditRow(
            id="D12", title="Stops", status="not run", **NAMED, note="A run that stops has no accuracy."
        ),
    ]
    write_rows(small.folder.table("audit"), AuditRow, rows)
    return Page(build(small))


def test_without_a_table_there_is_no_audit(small):
    assert 'id="audit"' not in build(small)


def test_effects_and_gaps_are_shown(audited):
    page = audited
    section = page.by_id("released-code")
    text = section["text"].replace("\u00a0", " ").replace("\u2212", "-")
    assert "2 of 4 differences are measured" in text
    assert "-4.2 points" in text and "-8.0 to -0.4" in text and "0.030" in text
    assert text.count("not run") == 2 and "A run that stops has no accuracy." in text
    assert "Rank 16 <b>and</b> alpha 32." in text


def test_the_effects_are_the_figure_of_the_first_screen(audited):
    verdict = audited.by_id("verdict")
    (figure,) = audited.all("svg", verdict)
    described = audited.all("desc", figure)[0]["text"].replace("\u2212", "-")
    assert described == (
        "D9 lora: Two layers of seven, at the … -10.0 (-30.0 to +10.0), not told apart; "
        "D6 lora: Half -4.2 (-8.0 to -0.4), told apart."
    )
    assert "1 of 2 that are measured here change the accuracy" in " ".join(verdict["text"].split())
