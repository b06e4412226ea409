"""Problems, and the engines that answer them."""

from pathlib import Path

import pandas as pd
import pytest

from rlvr.evaluate import generate as module
from rlvr.files import write_parquet
from rlvr.rollout.engines.factory import make_engine


@pytest.fixture
def benchmark_file(tmp_path: Path) -> Path:
    """Fourteen problems of different length."""
    rows = [
        {"id": f"p{i}", "problem": f"{i}+{7**i}", "answer": str(i + 7**i), "origin": f"test#{i}"}
        for i in range(14)
    ]
    write_parquet(tmp_path / "problems.parquet", pd.DataFrame(rows))
    return tmp_path / "problems.parquet"


@pytest.fixture
def served(monkeypatch) -> list:
    """The engines that are made during a test."""
    engines = []

    def recorded(*arguments, **options):
        engines.append(make_engine(*arguments, **options))
        return engines[-1]

    monkeypatch.setattr(module, "make_engine", recorded)
    return engines
