"""The factory: which engine is made, and what stops before one is."""

import pytest

from rlvr.errors import UserError
from rlvr.models.load import load_tokenizer
from rlvr.rollout.engines import factory
from rlvr.rollout.engines.factory import make_engine, missing_engine
from rlvr.rollout.engines.transformers import TransformersEngine


@pytest.fixture
def without_vllm(monkeypatch):
    find = factory.importlib.util.find_spec
    monkeypatch.setattr(
        factory.importlib.util, "find_spec", lambda name: None if name == "vllm" else find(name)
    )


def make(name: str, folder, **options):
    settings = {"dtype": "float32", "batch_size": 4, "longest": 32} | options
    return make_engine(name, folder, load_tokenizer(folder), **settings)


def test_the_engine_of_transformers_needs_nothing_else(tiny_folder, without_vllm):
    assert missing_engine("transformers") is None
    assert isinstance(make("transformers", tiny_folder), TransformersEngine)


def test_an_engine_that_is_not_installed_stops_with_the_way_out(tiny_folder, without_vllm):
    with pytest.raises(UserError, match=r"not installed.*docs/engines\.md.*or use engine: transformers"):
        make("vllm", tiny_folder)


def test_vllm_serves_no_adapter_as_it_is_exported(tiny_folder, monkeypatch):
    monkeypatch.setattr(factory, "missing_engine", lambda name: None)
    with pytest.raises(UserError, match=r"set evaluation\.merged_dtype"):
        make("vllm", tiny_folder, adapter=tiny_folder)
