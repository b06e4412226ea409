"""Small problem files, and their preparation as `rlvr prepare-data` does it."""

import json
from pathlib import Path

import pandas as pd

from rlvr.config.catalogue import HubData, LocalData
from rlvr.data.prepare import prepare_data
from rlvr.data.problems import read_problems
from rlvr.files import write_json

GOOD = {"id": "a", "problem": "What is $1+1$?", "answer": "2"}
OTHER = {"id": "b", "problem": "What is half of one?", "answer": "0.5"}


def lines_of(*rows: dict[str, object], end: str = "\n") -> str:
    return "".join(json.dumps(row) + end for row in rows)


def prepare(folder: Path, entry: LocalData | HubData) -> pd.DataFrame:
    """Prepare a data set as `rlvr prepare-data` does and read the result."""
    write_json(folder / "entry.json", entry.model_dump(mode="json"))
    prepare_data(folder / "entry.json", folder / "out.parquet")
    return read_problems(folder / "out.parquet")


def local(path: Path, **settings: object) -> LocalData:
    columns = {"columns": {"id": "id"}}
    return LocalData.model_validate({"source": "local", "path": str(path), **columns, **settings})


def write(folder: Path, text: str | bytes, name: str = "mine.jsonl") -> Path:
    """Write a file of problems and return its path."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path
