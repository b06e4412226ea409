"""The built-in model: a character tokenizer and a Qwen2 architecture of well under a million parameters."""

import string
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

PAD, EOS, UNKNOWN = "<|pad|>", "<|eos|>", "<|unk|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
CHARACTERS = sorted(set(string.printable) - set("\t\r\x0b\x0c"))
"""Printable ASCII and the line feed, one token each; any other character becomes the unknown token."""
VOCABULARY = (PAD, EOS, UNKNOWN, *ROLES, *CHARACTERS)

MAX_LENGTH = 512
"""Longest sequence in tokens."""

CHAT_TEMPLATE = """\
{%- for message in messages -%}
{{- '<|' + message['role'] + '|>' + message['content'] -}}
{%- if message['role'] == 'assistant' -%}{{- eos_token -}}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}
"""
"""A role token, then the content; an assistant turn ends with the end-of-sequence token."""


def build_tokenizer() -> "PreTrainedTokenizerFast":
    """Return the character tokenizer with its chat template; it pads on the left, as generation requires."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: index for index, token in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=EOS,
        unk_token=UNKNOWN,
        additional_special_tokens=list(ROLES),
        chat_template=CHAT_TEMPLATE,
        padding_side="left",
        model_max_length=MAX_LENGTH,
        clean_up_tokenization_spaces=False,
    )


def tiny_sizes(hidden_size: int, layers: int, heads: int, intermediate_size: int) -> dict[str, Any]:
    """Return the sizes of a model with this vocabulary, as its `config.json` has them."""
    return {
        "vocab_size": len(VOCABULARY),
        "hidden_size": hidden_size,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "intermediate_size": intermediate_size,
        "max_position_embeddings": MAX_LENGTH,
        "tie_word_embeddings": True,
    }


def build_model(
    tokenizer: "PreTrainedTokenizerFast",
    hidden_size: int,
    layers: int,
    heads: int,
    intermediate_size: int,
    seed: int,
) -> "Qwen2ForCausalLM":
    """Return a randomly initialised float32 model that fits ``tokenizer``.

    The weights depend only on the arguments; the caller's random state is unchanged.
    """
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        **tiny_sizes(hidden_size, layers, heads, intermediate_size),
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        dtype="float32",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Qwen2ForCausalLM(config)
