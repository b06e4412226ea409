"""What the page says of where it comes from: every file that was read, and commands that run in any shell."""

import builtins
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from rlvr.files import sha256_of
from rlvr.report.inputs import read_inputs
from rlvr.report.sections.provenance import command
from tests.helpers.report_page import Page
from tests.helpers.report_tree import Tree, build


def listed(page: Page) -> dict[str, str]:
    """Path -> sha256 of every file that the page names."""
    (hashes,) = [e["text"] for e in page.all("pre") if e["attributes"].get("class") == "hashes"]
    return {path: digest for digest, path in (line.split("  ") for line in hashes.splitlines())}


def test_every_file_that_is_read_is_listed_with_its_hash(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(tree.root, tmp_path, dirs_exist_ok=True)
    copy, opened = Tree(tmp_path, tree.study), set()

    def recorded(read):
        def wrapper(path, *args, **options):
            if isinstance(path, (str, Path)):
                opened.add(Path(path))
            return read(path, *args, **options)

        return wrapper

    readers = (
        (pd, "read_parquet"),
        (pq, "read_table"),
        (pd, "read_csv"),
        (builtins, "open"),
        (Path, "read_text"),
    )
    for owner, name in readers:
        monkeypatch.setattr(owner, name, recorded(getattr(owner, name)))
    files = listed(Page(build(copy)))
    inside = {path.relative_to(tmp_path).as_posix() for path in opened if path.is_relative_to(tmp_path)}
    read = {path for path in inside if path.startswith(("results/", "resources/"))}
    assert {
        "results/demo/tables/summary.csv",
        "results/demo/runs/tiny--lora--recommended--main--s0/run.json",
    } < read
    assert read <= set(files)
    path = "results/demo/samples/tiny--base/sums.parquet"
    assert path in read and files[path] == sha256_of(tmp_path / path)


def test_the_tables_are_embedded_whole(tree: Tree, page: Page) -> None:
    links = {e["text"]: e["attributes"] for e in page.all("a") if "download" in e["attributes"]}
    assert {"summary.csv", "comparisons.csv", "leader.csv", "budget.csv", "runs.csv"} <= set(links)
    for name in ("summary", "comparisons"):
        from urllib.parse import unquote

        kind, content = links[f"{name}.csv"]["href"].split(",", 1)
        assert kind == "data:text/csv;charset=utf-8"
        assert unquote(content) == tree.folder.table(name).read_text()


@pytest.mark.parametrize("shell", [["bash", "-O", "failglob"], ["zsh"]], ids=["bash", "zsh"])
def test_the_printed_commands_run_in_a_shell_that_refuses_unquoted_brackets(
    tree: Tree, tmp_path: Path, shell: list[str]
) -> None:
    """`failglob` is what zsh does by default with a pattern that matches nothing."""
    if shutil.which(shell[0]) is None:
        pytest.skip(f"no {shell[0]} on this machine")
    tools = tmp_path / ".venv" / "bin"
    tools.mkdir(parents=True)
    for name in ("git", "make", "snakemake"):
        (tools / name).write_text('#!/bin/sh\necho "${0##*/}" "$@"\n')
        (tools / name).chmod(0o755)
    printed = command(read_inputs(tree.manifest, tree.results, tree.resources))
    script = f"export PATH={tools}:$PATH\n{printed}"
    done = subprocess.run([*shell, "-ec", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "git checkout 4f1c0de" + "0" * 33,
        "make install",
        "snakemake all --cores 2 --config studies=[demo]",
    ]
    unquoted = re.sub("'", "", printed)
    assert subprocess.run([*shell, "-ec", f"export PATH={tools}:$PATH\n{unquoted}"], cwd=tmp_path).returncode
