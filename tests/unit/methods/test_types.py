"""The settings of a method are known to the type checker: a mistyped one is an error before anything runs."""

import itertools
import subprocess
import sys

import pytest

from tests.helpers.paths import REPOSITORY

pytestmark = pytest.mark.slow

METHOD = """
from rlvr.methods.base.spec import PeftMethod
from rlvr.methods.catalogue.lora import Lora, LoraParameters
from rlvr.methods.catalogue.oft import OftParameters


class Turned(PeftMethod):
    parameters: OftParameters

    def expected_parameters(self, shape: object) -> int:
        return self.parameters.block_size


class HalfParameters(LoraParameters):
    share: float = 0.5


class Half(Lora):
    parameters: HalfParameters

    def half(self) -> float:
        return self.parameters.rank * self.parameters.share
"""
CONFIG = """
[mypy]
plugins = pydantic.mypy
[mypy-torch.*,transformers.*,peft.*]
follow_imports = skip
"""


@pytest.fixture(scope="module")
def check(tmp_path_factory):
    """Return a function that checks one file and returns what mypy prints."""
    folder = tmp_path_factory.mktemp("types")
    (folder / "mypy.ini").write_text(CONFIG)

    numbers = itertools.count()

    def run(text: str) -> str:
        name = f"method{next(numbers)}.py"  # mypy takes one of the same size and time as unchanged
        (folder / name).write_text(text)
        command = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", name]
        environment = {"MYPYPATH": str(REPOSITORY), "PATH": "", "HOME": str(folder)}
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True).stdout

    return run


def test_settings_of_a_method_and_of_one_derived_from_it_are_known(check):
    assert check(METHOD).startswith("Success")


@pytest.mark.parametrize(
    ("setting", "typo"), [("block_size", "blocksize"), ("share", "chare"), ("rank", "rnak")]
)
def test_a_mistyped_setting_is_a_type_error(check, setting, typo):
    printed = check(METHOD.replace(f"parameters.{setting}", f"parameters.{typo}"))
    assert f'has no attribute "{typo}"' in printed
