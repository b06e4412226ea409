"""Rows of published Countdown data: a list of numbers and a target, without a solution."""

from typing import Any

from rlvr.config.catalogue import Columns
from rlvr.data.countdown import MOST_NUMBERS, question, solve
from rlvr.data.reading.fields import UnusableError, as_list, as_text, field, shown
from rlvr.data.reading.text import Record


def countdown_of(record: Record, columns: Columns) -> dict[str, Any]:
    """Return problem, answer and rule of a row; the answer is the first solution that is found.

    Raises:
        UnusableError: numbers or target are missing or no whole numbers, there are too many or too few, or
            there is no solution.
    """
    assert columns.numbers is not None and columns.target is not None
    parts = as_list(field(record, columns.numbers), columns.numbers)
    numbers = [_whole(part, f"{columns.numbers}.{place}") for place, part in enumerate(parts)]
    target = _whole(field(record, columns.target), columns.target)
    if not 2 <= len(numbers) <= MOST_NUMBERS:
        raise UnusableError(f"{columns.numbers!r} has {len(numbers)} numbers, not 2 to {MOST_NUMBERS}")
    answer = solve(numbers, target)
    if answer is None:
        raise UnusableError(f"no expression of {numbers} equals {target}", "unparsable_answer")
    return {"problem": question(numbers, target), "answer": answer, "rule": "countdown"}


def _whole(value: Any, name: str) -> int:
    text = as_text(value, name).strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise UnusableError(f"{name!r} is {shown(value)}, not a whole number from 0 to 999999999")
    return int(text)
