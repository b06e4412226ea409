"""Read one file of problems, whatever its container, which is recognised by its content.

Single files are not read with `datasets`: its JSON reader turns the cells of a column of several types into
JSON text, its CSV reader turns `None` into a null and `1.50` into a number, and neither names the line of a
defect.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

from rlvr.data.pictures import is_picture_column
from rlvr.data.reading.text import FIX, Numbered, Record, read_text, require_distinct
from rlvr.errors import UserError

CSV = (".csv", ".tsv")
PACKED = (".gz", ".zst", ".bz2", ".lz4")
SUFFIXES = (".jsonl", ".json", ".ndjson", ".parquet", ".arrow", ".feather", *CSV, *PACKED)
"""Names of files that may hold problems."""

_CODECS = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x50\x2a\x4d\x18": "zstd",  # a frame without data, with which pzstd begins
    b"BZh": "bz2",
    b"\x04\x22\x4d\x18": "lz4",
}
"""First bytes of a compressed file -> name of its codec in pyarrow."""

_CONVERT = "convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW"
_REFUSED = {
    b"version https://git-lfs": ("a Git LFS pointer instead of the file", "fetch the file: git lfs pull"),
    b"PK\x03\x04": ("a zip archive or an Excel workbook", "unpack it, or save the table as CSV"),
    b"\xfd7zXZ": ("xz", "unpack it: xz -d FILE"),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", "unpack it"),
    b"Rar!": ("a rar archive", "unpack it"),
    b"\xff\xfe\x00\x00": ("UTF-32 text", "convert it: iconv -f UTF-32 -t UTF-8 FILE > NEW"),
    b"\xff\xfe": ("UTF-16 text", _CONVERT),
    b"\xfe\xff": ("UTF-16 text", _CONVERT),
    b"<!DOCTYPE": ("a web page (HTML)", "the download failed or needs a login; download the file itself"),
    b"<!doctype": ("a web page (HTML)", "the download failed or needs a login; download the file itself"),
    b"<html": ("a web page (HTML)", "the download failed or needs a login; download the file itself"),
    b"\xd0\xcf\x11\xe0": ("an Excel workbook (XLS)", "save the table as CSV"),
    b"FEA1": ("Feather version 1", "save it as Parquet"),
    b"SQLite format 3": ("an SQLite database", "export the table as CSV"),
    b"\x89HDF": ("HDF5", "save it as Parquet"),
    b"\x93NUMPY": ("a NumPy array", "save it as Parquet"),
    b"\x80\x02": ("a pickle", "save it as Parquet; pickles can run code"),
    b"\x80\x03": ("a pickle", "save it as Parquet; pickles can run code"),
    b"\x80\x04": ("a pickle", "save it as Parquet; pickles can run code"),
    b"\x80\x05": ("a pickle", "save it as Parquet; pickles can run code"),
    b"Obj\x01": ("Avro", "save it as Parquet"),
    b"ORC": ("ORC", "save it as Parquet"),
    b"%PDF": ("a PDF", "use the data set's own files"),
}
"""First bytes of a file that is not read -> what it is, and the way out."""

_PARQUET = b"PAR1"
_ARROW_FILE = b"ARROW1"
_ARROW_STREAM = b"\xff\xff\xff\xff"
_HEAD = 512
_TAR = slice(257, 262)
"""Where a tar archive says `ustar`."""


def read_file(path: Path, wanted: Sequence[str]) -> Iterable[Numbered]:
    """Return the rows of a file: JSONL, JSON, CSV, Parquet or Arrow, or one of the first three compressed.

    Args:
        path: the file.
        wanted: dotted paths of the fields that are needed; of a table, only their columns are read.

    Raises:
        UserError: the file is missing, damaged, or of a kind that is not read; the message names the kind.
    """
    if not path.exists():
        pattern = "a pattern is not read: name the folder; " if set("*?") & set(str(path)) else ""
        raise UserError(
            f"{path}: file not found; {pattern}put it there, or correct its path in datasets.yaml"
        )
    with path.open("rb") as file:
        head = file.read(_HEAD)
    codec = next((codec for start, codec in _CODECS.items() if head.startswith(start)), None)
    if codec:
        content = _unpacked(path, codec)
        if content.startswith((_PARQUET, _ARROW_FILE, _ARROW_STREAM)):
            raise UserError(f"{path}: a table compressed with {codec}; unpack it, it is compressed in itself")
        _refuse(path, content[:_HEAD])
        return read_text(content, str(path), _is_csv(path))
    if not head.startswith((_PARQUET, _ARROW_FILE, _ARROW_STREAM)):
        _refuse(path, head)
    if head.startswith(_PARQUET) or path.suffix == ".parquet":
        return _table(path, "Parquet", lambda: _parquet_rows(path, wanted))
    if head.startswith((_ARROW_FILE, _ARROW_STREAM)) or path.suffix in (".arrow", ".feather"):
        return _table(path, "Arrow", lambda: _arrow_rows(path, wanted, head.startswith(_ARROW_FILE)))
    return read_text(path.read_bytes(), str(path), _is_csv(path))


def needed(names: Sequence[str], wanted: Sequence[str]) -> list[str] | None:
    """Return the columns of a table that hold the wanted fields, and pictures; None if a column is missing.

    Then all columns are to be read, so that a message can name them.
    """
    roots = [name if name in names else name.partition(".")[0] for name in wanted]
    if not set(roots) <= set(names):
        return None
    return [name for name in names if name in roots or is_picture_column(name)]


def _refuse(path: Path, head: bytes) -> None:
    """Raise a UserError that names what the file is, if it is something that is not read."""
    found = next((kind for start, kind in _REFUSED.items() if head.lstrip().startswith(start)), None)
    if head[_TAR] == b"ustar":
        found = ("a tar archive", "unpack it: tar -xf FILE")
    elif found is None and _is_wide(head):
        found = ("UTF-16 text", _CONVERT)
    if found:
        raise UserError(f"{path}: looks like {found[0]}; {found[1]}")


def _is_wide(head: bytes) -> bool:
    """Tell whether every second byte is zero and the others are not: UTF-16 without a byte order mark."""
    pairs = len(head) // 2
    fewer, more = sorted(head[start : 2 * pairs : 2].count(0) for start in (0, 1))
    return pairs > 1 and more > 0.8 * pairs and fewer < 0.2 * pairs


def _is_csv(path: Path) -> bool:
    return (path.with_suffix("") if path.suffix.lower() in PACKED else path).suffix.lower() in CSV


def _unpacked(path: Path, codec: str) -> bytes:
    try:
        with pa.input_stream(path, compression=codec) as stream:
            content: bytes = stream.read()
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path}: looks like {codec}, but it cannot be unpacked ({error}); {FIX}") from None
    return content


def _table(path: Path, kind: str, rows: Callable[[], Iterator[Record]]) -> Iterator[Numbered]:
    try:
        for number, record in enumerate(rows(), start=1):
            yield Numbered(number, record)
    except (OSError, pa.ArrowException) as error:  # what pyarrow raises for damaged files
        raise UserError(f"{path}: not a readable {kind} file ({error}); download it again") from None


def _parquet_rows(path: Path, wanted: Sequence[str]) -> Iterator[Record]:
    with parquet.ParquetFile(path) as file:
        names = file.schema_arrow.names
        require_distinct(names, str(path))
        for batch in file.iter_batches(columns=needed(names, wanted)):
            yield from batch.to_pylist()


def _arrow_rows(path: Path, wanted: Sequence[str], is_file: bool) -> Iterator[Record]:
    with pa.memory_map(str(path)) as source:
        table = (pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)).read_all()
        require_distinct(table.column_names, str(path))
        columns = needed(table.column_names, wanted)
        for batch in (table if columns is None else table.select(columns)).to_batches():
            yield from batch.to_pylist()
