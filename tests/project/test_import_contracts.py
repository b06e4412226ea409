"""The import contracts of pyproject.toml hold, and each of them notices when it is broken."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import REPOSITORY

ROOT = REPOSITORY


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the package in ``folder`` against the contracts of its pyproject.toml, in a fresh interpreter."""
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command as check; check()",
            "--no-cache",
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("layers")
    shutil.copy(ROOT / "pyproject.toml", folder)
    shutil.copytree(ROOT / "rlvr", folder / "rlvr", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_the_package_keeps_its_contracts() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("rlvr/seeds.py", "import rlvr.config.schema", "Dependencies point one way"),
        ("rlvr/stray.py", "", "Dependencies point one way"),
        ("rlvr/files.py", "import snakemake", "does not know the workflow engine"),
        ("rlvr/verify/__init__.py", "import torch", "without torch"),
        ("rlvr/verify/__init__.py", "import rlvr.verify.verify_file", "only what a comparison needs"),
        ("rlvr/verify/extract.py", "import rlvr.config.schema", "only what a comparison needs"),
    ],
)
def test_a_contract_notices_a_forbidden_import(copy: Path, module: str, line: str, contract: str) -> None:
    path = copy / module
    before = path.read_text(encoding="utf-8") if path.exists() else None
    path.write_text(f"{before or ''}\n{line}\n", encoding="utf-8")
    try:
        result = lint_imports(copy)
    finally:
        path.unlink() if before is None else path.write_text(before, encoding="utf-8")
    broken = [row for row in result.stdout.splitlines() if row.endswith("BROKEN")]
    assert result.returncode == 1, result.stdout + result.stderr
    assert any(contract in row for row in broken), result.stdout
