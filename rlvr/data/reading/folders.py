"""Read folders of files and downloads of the hub, whose splits and configurations `datasets` knows."""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from rlvr.config.catalogue import HubData, LocalCopy, data_files
from rlvr.data.reading.containers import SUFFIXES, needed, read_file
from rlvr.data.reading.text import Numbered
from rlvr.errors import UserError

if TYPE_CHECKING:
    from datasets import Dataset

logger = logging.getLogger(__name__)

_PART = re.compile(r"(?P<name>.+)-\d{5}-of-(?P<of>\d{5})\.\w+")
_SAVED = ("dataset_dict.json", "state.json")
"""Files by which a folder of `save_to_disk` is known: of a `DatasetDict`, of a `Dataset`."""
_BATCH = 1000
_SHOWN = 5
"""Files that a message lists."""


def read_folder(path: Path, split: str | None, wanted: Sequence[str]) -> Iterator[Numbered]:
    """Yield the rows of one split of a folder: of data files, or written by `save_to_disk`.

    Rows are numbered through the folder.

    Raises:
        UserError: the folder holds no data, is incomplete, or has several splits and none is named.
    """
    if any((path / name).exists() for name in _SAVED):
        yield from _rows(_saved(path, split), wanted)
        return
    try:
        require_all_parts(path)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None
    splits = _files_by_split(path)
    files = splits[_chosen(path, split, list(splits))] if splits else []
    unread = _unread(path, splits)
    if not files and not unread:
        raise UserError(f"{path}: the folder holds no data file ({', '.join(SUFFIXES)}); correct `path`")
    if not files:
        raise UserError(
            f"{path}: `datasets` finds no problems in any split; set `path` to one of {unread[:_SHOWN]}"
        )
    if unread:
        more = f" and {len(unread) - _SHOWN} more" if len(unread) > _SHOWN else ""
        logger.warning(
            f"{path}: not read, because of another format, or a name that is in no split: "
            f"{unread[:_SHOWN]}{more}"
        )
    rows = (record for file in files for _, record in read_file(file, wanted))
    yield from (Numbered(number, record) for number, record in enumerate(rows, start=1))


def read_hub(entry: HubData, wanted: Sequence[str]) -> Iterator[Numbered]:
    """Download the snapshot of the pinned revision, or find it in the cache, and read it as a local data set.

    Without network, `datasets` alone would accept any cached version.

    Raises:
        UserError: there is no such data; the message names the file to provide instead.
    """
    from datasets import load_dataset
    from huggingface_hub import is_offline_mode, snapshot_download

    try:
        folder = snapshot_download(
            entry.repo,
            repo_type="dataset",
            revision=entry.revision,
            local_files_only=is_offline_mode(),  # huggingface_hub before 2.2 asks the network even then
        )
        require_all_parts(Path(folder))
        data = load_dataset(folder, entry.config, split=entry.split)
    except Exception as error:  # the libraries raise many kinds; all mean that there is no data
        copy = entry.local or LocalCopy(path="FILE.jsonl")
        columns = ", ".join(filter(None, (copy.columns.id, copy.columns.problem, copy.columns.answer)))
        part = f"split {entry.split!r}" + (f" of configuration {entry.config!r}" if entry.config else "")
        raise UserError(
            f"data set {entry.repo} at {entry.revision} cannot be loaded: {error}\n"
            f"Without network, put its {part} at {copy.path}, a file (docs/data.md) with the columns "
            f"{columns} (key `local` of the data set in datasets.yaml). Or load it once with network: "
            "the cache of the Hugging Face libraries keeps it, and HF_HUB_OFFLINE=1 reads it from there."
        ) from error
    return _rows(data, wanted)


def require_all_parts(folder: Path) -> None:
    """Refuse an incomplete download, of which `datasets` would read only the files that are there.

    Raises:
        ValueError: a part of a file is missing, or what a link leads to; the message names folder and file.
    """
    paths = sorted(folder.rglob("*"))
    for path in paths:
        if path.is_symlink() and not path.is_file() and not path.name.startswith("."):
            raise ValueError(
                f"{path} is a link to a missing file, or to a folder, which is not followed; "
                "download it again, or copy the files"
            )
    parts = [(match, path) for path in paths if (match := _PART.fullmatch(path.name))]
    counts = Counter((path.parent, match["name"], int(match["of"])) for match, path in parts)
    for (place, name, wanted), found in counts.items():
        if found < wanted:
            raise ValueError(f"only {found} of {wanted} parts of {name!r} are in {place}; download it again")


def _rows(data: "Dataset", wanted: Sequence[str]) -> Iterator[Numbered]:
    """Yield the rows of a data set of the library, pictures undecoded."""
    columns = needed(data.column_names, wanted)
    chosen = (data if columns is None else data.select_columns(columns)).with_format("arrow")
    rows = (record for table in chosen.iter(batch_size=_BATCH) for record in table.to_pylist())
    return (Numbered(number, record) for number, record in enumerate(rows, start=1))


def _saved(path: Path, split: str | None) -> "Dataset":
    from datasets import DatasetDict, load_from_disk

    try:
        data = load_from_disk(str(path))
    except Exception as error:  # the library raises many kinds
        raise UserError(f"{path}: a damaged folder of `save_to_disk` ({error}); write it again") from error
    if isinstance(data, DatasetDict):
        return data[_chosen(path, split, list(data))]
    if split is not None:
        raise UserError(f"{path}: a folder of one data set has no splits; remove `split: {split}`")
    return data


def _files_by_split(path: Path) -> dict[str, list[Path]]:
    """Return split -> files, by the rules of `datasets`: names of files and folders, or README."""
    from datasets import load_dataset_builder

    with TemporaryDirectory() as cache:
        try:
            files: dict[Any, list[str]] = (
                load_dataset_builder(str(path), cache_dir=cache).config.data_files or {}
            )
        except Exception as error:  # the library raises many kinds
            reason = str(error).partition("\nExample of usage")[0]
            raise UserError(
                f"{path}: {reason}\nCorrect `path` in datasets.yaml: a folder of one configuration, or a file"
            ) from error
    return {str(split): _problem_files(map(Path, names)) for split, names in files.items()}


def _unread(path: Path, splits: dict[str, list[Path]]) -> list[str]:
    """Return the data files that are in no split."""
    from datasets.data_files import FILES_TO_IGNORE

    read = {file.resolve() for files in splits.values() for file in files}
    others = [file for file in _problem_files(data_files(path)) if file.resolve() not in read]
    return [str(file.relative_to(path)) for file in others if file.name not in FILES_TO_IGNORE]


def _problem_files(files: Iterable[Path]) -> list[Path]:
    return [file for file in files if file.name.lower().endswith(SUFFIXES)]


def _chosen(path: Path, split: str | None, splits: list[str]) -> str:
    if split is None and len(splits) == 1:
        return splits[0]
    if split not in splits:
        wrong = "the folder has several splits" if split is None else f"no split {split!r}"
        raise UserError(f"{path}: {wrong}; set `split` in datasets.yaml to one of {splits}")
    return split
