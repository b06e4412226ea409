from pathlib import Path

import pytest

from tests.helpers.analysis_tree import Results, small_study


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return small_study(tmp_path / "results" / "demo")
