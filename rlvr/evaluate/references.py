"""Log-probabilities of reference solutions, which can change where accuracy does not.

The reference of a problem is its worked solution where the data has one, and otherwise its gold answer as the
answer format asks for it, followed by the end of the turn. A think block that the prompt has opened is closed
first.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, cast

import pandas as pd

from rlvr.artifacts import ReferenceScore
from rlvr.config.choices import AnswerFormat
from rlvr.data.chat import end_of_turn
from rlvr.data.problems import SOLUTION, optional_column
from rlvr.rollout.engines.base import Engine, Tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_WRITTEN: dict[AnswerFormat, str] = {
    "boxed": r"\boxed{ANSWER}",
    "answer-line": "Answer: ANSWER",
    "answer-tag": "<answer>ANSWER</answer>",
    "first-line": "ANSWER",
    "first-line-number": "ANSWER",
}
_END_OF_THINKING = "\n</think>\n\n"


def reference_texts(problems: pd.DataFrame, answer_format: AnswerFormat) -> dict[str, str]:
    """Return the reference of each problem by its id."""
    columns = (problems["id"], problems["answer"], optional_column(problems, SOLUTION))
    return {
        name: solution or _WRITTEN[answer_format].replace("ANSWER", answer)
        for name, answer, solution in zip(*columns, strict=True)
    }


def reference_ids(
    tokenizer: "PreTrainedTokenizerBase", texts: Mapping[str, str], opened: str
) -> dict[str, list[int]]:
    """Return the tokens of each reference with the end of the turn.

    Args:
        tokenizer: of the model.
        texts: problem id -> reference.
        opened: start of the completion that the chat template writes (`rlvr.data.chat.opening`).
    """
    if not texts:
        return {}
    end = cast(int, tokenizer.convert_tokens_to_ids(end_of_turn(tokenizer) or str(tokenizer.eos_token)))
    start = _END_OF_THINKING if opened else ""
    encoded = tokenizer([start + text for text in texts.values()], add_special_tokens=False)["input_ids"]
    return {name: [*ids, end] for name, ids in zip(texts, cast(list[list[int]], encoded), strict=True)}


def scored(
    engine: Engine, prompts: Mapping[str, tuple[int, ...]], references: Mapping[str, list[int]]
) -> Iterator[ReferenceScore]:
    """Yield the log-probability of each reference under the weights that an engine serves."""
    for name, reference in references.items():
        logprobs = engine.score(Tokens(prompts[name], reference), temperature=1.0)
        yield ReferenceScore(problem_id=name, n_tokens=len(reference), logprob=sum(logprobs))
