"""Every container gives the same rows, and what is not read is named."""

import bz2
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from rlvr.data.reading.containers import needed
from rlvr.errors import UserError
from tests.helpers.problem_files import GOOD, OTHER, lines_of, local, prepare, write

ROWS = [GOOD, OTHER]
LINES = lines_of(*ROWS)
CSV = 'id,problem,answer\na,"What is $1+1$?",2\nb,What is half of one?,0.5\n'
EXCEL_ROWS = "id;problem;answer\r\na;What is $1+1$?;2\r\n\r\nb;What is half of one?;0.5\r\n"
EXCEL = "sep=;\r\n" + EXCEL_ROWS


def _zstd(path: Path) -> None:
    with pa.output_stream(str(path), compression="zstd") as stream:
        stream.write(LINES.encode())


def _pzstd(path: Path) -> None:
    """As `pzstd` writes it: a frame without data before each frame."""
    for row in ROWS:
        with pa.output_stream(str(path) + ".frame", compression="zstd") as stream:
            stream.write(lines_of(row).encode())
        with path.open("ab") as file:
            file.write(b"\x50\x2a\x4d\x18\x04\0\0\0size" + Path(f"{path}.frame").read_bytes())


def _parquet(path: Path, text: pa.DataType, number: pa.DataType) -> None:
    """Write the same rows with other types of columns."""
    table = pa.Table.from_pylist(ROWS).cast(pa.schema([("id", text), ("problem", text), ("answer", number)]))
    parquet.write_table(table, path)


def _arrow(path: Path, is_file: bool) -> None:
    table = pa.Table.from_pylist(ROWS)
    with (pa.ipc.new_file if is_file else pa.ipc.new_stream)(str(path), table.schema) as writer:
        writer.write_table(table)


CONTAINERS: dict[str, Callable[[Path], object]] = {
    "mine.jsonl": lambda path: path.write_text(LINES),
    "mine.jsonl.gz": lambda path: path.write_bytes(gzip.compress(LINES.encode())),
    "mine.jsonl.bz2": lambda path: path.write_bytes(bz2.compress(LINES.encode())),
    "mine.jsonl.zst": _zstd,
    "packed.jsonl": lambda path: path.write_bytes(gzip.compress(LINES.encode())),
    "members.jsonl.gz": lambda path: path.write_bytes(
        b"".join(gzip.compress(lines_of(row).encode()) for row in ROWS)
    ),
    "frames.jsonl.zst": _pzstd,
    "array.json": lambda path: path.write_text(json.dumps(ROWS, indent=2)),
    "one-line.json": lambda path: path.write_text(json.dumps(ROWS)),
    "wrapped.json": lambda path: path.write_text(json.dumps({"version": 1, "data": ROWS})),
    "mine.csv": lambda path: path.write_text(CSV),
    "mine.csv.gz": lambda path: path.write_bytes(gzip.compress(CSV.encode())),
    "semicolons.csv": lambda path: pd.DataFrame(ROWS).to_csv(path, index=False, sep=";"),
    "mine.tsv": lambda path: pd.DataFrame(ROWS).to_csv(path, index=False, sep="\t"),
    "excel.csv": lambda path: path.write_bytes(EXCEL.encode("utf-8-sig")),
    "carriage-returns.csv": lambda path: path.write_text(EXCEL_ROWS.replace("\r\n", "\r")),
    "commas-in-header.csv": lambda path: path.write_text(
        EXCEL_ROWS.replace("answer\r", 'answer;"a, b, c, d"\r')
    ),
    "CAPITALS.CSV.GZ": lambda path: path.write_bytes(gzip.compress(CSV.encode())),
    "mine.parquet": lambda path: pd.DataFrame(ROWS).to_parquet(path, index=False),
    "without-suffix": lambda path: pd.DataFrame(ROWS).to_parquet(path, index=False),
    "large.parquet": lambda path: _parquet(path, pa.large_string(), pa.string_view()),
    "binary.parquet": lambda path: _parquet(path, pa.binary(), pa.large_binary()),
    "decimal.parquet": lambda path: _parquet(path, pa.string(), pa.decimal128(3, 1)),
    "categories.parquet": lambda path: pd.DataFrame(ROWS).astype("category").to_parquet(path),
    "stream.arrow": lambda path: _arrow(path, is_file=False),
    "file.arrow": lambda path: _arrow(path, is_file=True),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_gives_the_same_rows(tmp_path, name):
    CONTAINERS[name](tmp_path / name)
    frame = prepare(tmp_path, local(tmp_path / name))
    assert frame[["id", "problem", "answer"]].to_dict("records") == ROWS


def test_cells_of_csv_stay_the_text_that_they_are(tmp_path):
    golds = ["1.50", "007", "1,000", "1e3", "True", "2/4"]
    rows = [
        {"id": gold, "problem": f"Which of {number}?", "answer": gold} for number, gold in enumerate(golds)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "mine.csv", index=False)
    assert list(prepare(tmp_path, local(tmp_path / "mine.csv"))["answer"]) == golds


def test_answers_of_several_types_stay_what_they_are_in_json(tmp_path):
    """The reader of `datasets` makes JSON text of such a column: `"1\\/2"` with its quotation marks."""
    rows = [{"problem": "Halve one.", "answer": "1/2"}, {"problem": "Add.", "answer": 3}]
    (tmp_path / "mine").mkdir()
    for name in ("a.json", "mine/train.json"):
        (tmp_path / name).write_text(json.dumps(rows))
    for path in (tmp_path / "a.json", tmp_path / "mine"):
        assert list(prepare(tmp_path, local(path, columns={}))["answer"]) == ["1/2", "3"]


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (LINES.encode("utf-16"), "mine.jsonl", r"looks like UTF-16 text; convert it: iconv -f UTF-16"),
        (LINES.encode("utf-16-be"), "mine.jsonl", r"looks like UTF-16 text; convert it: iconv -f UTF-16"),
        (CSV.encode("utf-16-le"), "mine.csv", r"looks like UTF-16 text"),
        (b"PK\x03\x04\x14\x00", "mine.xlsx", r"looks like a zip archive or an Excel workbook; unpack it"),
        (b"\xfd7zXZ\x00", "mine.jsonl.xz", r"looks like xz; unpack it: xz -d"),
        (b"version https://git-lfs.github.com/spec/v1\n", "mine.parquet", r"Git LFS pointer .*git lfs pull"),
        (b"\n<!DOCTYPE html>\n<html>", "mine.jsonl", r"looks like a web page \(HTML\); the download failed"),
        (b"\x80\x04\x95abc", "mine.pkl", r"looks like a pickle; save it as Parquet"),
        (b"mine.jsonl".ljust(257, b"\0") + b"ustar", "mine.tar", r"looks like a tar archive; unpack it"),
        # without a time stamp, so that every process gives the case the same name
        (gzip.compress(b"x".ljust(257, b"\0") + b"ustar", mtime=0), "mine.tgz", r"looks like a tar archive"),
        (
            gzip.compress(LINES.encode(), mtime=0)[:40],
            "mine.jsonl.gz",
            r"looks like gzip, but it cannot be unpacked",
        ),
        (gzip.compress(b"PAR1", mtime=0), "mine.parquet.gz", r"a table compressed with gzip; unpack it"),
        (b"FEA1\0\0\0\0", "mine.feather", r"looks like Feather version 1; save it as Parquet"),
        (b"\xd0\xcf\x11\xe0".ljust(512, b"\0"), "mine.xls", r"looks like an Excel workbook \(XLS\)"),
        (bytes(512), "mine.jsonl", r"line 1: not JSON"),
        (b"ARROW1 no", "mine.arrow", r"not a readable Arrow file"),
        (json.dumps(ROWS, indent=1)[:-30].encode(), "mine.json", r"mine\.json, line 9: not JSON"),
        (b'[{"id": "a"}, 3]', "mine.json", r"mine\.json, row 2: expected a JSON object, found int"),
        (b'{"train": [], "test": []}', "mine.json", r"holds several lists of rows, \['train', 'test'\]"),
        (pd.DataFrame(ROWS).to_json().encode(), "mine.json", r"looks like columns instead of rows"),
        (
            pd.DataFrame(ROWS).to_json(orient="split").encode(),
            "mine.json",
            r"row 1: .*found list \(pandas: orient='records'\)",
        ),
        (
            b'{"problem": ["a", "b"], "answer": ["1", "2"]}',
            "mine.json",
            r"looks like columns instead of rows",
        ),
        (
            CSV.replace('"', "").replace("What is half", "So, what").encode(),
            "mine.csv",
            r"line 3: 1 more cells",
        ),
        (b"id,problem,answer,answer\na,What?,1,2\n", "mine.csv", r"several columns are named 'answer'"),
        ('{"id": "caf\xe9"}'.encode("latin-1"), "mine.jsonl", r"line 1: not UTF-8 .*iconv -f ENCODING"),
    ],
)
def test_what_is_not_read_is_named_with_the_way_out(tmp_path, content, name, message):
    with pytest.raises(UserError, match=message):
        prepare(tmp_path, local(write(tmp_path, content, name)))


