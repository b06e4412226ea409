"""Generation: one seed per sample, the same samples in any batch, none drawn twice."""

import json
import shutil

import pandas as pd
import pytest
import torch

from rlvr.artifacts import Sample, read_rows
from rlvr.errors import UserError
from rlvr.evaluate.generate import generate
from rlvr.files import write_json, write_parquet
from rlvr.rollout.engines.transformers import CompletionSampler
from tests.helpers.generation import DETERMINED, config_file, generated


def test_the_engine_has_the_precision_of_the_configuration(tiny_folder, benchmark_file, tmp_path, served):
    generated(tiny_folder, benchmark_file, tmp_path, dtype="bfloat16")
    (engine,) = served
    assert engine.held_weight("model.norm.weight").dtype == torch.bfloat16


def test_the_untrained_model_is_rounded_as_the_runs_beside_it(tiny_folder, benchmark_file, tmp_path, served):
    generated(tiny_folder, benchmark_file, tmp_path, merged_dtype="bfloat16")
    (engine,) = served
    held = engine.held_weight("model.layers.0.mlp.up_proj.weight")
    assert torch.equal(held, held.bfloat16().float())


def test_a_row_for_every_sample_with_its_own_seed(tiny_folder, benchmark_file, tmp_path):
    samples = generated(tiny_folder, benchmark_file, tmp_path)
    assert list(samples.columns) == Sample.columns()
    assert list(zip(samples["problem_id"], samples["sample_index"], strict=True)) == [
        (f"p{i}", k) for i in range(14) for k in range(5)
    ]
    assert samples["seed"].is_unique
    assert set(samples["finish_reason"]) == {"stop", "length"}
    assert samples["n_tokens"].between(1, 8).all()
    assert (samples.loc[samples["finish_reason"] == "length", "n_tokens"] == 8).all()
    assert (samples["seconds"] > 0).all()
    assert samples.groupby("problem_id")["text"].nunique().median() > 1
    assert not (tmp_path / "journals").exists(), "the journal is removed when the samples have been written"


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_the_batch_size_changes_no_sample(tiny_folder, benchmark_file, tmp_path, batch_size):
    other = generated(tiny_folder, benchmark_file, tmp_path, "other", batch_size=batch_size)
    usual = generated(tiny_folder, benchmark_file, tmp_path)
    pd.testing.assert_frame_equal(other[DETERMINED], usual[DETERMINED])


def test_a_think_block_opened_by_the_template_is_part_of_the_completion(
    tiny_folder, benchmark_file, tmp_path
):
    """Otherwise a completion whose thinking never ends would look like one without thinking."""
    thinking = tmp_path / "thinking"
    shutil.copytree(tiny_folder, thinking)
    template = thinking / "chat_template.jinja"
    assistant = "<|assistant|>"
    text = template.read_text()
    assert assistant in text
    template.write_text(text.replace(assistant, assistant + "<think>\n"))
    samples = generated(thinking, benchmark_file, tmp_path)
    assert samples["text"].str.startswith("<think>\n").all()
    assert not generated(tiny_folder, benchmark_file, tmp_path, "plain")["text"].str.contains("<think>").any()


def test_a_shared_seed_repeats_one_sample(tiny_folder, benchmark_file, tmp_path):
    samples = generated(tiny_folder, benchmark_file, tmp_path, shared_seed=True, seed=42)
    assert set(samples["seed"]) == {42}
    assert (samples.groupby("problem_id")["text"].nunique() == 1).all()
    assert samples["text"].nunique() > 1


def test_another_seed_gives_other_samples(tiny_folder, benchmark_file, tmp_path):
    first = generated(tiny_folder, benchmark_file, tmp_path)
    second = generated(tiny_folder, benchmark_file, tmp_path, "other", seed=4)
    assert (first["text"] != second["text"]).mean() > 0.5


def test_a_prompt_that_leaves_no_room_for_the_completion_is_refused(tiny_folder, benchmark_file, tmp_path):
    """The tiny model has 512 positions; the longest prompts here have 16 tokens."""
    generated(tiny_folder, benchmark_file, tmp_path, samples_per_problem=1, sampling={"max_new_tokens": 496})
    with pytest.raises(
        UserError,
        match=r"problem 'p12': a prompt of 16 tokens and max_new_tokens 497 exceed the 512 positions",
    ):
        generated(
            tiny_folder, benchmark_file, tmp_path, samples_per_problem=1, sampling={"max_new_tokens": 497}
        )


# --- several benchmarks, and samples that there are already --------------------------------------


