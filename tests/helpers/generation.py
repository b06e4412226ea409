"""Configurations of `rlvr generate` on the tiny model, and what it makes of them."""

from pathlib import Path

import pandas as pd

from rlvr.artifacts import Sample, read_rows
from rlvr.config.resolved import GenerateConfig
from rlvr.config.training import Prompt, Sampling
from rlvr.evaluate.generate import generate
from rlvr.files import write_json

DETERMINED = [name for name in Sample.columns() if name != "seconds"]
"""All columns but the measured time."""


def config_file(folder: Path, **changed: object) -> Path:
    settings = {
        "study": "test",
        "benchmark": "sums",
        "dataset": "sums",
        "samples_per_problem": 5,
        "sampling": Sampling(max_new_tokens=8),
        "prompt": Prompt(),
        "batch_size": 16,
        "dtype": "float32",
        "seed": 3,
        "shared_seed": False,
    }
    path = folder / f"config-{len(list(folder.glob('config-*')))}.json"
    write_json(path, GenerateConfig.model_validate(settings | changed).model_dump(mode="json"))
    return path


def generated(tiny: Path, data: Path, folder: Path, name: str = "out", **changed: object) -> pd.DataFrame:
    generate([config_file(folder, **changed)], tiny, [data], None, folder / "journals", folder / name)
    return read_rows(folder / name / "sums.parquet", Sample)
