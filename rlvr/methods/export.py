"""Turn a run's trained tensors into an adapter or a model that can be loaded elsewhere."""

import logging
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from rlvr.artifacts.placeholders import why_no_tensors, write_no_model
from rlvr.config.choices import DType
from rlvr.config.resolved import TrainConfig, read_config
from rlvr.files import read_json, replacing_folder, write_json, write_text
from rlvr.methods.faults import check_merged_export, trained_method
from rlvr.methods.model_card import Export, model_card
from rlvr.methods.policy import load_trained_state, run_policy, trainable_parameters
from rlvr.methods.weights import write_whole
from rlvr.models.folder import companion_files, licence_files, tensor_headers
from rlvr.models.origin import Origin, origin_of
from rlvr.models.precision import rounds, stored_precision

logger = logging.getLogger(__name__)

ADAPTER_CONFIG = "adapter_config.json"


def export(
    config_path: Path,
    model: Path,
    trained: Path,
    output: Path,
    merged: bool = False,
    dtype: DType | None = None,
) -> None:
    """Write the folder of a run with its model card, whole or not at all.

    It holds a PEFT adapter, or the whole model if PEFT cannot express the method or ``merged`` asks for it.
    Of a failed run, it says why there is neither (:mod:`rlvr.artifacts.placeholders`).

    Args:
        config_path: the run's :class:`~rlvr.config.resolved.TrainConfig`.
        model: prepared model folder that the run started from.
        trained: `trained.safetensors` of the run.
        output: folder to write.
        merged: write the plain model that the policy is, for engines that load no adapters.
        dtype: precision of a merged model; by default the base's own.

    Raises:
        UserError: an input is missing or damaged, or does not belong to the others; with ``merged``: a weight
            is beyond ``dtype``, or a fault that the run reproduces would be left out.
    """
    from rlvr.models.load import load_model

    config = read_config(config_path, TrainConfig)
    if merged:
        check_merged_export(config)
    if reason := why_no_tensors(trained):
        logger.warning("nothing to export: %s", reason)
        return write_no_model(output, reason)
    origin = origin_of(model, config.model)
    method = trained_method(config)
    policy = run_policy(config, method, load_model(model, config.training.dtype), start=False)
    trainable = trainable_parameters(policy)
    load_trained_state(method, policy, load_file(trained), str(trained))
    with replacing_folder(output) as folder:
        if merged:
            precision = dtype or stored_precision(model)
            write_whole(method, policy, folder, getattr(torch, precision))
            stored = f"{precision}, merged in float32" + (
                " and rounded" if rounds("float32", precision) else ""
            )
        else:
            method.export(policy, folder)
            stored = "float32"
        whole = _completed(folder, model, origin)
        card = Export(
            config=config,
            origin=origin,
            formula=method.formula,
            citation=method.citation,
            trainable=trainable,
            folder=output.name,
            whole=whole,
            stored=stored if merged or not whole else _precisions(folder),
            loaded_as_base=method.loaded_as_base,
        )
        write_text(folder / "README.md", model_card(card))


def _completed(folder: Path, model: Path, origin: Origin) -> bool:
    """Add the files of the base to a whole model, or its name to an adapter; tell whether it is whole."""
    if (folder / ADAPTER_CONFIG).exists():
        _name_base(folder / ADAPTER_CONFIG, origin)
        return False
    for file in [*companion_files(model), *licence_files(model)]:
        shutil.copyfile(file, folder / file.name)
    return True


def _name_base(path: Path, origin: Origin) -> None:
    """Name the published base in `adapter_config.json`, and put lists that PEFT keeps as sets in order."""
    settings: dict[str, Any] = read_json(path)
    named = {"base_model_name_or_path": origin.name, "revision": origin.revision}
    write_json(path, {key: _in_order(value) for key, value in {**settings, **named}.items()})


def _in_order(value: Any) -> Any:
    names = isinstance(value, list) and all(isinstance(item, str) for item in value)
    return sorted(value) if names else value


def _precisions(folder: Path) -> str:
    """Say in which precisions the tensors of a whole model are stored."""
    found = {tensor["dtype"] for file in folder.glob("*.safetensors") for _, tensor in tensor_headers(file)}
    names = {"F32": "float32 (trained or merged)", "BF16": "bfloat16 (as in the base)"}
    names |= {"F16": "float16 (as in the base)"}
    return " and ".join(names.get(name, name) for name in sorted(found, reverse=True))
