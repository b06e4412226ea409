"""A table of the paper in miniature, from its named target to the verdicts."""

import yaml

from rlvr.artifacts import ClaimRecord, read_records
from tests.helpers.checkout import Checkout
from tests.helpers.report_page import Page

SMALLER = {"train_seeds": [42, 43], "training": {"steps": 3}}


def test_a_table_of_the_paper_builds_in_miniature_with_its_claims(finished: Checkout) -> None:
    """Fewer steps and seeds than the scale `mini` has; all else is as shipped."""
    scale = finished.folder / "config" / "scales" / "mini.yaml"
    values = yaml.safe_load(scale.read_text())
    values["training"] |= SMALLER["training"]
    values["train_seeds"] = SMALLER["train_seeds"]
    scale.write_text(yaml.safe_dump(values, sort_keys=False))
    study = finished.folder / "config" / "studies" / "paper-7b-mini.yaml"
    study.write_text(study.read_text().replace("steps: 80", "steps: 3"))
    finished.snakemake("table6", "--cores", "2", "--config", "studies=[paper-7b-mini]")
    results = finished.folder / "results" / "paper-7b-mini"
    records = {record.id: record for record in read_records(results / "claims.json", ClaimRecord)}
    tested = {name: record for name, record in records.items() if record.verdict != "not_tested"}
    assert set(tested) == {"dora-above-lora-7b", "lora-plus-above-lora-7b", "miss-below-lora-7b"}
    for record in tested.values():
        assert (record.train_seeds, record.registered) == (2, "unchanged")
        assert record.ci_low <= record.statistic <= record.ci_high
        assert all((results / path).exists() for path in record.samples)
    page = Page((finished.folder / "reports" / "paper-7b-mini.html").read_text(encoding="utf-8"))
    assert len(page.table("Claims that this study tests")) == len(tested)
