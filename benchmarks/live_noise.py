r"""Whether `sync: live` serves the trained policy exactly, in bfloat16, for every method.

    python benchmarks/live_noise.py --work bench --output benchmarks/results/live-noise.json

SmolLM2-135M-Instruct. Every trained weight is moved by up to 0.01; then the engine's log-probabilities of
fixed tokens are compared with those of the policy's own forward pass, and of the untrained one's.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from common import prepared_model, prompts, write_results

from rlvr.config.training import Prompt
from rlvr.dapo.head import plain_model
from rlvr.data.chat import prompt_ids
from rlvr.errors import UserError
from rlvr.methods import make_method, methods
from rlvr.methods.policy import build_policy
from rlvr.models.autocast import autocast
from rlvr.models.load import load_model, load_tokenizer
from rlvr.rollout.engines.base import Tokens
from rlvr.rollout.engines.live import LiveEngine
from rlvr.rollout.sync import LiveSync

MOVE = 0.01


@torch.no_grad()
def own_logprobs(policy: torch.nn.Module, tokens: Tokens) -> torch.Tensor:
    """Return the log-probabilities of a completion by the policy's own forward pass."""
    ids = torch.tensor([[*tokens.prompt_ids, *tokens.completion_ids]])
    policy.eval()
    with autocast(policy, "bfloat16"):
        logits = policy(input_ids=ids).logits[0, len(tokens.prompt_ids) - 1 : -1].float()
    return logits.log_softmax(-1).gather(1, torch.tensor(tokens.completion_ids)[:, None])[:, 0]


def measure(model: Path, name: str) -> dict[str, Any]:
    """Return how far the engine is from the trained policy and from the untrained one, in nats."""
    tokenizer, method = load_tokenizer(model), make_method(name, {})
    torch.manual_seed(0)
    policy = build_policy(method, load_model(model, "bfloat16"), 1)
    sync = LiveSync(method, policy)
    first, second = prompt_ids(tokenizer, Prompt(), prompts()[:2])
    tokens = Tokens(first, second[:16])
    untrained = own_logprobs(policy, tokens)
    for parameter in policy.parameters():
        if parameter.requires_grad:
            parameter.data += MOVE * (2 * torch.rand_like(parameter) - 1)
    engine = LiveEngine(policy, plain_model(policy), tokenizer, 4, "bfloat16")
    served = torch.tensor(engine.score(tokens, 1.0))
    metrics = sync(1)
    return {
        "largest_difference": float((served - own_logprobs(policy, tokens)).abs().max()),
        "moved": round(float((served - untrained).abs().max()), 4),
        **{name: metrics[name] for name in ("sync/noise_to_signal", "sync/update_norm")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for the model")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument(
        "--methods", nargs="+", default=list(methods()), help="default: all that fit the model"
    )
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    model, results = prepared_model(arguments.work), {}
    for name in arguments.methods:
        try:
            results[name] = measure(model, name)
        except UserError as refusal:  # it does not fit the model
            print(refusal, flush=True)
            continue
        write_results(arguments.output, results)
        print(name, json.dumps(results[name]), flush=True)


if __name__ == "__main__":
    main()
