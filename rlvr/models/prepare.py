"""Prepare a model: from any entry of the catalogue to one Hugging Face folder with its provenance."""

import shutil
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from rlvr.config.catalogue import GgufModel, HubModel, LocalModel, ModelEntry, TinyModel
from rlvr.data.problems import read_problems
from rlvr.errors import UserError
from rlvr.files import content_hash, read_json, replacing_folder, sha256_of, write_json
from rlvr.models.architecture import check_architecture


def prepare_model(entry_path: Path, train: list[Path], validation: list[Path], output: Path) -> None:
    """Write the model that an entry of `models.yaml` describes; the folder appears complete or not at all.

    Args:
        entry_path: the resolved entry, as JSON.
        train: problem files that the built-in model is pretrained on.
        validation: problem files on which its accuracy is measured.
        output: folder to write.

    Raises:
        UserError: the model is missing, differs from the pinned one, or cannot be loaded.
    """
    entry: ModelEntry = TypeAdapter(ModelEntry).validate_python(read_json(entry_path))
    with replacing_folder(output) as folder:
        if isinstance(entry, TinyModel):
            _pretrain(entry, train, validation, folder)
        elif isinstance(entry, GgufModel):
            _convert(entry, folder)
        elif isinstance(entry, LocalModel):
            _copy_local(entry, folder)
        else:
            _download(entry, folder)
        write_json(folder / "provenance.json", _provenance(entry, folder))


def _pretrain(entry: TinyModel, train: list[Path], validation: list[Path], folder: Path) -> None:
    from rlvr.models.pretrain import pretrain
    from rlvr.models.tiny import build_model, build_tokenizer

    def problems(files: list[Path]) -> list[dict[str, Any]]:
        rows = (row for file in files for row in read_problems(file).to_dict("records"))
        return [{str(column): value for column, value in row.items()} for row in rows]

    if not train or not validation:
        raise UserError("the tiny model is pretrained: pass its problems with --data and --validation")
    tokenizer = build_tokenizer()
    model = build_model(
        tokenizer, entry.hidden_size, entry.layers, entry.heads, entry.intermediate_size, entry.seed
    )
    recipe = entry.pretraining
    curve = pretrain(
        model,
        tokenizer,
        problems(train),
        problems(validation),
        target_accuracy=recipe.target_accuracy,
        max_steps=recipe.max_steps,
        batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        seed=entry.seed,
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_json(folder / "pretraining.json", curve)


def _convert(entry: GgufModel, folder: Path) -> None:
    from rlvr.models.checks import check_folder
    from rlvr.models.gguf import convert_gguf, packaged_gguf

    path = packaged_gguf(entry.package, entry.file) if entry.package else Path(entry.file)
    if not path.exists():
        raise UserError(f"{path}: file not found; correct `file` in models.yaml")
    found = sha256_of(path)
    if found != entry.sha256:
        raise UserError(
            f"{path}: sha256 is {found}, models.yaml expects {entry.sha256}; "
            "download the file again, or correct `sha256` in models.yaml"
        )
    convert_gguf(path, folder, entry.dtype)
    check_folder(folder)


def _copy_local(entry: LocalModel, folder: Path) -> None:
    path = Path(entry.path)
    if not (path / "config.json").exists():
        raise UserError(f"{path}: no model (config.json is missing); correct `path` in models.yaml")
    _copy_checked(path, folder)


def _download(entry: HubModel, folder: Path) -> None:
    from huggingface_hub import constants, is_offline_mode, snapshot_download

    from rlvr.models.folder import DOWNLOADED, NOT_DOWNLOADED, WANTED

    try:
        path = snapshot_download(
            entry.repo,
            revision=entry.revision,
            allow_patterns=DOWNLOADED,
            ignore_patterns=NOT_DOWNLOADED,
            local_files_only=is_offline_mode(),  # huggingface_hub before 2.2 asks the network even then
        )
    except Exception as error:  # the library raises many kinds; all mean that there are no files
        cached = Path(constants.HF_HUB_CACHE, f"models--{entry.repo.replace('/', '--')}")
        raise UserError(
            f"model {entry.repo} at {entry.revision} cannot be loaded: {error}\n"
            f"Without network, put its files ({WANTED}) in {cached / 'snapshots' / entry.revision}, "
            "where the Hugging Face libraries look for them, or in any folder, and name that folder in "
            "models.yaml: `source: local`, `path: FOLDER`."
        ) from error
    check_architecture(entry, Path(path))
    _copy_checked(Path(path), folder)


def _copy_checked(path: Path, folder: Path) -> None:
    """Check a model folder and copy its files, except the provenance of an earlier preparation."""
    from rlvr.models.checks import check_folder
    from rlvr.models.folder import model_files

    check_folder(path)
    for file in model_files(path):
        shutil.copyfile(file, folder / file.name)


def _provenance(entry: ModelEntry, folder: Path) -> dict[str, Any]:
    """Return the checksum of every file, and `sha256` of the model, without texts and records."""
    from rlvr.models.folder import RECORDS, TEXTS

    texts = {path.name for pattern in TEXTS for path in folder.glob(pattern)}
    files = {
        str(path.relative_to(folder)): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in RECORDS
    }
    model = {name: checksum for name, checksum in files.items() if name not in texts}
    return {"entry": entry.model_dump(), "sha256": content_hash(model), "files": files}
