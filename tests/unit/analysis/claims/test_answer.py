"""A planted effect turns the verdict of a claim, and without it the verdict turns back."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rlvr.analysis.claims.answer import answer_claims
from rlvr.analysis.claims.registration import register_claims
from rlvr.artifacts import ClaimRecord, StudyFolder, read_records
from rlvr.config.claims import PAPER, Claims, load_claims
from rlvr.config.resolved import BASE
from rlvr.errors import UserError
from tests.helpers.analysis_tree import Results
from tests.helpers.claim_study import answered

LARGE = 2.0  # logits, about 30 points


@pytest.fixture(scope="module")
def claims(repository: Path) -> Claims:
    return load_claims(repository / "config")


def generator() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.mark.parametrize(
    ("claim", "method", "effect", "verdict"),
    [
        ("dora-above-lora", "dora", LARGE, "replicated"),
        ("dora-above-lora", "dora", 0.0, "inconclusive"),
        ("dora-above-lora", "dora", -LARGE, "not_replicated"),
        ("dora-above-full", "dora", LARGE, "replicated"),
        ("pissa-collapses", "pissa", -LARGE, "replicated"),
        ("pissa-collapses", "pissa", 0.0, "inconclusive"),
        ("pissa-collapses", "pissa", LARGE, "not_replicated"),
        ("vera-equals-base", "vera", LARGE, "not_replicated"),
    ],
)
def test_a_planted_effect_turns_the_verdict(claims, claim, method, effect, verdict):
    found = answered(claims, {method: effect}, generator())[claim]
    assert (found.verdict, found.direction) == (verdict, {"vera": "equal"}.get(method, found.direction))
    assert found.train_seeds == 4
    assert found.ci_low <= found.statistic <= found.ci_high
    assert found.p_value <= found.p_holm


def test_equality_needs_an_interval_within_the_margin(claims):
    paper = claims.files[PAPER]
    test = paper.test.model_copy(update={"margin": 0.1})
    wide = replace(claims, files={PAPER: paper.model_copy(update={"test": test})})
    alike = {"train_seeds": 5, "problems": 300, "seed_spread": 0.02}
    assert answered(wide, {}, generator(), **alike)["vera-equals-base"].verdict == "replicated"
    assert answered(claims, {}, generator())["vera-equals-base"].verdict == "inconclusive"


def test_one_training_seed_gives_points_only(claims):
    for effect, points in ((LARGE, "for"), (-LARGE, "against")):
        found = answered(claims, {"dora": effect}, generator(), train_seeds=1)["dora-above-lora"]
        assert (found.verdict, found.points) == ("inconclusive", points)
        assert found.reason.startswith(f"points {points} the claim: 1 training seed")


def test_sizes_are_compared_where_the_model_is_the_papers(claims):
    """The paper's DoRA is 4.1 points above LoRA; 30 points are no replication of that."""
    full = {"study": "paper-1.5b", "scaled_from": None, "model": "deepseek-r1-distill-qwen-1.5b"}
    sharp = {"problems": 600, "seed_spread": 0.01}
    found = answered(claims, {"dora": LARGE}, generator(), **full, **sharp)["dora-above-lora"]
    assert (found.verdict, found.reason) == ("not_replicated", "the paper's size is outside the interval")
    found = answered(claims, {"dora": 0.24}, generator(), **full, **sharp)["dora-above-lora"]
    assert (found.verdict, found.reason) == ("replicated", "the direction holds, and the size agrees")
    found = answered(claims, {}, generator(), **full, **sharp)["pissa-collapses"]
    assert (found.verdict, found.reason) == ("not_replicated", "the paper's size is outside the interval")


def test_no_claim_is_left_out_and_each_that_is_not_tested_says_what_would_test_it(claims):
    found = answered(claims, {}, generator())
    assert list(found) == [claim.id for claim in claims.files[PAPER].claims]
    for record in found.values():
        assert (record.command is not None) == (record.verdict == "not_tested"), record.id
        assert record.reason and (record.row or record.verdict == "not_tested")
    assert found["rank8-equals-rank32"].command == "snakemake claims --config 'studies=[ablations-mini]'"
    aime = found["dora-above-lora-aime24"]
    assert aime.reason == "this study has no benchmark aime24"
    assert aime.command == "snakemake claims --config 'studies=[paper-1.5b]'"
    assert found["spectral-misalignment"].command == "snakemake figure3"


