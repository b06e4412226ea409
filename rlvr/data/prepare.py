"""Prepare a data set: from any entry of the catalogue to one checked Parquet file."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from pydantic import TypeAdapter

from rlvr.config.catalogue import Checks, DataEntry, GeneratedData
from rlvr.data.checks import Checked, Finding, Row, check_rows
from rlvr.data.problems import ALTERNATES, RULE, SOLUTION, write_problems
from rlvr.data.reading import Reading, read_entry
from rlvr.data.summary import log_lines, refusal, unmatchable
from rlvr.errors import UserError
from rlvr.files import read_json, write_csv

logger = logging.getLogger(__name__)


def prepare_data(entry_path: Path, output: Path) -> None:
    """Write the data set that an entry of `datasets.yaml` describes.

    Defects are logged by kind, and all of them listed beside the output, in one file per action.

    Args:
        entry_path: the resolved entry, as JSON.
        output: the Parquet file; its provenance and the lists of defects are written beside it.

    Raises:
        UserError: the data is missing or damaged, has defects whose action is `stop` or too many golds that a
            correct answer hardly matches, or no row is left.
    """
    entry: DataEntry = TypeAdapter(DataEntry).validate_python(read_json(entry_path))
    checks = Checks() if isinstance(entry, GeneratedData) else entry.checks
    reading = read_entry(entry)
    checked = check_rows(reading.rows, reading.findings, checks, reading.answer_column)
    read = len(reading.rows) + len(reading.findings)
    if not read:
        raise UserError(
            f"{reading.name}: no rows; nothing is prepared; download it again, or correct its path"
        )
    refused = refusal(checked, checks, reading.name, read)
    stopped_path = output.with_suffix(".stopped.csv")
    if refused:
        _list(stopped_path, reading.name, checked.stopped or unmatchable(checked.kept))
        raise UserError(f"{refused}\nAll are in {stopped_path}.")
    _log(reading, checked, read, output)
    if not checked.rows:
        raise UserError(
            f"{reading.name}: none of {read} rows is left; nothing is prepared; "
            "check the file, or set `checks` for this data set in datasets.yaml"
        )
    stopped_path.unlink(missing_ok=True)
    _list(output.with_suffix(".dropped.csv"), reading.name, checked.dropped)
    _list(output.with_suffix(".kept.csv"), reading.name, checked.kept)
    rows = {
        "read": read,
        "kept": len(checked.rows),
        "dropped": _counts(checked.dropped),
        "kept_with_defects": _counts(checked.kept),
    }
    write_problems(
        output, _frame(checked.rows), {"entry": entry.model_dump(), "origin": reading.origin, "rows": rows}
    )


def _frame(rows: Sequence[Row]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(Row._fields))
    absent = {
        ALTERNATES: not frame[ALTERNATES].map(len).any(),
        RULE: (frame[RULE] == "equal").all(),
        SOLUTION: (frame[SOLUTION] == "").all(),
    }
    return frame.drop(columns=[name for name, is_absent in absent.items() if is_absent])


def _list(path: Path, name: str, findings: Sequence[Finding]) -> None:
    """Write one row per defect."""
    lines = [(name, one.line, one.id, f"{one.kind}: {one.reason}") for one in findings]
    write_csv(path, pd.DataFrame(lines, columns=["file", "line", "id", "reason"]))


def _log(reading: Reading, checked: Checked, read: int, output: Path) -> None:
    """Log what was read and the defects found in it."""
    origin = ", ".join(f"{key} {value}" for key, value in reading.origin.items())
    kept, dropped = len(checked.rows), len(checked.dropped)
    logger.info(f"{reading.name} ({origin}): {kept} rows kept, {dropped} dropped")
    for action, findings in (("dropped", checked.dropped), ("kept", checked.kept)):
        for line in log_lines(
            reading.name, action, findings, read, output.with_suffix(f".{action}.csv").name
        ):
            logger.warning(line)


def _counts(findings: Sequence[Finding]) -> dict[str, int]:
    return dict(Counter(finding.kind for finding in findings))
