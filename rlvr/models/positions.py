"""Check that prompts and completions fit the positions and the vocabulary of a model."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rlvr.errors import UserError
from rlvr.models.architecture import read_architecture, transformers_config

POSITIONS = ("max_position_embeddings", "max_seq_len")
"""Names of the number of positions: the second is MPT's, those of other families Transformers maps."""


def check_lengths(directory: Path, prompts: Mapping[str, Sequence[int]], max_new_tokens: int) -> None:
    """Refuse prompts that do not fit the vocabulary of a model, or its positions together with a completion.

    Both numbers are the family's own where `config.json` does not give them; a family without positions, as
    Mamba, has no limit.

    Args:
        directory: prepared model folder.
        prompts: problem id -> token ids of its prompt.
        max_new_tokens: tokens of the longest completion.

    Raises:
        UserError: a prompt has a token that the model has not, or exceeds the positions with its completion.
    """
    config = transformers_config(read_architecture(directory), str(directory / "config.json"))
    rows = getattr(config, "vocab_size", None)
    positions = next((found for name in POSITIONS if (found := getattr(config, name, None))), None)
    for name, ids in prompts.items():
        if rows and ids and max(ids) >= rows:
            raise UserError(
                f"problem {name!r}: its prompt has token {max(ids)}, and the embedding of {directory} has "
                f"only {rows} rows; remove the text of that token from prompt or problem"
            )
    too_long = [name for name, ids in prompts.items() if positions and len(ids) + max_new_tokens > positions]
    if too_long:
        raise UserError(
            f"problem {too_long[0]!r}: a prompt of {len(prompts[too_long[0]])} tokens and max_new_tokens "
            f"{max_new_tokens} exceed the {positions} positions of {directory} ({len(too_long)} of "
            f"{len(prompts)} prompts are too long); lower max_new_tokens, or drop long problems with "
            "`checks: {longest_problem: N, long_problem: drop}` in datasets.yaml"
        )