def test_a_study_that_is_none_of_the_papers_tests_nothing(claims):
    found = answered(claims, {"dora": LARGE}, generator(), study="demo", scaled_from=None)
    assert {record.verdict for record in found.values()} == {"not_tested"}


@pytest.mark.slow
def test_of_200_studies_without_any_effect_at_most_5_percent_of_a_family_have_a_verdict(claims):
    """Equality is left out: without any effect it is true."""
    studies, wrong = 200, dict.fromkeys(("training", "structural", "initialisation", "expressivity"), 0)
    for study in range(studies):
        found = answered(claims, {}, np.random.default_rng([3, study]), train_seeds=3)
        verdicts = {
            record.family
            for record in found.values()
            if record.direction != "equal" and record.verdict in ("replicated", "not_replicated")
        }
        for family in wrong.keys() & verdicts:
            wrong[family] += 1
    assert max(wrong.values()) <= 0.05 * studies, wrong


@pytest.fixture
def on_disk(tmp_path: Path) -> Results:
    """A study of the paper in miniature, from files: LoRA and DoRA, two training seeds."""
    study = Results(tmp_path / "results" / "paper-1.5b-mini", {"sums": 4, "products": 2})
    study.name, study.scaled_from = "paper-1.5b-mini", "paper-1.5b"
    study.add(BASE)
    for method in ("lora", "dora"):
        for seed in (42, 43):
            study.add(method, "paper", "main", seed)
    return study


def answer(study: Results, config: Path) -> dict[str, ClaimRecord]:
    """Aggregate a study and answer the claims, by files, as the workflow does."""
    study.aggregate()
    answer_claims(study.folder.manifest, study.folder.root, config, study.folder.claims)
    return {record.id: record for record in read_records(study.folder.claims, ClaimRecord)}


def test_a_claim_leads_to_the_samples_that_answer_it(on_disk, repository):
    found = answer(on_disk, repository / "config")["dora-above-lora"]
    files = [on_disk.folder.root / path for path in found.samples]
    assert len(files) == len(set(files)) == 2 * 2 * 2  # sides x seeds x benchmarks
    assert all(path.exists() for path in files)
    means = {
        name: np.mean([
            np.mean([on_disk.grades(run.run, one)["correct"].mean() for one in ("sums", "products")])
            for run in on_disk.runs
            if run.method == name
        ])
        for name in ("lora", "dora")
    }  # fmt: skip
    assert found.statistic == pytest.approx(means["dora"] - means["lora"])


HYPOTHESES = """
test: {alpha: 0.05, margin: 0.05, train_seeds: 2}
claims:
  - id: released-equals-paper
    family: presets
    claim: Both presets end within five points.
    places: [docs/precision.md]
    study: paper-1.5b-mini
    contrast: {method: lora, preset: released, baseline: lora, baseline_preset: paper}
    direction: equal
"""


def test_a_study_answers_hypotheses_of_its_own(on_disk, repository, tmp_path):
    """By another test than that of the paper's claims, and corrected among themselves."""
    config = tmp_path / "config"
    shutil.copytree(repository / "config" / "claims", config / "claims")
    (config / "claims" / "mine.yaml").write_text(HYPOTHESES)
    for seed in (42, 43):
        on_disk.add("lora", "released", "main", seed)
    on_disk.contrasts = on_disk.contrasts.model_copy(update={"presets": ["paper"]})
    found = answer(on_disk, config)
    mine = found["released-equals-paper"]
    assert (mine.source, mine.margin) == ("mine", 0.05)
    assert (mine.row["preset"], mine.row["baseline_preset"]) == ("released", "paper")
    assert mine.p_holm == mine.p_value and mine.verdict != "not_tested"
    assert found["dora-above-lora"].source == "paper"
    (config / "claims" / "mine.yaml").write_text(HYPOTHESES.replace("margin: 0.05", "margin: 0.9"))
    held = answer(on_disk, config)["released-equals-paper"]
    assert (held.verdict, held.reason) == ("replicated", "the difference is within the margin")
    on_disk.name = "another"
    assert "released-equals-paper" not in answer(on_disk, config)
    (config / "claims" / "again.yaml").write_text(HYPOTHESES)
    with pytest.raises(UserError, match=r"'released-equals-paper' is in again\.yaml too; give it another id"):
        load_claims(config)


