"""Check that prompts and completions fit the positions of a model."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rlvr.errors import UserError
from rlvr.files import read_json


def check_lengths(directory: Path, prompts: Mapping[str, Sequence[int]], max_new_tokens: int) -> None:
    """Refuse prompts that do not fit the positions of a model together with their completions.

    Args:
        directory: prepared model folder.
        prompts: problem id -> token ids of its prompt.
        max_new_tokens: tokens of the longest completion.

    Raises:
        UserError: a prompt and its longest completion exceed the positions.
    """
    positions = read_json(directory / "config.json").get("max_position_embeddings")
    too_long = [name for name, ids in prompts.items() if positions and len(ids) + max_new_tokens > positions]
    if too_long:
        raise UserError(
            f"problem {too_long[0]!r}: a prompt of {len(prompts[too_long[0]])} tokens and max_new_tokens "
            f"{max_new_tokens} exceed the {positions} positions of {directory} ({len(too_long)} of "
            f"{len(prompts)} prompts are too long); lower max_new_tokens, or drop long problems with "
            "`checks: {longest_problem: N, long_problem: drop}` in datasets.yaml"
        )
