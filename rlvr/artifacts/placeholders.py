"""What a failed run leaves in place of tensors, exported model, samples and grades.

The jobs that follow find why there is nothing, pass it on, and are done in a second.
"""

from pathlib import Path

from rlvr.artifacts.reading import read_attributes, write_rows
from rlvr.artifacts.rows import Row
from rlvr.errors import UserError
from rlvr.files import read_json, replacing, replacing_folder, write_json

_FAILURE = "failure"
"""Key of the reason in each of them."""
_FILE = "failure.json"


def write_no_tensors(path: Path, reason: str) -> None:
    """Write a safetensors file without tensors that says why."""
    from safetensors.numpy import save_file

    with replacing(path) as temporary:
        save_file({}, temporary, {_FAILURE: reason})


def why_no_tensors(path: Path) -> str | None:
    """Return why a safetensors file holds nothing; None if it is of a run that did not fail.

    Raises:
        UserError: the file is missing or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            metadata: dict[str, str] | None = file.metadata()
    except FileNotFoundError:
        raise UserError(f"{path}: file not found") from None
    except SafetensorError as error:
        raise UserError(f"{path}: damaged ({error}); delete the file to rebuild it") from None
    return (metadata or {}).get(_FAILURE)


def write_no_model(folder: Path, reason: str) -> None:
    """Write the folder of an exported run that says why there is none."""
    with replacing_folder(folder) as temporary:
        write_json(temporary / _FILE, {_FAILURE: reason})


def why_no_model(folder: Path) -> str | None:
    """Return why an exported run is not there; None if it is."""
    path = folder / _FILE
    return str(read_json(path)[_FAILURE]) if path.exists() else None


def write_no_rows(path: Path, kind: type[Row], reason: str) -> None:
    """Write a table without rows that says why."""
    write_rows(path, kind, [], {_FAILURE: reason})


def why_no_rows(path: Path) -> str | None:
    """Return why a table has no rows; None if it is of a run that did not fail."""
    return read_attributes(path).get(_FAILURE)
