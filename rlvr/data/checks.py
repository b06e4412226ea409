"""Find the defects of problems row by row, and take the configured action for each kind."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

from rlvr.config.catalogue import Checks
from rlvr.errors import UserError
from rlvr.verify.gold_answers import check_golds

SHOWN = 3
"""Rows that an error message shows per kind of defect; the others are counted."""

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


class Finding(NamedTuple):
    """A defect of one row; ``kind`` is the name of a setting of `Checks`."""

    kind: str
    line: int
    id: str
    reason: str


class Checked(NamedTuple):
    """The rows to use, and the defects of dropped rows and of rows kept in spite of them."""

    rows: list[Row]
    dropped: list[Finding]
    kept: list[Finding]


def check_rows(rows: Sequence[Row], findings: Sequence[Finding], checks: Checks, name: str) -> Checked:
    """Check rows for one kind of defect after the other; a dropped row is not checked for the next kind.

    Args:
        rows: the mapped rows.
        findings: rows that could not be mapped.
        checks: action for each kind of defect.
        name: what the rows were read from, for messages.

    Raises:
        UserError: defects whose action is `stop`; the message counts them by kind, shows the first ones and
            gives the settings.
    """
    remaining, found, kept = list(rows), list(findings), []
    for check in _all_checks(checks):
        new = list(check(remaining))
        tolerated = {finding.line for finding in new if getattr(checks, finding.kind) == "keep"}
        kept += [finding for finding in new if finding.line in tolerated]
        refused = [finding for finding in new if finding.line not in tolerated]
        lines = {finding.line for finding in refused}
        remaining = [row for row in remaining if row.line not in lines]
        found += refused
    fatal = [finding for finding in found if getattr(checks, finding.kind) == "stop"]
    if fatal:
        raise UserError(_refusal(fatal, name, len(rows) + len(findings)))
    return Checked(remaining, sorted(found, key=lambda finding: finding.line), kept)


_Check = Callable[[Sequence[Row]], Iterator[Finding]]


def _all_checks(checks: Checks) -> list[_Check]:
    """Return the checks in order: cheap ones first, duplicates before the verifier."""
    return [
        lambda rows: _blank(rows, "problem"),
        lambda rows: _blank(rows, "answer"),
        lambda rows: _long(rows, checks.longest_problem),
        _control_characters,
        lambda rows: _repeated(rows, "duplicate_id", "id", lambda row: row.id),
        lambda rows: _repeated(
            rows, "duplicate_problem", "problem", lambda row: " ".join(row.problem.split())
        ),
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


def _gold_faults(rows: Sequence[Row]) -> Iterator[Finding]:
    for row, fault in zip(rows, check_golds([row.answer for row in rows]), strict=True):
        if fault:
            yield Finding(fault, row.line, row.id, _GOLD_FAULTS[fault].format(answer=row.answer))


def _refusal(fatal: Sequence[Finding], name: str, rows: int) -> str:
    lines = [f"{name}: {len(fatal)} of {rows} rows have defects; nothing is prepared"]
    for kind, count in Counter(finding.kind for finding in fatal).items():
        shown = [finding for finding in fatal if finding.kind == kind][:SHOWN]
        rest = f"; and {count - len(shown)} more" if count > len(shown) else ""
        examples = "; ".join(f"line {one.line} (id {one.id!r}): {one.reason}" for one in shown)
        allowed = Checks.model_json_schema()["properties"][kind]["enum"]
        lines.append(f"  {kind}: {count}: {examples}{rest} (checks.{kind}: {' or '.join(allowed[1:])})")
    lines.append("Fix the rows, or set `checks` for this data set in datasets.yaml.")
    return "\n".join(lines)
