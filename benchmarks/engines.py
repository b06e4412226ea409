r"""Tokens a second of the engine of `transformers`: live against merged by method, static against continuous.

    python benchmarks/engines.py --work bench --output benchmarks/results/engines.json
    python benchmarks/engines.py --work bench --output engines.json --methods lora dora --rounds 1

SmolLM2-135M-Instruct in float32, tokens for each second of CPU time, the two of a pair in turn. *Live* is the
policy itself, adapters in place; *merged* a model of its own with the merged weights. Static against
continuous batching is measured on LoRA, live, with completions of one length and of many.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from common import cpu_seconds, median, paper_methods, prepared_model, prompts, write_results
from transformers import PreTrainedTokenizerBase

from rlvr.config.training import Batching, Prompt, Sampling
from rlvr.dapo.head import plain_model
from rlvr.data.chat import prompt_ids
from rlvr.methods import Method, make_method
from rlvr.methods.policy import build_policy
from rlvr.models.load import load_model, load_tokenizer
from rlvr.rollout.engines.base import Engine, Request
from rlvr.rollout.engines.live import LiveEngine
from rlvr.rollout.engines.transformers import TransformersEngine
from rlvr.rollout.sync import WeightSync

ROWS = 64
"""Completions that start together."""
EQUAL, VARIED = "32 tokens each", "one sentence each, at most 96 tokens"
"""Lengths of completions."""


def policy_on(model: Path, method: Method) -> torch.nn.Module:
    """Return the policy of a method before training, on a model of its own."""
    torch.manual_seed(0)
    return build_policy(method, load_model(model, "float32"), 1)


def live_engine(
    policy: torch.nn.Module, tokenizer: PreTrainedTokenizerBase, batching: Batching = "static"
) -> LiveEngine:
    """Return the engine that samples from a policy."""
    return LiveEngine(policy, plain_model(policy), tokenizer, ROWS, "float32", batching)


def requests_of(tokenizer: PreTrainedTokenizerBase) -> list[Request]:
    """Return as many requests for each prompt."""
    tokens = prompt_ids(tokenizer, Prompt(), prompts())
    return [Request(tokens[row % len(tokens)], seed=row) for row in range(ROWS)]


def rate(engine: Engine, requests: Sequence[Request], tokens: int) -> float:
    """Return the tokens that an engine samples for each second of CPU time."""
    sampled: list[int] = []

    def sample() -> None:
        for completion in engine.generate(requests, Sampling(max_new_tokens=tokens)):
            sampled.append(len(completion.token_ids))

    seconds = cpu_seconds(sample)
    return sum(sampled) / seconds


def live_against_merged(model: Path, name: str, tokens: int, rounds: int) -> dict[str, Any]:
    """Return the rates of a method, sampled live and merged."""
    method, tokenizer = make_method(name, {}), load_tokenizer(model)
    policy, requests = policy_on(model, method), requests_of(tokenizer)
    merged = TransformersEngine(load_model(model, "float32"), tokenizer, ROWS)
    WeightSync(method, policy, merged, "merged")(0)
    engines = {"live": live_engine(policy, tokenizer), "merged": merged}
    for engine in engines.values():
        rate(engine, requests, 2)  # the first call is checked, and allocates
    rates: dict[str, list[float]] = {key: [] for key in engines}
    for _ in range(rounds):
        for key, engine in engines.items():
            rates[key].append(rate(engine, requests, tokens))
    medians = {key: median(values, 1) for key, values in rates.items()}
    return {**medians, "live_cost": round(medians["merged"] / medians["live"], 2)}


def static_against_continuous(model: Path, rounds: int) -> dict[str, Any]:
    """Return the rates of both kinds of batching, by the lengths of the completions."""
    tokenizer, policy = load_tokenizer(model), policy_on(model, make_method("lora", {}))
    requests = requests_of(tokenizer)
    stop = tokenizer.encode(".", add_special_tokens=False)
    results: dict[str, Any] = {}
    for name, tokens, ends in ((EQUAL, 32, []), (VARIED, 96, stop)):
        engines = {kind: live_engine(policy, tokenizer, kind) for kind in ("static", "continuous")}
        rates: dict[str, list[float]] = {kind: [] for kind in engines}
        for engine in engines.values():
            rate(engine, requests[:8], 2)
            engine.end_ids = [*engine.end_ids, *ends]
        for _ in range(rounds):
            for kind, engine in engines.items():
                rates[kind].append(rate(engine, requests, tokens))
        results[name] = {kind: median(values, 1) for kind, values in rates.items()}
    return results


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for the model")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--methods", nargs="+", default=paper_methods(), help="default: those of the paper")
    parser.add_argument("--tokens", type=int, default=16, help="length of the completions of a method")
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    model = prepared_model(arguments.work)
    results: dict[str, Any] = {"batching": static_against_continuous(model, arguments.rounds), "methods": {}}
    for name in arguments.methods:
        results["methods"][name] = live_against_merged(model, name, arguments.tokens, arguments.rounds)
        write_results(arguments.output, results)
        print(name, json.dumps(results["methods"][name]), flush=True)


if __name__ == "__main__":
    main()
