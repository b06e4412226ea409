"""Turn a run's trained tensors into a folder to download."""

from pathlib import Path

from safetensors.torch import load_file

from rlvr.config.resolved import TrainConfig, read_config
from rlvr.files import replacing_folder
from rlvr.methods.faults import trained_method
from rlvr.methods.policy import build_policy, load_trained_state


def export(config_path: Path, model: Path, trained: Path, output: Path) -> None:
    """Write the adapter folder of a run; it appears whole or not at all.

    Args:
        config_path: the run's :class:`~rlvr.config.resolved.TrainConfig`.
        model: prepared model folder that the run started from.
        trained: `trained.safetensors` of the run.
        output: folder to make.
    """
    from rlvr.models.load import load_model

    config = read_config(config_path, TrainConfig)
    method = trained_method(config)
    policy = build_policy(method, load_model(model, config.training.dtype), config.training.optimizer_steps)
    load_trained_state(method, policy, load_file(trained), str(trained))
    with replacing_folder(output) as temporary:
        method.export(policy, temporary)