def test_a_hypothesis_needs_a_study_of_one_model(on_disk, repository, tmp_path):
    config = tmp_path / "config"
    shutil.copytree(repository / "config" / "claims", config / "claims")
    text = HYPOTHESES.replace("preset: released, baseline: lora, baseline_preset: paper", "baseline: dora")
    (config / "claims" / "mine.yaml").write_text(text)
    assert "models" not in answer(on_disk, config)["released-equals-paper"].reason
    add_model(on_disk, "deepseek-r1-distill-qwen-1.5b")
    found = answer(on_disk, config)["released-equals-paper"]
    assert found.verdict == "not_tested"
    assert found.reason.startswith("this study has 2 models, and the claim has no numbers of the paper")


def test_a_claim_about_a_failed_method_says_so(on_disk, repository):
    for run in on_disk.runs[-2:]:
        on_disk.fail(run.run)
    found = answer(on_disk, repository / "config")
    assert found["dora-above-lora"].reason == "runs of this study failed or are missing (tables/runs.csv)"
    assert found["dora-above-full"].reason == "this study does not compare the two"


def test_a_verdict_says_how_many_training_seeds_have_no_result(on_disk, repository):
    """Those that are left may be the better ones: a run that diverged has no accuracy."""
    config = repository / "config"
    assert "no result" not in answer(on_disk, config)["dora-above-lora"].reason
    for method in ("lora", "dora"):
        on_disk.add(method, "paper", "main", 44)
    on_disk.fail(on_disk.runs[-1].run)
    found = answer(on_disk, config)["dora-above-lora"]
    assert found.train_seeds == 2
    assert found.reason.endswith("; 1 planned training seed has no result (tables/runs.csv)")
    on_disk.fail(on_disk.runs[1].run)
    reason = answer(on_disk, config)["dora-above-lora"].reason
    assert reason.endswith("; 2 planned training seeds have no result (tables/runs.csv)")


def add_model(study: Results, model: str) -> None:
    """Add the runs of another model: the untrained one, and two training seeds of LoRA and DoRA."""
    study.add(BASE, model=model)
    for method in ("lora", "dora"):
        for seed in (42, 43):
            study.add(method, "paper", "main", seed, model)


def test_of_several_models_the_papers_answers(on_disk, repository):
    paper = "deepseek-r1-distill-qwen-1.5b"
    add_model(on_disk, paper)
    found = answer(on_disk, repository / "config")["dora-above-lora"]
    assert found.row["model"] == paper
    for run in on_disk.runs[-2:]:
        on_disk.fail(run.run)
    found = answer(on_disk, repository / "config")["dora-above-lora"]
    assert found.verdict == "not_tested", "the other model does not answer in its place"
    assert found.reason == "runs of this study failed or are missing (tables/runs.csv)"


def test_of_several_models_that_are_not_the_papers_none_answers(on_disk, repository):
    add_model(on_disk, "other")
    for _ in range(2):
        found = answer(on_disk, repository / "config")["dora-above-lora"]
        assert found.verdict == "not_tested"
        assert found.reason == "this study has 2 models, and none of them is the one of the paper's numbers"
        for run in on_disk.runs[-2:]:  # one model is left, which still does not answer
            on_disk.fail(run.run)


def test_a_test_that_changes_after_the_registration_shows(on_disk, repository, tmp_path):
    config = tmp_path / "config"
    shutil.copytree(repository / "config" / "claims", config / "claims")
    registered = {name: record.registered for name, record in answer(on_disk, config).items()}
    assert set(registered.values()) == {"unregistered"}
    for run in on_disk.runs[1:]:
        on_disk.folder.run(run.run).record.rename(tmp_path / run.run)
    register_claims(on_disk.folder.root, config)
    for run in on_disk.runs[1:]:
        (tmp_path / run.run).rename(on_disk.folder.run(run.run).record)
    assert {record.registered for record in answer(on_disk, config).values()} == {"unchanged"}
    path = config / "claims" / "paper.yaml"
    text = path.read_text()
    path.write_text(text.replace("direction: above", "direction: below", 1))
    register_claims(on_disk.folder.root, config)  # is not written again
    changed = {name for name, record in answer(on_disk, config).items() if record.registered == "changed"}
    assert changed == {"full-above-base"}
    path.write_text(text.replace("alpha: 0.05", "alpha: 0.2"))
    assert {record.registered for record in answer(on_disk, config).values()} == {"changed"}


def test_what_is_registered_after_results_says_so(on_disk, repository):
    config = repository / "config"
    register_claims(on_disk.folder.root, config)
    assert {record.registered for record in answer(on_disk, config).values()} == {"unregistered"}
    assert StudyFolder(on_disk.folder.root).registration.exists()
