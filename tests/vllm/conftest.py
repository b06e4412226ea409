"""Real vLLM engines on small models. Skipped where vLLM is not installed; `make test-vllm` installs it."""

import importlib.util
from pathlib import Path

import pytest

from rlvr.files import write_json
from rlvr.models.load import load_tokenizer
from rlvr.models.tiny import build_tokenizer
from rlvr.rollout.engines.vllm import VllmEngine
from tests.helpers.families import family_model

NEEDS_VLLM = pytest.mark.skipif(
    importlib.util.find_spec("vllm") is None, reason="vLLM is not installed; run: make test-vllm"
)


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model that `tests.helpers.small_methods` trains, as a prepared folder."""
    folder = tmp_path_factory.mktemp("models") / "small"
    family_model("qwen2").save_pretrained(folder)
    build_tokenizer().save_pretrained(folder)
    write_json(folder / "provenance.json", {"sha256": "test"})
    return folder


STARTED: list[VllmEngine] = []
"""All engines: vLLM tears down what the engines of a process share as soon as one of them is deleted."""


def engine_on(folder: Path, **options) -> VllmEngine:
    settings = {"dtype": "float32", "weight_dtype": "float32", "batch_size": 32, "longest": 64} | options
    STARTED.append(VllmEngine(folder, load_tokenizer(folder), **settings))
    return STARTED[-1]


@pytest.fixture(scope="session")
def tiny_engine(tiny_folder: Path) -> VllmEngine:
    """vLLM on the built-in architecture; tests leave it with the weights of the folder."""
    return engine_on(tiny_folder, longest=256)


@pytest.fixture(scope="session")
def small_engine(small_folder: Path) -> VllmEngine:
    """vLLM on the model of `small_methods`, for merged weights."""
    return engine_on(small_folder)
