"""Say what the checks of a data set found: lines for the log, and the message of a refused data set."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from rlvr.config.catalogue import Checks
from rlvr.data.checks import Checked, Finding
from rlvr.data.golds import MISREAD, UNMATCHABLE

SHOWN = 5
"""Rows that are named per kind of defect and action; the others are counted."""

_MANY = 0.05
"""Share of rows from which on advice is given: where fewer have a defect, `columns` is not at fault."""

_WHAT = {
    "sentinel_answer": "golds stand for a missing answer",
    "marked_answer": "golds contain \\boxed or ####",
    "list_answer": "golds are lists or objects written as text",
    "sentence_answer": "golds are sentences",
    "choice_letter": "golds are choice letters",
    "unparsable_answer": "golds are not accepted as answers to themselves",
    "text_answer": "golds are unreadable as mathematics",
    "image": "problems need a picture",
}
"""Kind of defect -> what a summary calls these rows."""


def log_lines(name: str, action: str, findings: Sequence[Finding], rows: int, where: str) -> Iterator[str]:
    """Yield for each kind a line that counts its rows, and one for each of the first of them.

    Args:
        name: what the rows were read from.
        action: `dropped` or `kept`.
        findings: the defects of the rows with this action.
        rows: number of rows that were read.
        where: the file that lists all.
    """
    for kind, found in _by_kind(findings).items():
        yield f"{name}: {action}: {_heading(kind, found, rows, f', all in {where}')}"
        for one in found[:SHOWN]:
            yield f"{name}, line {one.line} (id {one.id!r}): {action}: {kind}: {one.reason}"


def refusal(checked: Checked, checks: Checks, name: str, rows: int) -> str | None:
    """Return why nothing is prepared, None if the rows may be used.

    The message counts the defects by kind, shows the first ones and gives the settings.
    """
    if checked.stopped:
        lines = [f"{name}: {_count(checked.stopped)} of {rows} rows have defects; nothing is prepared"]
        lines += _all_stop_lines(checked.stopped, rows)
        return "\n".join([*lines, "Fix the rows, or set `checks` for this data set in datasets.yaml."])
    doubtful = unmatchable(checked.kept)
    limit = checks.most_unmatchable
    if _count(doubtful) <= limit * len(checked.rows):
        return None
    share = _share(_count(doubtful), len(checked.rows))
    lines = [f"{name}: correct answers would hardly match {share} of the golds; nothing is prepared"]
    lines += _all_stop_lines(doubtful, rows)
    lines += [f"Correct `columns`, drop these rows (`checks`), or raise checks.most_unmatchable ({limit})."]
    return "\n".join(lines)


def unmatchable(kept: Sequence[Finding]) -> list[Finding]:
    """Return the findings of golds that a correct answer hardly matches, one per row."""
    found: dict[int, Finding] = {}
    for finding in kept:
        if finding.kind in UNMATCHABLE:
            found.setdefault(finding.line, finding)
    return list(found.values())


def _by_kind(findings: Sequence[Finding]) -> dict[str, list[Finding]]:
    by_kind: dict[str, list[Finding]] = defaultdict(list)
    for one in findings:
        by_kind[one.kind].append(one)
    return by_kind


def _all_stop_lines(findings: Sequence[Finding], rows: int) -> list[str]:
    return [line for kind, found in _by_kind(findings).items() for line in _stop_lines(kind, found, rows)]


def _heading(kind: str, found: Sequence[Finding], rows: int, where: str = "") -> str:
    """Return `sentence_answer: 75 % of golds are sentences (15 of 20); did you mean ..?`."""
    advice, _ = Counter(one.advice for one in found).most_common(1)[0]
    if len(found) < _MANY * rows:
        advice = ""
    what = _WHAT.get(kind, "rows")
    noun, _, predicate = what.partition(" ")
    share = " ".join(filter(None, (_share(len(found), rows), "of", noun, predicate)))
    counted = f"{kind}: {share} ({len(found)} of {rows}{where})"
    return f"{counted}; {advice}" if advice else counted


def _stop_lines(kind: str, found: Sequence[Finding], rows: int) -> Iterator[str]:
    """Yield what is wrong with these rows, the settings that use or drop them, and the first of them."""
    yield f"  {_heading(kind, found, rows)} ({_way_out(kind, len(found), rows)})"
    for one in found[:SHOWN]:
        yield f"    line {one.line} (id {one.id!r}): {one.reason}"
    if len(found) > SHOWN:
        yield f"    and {len(found) - SHOWN} more"


def _way_out(kind: str, count: int, rows: int) -> str:
    """Return the settings for a kind of defect; where most rows have it, to drop or keep them is none."""
    if count > rows / 2 and kind in MISREAD | {"missing_field"}:
        return "most rows have it: correct `columns`"
    allowed = Checks.model_json_schema()["properties"][kind]["enum"]
    return f"checks.{kind}: {' or '.join(allowed[1:])}"


def _count(findings: Sequence[Finding]) -> int:
    return len({finding.line for finding in findings})


def _share(count: int, rows: int) -> str:
    percent = 100 * count / rows
    return f"{percent:.0f} %" if percent >= 1 else f"{percent:.2g} %"
