"""What the pages for people name exists: links, files, tests, verbs, make targets."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.helpers.cli_examples import VERBS
from tests.helpers.paths import REPOSITORY

PAGES = [
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "config/README.md")),
    *sorted((REPOSITORY / "docs").glob("*.md")),
]
FOLDERS = "benchmarks|config|docs|reports|rlvr|tests|workflow"


@pytest.fixture(params=PAGES, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def page(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_files_that_a_page_links_to_are_committed(page: Path) -> None:
    """A file that git ignores exists here and in no clone."""
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"],
        input="\n".join(str((page.parent / target).resolve()) for target in targets),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if "not a git repository" in ignored.stderr:
        pytest.skip("the sources are no clone")
    assert not ignored.stderr
    assert not ignored.stdout


def test_files_that_a_page_names_exist(page: Path) -> None:
    names = re.findall(
        rf"(?<![\w/])((?:{FOLDERS})/[\w./*-]*\w)", re.sub(r"\]\([^)]*\)", "]", page.read_text())
    )
    made_by_a_user = r"NAME|METHOD|\*|my_|reports/|benchmarks/results"
    missing = [
        name for name in names if not re.search(made_by_a_user, name) and not (REPOSITORY / name).exists()
    ]
    assert not missing


def test_tests_that_a_page_names_exist(page: Path) -> None:
    tests = "".join(path.read_text() for path in (REPOSITORY / "tests").rglob("test_*.py"))
    missing = [name for name in re.findall(r"`(test_\w+)`", page.read_text()) if f"def {name}(" not in tests]
    assert not missing


def test_verbs_and_make_targets_that_a_page_names_exist(page: Path) -> None:
    targets = re.findall(r"^([\w-]+):.*##", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    commands = re.findall(r"(?:^|`|^    )(rlvr|make) ([a-z][a-z-]+)\b", page.read_text(), re.MULTILINE)
    unknown = [(tool, word) for tool, word in commands if word not in (VERBS if tool == "rlvr" else targets)]
    assert not unknown


def test_studies_on_the_command_line_are_quoted(page: Path) -> None:
    """Without quotes, zsh takes the brackets for a file pattern and refuses the command."""
    assert not re.findall(r"--config studies=\[.*", page.read_text())
