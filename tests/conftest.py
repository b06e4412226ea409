"""Shared fixtures: small real models, made once a session."""

from pathlib import Path

import pytest
import torch

from tests.helpers.paths import REPOSITORY

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout under test."""
    return REPOSITORY


@pytest.fixture(scope="session")
def complete_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped configuration with rates for the studies that need them, in a folder of its own."""
    from tests.helpers.rates import config_with_rates

    return config_with_rates(tmp_path_factory.mktemp("complete"))


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared model folder with random weights of the tiny architecture, from a fixed seed."""
    from rlvr.files import write_json
    from rlvr.models.tiny import build_model, build_tokenizer

    folder = tmp_path_factory.mktemp("models") / "tiny"
    tokenizer = build_tokenizer()
    model = build_model(tokenizer, hidden_size=128, layers=2, heads=2, intermediate_size=192, seed=0)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_json(folder / "provenance.json", {"sha256": "test"})
    return folder
