"""The first screen in five lines."""

from rlvr.report.terminal import verdict_lines
from tests.helpers.report_page import Page
from tests.helpers.report_tree import Tree, fail, write_tree

NAMES = ["Best", "How sure", "Claims", "Took", "Report"]


def verdict(tree: Tree) -> dict[str, str]:
    lines = verdict_lines(tree.results, tree.resources, tree.root / "reports" / "demo.html")
    assert [line[:10].strip() for line in lines] == NAMES
    return {line[:10].strip(): line[10:] for line in lines}


def test_the_lines_say_what_the_first_screen_says(tree, page: Page):
    said = verdict(tree)
    screen = page.by_id("verdict")["text"]
    name, rest = said["Best"].split(", ", 1)
    lead, *sentences = rest.split(". ")
    assert name in screen and lead in screen and "Not told apart from it" in sentences[0]
    assert said["How sure"] in screen and said["How sure"].startswith("Weak")
    assert said["Took"] in screen and "9 runs, 0 failed" in said["Took"].replace("\xa0", " ")
    assert all(count in screen for count in said["Claims"].split(", "))
    assert said["Report"].endswith("reports/demo.html")


def test_a_failed_run_and_several_models_are_said(tmp_path):
    tree = write_tree(
        tmp_path, methods=("base", "lora"), models=("tiny", "other"), benchmarks={"sums": (20, 2)}
    )
    fail(tree, "tiny--lora--recommended--main--s0")
    lines = verdict_lines(tree.results, tree.resources, tree.root / "x.html")
    assert [line.split()[0] for line in lines].count("Took") == 2
    assert any("tiny: 1\xa0run, 1 failed" in line for line in lines)
    assert any(line.startswith("Best") and "other: lora" in line for line in lines)
