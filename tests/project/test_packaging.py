"""The project files agree with each other, and the built package is whole."""

import ast
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import rlvr
from tests.helpers.paths import REPOSITORY

ROOT = REPOSITORY
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
PACKAGES = ("rlvr", "snakemake_logger_plugin_rlvr")
TYPES = "_typeshed"
"""Known to type checkers alone."""
LOCK = "requirements.lock"
LOCKS = (LOCK, "requirements-dev.lock")
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))


def requirements(lines: list[str]) -> dict[str, Requirement]:
    return {canonicalize_name(requirement.name): requirement for requirement in map(Requirement, lines)}


def lock_lines(*names: str) -> list[str]:
    """Return the lines of the locks that are not comments."""
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in names]
    return [line for text in texts for line in text.splitlines() if not line.startswith("#")]


def locked_versions(*names: str) -> dict[str, str]:
    return {canonicalize_name(name): pin for name, pin in (line.split("==") for line in lock_lines(*names))}


def test_every_line_of_the_locks_is_a_name_and_a_public_version() -> None:
    lines = lock_lines(*LOCKS)
    assert not [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line)]
    assert len(locked_versions(*LOCKS)) == len(lines), "a package is locked twice"


@pytest.mark.parametrize("line", [*PROJECT["dependencies"], *EXTRAS["workflow"]])
def test_the_runtime_lock_satisfies_pyproject(line: str) -> None:
    requirement = Requirement(line)
    assert requirement.specifier.contains(locked_versions(LOCK)[canonicalize_name(requirement.name)])


@pytest.mark.parametrize("line", EXTRAS["dev"])
def test_both_locks_together_satisfy_the_tests_and_tools(line: str) -> None:
    requirement = Requirement(line)
    assert requirement.specifier.contains(locked_versions(*LOCKS)[canonicalize_name(requirement.name)])


@pytest.mark.parametrize("line", EXTRAS["docs"])
def test_the_lock_of_the_documentation_satisfies_pyproject(line: str) -> None:
    requirement = Requirement(line)
    locked = locked_versions("requirements-docs.lock")
    assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)])


def test_make_demo_installs_no_tool_of_the_tests() -> None:
    assert not {"pytest", "mypy", "ruff", "trl"} & locked_versions(LOCK).keys()


def test_nothing_installs_scikit_learn_which_transformers_would_import_in_every_job() -> None:
    assert "scikit-learn" not in locked_versions(*LOCKS)


def imported_packages() -> set[str]:
    """Return the top-level names that the package imports and that Python does not bring."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "rlvr").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    absolute = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 0}
    return {name.split(".")[0] for name in plain | absolute} - sys.stdlib_module_names - {"rlvr", TYPES}


def test_every_imported_package_is_a_declared_dependency() -> None:
    declared = requirements([*PROJECT["dependencies"], *EXTRAS["smollm2"], *EXTRAS["vllm"]])
    distributions = importlib.metadata.packages_distributions()
    undeclared = [
        name
        for name in sorted(imported_packages())
        if not {canonicalize_name(owner) for owner in distributions.get(name, [name])} & declared.keys()
    ]
    assert not undeclared


def test_environment_yml_has_the_direct_dependencies_at_the_locked_versions() -> None:
    (pip_lines,) = [part["pip"] for part in ENVIRONMENT["dependencies"] if isinstance(part, dict)]
    needed = requirements([*PROJECT["dependencies"], *EXTRAS["workflow"]])
    expected = {name: f"=={locked_versions(LOCK)[name]}" for name in needed}
    assert {name: str(item.specifier) for name, item in requirements(pip_lines).items()} == expected


def test_environment_yml_takes_the_python_of_the_lock() -> None:
    assert "python=3.11" in ENVIRONMENT["dependencies"]
    assert ENVIRONMENT["channels"] == ["conda-forge", "nodefaults"]
    assert PROJECT["requires-python"] == ">=3.11"


def test_the_version_is_the_same_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == rlvr.__version__
    assert f"## [{rlvr.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Build the package from a copy of its sources, with the setuptools of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", "--quiet", *options, str(folder)], check=True)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_every_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    files = [path for name in PACKAGES for path in (ROOT / name).rglob("*") if path.is_file()]
    expected = {path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts}
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == expected


def test_an_editable_install_puts_the_logger_plugin_where_snakemake_looks(
    wheel: zipfile.ZipFile, tmp_path: Path
) -> None:
    """Snakemake asks the folders on the path for plugins; it does not see packages that a finder serves."""
    sources = Path(str(wheel.filename)).parent
    build = f"from setuptools import build_meta; build_meta.build_editable({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=sources, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as editable:
        (path,) = [name for name in editable.namelist() if name.endswith(".pth")]
        assert editable.read(path).decode().split() == [str(sources)]


def test_the_wheel_installs_the_command(wheel: zipfile.ZipFile) -> None:
    (name,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert "rlvr = rlvr.cli:main" in wheel.read(name).decode()


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert targets is not None
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^  make ([\w-]+)", shown, re.MULTILINE) == targets.group(1).split()
