"""Turn a run's trained tensors into what people download."""

import os
import shutil
import tempfile
from pathlib import Path

from safetensors.torch import load_file

from rlvr.config.resolved import TrainConfig, read_config
from rlvr.methods.faults import trained_method
from rlvr.methods.policy import build_policy, load_trained_state
from rlvr.methods.registry import method_parameters


def export(cell_path: Path, model: Path, trained: Path, output: Path) -> None:
    """Write the adapter folder of a run; it appears whole or not at all.

    Args:
        cell_path: resolved train cell.
        model: prepared model folder that the run started from.
        trained: `trained.safetensors` of the run.
        output: folder to make.
    """
    from rlvr.models.load import load_model

    cell = read_config(cell_path, TrainConfig)
    spec = trained_method(cell)
    parameters = method_parameters(cell.trains_as, cell.parameters, str(cell_path))
    base = load_model(model, cell.training.dtype)
    policy = build_policy(spec, base, parameters, cell.training.optimizer_steps)
    load_trained_state(spec, policy, load_file(trained), str(trained))
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=output.parent, prefix=f".{output.name}."))
    try:
        spec.export(policy, temporary)
        temporary.chmod(0o755)
        shutil.rmtree(output, ignore_errors=True)
        os.replace(temporary, output)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
