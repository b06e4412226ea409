"""math-verify as the foreign graders call it; runs in the worker process only.

Its alarms are off, because the pool ends a comparison by the wall clock.
"""

from typing import Any

from latex2sympy2_extended import NormalizationConfig
from math_verify import LatexExtractionConfig, parse, verify

from rlvr.verify.graders.base import Reply


def reply(equal: bool) -> Reply:
    """Return the reply for a comparison of extracted answers."""
    return {"outcome": "equal" if equal else "different"}


def reply_on(found: list[Any], equal: bool) -> Reply:
    """Return the reply where the library extracted; ``found`` is what it parsed, the text last."""
    if not found:
        return {"outcome": "no_answer", "extracted": None}
    return {**reply(equal), "extracted": str(found[-1])}


def parsed(text: str, **settings: Any) -> list[Any]:
    """Return what math-verify finds in ``text``; empty where it finds nothing."""
    found: list[Any] = parse(text, parsing_timeout=None, **settings)
    return found


def compared(gold: list[Any], answer: list[Any]) -> bool:
    """Tell whether math-verify calls two parsed texts equal."""
    return bool(verify(gold, answer, timeout_seconds=None))


def verified(gold: str, answer: list[Any]) -> bool:
    """Tell whether a parsed answer equals a gold answer, put between dollar signs."""
    return compared(parsed(f"${gold}$"), answer)


def anchored_latex() -> list[LatexExtractionConfig]:
    """Return the settings that extract LaTeX from boxes and after "the answer is" only."""
    return [
        LatexExtractionConfig(
            normalization_config=NormalizationConfig(units=True),
            boxed_match_priority=0,
            try_extract_without_anchor=False,
        )
    ]
