"""Grade a file of cases (`rlvr verify`)."""

import json
from pathlib import Path
from typing import Any, get_args

from rlvr.config.choices import AnswerRule
from rlvr.errors import UserError
from rlvr.files import replacing
from rlvr.progress import Steps
from rlvr.verify.pool import Verifier
from rlvr.verify.verdict import ExtractionFormat, Item, Verdict

_LINES_AT_ONCE = 64


def verify_file(
    cases: Path | str, output: Path | str, answer_format: ExtractionFormat = "lenient", workers: int = 1
) -> list[Verdict]:
    """Grade each line of a JSONL file; the output has the same lines with `correct status extracted seconds`.

    A line has `prediction` and `gold`, and optionally `alternates` (list of texts), `finish_reason`,
    `problem` and `rule`; other fields are copied.

    Raises:
        UserError: the file is missing, or a line is malformed; the message names file and line.
    """
    rows = _read_cases(Path(cases))
    verdicts: list[Verdict] = []
    with Verifier(workers) as verifier, Steps("verifying", len(rows)) as steps:
        for start in range(0, len(rows), _LINES_AT_ONCE):
            chunk = rows[start : start + _LINES_AT_ONCE]
            verdicts += verifier.verify_many([_item(case, answer_format) for case in chunk])
            steps.done(len(chunk))
    with (
        replacing(output) as temporary,
        open(temporary, "w", encoding="utf-8", errors="backslashreplace") as file,
    ):
        for case, verdict in zip(rows, verdicts, strict=True):
            graded = {
                **case,
                "correct": verdict.correct,
                "status": verdict.status,
                "extracted": verdict.extracted,
                "seconds": round(verdict.seconds, 6),
            }
            file.write(json.dumps(graded, ensure_ascii=False) + "\n")
    return verdicts


def _item(case: dict[str, Any], answer_format: ExtractionFormat) -> Item:
    return Item(
        text=case["prediction"],
        gold=case["gold"],
        alternates=tuple(case.get("alternates", ())),
        answer_format=answer_format,
        finish_reason=case.get("finish_reason", "stop"),
        problem=case.get("problem") or "",
        rule=case.get("rule", "equal"),
    )


def _read_cases(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    return [_case(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]


def _case(line: bytes, place: str) -> dict[str, Any]:
    try:
        case = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place}: not JSON ({error}); each line must be one object") from None
    if not isinstance(case, dict):
        raise UserError(
            f"{place}: expected an object with 'prediction' and 'gold', found {type(case).__name__}"
        )
    for key in ("prediction", "gold"):
        if not isinstance(case.get(key), str):
            raise UserError(
                f'{place}: {key!r} must be text, not {case.get(key)!r}; write numbers as text, such as "33"'
            )
    if not isinstance(case.get("problem") or "", str):
        raise UserError(f"{place}: 'problem' must be text, not {case['problem']!r}")
    alternates = case.get("alternates", [])
    if not isinstance(alternates, list) or not all(isinstance(alternate, str) for alternate in alternates):
        raise UserError(f"{place}: 'alternates' must be a list of texts, not {alternates!r}")
    if case.get("finish_reason", "stop") not in ("stop", "length"):
        raise UserError(f"{place}: 'finish_reason' must be 'stop' or 'length', not {case['finish_reason']!r}")
    if case.get("rule", "equal") not in get_args(AnswerRule):
        raise UserError(f"{place}: 'rule' must be 'equal' or 'countdown', not {case['rule']!r}")
    return case
