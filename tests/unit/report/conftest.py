"""One page with most of what a page can have, for several files, and a browser to open it in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rlvr.analysis.claims.answer import answer_claims
from tests.helpers.browser import Tab, chromium
from tests.helpers.report_page import Page
from tests.helpers.report_tree import Tree, build, write_tree


@pytest.fixture(scope="session")
def tree(repository, tmp_path_factory) -> Tree:
    """All methods but one run, and the claims answered; nothing may be changed in it."""
    tree = write_tree(tmp_path_factory.mktemp("tree"), not_run=("ia3",))
    answer_claims(tree.manifest, tree.results, repository / "config", tree.folder.claims)
    return tree


@pytest.fixture(scope="session")
def html(tree) -> str:
    """The text of its page."""
    return build(tree)


@pytest.fixture(scope="session")
def page(html) -> Page:
    """Its page, parsed."""
    return Page(html)


@pytest.fixture(scope="session")
def path(html, tmp_path_factory) -> Path:
    """Its page as a file."""
    written = tmp_path_factory.mktemp("page") / "page.html"
    written.write_text(html)
    return written


@pytest.fixture(scope="session")
def tab() -> Iterator[Tab]:
    """One browser for all tests."""
    with chromium() as opened:
        yield opened


@pytest.fixture
def small(tmp_path) -> Tree:
    """LoRA and DoRA on one benchmark, to be changed."""
    return write_tree(tmp_path, methods=("base", "lora", "dora"), benchmarks={"sums": (40, 4)}, steps=20)
