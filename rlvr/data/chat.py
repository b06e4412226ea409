"""Render problems by a model's own chat template."""

from typing import TYPE_CHECKING, cast

from rlvr.config.schema import Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def messages(prompt: Prompt, problem: str) -> list[dict[str, str]]:
    """Return the chat that asks ``problem``."""
    system = [{"role": "system", "content": prompt.system}] if prompt.system is not None else []
    return [*system, {"role": "user", "content": prompt.user.replace("{problem}", problem)}]


def render(tokenizer: "PreTrainedTokenizerBase", prompt: Prompt, problem: str) -> str:
    """Return the text that the model sees, up to where its answer begins."""
    chat = messages(prompt, problem)
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    return cast(str, text)  # not token ids, as asked


def prompt_ids(tokenizer: "PreTrainedTokenizerBase", prompt: Prompt, problem: str) -> tuple[int, ...]:
    """Return the token ids of the rendered prompt."""
    return tuple(tokenizer(render(tokenizer, prompt, problem), add_special_tokens=False)["input_ids"])


def opening(tokenizer: "PreTrainedTokenizerBase", prompt: Prompt) -> str:
    """Return what the template has already written of the answer: an open ``<think>``, or nothing.

    It belongs to the answer. Without it one whose thinking never ends would look like one without thinking.
    """
    return "<think>\n" if render(tokenizer, prompt, "").rstrip().endswith("<think>") else ""
