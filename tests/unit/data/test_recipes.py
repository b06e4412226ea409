"""Every recipe of docs/data.md runs, on a small file of the published shape."""

import re
from pathlib import Path

import pytest
import yaml

from rlvr.config.catalogue import DataCatalogue, LocalData
from rlvr.files import read_json
from tests.helpers.paths import REPOSITORY
from tests.helpers.problem_files import prepare
from tests.helpers.public_data import PUBLISHED


def recipes() -> dict[str, LocalData]:
    page = (REPOSITORY / "docs" / "data.md").read_text(encoding="utf-8")
    section = page.partition("## Recipes")[2].partition("\n## ")[0]
    blocks = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    entries = DataCatalogue.model_validate({"datasets": yaml.safe_load("\n".join(blocks))}).datasets
    assert len(entries) == len(blocks)
    return {name: entry for name, entry in entries.items() if isinstance(entry, LocalData)}


RECIPES = recipes()


def test_the_page_has_a_recipe_for_each_of_the_usual_data_sets():
    assert RECIPES.keys() == PUBLISHED.keys()
    assert len(RECIPES) == 14


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_recipe_reads_the_published_shape(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    published, entry = PUBLISHED[name], RECIPES[name]
    published.write(Path(entry.path))
    frame = prepare(tmp_path, entry)
    assert list(zip(frame["problem"], frame["answer"], strict=True)) == published.expected
    assert frame["id"].is_unique
    alternates = [list(one) for one in frame["alternates"]] if "alternates" in frame else None
    assert alternates == published.alternates
    rows = read_json(tmp_path / "out.provenance.json")["rows"]
    assert (rows["dropped"], rows["kept_with_defects"]) == (published.dropped, published.kept)
