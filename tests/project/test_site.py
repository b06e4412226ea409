"""The documentation as a site: every page is in its navigation, and the studies that it gives can be run."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from rlvr.cli.reference import PAGE, reference
from rlvr.config.catalogue import catalogue_entries
from rlvr.planning.checks import check_plan
from rlvr.planning.plan import load_plan, study_manifest
from tests.helpers.paths import REPOSITORY

DOCS = REPOSITORY / "docs"
STUDY = re.compile(r"```yaml\n# config/studies/([\w-]+)\.yaml\n(.*?)```", re.DOTALL)
DATA_SETS = re.compile(r"`config/datasets\.yaml`[^`]*`datasets`:\n\n```yaml\n(.*?)```", re.DOTALL)
PROGRAM = re.compile(r"python - <<'END'\n(.*?)\nEND\n", re.DOTALL)
STUDIES = [
    pytest.param(page, name, text, id=f"{page.stem}-{name}")
    for page in sorted(DOCS.glob("*.md"))
    for name, text in STUDY.findall(page.read_text())
]
ELSEWHERE = {"index.md", "configuration.md", "changelog.md", "contributing.md"}
"""Pages that `docs/hooks.py` takes from other folders."""


def pages_of(part: object) -> list[str]:
    """Return the pages of a part of the navigation."""
    if isinstance(part, str):
        return [part]
    parts = part.values() if isinstance(part, dict) else part
    return [page for one in parts for page in pages_of(one)]


def test_every_page_is_once_in_the_navigation() -> None:
    text = (REPOSITORY / "mkdocs.yml").read_text()
    pages = pages_of(yaml.safe_load(re.sub(r"!!python/\S+", "", text))["nav"])
    assert len(pages) == len(set(pages))
    files = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert set(pages) == files | ELSEWHERE


def test_the_page_of_the_verbs_is_in_step_with_the_code() -> None:
    assert (REPOSITORY / PAGE).read_text() == reference(), "run: make schemas"


@pytest.mark.parametrize(("page", "name", "text"), STUDIES)
def test_the_studies_of_a_page_can_be_run(
    page: Path, name: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for program in PROGRAM.findall(page.read_text()):
        exec(program, {})
    config = tmp_path / "config"
    shutil.copytree(REPOSITORY / "config", config)
    (config / "studies" / f"{name}.yaml").write_text(text)
    with (config / "datasets.yaml").open("a") as catalogue:
        for entries in DATA_SETS.findall(page.read_text()):
            catalogue.write(entries)
    plan = load_plan(name, config)
    check_plan(plan)
    assert len(study_manifest(plan).runs) == 1 + 6, "the page says that there are six"
    assert f"data/{plan.study.train_dataset}" in catalogue_entries(config)


def test_pages_give_studies() -> None:
    assert len(STUDIES) >= 2
