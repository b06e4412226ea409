"""Find the defects of problems row by row, and take the configured action for each kind."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

from rlvr.config.catalogue import Checks
from rlvr.config.choices import AnswerRule
from rlvr.data.golds import OTHER_COLUMN, gold_finding
from rlvr.data.pictures import picture_in
from rlvr.verify import countdown
from rlvr.verify.gold_answers import check_golds

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_GOLD_FAULTS = {
    "unparsable_answer": "the verifier does not accept {answer!r} as an answer to itself",
    "text_answer": "the verifier cannot read {answer!r} as mathematics, so only the same text is correct",
}


class Row(NamedTuple):
    """One problem; ``line`` is its line or row in what was read, from 1."""

    line: int
    id: str
    problem: str
    answer: str
    origin: str
    alternates: tuple[str, ...] = ()
    picture: str = ""
    """The column of the data that holds a picture of this row; blank if none does."""
    rule: AnswerRule = "equal"
    """How an answer is checked."""
    solution: str = ""
    """A worked solution; blank if the data has none."""

    @property
    def identity(self) -> str:
        """What makes it another problem than others: its words, or numbers and target of Countdown."""
        return " ".join(self.problem.split()) if self.rule == "equal" else countdown.identity(self.answer)


class Finding(NamedTuple):
    """A defect of one row; ``kind`` is the name of a setting of `Checks`."""

    kind: str
    line: int
    id: str
    reason: str
    advice: str = ""
    """What to do where many rows have it."""


class Checked(NamedTuple):
    """The rows to use, and the defects of rows that are dropped, are kept, or stop the preparation."""

    rows: list[Row]
    dropped: list[Finding]
    kept: list[Finding]
    stopped: list[Finding]


def check_rows(
    rows: Sequence[Row], findings: Sequence[Finding], checks: Checks, answer_column: str = "answer"
) -> Checked:
    """Check rows for one kind of defect after the other; a dropped row is not checked for the next kind.

    Args:
        rows: the mapped rows.
        findings: rows that could not be mapped.
        checks: action for each kind of defect.
        answer_column: where the golds were read, for advice.
    """
    remaining, refused, kept = list(rows), list(findings), []
    for check in _all_checks(checks, answer_column):
        new = list(check(remaining))
        tolerated = {finding.line for finding in new if getattr(checks, finding.kind) == "keep"}
        kept += [finding for finding in new if finding.line in tolerated]
        lines = {finding.line for finding in new} - tolerated
        refused += [finding for finding in new if finding.line in lines]
        remaining = [row for row in remaining if row.line not in lines]
    stopped = [finding for finding in refused if getattr(checks, finding.kind) == "stop"]
    dropped = [finding for finding in refused if getattr(checks, finding.kind) == "drop"]
    used = {row.line for row in remaining}
    kept = [finding for finding in kept if finding.line in used]
    return Checked(remaining, sorted(dropped, key=lambda finding: finding.line), kept, stopped)


_Check = Callable[[Sequence[Row]], Iterator[Finding]]


def _all_checks(checks: Checks, answer_column: str) -> list[_Check]:
    """Return the checks in order: cheap ones first, duplicates before the verifier."""
    return [
        lambda rows: _blank(rows, "problem"),
        lambda rows: _blank(rows, "answer"),
        lambda rows: _long(rows, checks.longest_problem),
        _control_characters,
        lambda rows: _repeated(rows, "duplicate_id", "id", lambda row: row.id),
        lambda rows: _repeated(rows, "duplicate_problem", "problem", lambda row: row.identity),
        _images,
        lambda rows: _gold_findings(rows, answer_column),
        _gold_faults,
    ]


def _blank(rows: Sequence[Row], field: Literal["problem", "answer"]) -> Iterator[Finding]:
    for row in rows:
        if not getattr(row, field).strip():
            yield Finding(f"empty_{field}", row.line, row.id, f"the {field} is blank")


def _long(rows: Sequence[Row], longest: int) -> Iterator[Finding]:
    for row in rows:
        if len(row.problem) > longest:
            reason = f"the problem has {len(row.problem)} characters, longest_problem is {longest}"
            yield Finding("long_problem", row.line, row.id, reason)


def _control_characters(rows: Sequence[Row]) -> Iterator[Finding]:
    for row in rows:
        for field in ("id", "problem", "answer"):
            if match := _CONTROL.search(getattr(row, field)):
                where = f"U+{ord(match.group()):04X} at character {match.start() + 1} of the {field}"
                yield Finding("control_characters", row.line, row.id, where)
                break


def _repeated(rows: Sequence[Row], kind: str, what: str, key_of: Callable[[Row], str]) -> Iterator[Finding]:
    first: dict[str, Row] = {}
    for row in rows:
        earlier = first.setdefault(key_of(row), row)
        if earlier is not row:
            answers = "" if earlier.answer == row.answer else f", with the answer {earlier.answer!r}"
            yield Finding(kind, row.line, row.id, f"the {what} repeats line {earlier.line}{answers}")


def _images(rows: Sequence[Row]) -> Iterator[Finding]:
    for row in rows:
        found = picture_in(row.problem)
        if found or row.picture:
            reason = (
                f"the problem contains {found[:40]!r}"
                if found
                else f"the column {row.picture!r} holds a picture"
            )
            yield Finding("image", row.line, row.id, reason)


def _gold_findings(rows: Sequence[Row], answer_column: str) -> Iterator[Finding]:
    for row in _compared(rows):
        found = [gold_finding(gold, answer_column) for gold in (row.answer, *row.alternates)]
        first = next(filter(None, found), None)
        if first:
            yield Finding(first.kind, row.line, row.id, first.reason, first.advice)


def _compared(rows: Sequence[Row]) -> list[Row]:
    """Return the rows whose gold answer is what an answer must equal; that of Countdown is one solution."""
    return [row for row in rows if row.rule == "equal"]


def _gold_faults(rows: Sequence[Row]) -> Iterator[Finding]:
    compared = _compared(rows)
    golds = list(dict.fromkeys(row.answer for row in compared))
    faults = dict(zip(golds, check_golds(golds), strict=True))
    for row in compared:
        if fault := faults[row.answer]:
            yield Finding(
                fault, row.line, row.id, _GOLD_FAULTS[fault].format(answer=row.answer), OTHER_COLUMN
            )
