"""Prepare a data set: from any entry of the catalogue to one checked Parquet file."""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
from pydantic import TypeAdapter

from rlvr.config.catalogue import ArithmeticData, Checks, DataEntry
from rlvr.data.checks import Checked, Finding, check_rows
from rlvr.data.problems import ALTERNATES, COLUMNS, write_problems
from rlvr.data.reading import Reading, read_entry
from rlvr.errors import UserError
from rlvr.files import read_json, replacing

logger = logging.getLogger(__name__)

LOGGED = 5
"""Rows that the log names per kind of defect and action; the others are counted."""


def prepare_data(entry_path: Path, output: Path) -> None:
    """Write the data set that an entry of `datasets.yaml` describes.

    Defects that do not stop the preparation are logged with line and id, the first ones of each kind.

    Args:
        entry_path: the resolved entry, as JSON.
        output: the Parquet file; its provenance and the list of dropped rows are written beside it.

    Raises:
        UserError: the data is missing or damaged, has defects whose action is `stop`, or no row is left.
    """
    entry: DataEntry = TypeAdapter(DataEntry).validate_python(read_json(entry_path))
    checks = Checks() if isinstance(entry, ArithmeticData) else entry.checks
    reading = read_entry(entry)
    checked = check_rows(reading.rows, reading.findings, checks, reading.name)
    dropped_path = output.with_suffix(".dropped.csv")
    _log(reading, checked, dropped_path)
    read = len(reading.rows) + len(reading.findings)
    if not checked.rows:
        raise UserError(
            f"{reading.name}: none of {read} rows is left; nothing is prepared; "
            "check the file, or set `checks` for this data set in datasets.yaml"
        )
    frame = pd.DataFrame(checked.rows, columns=["line", *COLUMNS, ALTERNATES])
    if not frame[ALTERNATES].map(len).any():
        frame = frame.drop(columns=ALTERNATES)
    dropped = pd.DataFrame(
        [(reading.name, one.line, one.id, f"{one.kind}: {one.reason}") for one in checked.dropped],
        columns=["file", "line", "id", "reason"],
    )
    with replacing(dropped_path) as temporary:
        dropped.to_csv(temporary, index=False)
    rows = {
        "read": read,
        "kept": len(checked.rows),
        "dropped": _counts(checked.dropped),
        "kept_with_defects": _counts(checked.kept),
    }
    write_problems(output, frame, {"entry": entry.model_dump(), "origin": reading.origin, "rows": rows})


def _log(reading: Reading, checked: Checked, dropped_path: Path) -> None:
    """Log what was read and the defects found in it."""
    origin = ", ".join(f"{key} {value}" for key, value in reading.origin.items())
    kept, dropped = len(checked.rows), len(checked.dropped)
    logger.info(f"{reading.name} ({origin}): {kept} rows kept, {dropped} dropped")
    for line in _lines(reading.name, "dropped", checked.dropped, f" (all in {dropped_path.name})"):
        logger.warning(line)
    for line in _lines(reading.name, "kept", checked.kept, ""):
        logger.warning(line)


def _lines(name: str, action: str, findings: Sequence[Finding], where: str) -> Iterator[str]:
    """Yield one line for each of the first findings of a kind, and one that counts the others."""
    by_kind: dict[str, list[Finding]] = defaultdict(list)
    for one in findings:
        by_kind[one.kind].append(one)
    for kind, found in by_kind.items():
        for one in found[:LOGGED]:
            yield f"{name}, line {one.line} (id {one.id!r}): {action}: {kind}: {one.reason}"
        if len(found) > LOGGED:
            yield f"{name}: {action}: {kind}: and {len(found) - LOGGED} more{where}"


def _counts(findings: Sequence[Finding]) -> dict[str, int]:
    return dict(Counter(finding.kind for finding in findings))
