"""Prepared problem files: a Parquet file with two small files beside it.

`<dataset>.parquet`, one row per problem, all columns text and never empty:

======= ==========================================================================================
column  meaning
======= ==========================================================================================
id      unique in the file
problem the bare problem, without instructions
answer  the bare gold answer, without `$` around it and without a box
origin  where the row was read: `file#line`, `owner/name@revision#row` or `arithmetic/level`
======= ==========================================================================================

If the data has further correct answers, there is a column `alternates`, a list of texts. Where answers are
not compared with the gold answer, there is a column `rule` (`AnswerRule`). If the data has worked solutions,
there is a column `solution`.

`<dataset>.provenance.json` records what was read and which rows were kept, `<dataset>.dropped.csv` lists the
dropped rows (`file line id reason`; no rows if none were), `<dataset>.kept.csv` those that were kept in spite
of a defect. See docs/data.md.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from rlvr.errors import UserError
from rlvr.files import content_hash, read_json, read_parquet, write_json, write_parquet

COLUMNS = ["id", "problem", "answer", "origin"]
ALTERNATES = "alternates"
RULE = "rule"
SOLUTION = "solution"
OPTIONAL = (ALTERNATES, RULE, SOLUTION)
"""Columns that only some data has."""


def optional_column(frame: pd.DataFrame, name: str) -> list[Any]:
    """Return a column of prepared problems, filled with its default where the data does not have it."""
    default = {ALTERNATES: (), RULE: "equal", SOLUTION: ""}[name]
    return [default] * len(frame) if name not in frame else list(frame[name])


def read_problems(path: Path) -> pd.DataFrame:
    """Read a prepared file.

    Raises:
        UserError: the file is missing or damaged, or lacks a column.
    """
    return read_parquet(path, COLUMNS)


def read_provenance(path: Path) -> dict[str, Any]:
    """Read the provenance of a prepared file.

    Raises:
        UserError: it is missing or damaged.
    """
    provenance: dict[str, Any] = read_json(_provenance(path))
    return provenance


def write_problems(path: Path, frame: pd.DataFrame, provenance: dict[str, Any]) -> None:
    """Write checked problems, with their provenance beside them.

    `content_sha256` in the provenance is the hash of the rows, the same whatever library wrote the file.

    Raises:
        UserError: there are no problems.
    """
    if frame.empty:
        raise UserError(f"{path}: the data set has no problems; check its entry in datasets.yaml")
    columns = [name for name in (*COLUMNS, *OPTIONAL) if name in frame]
    content = {"problems": len(frame), "content_sha256": content_hash(frame[columns].to_dict("list"))}
    write_json(_provenance(path), {**provenance, **content})
    write_parquet(path, frame[columns])


def _provenance(path: Path) -> Path:
    return path.with_suffix(".provenance.json")
