"""Files that are either whole or absent, and the hashes that name their content."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlvr.errors import UserError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_REBUILD = "if the workflow wrote it, delete it to rebuild it"
"""Advice on a damaged file, which may also be one of the user's own."""


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that becomes ``path`` when the block succeeds.

    A reader never sees a half-written file, not even after a power failure; a failed block leaves nothing
    behind.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        _to_disk(temporary)
        os.replace(temporary, path)
        _to_disk(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path | str) -> Iterator[Path]:
    """Yield a temporary folder beside ``path`` that becomes ``path`` when the block succeeds.

    An existing folder is replaced whole; a failed block leaves nothing behind, and all files are on disk
    before the folder has its name.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield temporary
        temporary.chmod(0o755)
        for part in [*temporary.rglob("*"), temporary]:
            _to_disk(part)
        shutil.rmtree(path, ignore_errors=True)
        os.replace(temporary, path)
        _to_disk(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _to_disk(path: Path) -> None:
    """Wait until a file, or the list of names in a folder, is on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        if not path.is_dir():  # some file systems have no way to do this for a folder
            raise
    finally:
        os.close(handle)


def write_text(path: Path | str, text: str) -> None:
    """Write ``text`` to ``path`` atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: Any) -> None:
    """Write ``value`` to ``path`` as indented JSON, keys in the order given."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path | str) -> Any:
    """Read a JSON file.

    Raises:
        UserError: the file is missing, or is not UTF-8 or JSON; the message names file and line.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: file not found") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 (byte {error.start}: {error.reason})") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {error.lineno}: not JSON ({error.msg})") from None


def write_parquet(path: Path | str, frame: "pd.DataFrame") -> None:
    """Write ``frame`` to ``path`` as Parquet, without its index."""
    with replacing(path) as temporary:
        frame.to_parquet(temporary, index=False)


def read_parquet(path: Path | str, columns: list[str], *, only: bool = False) -> "pd.DataFrame":
    """Read a Parquet file, or ``only`` its ``columns``, and check that it has them.

    Raises:
        UserError: the file is missing, damaged, or lacks a column.
    """
    import pandas as pd

    _require_parquet_columns(path, columns)
    with _parquet_errors(path):
        return pd.read_parquet(path, columns=columns if only else None)


def read_parquet_columns(path: Path | str, columns: list[str]) -> "pa.Table":
    """Read some columns of a Parquet file, several times as fast as :func:`read_parquet`.

    Raises:
        UserError: the file is missing, damaged, or lacks a column.
    """
    import pyarrow.parquet as pq

    _require_parquet_columns(path, columns)
    with _parquet_errors(path):
        return pq.read_table(path, columns=columns)


def _require_parquet_columns(path: Path | str, columns: list[str]) -> None:
    import pyarrow.parquet as pq

    with _parquet_errors(path):
        names = pq.read_schema(path).names
    _require_columns(path, names, columns)


@contextmanager
def _parquet_errors(path: Path | str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path}: file not found") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable Parquet file ({error}); {_REBUILD}") from None


def write_csv(path: Path | str, frame: "pd.DataFrame") -> None:
    """Write ``frame`` to ``path`` as CSV, without its index; floats have ten digits, NaN is an empty cell."""
    write_text(path, frame.to_csv(index=False, float_format="%.10g", lineterminator="\n"))


def read_csv(path: Path | str, columns: list[str]) -> "pd.DataFrame":
    """Read a CSV file, every cell as text, and check that it has ``columns``.

    Raises:
        UserError: the file is missing, damaged, or lacks a column.
    """
    import pandas as pd

    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise UserError(f"{path}: file not found") from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable CSV file ({error}); {_REBUILD}") from None
    _require_columns(path, frame.columns, columns)
    return frame


def _require_columns(path: Path | str, found: Iterable[str], columns: list[str]) -> None:
    names = list(found)
    missing = [column for column in columns if column not in names]
    if missing:
        raise UserError(f"{path}: column {missing[0]!r} is missing; the file has {names}; {_REBUILD}")


def canonical_json(value: Any) -> str:
    """Return the one JSON text that stands for ``value``, whatever the order of its keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_hash(value: Any) -> str:
    """Return the sha256 of a JSON-like value, independent of key order."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def sha256_of(path: Path | str) -> str:
    """Return the sha256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
