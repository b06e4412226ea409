"""Render problems with the chat template of a model."""

import re
from collections.abc import Callable, Iterable
from datetime import date
from typing import TYPE_CHECKING, Any, cast

from rlvr.config.known import nearest
from rlvr.config.training import Prompt
from rlvr.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def messages(prompt: Prompt, problem: str) -> list[dict[str, str]]:
    """Return the chat that asks ``problem``."""
    system = [{"role": "system", "content": prompt.system}] if prompt.system is not None else []
    return [*system, {"role": "user", "content": prompt.user.replace("{problem}", problem)}]


def render(tokenizer: "PreTrainedTokenizerBase", prompt: Prompt, problem: str) -> str:
    """Return the prompt as text, up to where the completion begins.

    Raises:
        UserError: the chat template refuses the prompt, or takes no system message or no such argument.
    """
    template = tokenizer.get_chat_template()
    _check_arguments(template, prompt)
    try:
        text = _rendered(tokenizer, prompt, messages(prompt, problem), add_generation_prompt=True)
    except Exception as error:  # a template is a program: any error may come out of it
        raise UserError(_refusal(prompt, str(error))) from None
    if prompt.system is not None and prompt.system.strip() not in text:
        raise UserError(_refusal(prompt, "it leaves the system message out"))
    return text


def _rendered(
    tokenizer: "PreTrainedTokenizerBase", prompt: Prompt, chat: list[dict[str, str]], **settings: bool
) -> str:
    """Render a chat on the day that the prompt names, whatever the day is."""
    today = date.fromisoformat(prompt.date)
    arguments: dict[str, Any] = {
        "strftime_now": _clock(today),  # takes the place of Transformers' own, which reads the clock
        **prompt.template,
        **settings,
    }
    return cast(str, tokenizer.apply_chat_template(chat, tokenize=False, **arguments))


def _clock(today: date) -> Callable[[str], str]:
    return lambda form: today.strftime(form)


def _check_arguments(template: str, prompt: Prompt) -> None:
    """Refuse an argument that the template does not read: it would change nothing, in silence."""
    for name in prompt.template:
        if not re.search(rf"\b{re.escape(name)}\b", template):
            words = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", template))
            raise UserError(
                f"prompt: template: the chat template of the model has no argument {name!r}"
                f"{nearest(name, words)}; correct or remove it"
            )


def _refusal(prompt: Prompt, reason: str) -> str:
    if prompt.system is None:
        return f"the chat template of the model cannot render the prompt {prompt.user!r}: {reason}"
    return (
        f"the chat template of the model cannot render the prompt with the system message "
        f"{prompt.system.strip()!r}: {reason}. If it does not take a system message, set `system: null` and "
        "begin `user` with its text"
    )


def prompt_ids(
    tokenizer: "PreTrainedTokenizerBase", prompt: Prompt, problems: Iterable[str]
) -> list[tuple[int, ...]]:
    """Return the token ids of the rendered prompt of each problem."""
    texts = [render(tokenizer, prompt, problem) for problem in problems]
    return [tuple(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]] if texts else []


def opening(tokenizer: "PreTrainedTokenizerBase", prompt: Prompt) -> str:
    """Return the start of the completion that the template writes: an open ``<think>``, or nothing.

    It belongs to the completion: without it, a completion truncated while thinking would look like one
    without thinking.
    """
    opened = re.search(r"<think>\s*$", render(tokenizer, prompt, ""))
    return opened[0] if opened else ""


def end_of_turn(tokenizer: "PreTrainedTokenizerBase") -> str | None:
    """Return the special token with which the chat template ends an assistant's turn, if it has one."""
    answer = "The answer."
    chat = [{"role": "user", "content": "A question."}, {"role": "assistant", "content": answer}]
    try:
        text = _rendered(tokenizer, Prompt(), chat)
    except Exception:  # a template that renders prompts only
        return None
    _, found, tail = text.rpartition(answer)
    ids = tokenizer(tail, add_special_tokens=False)["input_ids"] if found else []
    added = tokenizer.added_tokens_decoder
    return next((added[index].content for index in ids if index in added), None)