def test_a_table_with_a_repeated_column_is_refused(tmp_path):
    """`to_pylist` would keep the last one only."""
    table = pa.table([["a"], ["What?"], ["1"], ["2"]], names=["id", "problem", "answer", "answer"])
    parquet.write_table(table, tmp_path / "mine.parquet")
    with pytest.raises(UserError, match=r"mine\.parquet: several columns are named 'answer'"):
        prepare(tmp_path, local(tmp_path / "mine.parquet"))


def test_of_a_table_only_the_columns_of_the_wanted_fields_and_pictures_are_read():
    names = ["prompt", "reward_model", "r1_solution_1", "images", "a.b"]
    assert needed(names, ["prompt", "reward_model.ground_truth"]) == ["prompt", "reward_model", "images"]
    assert needed(names, ["a.b", "prompt"]) == ["prompt", "images", "a.b"]
    assert needed(names, ["problem", "prompt"]) is None


def test_lines_and_rows_of_messages_and_origins_are_those_of_the_file(tmp_path):
    text = 'id,problem,answer\na,"What\nis it?",2\nb,,3\n'
    with pytest.raises(UserError, match=r"empty_problem.*\n    line 4 \(id 'b'\)"):
        prepare(tmp_path, local(write(tmp_path, text, "mine.csv")))
    text = "\n\nid,problem,answer\n\na,What?,2\n\nb,,3\n"
    with pytest.raises(UserError, match=r"empty_problem.*\n    line 7 \(id 'b'\)"):
        prepare(tmp_path, local(write(tmp_path, text, "mine.csv")))
    packed = gzip.compress((LINES + "{truncated").encode())
    with pytest.raises(UserError, match=r"mine\.jsonl\.gz, line 3: not JSON"):
        prepare(tmp_path, local(write(tmp_path, packed, "mine.jsonl.gz")))