@pytest.fixture
def sampled(monkeypatch) -> list[int]:
    """The requests of each call of an engine during a test."""
    sizes = []
    inner = CompletionSampler.generate

    def counted(engine, requests, *arguments):
        sizes.append(len(requests))
        return inner(engine, requests, *arguments)

    monkeypatch.setattr(CompletionSampler, "generate", counted)
    return sizes


def test_one_engine_serves_all_benchmarks(tiny_folder, benchmark_file, tmp_path, served):
    """Each benchmark gets the samples that it gets alone, whatever the prompts of the other."""
    longer = tmp_path / "longer.parquet"
    problems = pd.read_parquet(benchmark_file)
    write_parquet(longer, problems.assign(problem=problems["problem"] + "+123456789"))
    configs = [config_file(tmp_path), config_file(tmp_path, benchmark="longer")]
    generate(configs, tiny_folder, [benchmark_file, longer], None, tmp_path / "journals", tmp_path / "both")
    assert len(served) == 1
    for name, data in (("sums", benchmark_file), ("longer", longer)):
        together = read_rows(tmp_path / "both" / f"{name}.parquet", Sample)
        alone = generated(tiny_folder, data, tmp_path, f"alone-{name}")
        pd.testing.assert_frame_equal(together[DETERMINED], alone[DETERMINED])


def test_a_benchmark_on_other_weights_has_an_engine_of_its_own(tiny_folder, benchmark_file, tmp_path, served):
    configs = [config_file(tmp_path), config_file(tmp_path, benchmark="rounded", merged_dtype="bfloat16")]
    data = [benchmark_file, benchmark_file]
    generate(configs, tiny_folder, data, None, tmp_path / "journals", tmp_path / "both")
    first, second = (engine.held_weight("model.embed_tokens.weight") for engine in served)
    assert not torch.equal(first, second)


@pytest.mark.parametrize(("k", "drawn"), [(5, 0), (7, 28), (3, 0)])
def test_only_missing_samples_are_drawn(tiny_folder, benchmark_file, tmp_path, sampled, k, drawn):
    before = generated(tiny_folder, benchmark_file, tmp_path)
    sampled.clear()
    after = generated(tiny_folder, benchmark_file, tmp_path, samples_per_problem=k)
    assert sum(sampled) == drawn
    complete = generated(tiny_folder, benchmark_file, tmp_path, "complete", samples_per_problem=k)
    pd.testing.assert_frame_equal(after[DETERMINED], complete[DETERMINED])
    common = before.merge(after, on=Sample.columns())  # times too: these samples are the earlier ones
    assert len(common) == 14 * min(k, 5)


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 4},
        {"sampling": {"max_new_tokens": 9}},
        {"dtype": "bfloat16"},
        {"prompt": {"user": "!{problem}"}},
    ],
)
def test_samples_made_in_another_way_are_drawn_again(tiny_folder, benchmark_file, tmp_path, sampled, other):
    generated(tiny_folder, benchmark_file, tmp_path)
    sampled.clear()
    generated(tiny_folder, benchmark_file, tmp_path, **other)
    assert sum(sampled) == 70


def test_a_reexported_run_keeps_its_samples(tiny_folder, benchmark_file, tmp_path, sampled):
    """Another model card, and the same settings in another order, are the same weights."""
    adapter, config = tmp_path / "adapter", config_file(tmp_path, samples_per_problem=1)
    shutil.copytree(tiny_folder, adapter)

    def generate_again() -> int:
        sampled.clear()
        generate([config], tiny_folder, [benchmark_file], adapter, tmp_path / "journals", tmp_path / "out")
        return sum(sampled)

    assert generate_again() == 14
    (adapter / "README.md").write_text("another card")
    settings = json.loads((adapter / "config.json").read_text())
    write_json(adapter / "config.json", dict(reversed(settings.items())))
    assert generate_again() == 0
    write_json(adapter / "config.json", settings | {"vocab": "other"})
    assert generate_again() == 14


def test_a_damaged_table_is_sampled_again(tiny_folder, benchmark_file, tmp_path, sampled, caplog):
    before = generated(tiny_folder, benchmark_file, tmp_path)
    (tmp_path / "out" / "sums.parquet").write_bytes(b"damaged")
    after = generated(tiny_folder, benchmark_file, tmp_path)
    pd.testing.assert_frame_equal(after[DETERMINED], before[DETERMINED])
    assert "not a readable Parquet file" in caplog.text


def test_every_configuration_needs_a_benchmark(tiny_folder, benchmark_file, tmp_path):
    configs = [config_file(tmp_path), config_file(tmp_path, benchmark="longer")]
    with pytest.raises(UserError, match="2 configurations and 1 --data"):
        generate(configs, tiny_folder, [benchmark_file], None, tmp_path / "journals", tmp_path / "both")


# --- kills --------------------------------------------------------------------------------------
