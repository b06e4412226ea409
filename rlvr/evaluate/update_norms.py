"""How far a method moves the weights at a learning rate: to spread rates around one size.

The size is the norm of the change of all merged weights, over all layers, in the first steps of the method's
own optimizer. AdamW moves every trained scalar by about the rate in each step, whatever the size of its
gradient, so that the size depends on the gradient by little but its signs. The gradient is that of the
likelihood of the same random tokens in every step; weight decay, warm-up and dropout are left out. Several
steps are taken, because factors that start near zero, as AdaLoRA's, move the weights only as they grow.
"""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console

from rlvr.config.resolved import TrainConfig
from rlvr.errors import UserError
from rlvr.methods import make_method
from rlvr.methods.policy import run_policy
from rlvr.methods.weights import merged_weights
from rlvr.models.load import load_model
from rlvr.planning.plan import Plan, train_configs
from rlvr.planning.table import table

REFERENCE = "lora"
"""Method whose update the others are made as large as."""
STEPS = 10
"""Steps that move the weights."""
ROUNDS = 4
"""Corrections of a multiple, because not every update is proportional to the rate."""
SEQUENCES, TOKENS = 16, 32
"""Random tokens that the gradient is of."""


def update_norm(config: TrainConfig, model: Path, rate: float) -> float:
    """Return the norm of the change of all merged weights after :data:`STEPS` steps at a rate.

    Args:
        config: a run, of which method, settings and training seed count.
        model: prepared model folder.
        rate: learning rate.
    """
    method = make_method(config.trains_as, config.parameters, config.run)
    policy = run_policy(config, method, load_model(model, "float32"))
    before = {name: weight.detach().clone() for name, weight in merged_weights(method, policy)}
    training = config.training.model_copy(update={"learning_rate": rate, "weight_decay": 0.0})
    optimizer = method.optimizer(policy, training)
    policy.eval()
    vocabulary = policy.config.get_text_config().vocab_size  # type: ignore[union-attr,operator]
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(vocabulary, (SEQUENCES, TOKENS), generator=generator)
    ids = ids.to(next(policy.parameters()).device)
    for _ in range(STEPS):
        policy(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        squares = [
            float((weight.double() - before[name].double()).square().sum())
            for name, weight in merged_weights(method, policy)
        ]
    return math.sqrt(sum(squares))


def equal_norms(configs: Sequence[TrainConfig], model: Path, rate: float) -> dict[str, tuple[float, float]]:
    """Return for each method the multiple of ``rate`` at which its update is as large as LoRA's at ``rate``.

    Args:
        configs: a run of each method, LoRA's among them.
        model: prepared model folder.
        rate: LoRA's learning rate.

    Returns:
        Method -> the norm at ``rate``, and the multiple.
    """
    (reference,) = [config for config in configs if config.method == REFERENCE]
    wanted = update_norm(reference, model, rate)
    found = {REFERENCE: (wanted, 1.0)}
    for config in configs:
        if config.method != REFERENCE:
            norm = first = update_norm(config, model, rate)
            multiple = wanted / norm
            for _ in range(ROUNDS - 1):
                norm = update_norm(config, model, rate * multiple)
                multiple *= wanted / norm
            found[config.method] = (first, multiple)
    return {config.method: found[config.method] for config in configs}


def print_update_norms(plan: Plan, resources: Path) -> None:
    """Print for every method of a study the multiple of LoRA's rate at which its update is as large.

    Raises:
        UserError: the study has no LoRA, has a method more than once, or its first model is not prepared.
    """
    study = plan.study
    wanted = (study.models[0], next(iter(study.settings)), study.train_seeds[0])
    configs = [one for one in train_configs(plan) if (one.model, one.setting, one.train_seed) == wanted]
    counts = Counter(config.method for config in configs)
    if REFERENCE not in counts:
        raise UserError(
            f"study {plan.name}: it has no method {REFERENCE!r}, whose update the others are compared to"
        )
    if repeated := [method for method, count in counts.items() if count > 1]:
        raise UserError(
            f"study {plan.name}: it has the method {repeated[0]!r} more than once, but `around` has one "
            "multiple per method; keep one of them"
        )
    model = resources / "models" / study.models[0]
    if not model.exists():
        raise UserError(f"{model} does not exist; prepare it: snakemake {model}")
    found = equal_norms(configs, model, study.training.learning_rate)
    shown = table("method", "norm at the study's rate", "multiple for LoRA's norm")
    for method, (norm, multiple) in found.items():
        shown.add_row(method, f"{norm:.3g}", f"{multiple:.2g}")
    console = Console()
    console.print(shown)
    words = ", ".join(f"{method}: {float(f'{multiple:.2g}'):g}" for method, (_, multiple) in found.items())
    console.print(f"around: {{{words}}}", soft_wrap=True)
