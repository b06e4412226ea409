"""Sizes of the layers that methods adapt, in closed form from a model's configuration."""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from transformers import PretrainedConfig

LinearName = Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

ALL_LINEAR: tuple[LinearName, ...] = (
    "q_proj",
    "k_proj",
    "v_proj",
    "o_proj",
    "gate_proj",
    "up_proj",
    "down_proj",
)
"""The seven linear layers of a decoder block ("all linear modules" of the paper, section 2.2)."""


def linear_layers(config: "PretrainedConfig", names: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    """Return ``{full module name: (in features, out features)}`` for the named layers of every block.

    Holds for the Qwen2 and Llama families.
    """
    hidden = config.hidden_size
    head_size = getattr(config, "head_dim", None) or hidden // config.num_attention_heads
    query = config.num_attention_heads * head_size
    key = config.num_key_value_heads * head_size
    feed_forward = config.intermediate_size
    shapes = {
        "q_proj": ("self_attn", hidden, query),
        "k_proj": ("self_attn", hidden, key),
        "v_proj": ("self_attn", hidden, key),
        "o_proj": ("self_attn", query, hidden),
        "gate_proj": ("mlp", hidden, feed_forward),
        "up_proj": ("mlp", hidden, feed_forward),
        "down_proj": ("mlp", feed_forward, hidden),
    }
    return {
        f"model.layers.{layer}.{shapes[name][0]}.{name}": shapes[name][1:]
        for layer in range(config.num_hidden_layers)
        for name in names
    }


def total_inputs(config: "PretrainedConfig", names: tuple[str, ...]) -> int:
    """Return the input features of the named layers, summed over all blocks."""
    return sum(inputs for inputs, _ in linear_layers(config, names).values())


def total_outputs(config: "PretrainedConfig", names: tuple[str, ...]) -> int:
    """Return the output features of the named layers, summed over all blocks."""
    return sum(outputs for _, outputs in linear_layers(config, names).values())


def total_sides(config: "PretrainedConfig", names: tuple[str, ...]) -> int:
    """Return inputs and outputs of the named layers, summed: the parameters of a LoRA of rank 1."""
    return total_inputs(config, names) + total_outputs(config, names)


def biased_names(config: "PretrainedConfig") -> tuple[LinearName, ...]:
    """Return those of the seven linear layers of a decoder block that have a bias."""
    if config.model_type == "qwen2":
        return ("q_proj", "k_proj", "v_proj")
    return ("q_proj", "k_proj", "v_proj", "o_proj") if config.attention_bias else ()


def total_parameters(config: "PretrainedConfig") -> int:
    """Return the number of parameters of a Qwen2 or Llama model, tied embeddings counted once."""
    layers = linear_layers(config, ALL_LINEAR)
    linear = sum(inputs * outputs for inputs, outputs in layers.values())
    bias = total_outputs(config, biased_names(config))
    norms = (2 * config.num_hidden_layers + 1) * config.hidden_size
    embeddings = config.vocab_size * config.hidden_size * (1 if config.tie_word_embeddings else 2)
    return linear + bias + norms + embeddings
