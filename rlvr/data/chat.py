"""Render problems with the chat template of a model."""

from typing import TYPE_CHECKING, cast

from rlvr.config.schema import Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def messages(prompt: Prompt, problem: str) -> list[dict[str, str]]:
    """Return the chat that asks ``problem``."""
    system = [{"role": "system", "content": prompt.system}] if prompt.system is not None else []
    return [*system, {"role": "user", "content": prompt.user.replace("{problem}", problem)}]


def render(tokenizer: "PreTrainedTokenizerBase", prompt: Prompt, problem: str) -> str:
    """Return the prompt as text, up to where the completion begins."""
    chat = messages(prompt, problem)
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    return cast(str, text)  # tokenize=False returns text


def prompt_ids(tokenizer: "PreTrainedTokenizerBase", prompt: Prompt, problem: str) -> tuple[int, ...]:
    """Return the token ids of the rendered prompt."""
    return tuple(tokenizer(render(tokenizer, prompt, problem), add_special_tokens=False)["input_ids"])


def opening(tokenizer: "PreTrainedTokenizerBase", prompt: Prompt) -> str:
    """Return the start of the completion that the template writes: an open ``<think>``, or nothing.

    It belongs to the completion: without it, a completion truncated while thinking would look like one
    without thinking.
    """
    return "<think>\n" if render(tokenizer, prompt, "").rstrip().endswith("<think>") else ""
