"""Generation: one seed per sample, the same samples in any batch, and nothing lost by a kill."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

from rlvr.artifacts import ReferenceScore, Sample, read_rows
from rlvr.config.resolved import GenerateConfig
from rlvr.config.training import Prompt, Sampling
from rlvr.errors import TryAgain, UserError
from rlvr.evaluate import generate as module
from rlvr.evaluate.generate import generate
from rlvr.evaluate.journal import Journal
from rlvr.evaluate.references import reference_ids, reference_texts
from rlvr.files import write_json, write_parquet
from rlvr.locks import exclusive
from rlvr.models.load import load_model, load_tokenizer
from rlvr.models.pretrain import encode
from rlvr.rollout.engines.factory import make_engine
from rlvr.rollout.engines.transformers import CompletionSampler
from tests.helpers.paths import REPOSITORY

DETERMINED = [name for name in Sample.columns() if name != "seconds"]
"""All columns but the measured time."""


@pytest.fixture
def benchmark_file(tmp_path: Path) -> Path:
    """Fourteen problems of different length."""
    rows = [
        {"id": f"p{i}", "problem": f"{i}+{7**i}", "answer": str(i + 7**i), "origin": f"test#{i}"}
        for i in range(14)
    ]
    write_parquet(tmp_path / "problems.parquet", pd.DataFrame(rows))
    return tmp_path / "problems.parquet"


def config_file(folder: Path, **changed: object) -> Path:
    settings = {
        "study": "test",
        "benchmark": "sums",
        "dataset": "sums",
        "samples_per_problem": 5,
        "sampling": Sampling(max_new_tokens=8),
        "prompt": Prompt(),
        "batch_size": 16,
        "dtype": "float32",
        "seed": 3,
        "shared_seed": False,
    }
    path = folder / f"config-{len(list(folder.glob('config-*')))}.json"
    write_json(path, GenerateConfig.model_validate(settings | changed).model_dump(mode="json"))
    return path


def generated(tiny: Path, data: Path, folder: Path, name: str = "out", **changed: object) -> pd.DataFrame:
    generate([config_file(folder, **changed)], tiny, [data], None, folder / "journals", folder / name)
    return read_rows(folder / name / "sums.parquet", Sample)


@pytest.fixture
def served(monkeypatch) -> list:
    """The engines that are made during a test."""
    engines = []

    def recorded(*arguments, **options):
        engines.append(make_engine(*arguments, **options))
        return engines[-1]

    monkeypatch.setattr(module, "make_engine", recorded)
    return engines


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


def started(config: Path, tiny: Path, data: Path, folder: Path) -> subprocess.Popen[bytes]:
    command = ["generate", str(config), "--model", str(tiny), "--data", str(data)]
    command += ["--checkpoints", str(folder / "journals"), "-o", str(folder / "killed")]
    return subprocess.Popen(
        [sys.executable, "-m", "rlvr.cli", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        cwd=REPOSITORY,
    )


@pytest.mark.slow
def test_a_killed_generation_continues_and_equals_one_never_killed(tiny_folder, benchmark_file, tmp_path):
    size = {"samples_per_problem": 40, "batch_size": 2}
    config = config_file(tmp_path, **size)
    process = started(config, tiny_folder, benchmark_file, tmp_path)
    end = time.monotonic() + 240
    while not (journals := list((tmp_path / "journals").glob("*.jsonl"))) and time.monotonic() < end:
        assert process.poll() is None, process.communicate()[0].decode()
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (journal,) = journals
    kept = journal.read_bytes().count(b"\n")
    assert 0 < kept < 14 * 40, "the kill must come before the end"
    assert not (tmp_path / "killed" / "sums.parquet").exists()
    with open(journal, "ab") as file:
        file.write(b'{"problem_id": "p13", "sam')  # as if the kill had come within a write
    before = [json.loads(line) for line in journal.read_bytes().splitlines()[:kept]]

    resumed = started(config, tiny_folder, benchmark_file, tmp_path)
    shown = resumed.communicate(timeout=240)[0].decode()
    assert resumed.returncode == 0, shown
    assert f"continuing: {kept} of 560 samples are in" in shown
    after = read_rows(tmp_path / "killed" / "sums.parquet", Sample)
    never_killed = generated(tiny_folder, benchmark_file, tmp_path, **{**size, "batch_size": 64})
    pd.testing.assert_frame_equal(after[DETERMINED], never_killed[DETERMINED])
    times = after.set_index(["problem_id", "sample_index"])["seconds"]
    assert all(times[row["problem_id"], row["sample_index"]] == row["seconds"] for row in before)
    assert not (tmp_path / "journals").exists()


@pytest.fixture
def half_done(tiny_folder, benchmark_file, tmp_path, monkeypatch) -> Path:
    """The journal of a generation that broke after some batches."""
    appended = []
    append = Journal.append

    def breaks(journal: Journal, samples: list[Sample]) -> None:
        append(journal, samples)
        appended.append(samples)
        if len(appended) == 2:
            raise OSError("no space left")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="no space"):
        patch.setattr(Journal, "append", breaks)
        generated(tiny_folder, benchmark_file, tmp_path)
    (journal,) = (tmp_path / "journals").glob("*.jsonl")
    return journal


def test_another_batch_size_continues_and_another_seed_starts_from_nothing(
    half_done, tiny_folder, benchmark_file, tmp_path, caplog
):
    caplog.set_level("INFO")
    generated(tiny_folder, benchmark_file, tmp_path, seed=4)
    assert "continuing" not in caplog.text
    assert half_done.exists(), "the journal of other settings is kept"
    generated(tiny_folder, benchmark_file, tmp_path, batch_size=64)
    assert f"continuing: 32 of 70 samples are in {half_done}" in caplog.messages
    assert not half_done.exists()


def test_other_data_or_another_model_starts_from_nothing(
    half_done, tiny_folder, benchmark_file, tmp_path, caplog
):
    caplog.set_level("INFO")
    problems = pd.read_parquet(benchmark_file)
    write_parquet(benchmark_file, problems.assign(problem="1+1"))
    generated(tiny_folder, benchmark_file, tmp_path)
    write_parquet(benchmark_file, problems)
    other_model = tmp_path / "model"
    other_model.mkdir()
    for file in tiny_folder.iterdir():
        (other_model / file.name).write_bytes(file.read_bytes())
    write_json(other_model / "provenance.json", {"sha256": "another"})
    generated(other_model, benchmark_file, tmp_path)
    assert "continuing" not in caplog.text


def test_the_samples_of_a_finished_journal_are_written_without_loading_the_model(
    tiny_folder, benchmark_file, tmp_path, monkeypatch
):
    wanted = generated(tiny_folder, benchmark_file, tmp_path, "first")
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "remove", lambda journal: None)
        generated(tiny_folder, benchmark_file, tmp_path)
        patch.setattr(module, "make_engine", None)
        again = generated(tiny_folder, benchmark_file, tmp_path, "again")
    pd.testing.assert_frame_equal(again[DETERMINED], wanted[DETERMINED])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda lines: [lines[0], b"{", *lines[2:]], "line 2: not JSON"),
        (lambda lines: [lines[0], b"\x00\xff", *lines[2:]], "line 2: not JSON"),
        (lambda lines: [lines[0], b"[]", *lines[2:]], "line 2: "),
        (lambda lines: [lines[0].replace(b'"seed": ', b'"seed": 1'), *lines[1:]], "line 1: .* has seed"),
        (
            lambda lines: [lines[0].replace(b'"p0"', b'"p99"'), *lines[1:]],
            "line 1: .*'p99'.*not part of this benchmark",
        ),
        (lambda lines: [lines[0].replace(b'"text"', b'"txt"'), *lines[1:]], "line 1: txt: unknown key"),
    ],
)
def test_other_damage_names_file_and_line(half_done, tiny_folder, benchmark_file, tmp_path, damage, message):
    lines = half_done.read_bytes().splitlines()
    half_done.write_bytes(b"".join(line + b"\n" for line in damage(lines)))
    with pytest.raises(UserError, match=message) as error:
        generated(tiny_folder, benchmark_file, tmp_path)
    assert half_done.name in str(error.value)
    assert "delete" in str(error.value)


def test_a_repeated_sample_is_removed_from_the_journal(
    half_done, tiny_folder, benchmark_file, tmp_path, caplog
):
    """Two writers before there was a lock: both lines are whole, and only their times differ."""
    lines = half_done.read_bytes().splitlines(keepends=True)
    again = [json.dumps({**json.loads(line), "seconds": 99.0}).encode() + b"\n" for line in lines[3:7]]
    half_done.write_bytes(b"".join([*lines, *again]))
    seen = []
    append = Journal.append
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "append", lambda *call: (seen.append(half_done.read_bytes()), append(*call)))
        samples = generated(tiny_folder, benchmark_file, tmp_path)
    assert seen[0] == b"".join(lines), "repaired before anything is added"
    assert "removing 4 repeated samples" in caplog.text
    assert len(samples) == 70 and (samples["seconds"] != 99).all()


def test_a_second_generator_of_the_same_samples_is_told_who_has_them(tiny_folder, benchmark_file, tmp_path):
    with (
        exclusive(tmp_path / "journals" / "lock"),
        pytest.raises(TryAgain, match=f"process {os.getpid()} on"),
    ):
        generated(tiny_folder, benchmark_file, tmp_path)
    generated(tiny_folder, benchmark_file, tmp_path)


def test_a_generation_stops_at_its_time_budget_and_continues(tiny_folder, benchmark_file, tmp_path):
    config = config_file(tmp_path)
    places = ([config], tiny_folder, [benchmark_file], None, tmp_path / "journals", tmp_path / "samples")
    stops = 0
    while True:
        try:
            generate(*places, max_minutes=0)
            break
        except TryAgain as stop:
            stops += 1
            assert f"stopped by --max-minutes 0 with {16 * stops} of 70 samples done" in str(stop)
    assert stops == 4, "one batch of 16 at each attempt; the last one ends the work"
    usual = generated(tiny_folder, benchmark_file, tmp_path)
    stopped = read_rows(tmp_path / "samples" / "sums.parquet", Sample)
    pd.testing.assert_frame_equal(stopped[DETERMINED], usual[DETERMINED])


def test_references_are_scored_as_the_model_would_be_trained_on_them(tiny_folder, benchmark_file, tmp_path):
    """The sum of their log-probabilities is the loss of supervised training on the answer, end included."""
    config = config_file(tmp_path, samples_per_problem=1, reference_format="first-line-number")
    journals, scores = tmp_path / "journals", tmp_path / "scores"
    generate([config], tiny_folder, [benchmark_file], None, journals, tmp_path, references=scores)
    found = read_rows(scores / "sums.parquet", ReferenceScore)
    rows = pd.read_parquet(benchmark_file).to_dict("records")
    model, encoded = load_model(tiny_folder, "float32"), encode(load_tokenizer(tiny_folder), rows)
    logits = model(input_ids=encoded.ids[:, :-1]).logits.transpose(1, 2)
    losses = torch.nn.functional.cross_entropy(logits, encoded.labels[:, 1:], reduction="none")
    assert list(found["problem_id"]) == [row["id"] for row in rows]
    assert found["logprob"].tolist() == pytest.approx((-losses.sum(dim=1)).tolist(), rel=1e-4)
    assert found["n_tokens"].tolist() == [len(row["answer"]) + 1 for row in rows]


def test_a_finished_benchmark_becomes_one_of_forgetting_without_a_new_sample(
    tiny_folder, benchmark_file, tmp_path, served
):
    first = generated(tiny_folder, benchmark_file, tmp_path)
    written = (tmp_path / "out" / "sums.parquet").read_bytes()
    config = config_file(tmp_path, reference_format="boxed")
    for _ in range(2):
        generate(
            [config], tiny_folder, [benchmark_file], None, tmp_path / "journals", tmp_path / "out",
            references=tmp_path / "scores",
        )  # fmt: skip
    assert len(served) == 2, "one engine samples, one scores, and a finished benchmark needs none"
    assert (tmp_path / "out" / "sums.parquet").read_bytes() == written
    assert (
        len(read_rows(tmp_path / "scores" / "sums.parquet", ReferenceScore)) == first["problem_id"].nunique()
    )


def test_another_answer_format_scores_other_references(tiny_folder, benchmark_file, tmp_path, served):
    lengths = []
    for answer_format in ("boxed", "first-line"):
        config = config_file(tmp_path, reference_format=answer_format)
        generate(
            [config], tiny_folder, [benchmark_file], None, tmp_path / "journals", tmp_path / "out",
            references=tmp_path / "scores",
        )  # fmt: skip
        lengths.append(read_rows(tmp_path / "scores" / "sums.parquet", ReferenceScore)["n_tokens"].sum())
    assert len(served) == 2 and lengths[0] > lengths[1]


def test_references_need_a_folder(tiny_folder, benchmark_file, tmp_path):
    with pytest.raises(UserError, match="benchmark 'sums' scores reference solutions: give --references"):
        generated(tiny_folder, benchmark_file, tmp_path, reference_format="boxed")


def test_a_worked_solution_is_the_reference_and_closes_what_the_prompt_has_opened(tiny_folder):
    tokenizer = load_tokenizer(tiny_folder)
    problems = pd.DataFrame({"id": ["a", "b"], "answer": ["4", "5"], "solution": ["2+2 is 4.", ""]})
    texts = reference_texts(problems, "boxed")
    assert texts == {"a": "2+2 is 4.", "b": r"\boxed{5}"}
    for opened, start in {"<think>\n": "\n</think>\n\n", "": ""}.items():
        ids = reference_ids(tokenizer, texts, opened)
        for name, text in texts.items():
            written = tokenizer(start + text, add_special_tokens=False)["input_ids"]
            assert ids[name] == [*written, tokenizer.eos_token_id]
