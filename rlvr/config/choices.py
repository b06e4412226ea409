"""Fixed choices that configuration, artifacts and verifier share.

This file imports no library, so that the verifier's worker can import it.
"""

from typing import Literal

AnswerFormat = Literal["boxed", "answer-line", "answer-tag", "first-line", "first-line-number"]
"""Where a completion gives its answer (`rlvr/verify/extract.py`)."""

AnswerRule = Literal["equal", "countdown"]
"""How an answer is checked: it equals the gold answer, or solves the Countdown problem that the gold answer
solves (`rlvr/verify/countdown.py`)."""

Grader = Literal["rlvr", "released-eval", "released-reward", "nano-eval", "math-verify"]
"""Grader used for evaluation: this project's, or a foreign one (`rlvr/verify/graders/registry.py`)."""

DType = Literal["float32", "bfloat16", "float16"]
"""Precision of tensors, named as in PyTorch."""

EngineName = Literal["transformers", "vllm"]
"""Engine that samples completions (`rlvr/rollout/engines/`)."""

RewardGrader = Literal["rlvr", "released-reward"]
"""Grader that gives the rewards in training: this project's, or the authors'."""

RateChoice = Literal["tuned", "preset", "shared"]
"""Where the learning rate of a method comes from (`docs/tuning.md`)."""

FinishReason = Literal["stop", "length"]
"""`stop`: the model ended the completion; `length`: truncated at `max_new_tokens`."""

Status = Literal["ok", "no_answer", "unevaluated", "unparsed_gold", "timeout", "error"]
"""How a verdict came about (`rlvr/verify/verdict.py`); all but `ok` count as incorrect."""

PaperItem = Literal["table3", "table4", "table5", "table6", "figure1", "figure3", "figure4", "figure5"]
"""A table or figure of the paper that a study makes."""
