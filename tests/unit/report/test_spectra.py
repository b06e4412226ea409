"""The section of the spectra: absent without a table; the means on the page are those of the rows."""

import pytest

from rlvr.artifacts import SpectrumRow, write_rows
from rlvr.evaluate.spectra.measures import SHARES
from tests.helpers.report_page import Page
from tests.helpers.report_tree import Tree, build, write_tree


def row(run: str, step: int, layer: str, measure: str, value: float, **other) -> dict:
    empty = {"other": None, "components": float("nan")}
    return {**empty, "run": run, "step": step, "layer": layer, "measure": measure, "value": value, **other}


def curve(run: str, step: int, layer: str, measure: str, power: float) -> list[dict]:
    return [row(run, step, layer, measure, share**power, components=share) for share in SHARES]


def write_spectra(tree: Tree, steps: tuple[int, ...] = (20,)) -> None:
    """LoRA prefers principal directions in two layers (energy s^0.5 and s^1 in share s), DoRA minor ones."""
    rows = [line for layer in ("one", "two") for line in curve("tiny--base", 0, layer, "energy/base", 0.2)]
    for method, powers in {"lora": (0.5, 1.0), "dora": (2.0, 2.0)}.items():
        run = f"tiny--{method}--recommended--main--s0"
        for step in steps:
            for layer, power in zip(("one", "two"), powers, strict=True):
                rows += curve(run, step, layer, "energy/right", power)
                rows += curve(run, step, layer, "energy/left", power)
                rows.append(row(run, step, layer, "update/effective_rank", 6 + power))
                rows.append(row(run, step, layer, "update/relative_norm", 0.01))
                rows.append(row(run, step, layer, "unchanged/float32", 0.0))
                rows.append(row(run, step, layer, "unchanged/bfloat16", 0.75))
    pair = {"other": "tiny--dora--recommended--main--s0"}
    first = "tiny--lora--recommended--main--s0"
    rows += [
        row(first, 20, "one", f"overlap/{side}", value, **pair)
        for side, value in (("left", 0.5), ("right", 0.3))
    ]
    write_rows(tree.folder.spectra, SpectrumRow, rows)


@pytest.fixture
def small(tmp_path) -> Tree:
    return write_tree(tmp_path, methods=("base", "lora", "dora"), benchmarks={"sums": (12, 2)}, steps=20)


def section_of(page: Page):
    section = page.by_id("spectra")
    return section


def test_there_is_no_section_without_spectra(small):
    page = Page(build(small))
    assert not [one for one in page.elements if one["attributes"].get("id") == "spectra"]


def test_the_page_shows_the_means_over_layers(small):
    write_spectra(small)
    page = Page(build(small))
    text = section_of(page)["text"].replace("\u00a0", " ")
    principal = (0.1**0.5 + 0.1) / 2
    minor = 1 - (0.9**0.5 + 0.9) / 2
    assert f"{100 * principal:.1f} %" in text and f"{100 * minor:.1f} %" in text
    assert "6.8" in text  # (6.5 + 7) / 2
    assert "75.0 %" in text and "0.40" in text
    lines = {line["key"]: line for line in page.data["spectra"]["tiny"]["lines"]}
    at = lines["lora"]["x"]["share:right"].index(0.1)
    assert lines["lora"]["y"]["right"][at] == pytest.approx(principal, rel=0.01)
    assert lines["base"]["kind"] == "base" and set(lines) == {"lora", "dora", "base"}


def test_several_saved_states_are_shown_along_training(small):
    write_spectra(small, steps=(5, 10, 20))
    page = Page(build(small))
    titles = [one["text"] for one in page.all("title", section_of(page))]
    assert titles == ["Cumulative energy of the updates of tiny", "Energy along training, tiny"]
    assert page.data["spectra"]["tiny-steps"]["lines"][0]["x"]["step"] == [5, 10, 20]
