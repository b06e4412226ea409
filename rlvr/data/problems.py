"""Prepared problem files: a Parquet file with two small files beside it.

`<dataset>.parquet`, a row a problem, all columns text and never empty:

======= ==========================================================================================
column  meaning
======= ==========================================================================================
id      unique in the file
problem the bare problem, without instructions
answer  the bare gold answer, without `$` around it and without a box
source  where the row was read: `file#line`, `owner/name@revision#row` or `arithmetic/level`
======= ==========================================================================================

Where the source gives further right answers, there is a column `alternates`, a list of texts.

`<dataset>.provenance.json` says what was read and what became of its rows, `<dataset>.dropped.csv` lists the
rows that were left out (`file line id reason`; no rows if none were). See docs/data.md.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from rlvr.errors import UserError
from rlvr.files import content_hash, read_parquet, write_json, write_parquet

COLUMNS = ["id", "problem", "answer", "source"]
ALTERNATES = "alternates"


def read_problems(path: Path) -> pd.DataFrame:
    """Read a prepared file.

    Raises:
        UserError: missing, damaged, or not a problem file.
    """
    return read_parquet(path, COLUMNS)


def write_problems(path: Path, frame: pd.DataFrame, provenance: dict[str, Any]) -> None:
    """Write checked problems, with their provenance beside them.

    `content_sha256` in the provenance is the hash of the rows, the same whatever library wrote the file.

    Raises:
        UserError: there are no problems.
    """
    if frame.empty:
        raise UserError(f"{path}: the data set holds no problems")
    columns = [name for name in (*COLUMNS, ALTERNATES) if name in frame]
    content = {"problems": len(frame), "content_sha256": content_hash(frame[columns].to_dict("list"))}
    write_json(path.with_suffix(".provenance.json"), {**provenance, **content})
    write_parquet(path, frame[columns])
