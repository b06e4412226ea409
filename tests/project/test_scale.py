"""The study of rounding at the scale of 1.5B: tables from shares, verdicts from their rule."""

import math
import sys

import pandas as pd
import pytest
import torch

from rlvr.config.loading import load_yaml
from rlvr.files import read_json


@pytest.fixture(scope="module")
def scripts(repository):
    """The modules `scale` and `scale_tables` of `benchmarks/`."""
    sys.path.insert(0, str(repository / "benchmarks"))
    import scale
    import scale_tables

    yield scale, scale_tables
    sys.path.remove(str(repository / "benchmarks"))


@pytest.fixture(scope="module")
def results(repository):
    return repository / "docs" / "results" / "scale"


def test_summary_and_verdicts_are_those_of_the_shares(scripts, results):
    _, tables = scripts
    shares = pd.read_csv(results / "shares.csv")
    expected = tables.summary(shares)
    kept = pd.read_csv(results / "summary.csv")
    pd.testing.assert_frame_equal(expected, kept, check_dtype=False, rtol=1e-8)
    tests = load_yaml(results / "hypotheses.yaml", tables.Hypotheses)
    answers, told = tables.verdicts(shares, tests), read_json(results / "claims.json")
    for answer, one in zip(answers, told, strict=True):
        assert (answer["id"], answer["verdict"], answer["seeds"]) == (one["id"], one["verdict"], one["seeds"])
        for key in ("mean", "low", "high"):
            assert answer[key] == (one[key] and pytest.approx(one[key], abs=1e-8))


def test_every_run_is_another_and_those_that_were_repeated_are_identical(results):
    runs = pd.read_csv(results / "runs.csv")
    assert runs["repeated"].dropna().tolist() == ["identical", "identical"]
    assert len(runs) == 21
    assert runs["trained_sha256"].is_unique and (runs["learning_rate"] == 1e-5).all()


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.1, 0.2, "holds"),
        (0.6, 0.7, "fails"),
        (0.4, 0.6, "inconclusive"),
        (-0.2, -0.1, "fails"),
        (-0.2, 0.2, "inconclusive"),
        (math.nan, math.nan, "not_tested"),
    ],
)
def test_a_verdict_needs_the_whole_interval_on_one_side(scripts, low, high, verdict):
    _, tables = scripts
    share = {"method": "lora", "merge": "nearest", "step": 1}
    one = tables.Hypothesis(id="one", claim="", share=share, low=0.0, high=0.5)
    assert tables.verdict(low, high, one) == verdict


def test_the_share_is_one_where_what_was_learned_is_served_and_zero_where_the_start_is(scripts):
    scale, _ = scripts
    generator = torch.Generator().manual_seed(0)
    before = torch.randn(64, 64, generator=generator)
    off = before + 2.0**-10  # served off the start, before the first step
    learned = 1e-3 * torch.randn(64, 64, generator=generator)

    def share(served):
        product, square, *_ = scale.sums(served, off, before + learned, before).tolist()
        return product / square

    assert share(off + learned) == pytest.approx(1, abs=1e-4)
    assert share(off) == 0
    assert share(off + learned / 2) == pytest.approx(0.5, abs=1e-4)
