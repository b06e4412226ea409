"""One small study, run once for all end-to-end tests."""

import pytest
import yaml

from tests.helpers.checkout import Checkout, make_checkout
from tests.helpers.paths import REPOSITORY

SMALLER = {"steps": 30}


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout in which the demo, shrunk to two methods and one benchmark, has run from nothing."""
    checkout = make_checkout(tmp_path_factory.mktemp("e2e") / "checkout")
    study = yaml.safe_load((REPOSITORY / "config" / "studies" / "demo.yaml").read_text())
    study["title"] = "A shrunk demo"
    del study["rates"]  # of as many steps as the demo
    study["spectra"] = True
    study["methods"] = [choice for choice in study["methods"] if choice["method"] in ("full", "lora")]
    study["training"] |= SMALLER
    easy = next(iter(study["evaluation"]["benchmarks"]))
    study["evaluation"]["benchmarks"] = {easy: study["evaluation"]["benchmarks"][easy]}
    (checkout.folder / "config" / "studies" / "mini.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    checkout.snakemake("all", "--cores", "2", "--config", "studies=[mini]")
    return checkout
