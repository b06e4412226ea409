"""The claims of the paper, our own hypotheses, and the studies that test them fit together."""

import re

import pytest

from rlvr.analysis.claims.answer import compares
from rlvr.analysis.claims.paper import paper_effect, sampling_variance
from rlvr.config.claims import OVERALL, PAPER, Claims, load_claims
from rlvr.planning.plan import Plan, load_plan, study_manifest, train_configs

STUDIES = ("paper-1.5b", "ablations", "paper-7b", "spectra")
"""Those that test claims of the paper."""


@pytest.fixture(scope="module")
def claims(repository) -> Claims:
    return load_claims(repository / "config")


@pytest.fixture(scope="module")
def plans(complete_config) -> dict[str, Plan]:
    hypotheses = [claim.study for claim in load_claims(complete_config).claims]
    return {name: load_plan(name, complete_config) for name in dict.fromkeys([*STUDIES, *hypotheses])}


def test_every_claim_is_answered_by_the_study_that_it_names(claims, plans):
    assert {claim.study for claim in claims.files[PAPER].claims} <= set(STUDIES)
    for claim in claims.claims:
        if claim.contrast is not None:
            manifest = study_manifest(plans[claim.study])
            assert compares(manifest, claim.contrast), claim.id
            benchmarks = {OVERALL, *(one.benchmark for one in manifest.benchmarks)}
            assert claim.contrast.benchmark in benchmarks, claim.id


def test_the_models_of_the_papers_numbers_are_those_of_the_studies(claims, plans):
    for claim in claims.claims:
        if claim.paper:
            models = plans[claim.study].study.models
            assert [claims.models[claim.paper.method]] == models == [claims.models[claim.paper.baseline]]


def test_the_sizes_of_the_papers_benchmarks_are_those_of_the_study(claims, plans):
    benchmarks = plans["paper-1.5b"].study.evaluation.benchmarks
    assert {name: k for name, (_, k) in claims.sizes.items()} == {
        name: benchmark.samples_per_problem
        for name, benchmark in benchmarks.items()
        if not benchmark.forgetting
    }


def test_the_paper_cannot_have_less_noise_than_its_samples(claims):
    """About 0.6 points for a mean over six benchmarks, 1.5 for 30 problems x 32 samples."""
    assert sampling_variance(0.425, claims.sizes.values()) ** 0.5 == pytest.approx(0.0060, abs=1e-4)
    assert sampling_variance(0.332, [claims.sizes["aime24"]]) ** 0.5 == pytest.approx(0.0152, abs=1e-4)
    effects = {claim.id: paper_effect(claim, claims) for claim in claims.claims}
    dora = effects["dora-above-full"]
    assert dora.difference == pytest.approx(0.017) and dora.difference < 2.1 * dora.sampling_se


def test_differences_that_limit_a_claim_are_on_record(claims, repository):
    page = (repository / "docs" / "released-code.md").read_text()
    cited = {name for claim in claims.claims for name in re.findall(r"\bD\d+\b", claim.note)}
    assert {"D1", "D4", "D6", "D7", "D8"} <= cited
    for name in cited:
        assert f"### {name}. " in page


@pytest.mark.parametrize("study", [*STUDIES, "released", "recommended"])
def test_a_miniature_differs_in_its_scale_alone(repository, study):
    """Same runs but for model and seeds, same methods, presets and settings, same algorithm and batch."""
    full, mini = (study_manifest(load_plan(name, repository / "config")) for name in (study, f"{study}-mini"))
    assert (mini.scaled_from, mini.scale, full.scaled_from) == (study, "mini", None)
    kept = ("method", "preset", "setting")
    assert [[getattr(one, key) for key in kept] for one in mini.variants] == [
        [getattr(one, key) for key in kept] for one in full.variants
    ]
    assert mini.contrasts == full.contrasts
    assert mini.models == ["tiny"]
    assert len({run.train_seed for run in mini.runs} - {None}) >= 3


def test_the_rates_of_the_ablations_are_those_of_the_paper_and_relative_in_miniature(repository):
    plans = [load_plan(name, repository / "config") for name in ("ablations", "ablations-mini")]
    full, mini = ({one.setting: one.training for one in train_configs(plan)} for plan in plans)
    assert sorted({one.learning_rate for one in full.values()}) == pytest.approx([1e-6, 5e-6, 1e-5])
    for name, training in full.items():
        assert mini[name].learning_rate / mini["main"].learning_rate == pytest.approx(
            training.learning_rate / full["main"].learning_rate
        )
        assert mini[name].prompts_per_step == training.prompts_per_step
        assert (mini[name].algorithm, mini[name].sync) == (training.algorithm, training.sync)
    assert {one.prompts_per_step * one.group_size for one in full.values()} == {32, 128}
