"""Turn a run's trained tensors into an adapter or a model that can be loaded elsewhere."""

from pathlib import Path

from safetensors.torch import load_file

from rlvr.config.resolved import TrainConfig, read_config
from rlvr.files import replacing_folder
from rlvr.methods.faults import trained_method
from rlvr.methods.policy import load_trained_state, run_policy


def export(config_path: Path, model: Path, trained: Path, output: Path) -> None:
    """Write the adapter folder of a run, whole or not at all.

    Args:
        config_path: the run's :class:`~rlvr.config.resolved.TrainConfig`.
        model: prepared model folder that the run started from.
        trained: `trained.safetensors` of the run.
        output: folder to write.
    """
    from rlvr.models.load import load_model

    config = read_config(config_path, TrainConfig)
    method = trained_method(config)
    policy = run_policy(config, method, load_model(model, config.training.dtype))
    load_trained_state(method, policy, load_file(trained), str(trained))
    with replacing_folder(output) as temporary:
        method.export(policy, temporary)
