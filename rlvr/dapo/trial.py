"""Try a family before the first job: what would be refused in training is refused when it is prepared.

The trial is a random model of the same configuration with its first blocks only, and a small vocabulary.
"""

import logging
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from rlvr.config.training import Sampling
from rlvr.dapo.head import check_head
from rlvr.dapo.noise import remove_base_noise
from rlvr.models.first_pass import first_pass
from rlvr.models.tiny import build_tokenizer
from rlvr.rollout.engines.base import Request
from rlvr.rollout.engines.transformers import TransformersEngine

LEAST_BLOCKS = 2
LARGEST_TRIAL = 1_000_000_000
"""Parameters above which there is no trial; they are float32 and in main memory."""
PROMPTS = [tuple(range(7, 10 + length % 4)) for length in range(8)]
"""Of several lengths, so that some are padded; several are the same."""

logger = logging.getLogger(__name__)


def try_model(folder: Path) -> None:
    """Run the checks with which training and sampling begin on a small random model of a folder's family.

    Where none can be built, or only one of too many parameters, the log says so, and nothing is checked.

    Raises:
        UserError: the family cannot be trained or sampled, for the reasons of
            :func:`rlvr.dapo.noise.remove_base_noise`, :func:`rlvr.dapo.head.check_head` and
            :class:`rlvr.rollout.engines.transformers.TransformersEngine`.
    """
    try:
        model = trial_model(AutoConfig.from_pretrained(str(folder), trust_remote_code=False))
    except Exception as error:  # every family checks its sizes in its own way
        logger.info("%s: not tried before training: no small model can be built (%s)", folder, error)
        return
    if model is None:
        logger.info("%s: not tried before training: its blocks are too large", folder)
        return
    with first_pass(model, "trained"):
        remove_base_noise(model)
        check_head(model.eval(), PROMPTS[0])
    engine = TransformersEngine(model, build_tokenizer(), batch_size=len(PROMPTS))
    engine.generate(
        [Request(prompt, seed) for seed, prompt in enumerate(PROMPTS)], Sampling(max_new_tokens=8)
    )


def trial_model(config: PretrainedConfig) -> PreTrainedModel | None:
    """Return a random float32 model with the first blocks, all kinds among them; None if it is too large."""
    cut = _cut(config)
    with torch.device("meta"):
        size = AutoModelForCausalLM.from_config(cut).num_parameters()
    if size > LARGEST_TRIAL:
        return None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return cast(PreTrainedModel, AutoModelForCausalLM.from_config(cut, dtype=torch.float32))


def _cut(config: PretrainedConfig) -> PretrainedConfig:
    """Return the configuration with the first blocks and the vocabulary of the built-in tokenizer.

    The first blocks and not any: families number them, and every fourth may be of another kind.
    """
    values, depth = config.to_dict(), config.num_hidden_layers
    by_block = {
        key: value for key, value in values.items() if isinstance(value, list) and len(value) == depth
    }
    kinds = [(kind, *map(str, rest)) for kind, *rest in zip(_kinds(config), *by_block.values(), strict=True)]
    blocks = max(LEAST_BLOCKS, *(kinds.index(kind) + 1 for kind in set(kinds)))
    vocabulary = len(build_tokenizer())
    tokens = {key: _inside(value, vocabulary) for key, value in values.items() if key.endswith("_token_id")}
    own = config.attribute_map
    changed: dict[str, Any] = {
        **tokens,
        **{key: value[:blocks] for key, value in by_block.items()},
        own.get("num_hidden_layers", "num_hidden_layers"): min(blocks, depth),
        own.get("vocab_size", "vocab_size"): vocabulary,
    }
    return type(config).from_dict({**values, **changed})


def _kinds(config: PretrainedConfig) -> list[str]:
    """Return what each block is made of, names and types of its modules."""
    with torch.device("meta"):
        model = cast(nn.Module, AutoModelForCausalLM.from_config(config))
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == config.num_hidden_layers:
            return [str([(name, type(part)) for name, part in block.named_modules()]) for block in module]
    raise ValueError(f"no list of {config.num_hidden_layers} blocks")


def _inside(token: Any, vocabulary: int) -> Any:
    """Return a token id, or several, of the larger vocabulary as one that the smaller has."""
    if isinstance(token, list):
        return [_inside(one, vocabulary) for one in token]
    return min(token, vocabulary - 1) if isinstance(token, int) else token
