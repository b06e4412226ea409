"""Prepare a model: from any source to one Hugging Face folder with its provenance."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from rlvr.config.catalogue import GgufModel, HubModel, LocalModel, ModelEntry, TinyModel
from rlvr.data.problems import read_problems
from rlvr.errors import UserError
from rlvr.files import content_hash, read_json, sha256_of, write_json
from rlvr.models.architecture import check_architecture


def prepare_model(cell: Path, train: list[Path], validation: list[Path], output: Path) -> None:
    """Make the folder ``output``; it appears whole or not at all.

    Args:
        cell: resolved entry of `models.yaml`.
        train: problem files that the built-in model is pretrained on.
        validation: problem files on which its accuracy is measured.
        output: folder to make.

    Raises:
        UserError: the source is missing, is not the pinned one, or cannot be loaded.
    """
    source = TypeAdapter(ModelEntry).validate_python(read_json(cell))
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=output.parent, prefix=f".{output.name}."))
    try:
        _fill(source, train, validation, temporary)
        write_json(temporary / "provenance.json", _provenance(source, temporary))
        temporary.chmod(0o755)
        shutil.rmtree(output, ignore_errors=True)
        os.replace(temporary, output)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _fill(source: Any, train: list[Path], validation: list[Path], folder: Path) -> None:
    if isinstance(source, TinyModel):
        _pretrain(source, train, validation, folder)
    elif isinstance(source, GgufModel):
        _convert(source, folder)
    elif isinstance(source, LocalModel):
        _copy(source, folder)
    elif isinstance(source, HubModel):
        _download(source, folder)


def _pretrain(source: TinyModel, train: list[Path], validation: list[Path], folder: Path) -> None:
    from rlvr.models.pretrain import pretrain
    from rlvr.models.tiny import build_model, build_tokenizer

    def problems(files: list[Path]) -> list[dict[str, Any]]:
        rows = (row for file in files for row in read_problems(file).to_dict("records"))
        return [{str(column): value for column, value in row.items()} for row in rows]

    if not train or not validation:
        raise UserError("the tiny model is pretrained here: give its problems with --data and --validation")
    tokenizer = build_tokenizer()
    model = build_model(
        tokenizer, source.hidden_size, source.layers, source.heads, source.intermediate_size, source.seed
    )
    recipe = source.pretraining
    curve = pretrain(
        model,
        tokenizer,
        problems(train),
        problems(validation),
        target_accuracy=recipe.target_accuracy,
        max_steps=recipe.max_steps,
        batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        seed=source.seed,
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_json(folder / "pretraining.json", curve)


def _convert(source: GgufModel, folder: Path) -> None:
    from rlvr.models.gguf import convert_gguf, packaged_gguf

    path = packaged_gguf(source.package, source.file) if source.package else Path(source.file)
    if not path.exists():
        raise UserError(f"{path}: file not found; correct `file` in models.yaml")
    found = sha256_of(path)
    if found != source.sha256:
        raise UserError(
            f"{path}: sha256 is {found}, models.yaml expects {source.sha256}; refusing another file"
        )
    convert_gguf(path, folder, source.dtype)


def _copy(source: LocalModel, folder: Path) -> None:
    path = Path(source.path)
    if not (path / "config.json").exists():
        raise UserError(f"{path}: no model here (config.json is missing); correct `path` in models.yaml")
    _take_over(path, folder)


def _download(source: HubModel, folder: Path) -> None:
    from huggingface_hub import constants, snapshot_download

    from rlvr.models.folder import MODEL_FILES, WANTED

    try:
        path = snapshot_download(source.repo, revision=source.revision, allow_patterns=MODEL_FILES)
    except Exception as error:  # the library raises many kinds; all mean that the files cannot be had
        cached = Path(constants.HF_HUB_CACHE, f"models--{source.repo.replace('/', '--')}")
        raise UserError(
            f"model {source.repo} at {source.revision} cannot be loaded: {error}\n"
            f"Without network, put its files ({WANTED}) in {cached / 'snapshots' / source.revision}, "
            "where the Hugging Face libraries keep them, or in any folder, and name that in models.yaml "
            "instead: `source: local`, `path: FOLDER`."
        ) from error
    check_architecture(source, Path(path))
    _take_over(Path(path), folder)


def _take_over(path: Path, folder: Path) -> None:
    """Check a model folder and copy its files, but for the provenance of an earlier preparation."""
    from rlvr.models.folder import MODEL_FILES, check_folder

    check_folder(path)
    for file in sorted(file for pattern in MODEL_FILES for file in path.glob(pattern)):
        if file.name != "provenance.json":
            shutil.copyfile(file, folder / file.name)


def _provenance(source: Any, folder: Path) -> dict[str, Any]:
    """Name every file's checksum; `sha256` stands for the folder as a whole, its log of pretraining aside."""
    files = {
        str(path.relative_to(folder)): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "pretraining.json"
    }
    return {"source": source.model_dump(), "sha256": content_hash(files), "files": files}
