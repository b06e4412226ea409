"""Sections of the page: found automatically, each with a template of its own."""

import json
import shutil
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import rlvr
from rlvr.report.section import PARTS
from rlvr.report.sections import all_sections
from tests.helpers.report_page import Page
from tests.helpers.report_tree import write_tree

MODULE = """
from dataclasses import dataclass

from rlvr.report.inputs import Inputs
from rlvr.report.section import Section


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    names: list[str]
    data: dict[str, list[str]]


def build(inputs: Inputs) -> Survey | None:
    names = [f"{variant.method} & co" for variant in inputs.trained]
    return Survey(names=names, data={"</script>": names}) if len(names) > 1 else None


SECTION = Section(
    part="cost", order=15, id="survey", title="Survey <new>", template="survey.html", build=build
)
"""
TEMPLATE = "{% for name in names %}<p>{{ study.study }}: {{ name }}</p>{% endfor %}"
BUILD = """
import sys
from pathlib import Path
from rlvr.report import build_report
build_report(*map(Path, sys.argv[1:]))
"""


def test_sections_differ_in_order_anchor_and_template():
    sections = all_sections()
    assert len(sections) >= 12
    for values in zip(*(((s.part, s.order), s.id, s.template) for s in sections), strict=True):
        assert len(set(values)) == len(sections)
    assert [part for part, _ in groupby(sections, lambda section: section.part)] == list(PARTS)
    folder = Path(rlvr.__file__).parent / "report" / "templates" / "sections"
    assert {section.template for section in sections} == {path.name for path in folder.glob("*.html")}


def test_a_new_module_and_its_template_are_a_new_section(tmp_path):
    """In a copy of the package, so that nothing else can know of the section."""
    package = Path(rlvr.__file__).parent
    copy = tmp_path / "copy" / "rlvr"
    for name in ("report", "artifacts", "config", "data", "methods"):
        shutil.copytree(package / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in package.glob("*.py"):
        shutil.copy(path, copy)
    (copy / "report" / "sections" / "survey.py").write_text(MODULE)
    (copy / "report" / "templates" / "sections" / "survey.html").write_text(TEMPLATE)

    def build(methods: tuple[str, ...]) -> Page:
        tree = write_tree(tmp_path / methods[-1], methods=methods, benchmarks={"sums": (12, 2)}, steps=5)
        output = tree.root / "page.html"
        command = [sys.executable, "-c", BUILD, tree.manifest, tree.results, tree.resources, output]
        subprocess.run(command, cwd=copy.parent, env={"PYTHONPATH": str(copy.parent)}, check=True)
        return Page(output.read_text(encoding="utf-8"))

    page = build(("base", "lora", "dora"))
    section = page.by_id("survey")
    assert section["within"][-1] is page.by_id("cost")
    assert [e["text"] for e in page.all("h3", section)] == ["Survey <new> ¶"]
    assert json.loads(page.by_id("data")["text"])["survey"] == {"</script>": ["lora & co", "dora & co"]}
    assert [e["text"] for e in page.all("p", section)] == ["demo: lora & co", "demo: dora & co"]
    without = build(("base", "lora"))
    assert "survey" not in [e["attributes"].get("id") for e in without.elements]
    assert "#survey" not in [e["attributes"]["href"] for e in without.all("a")]
