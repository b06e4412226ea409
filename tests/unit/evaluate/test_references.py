"""Log-probabilities of reference solutions."""

import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM

from rlvr.artifacts import ReferenceScore, read_rows
from rlvr.errors import UserError
from rlvr.evaluate.generate import generate
from rlvr.evaluate.references import reference_ids, reference_texts
from rlvr.files import write_json
from rlvr.models.load import load_model, load_tokenizer
from rlvr.models.pretrain import encode
from tests.helpers.families import family_config
from tests.helpers.generation import config_file, generated


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


@pytest.mark.parametrize(
    ("family", "dtype"), [("llama", "bfloat16"), ("gemma2", "float16"), ("qwen3", "float32")]
)
def test_references_are_scored_by_other_families_in_their_precision(
    tiny_folder, benchmark_file, tmp_path, family, dtype
):
    folder, tokenizer = tmp_path / "model", load_tokenizer(tiny_folder)
    torch.manual_seed(0)
    config = family_config(family, vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id)
    model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype)).eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_json(folder / "provenance.json", {"sha256": family})
    asked = config_file(tmp_path, samples_per_problem=1, dtype=dtype, reference_format="first-line")
    scores = tmp_path / "scores"
    generate(
        [asked], folder, [benchmark_file], None, tmp_path / "journals", tmp_path / "out", references=scores
    )
    found = read_rows(scores / "sums.parquet", ReferenceScore)
    for row, score in zip(pd.read_parquet(benchmark_file).to_dict("records"), found["logprob"], strict=True):
        encoded = encode(tokenizer, [row])
        with torch.no_grad():
            logits = model(input_ids=encoded.ids[:, :-1]).logits.float().transpose(1, 2)
        loss = torch.nn.functional.cross_entropy(logits, encoded.labels[:, 1:], reduction="sum")
        assert score == pytest.approx(-loss.item(), rel=1e-5 if dtype == "float32" else 3e-3)


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
