"""Prepare a data set: from any source to one checked Parquet file."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from pydantic import TypeAdapter

from rlvr.config.catalogue import ArithmeticData, Checks, DataEntry
from rlvr.data.checks import Checked, CheckGolds, Finding, check_rows
from rlvr.data.problems import ALTERNATES, COLUMNS, write_problems
from rlvr.data.reading import Reading, read_source
from rlvr.errors import UserError
from rlvr.files import read_json, replacing


def prepare_data(cell: Path, output: Path, check_golds: CheckGolds) -> None:
    """Write the data set that ``cell`` (a resolved entry of `datasets.yaml`) describes.

    Every defect that does not stop the preparation is printed with its line and id.

    Args:
        cell: the entry, as JSON.
        output: the Parquet file; its provenance and the list of dropped rows are written beside it.
        check_golds: asks the verifier whether gold answers can be graded against.

    Raises:
        UserError: the source is missing or damaged, has defects that are set to `stop`, or no row is left.
    """
    source: DataEntry = TypeAdapter(DataEntry).validate_python(read_json(cell))
    checks = Checks() if isinstance(source, ArithmeticData) else source.checks
    reading = read_source(source)
    checked = check_rows(reading.rows, reading.findings, checks, check_golds, reading.name)
    _report(reading, checked)
    read = len(reading.rows) + len(reading.findings)
    if not checked.rows:
        raise UserError(f"{reading.name}: of {read} rows none is left; nothing is prepared")
    frame = pd.DataFrame(checked.rows, columns=["line", *COLUMNS, ALTERNATES])
    if not frame[ALTERNATES].map(len).any():
        frame = frame.drop(columns=ALTERNATES)
    dropped = pd.DataFrame(
        [(reading.name, one.line, one.id, f"{one.kind}: {one.reason}") for one in checked.dropped],
        columns=["file", "line", "id", "reason"],
    )
    with replacing(output.with_suffix(".dropped.csv")) as temporary:
        dropped.to_csv(temporary, index=False)
    rows = {
        "read": read,
        "kept": len(checked.rows),
        "dropped": _counts(checked.dropped),
        "kept_with_defects": _counts(checked.kept),
    }
    write_problems(output, frame, {"source": source.model_dump(), "origin": reading.origin, "rows": rows})


def _report(reading: Reading, checked: Checked) -> None:
    """Print what was read and every defect that was found in it."""
    origin = ", ".join(f"{key} {value}" for key, value in reading.origin.items())
    print(f"{reading.name} ({origin}): {len(checked.rows)} rows kept, {len(checked.dropped)} dropped")
    for fate, findings in (("dropped", checked.dropped), ("kept", checked.kept)):
        for one in findings:
            print(f"{reading.name}, line {one.line} (id {one.id!r}): {fate}: {one.kind}: {one.reason}")


def _counts(findings: Sequence[Finding]) -> dict[str, int]:
    return dict(Counter(finding.kind for finding in findings))
