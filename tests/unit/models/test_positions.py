"""Prompts that a model has no positions for are refused, under whatever name its family keeps the number."""

import pytest

from rlvr.errors import UserError
from rlvr.models.positions import check_lengths
from tests.helpers.published import write

POSITIONS = {
    "qwen2": ({"max_position_embeddings": 64}, 64),
    "gpt2": ({"n_positions": 64}, 64),
    "gptj": ({"n_positions": 64}, 64),
    "mpt": ({"max_seq_len": 64}, 64),
    "dbrx": ({"max_seq_len": 64}, 64),
    "llama": ({}, 2048),
    "gpt_neox": ({}, 2048),
    "falcon": ({}, 2048),
}
"""Family -> what its `config.json` says, and its positions; not written, they are the default."""


@pytest.mark.parametrize("family", POSITIONS)
def test_a_prompt_beyond_the_positions_is_refused(family, tmp_path):
    keys, positions = POSITIONS[family]
    write(tmp_path / "config.json", {"model_type": family, "vocab_size": 32} | keys)
    check_lengths(tmp_path, {"a": [1] * (positions - 4)}, 4)
    with pytest.raises(UserError, match=rf"max_new_tokens 4 exceed the {positions} positions"):
        check_lengths(tmp_path, {"a": [1] * (positions - 3)}, 4)


def test_a_family_without_positions_has_no_limit(tmp_path):
    write(tmp_path / "config.json", {"model_type": "mamba", "vocab_size": 32})
    check_lengths(tmp_path, {"a": [1] * 100_000}, 4)
    with pytest.raises(UserError, match=r"token 32, .* only 32 rows"):
        check_lengths(tmp_path, {"a": [32]}, 4)


def test_the_vocabulary_that_is_not_written_is_that_of_the_family(tmp_path):
    write(tmp_path / "config.json", {"model_type": "gpt2"})
    with pytest.raises(UserError, match=r"token 50257, .* only 50257 rows"):
        check_lengths(tmp_path, {"a": [50257]}, 4)
