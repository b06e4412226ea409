"""Every method on a model of a few thousand weights: how the tests build, train and read it."""

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

from rlvr.config.schema import Training
from rlvr.dapo.update import autocast
from rlvr.methods import MethodSpec, get_method
from rlvr.methods.policy import build_policy

SIZES = {
    "vocab_size": 32,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 96,
}
INPUTS = torch.arange(24).reshape(2, 12) % 32
STEPS = 3
TRAINING = Training(
    steps=STEPS, prompts_per_step=1, group_size=2, learning_rate=1e-2, sampling={"max_new_tokens": 4}
)
SMALL = {"rank": 4, "alpha": 8, "initial_rank": 6, "target_rank": 3, "group_size": 16, "vector_length": 96}
"""Settings that fit the small model, for every method that has them."""
SMALL_OF = {
    "rank1_lora": {},
    "slicefine": {"rank": 4, "interval": 2},
    "oft": {"block_size": 8},
    "boft": {"block_size": 4, "target_modules": ("q_proj", "v_proj", "o_proj", "down_proj")},
    "fourierft": {"frequencies": 200},
    "waveft": {"coefficients": 200},
    "c3a": {"block_size": 16},
    "randlora": {"rank": 5, "alpha": 100},
    "vblora": {"rank": 4, "vectors": 8, "vector_length": 16},
}
"""Settings of single methods instead."""
LEARNING_RATES = {
    **dict.fromkeys(("boft", "hra", "loha", "oft", "peanut", "supertuning", "vblora"), 0.05),
    **dict.fromkeys(("adalora", "psoft", "vera"), 0.1),
    **dict.fromkeys(("c3a", "hira", "ia3", "ln_tuning", "road", "unilora"), 0.3),
    "pvera": 0.3,
}
"""Where 1e-2 moves the small model too little in three steps, or too far."""


def base_model(dtype: str = "float32", family: str = "qwen2") -> torch.nn.Module:
    """A plain model whose weights depend on nothing but the family."""
    torch.manual_seed(0)
    if family == "llama":
        model = LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=False))
    else:
        model = Qwen2ForCausalLM(Qwen2Config(**SIZES, tie_word_embeddings=True))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):  # Transformers starts biases at zero, where mistakes do not show.
            torch.nn.init.normal_(parameter, std=0.1)
    return model.to(getattr(torch, dtype)).eval()


def parameters_of(spec: MethodSpec):
    """Small settings that fit the small model."""
    values = SMALL_OF.get(spec.name, SMALL)
    return spec.Parameters(**{key: values[key] for key in values if key in spec.Parameters.model_fields})


def policy_of(name: str, dtype: str = "float32", family: str = "qwen2") -> torch.nn.Module:
    """The method's policy before training."""
    torch.manual_seed(1)
    spec = get_method(name)
    return build_policy(spec, base_model(dtype, family), parameters_of(spec), STEPS)


@torch.no_grad()
def logits(model: torch.nn.Module, dtype: str = "float32") -> torch.Tensor:
    """Logits in the precision that training runs in."""
    with autocast(model, dtype):
        return model.eval()(input_ids=INPUTS).logits.float()


def train(
    name: str, policy: torch.nn.Module, dtype: str = "float32", steps: int = STEPS, rate: float | None = None
):
    """Take real optimizer steps on a language-modelling loss; return the optimizer."""
    spec = get_method(name)
    rate = rate or LEARNING_RATES.get(name, 1e-2)
    optimizer = spec.optimizer(policy, parameters_of(spec), rate, TRAINING)
    policy.train()
    for step in range(steps):
        optimizer.zero_grad()
        with autocast(policy, dtype):
            loss = policy(input_ids=INPUTS, labels=INPUTS).loss
        extra = spec.extra_loss(policy)
        (loss if extra is None else loss + extra).backward()
        optimizer.step()
        spec.after_step(policy, optimizer, step)
    policy.eval()
    return optimizer


def plain_with(weights, dtype: str = "float32", family: str = "qwen2") -> torch.nn.Module:
    """A plain model with some weights replaced."""
    model = base_model(dtype, family)
    own = dict(model.named_parameters())
    for name, weight in weights:
        own[name].data.copy_(weight)
    return model
