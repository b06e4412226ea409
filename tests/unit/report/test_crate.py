"""A study as a Workflow Run RO-Crate."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from rlvr.errors import UserError
from rlvr.files import sha256_of
from rlvr.report.crate import write_crate
from tests.helpers.paths import REPOSITORY
from tests.helpers.report_tree import Tree, build, fail, write_tree

METHODS = ("base", "full", "lora")
LORA = "tiny--lora--recommended--main--s0"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """A study with one failed run, beside its workflow."""
    tree = write_tree(
        tmp_path_factory.mktemp("crate"), methods=METHODS, benchmarks={"sums": (20, 2)}, steps=5
    )
    fail(tree, LORA)
    build(tree)
    tree.folder.figures.mkdir()
    (tree.folder.figures / "cost--accuracy.svg").write_text("<svg/>")
    (tree.folder.figures / ".snakemake_timestamp").touch()
    shutil.copy(REPOSITORY / "Snakefile", tree.root)
    shutil.copytree(REPOSITORY / "workflow", tree.root / "workflow", symlinks=True)
    return tree


@pytest.fixture(scope="module")
def crate(tree: Tree) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tree.root)
        results = Path("results") / tree.study
        page = Path("reports") / f"{tree.study}.html"
        write_crate(results / "configs/study.json", results, Path("resources"), page, Path("crate"))
    return tree.root / "crate"


@pytest.fixture(scope="module")
def graph(crate: Path) -> dict[str, dict]:
    """The entities by their ids."""
    entities = json.loads((crate / "ro-crate-metadata.json").read_text())["@graph"]
    found = {entity["@id"]: entity for entity in entities}
    assert len(found) == len(entities), "an entity is described twice"
    return found


def ids(value: object) -> list[str]:
    return [item["@id"] for item in (value if isinstance(value, list) else [value])]


def test_every_file_is_a_copy_and_described_by_its_hash(tree, crate, graph):
    parts = ids(graph["./"]["hasPart"])
    on_disk = {path.relative_to(crate).as_posix() for path in crate.rglob("*") if path.is_file()}
    assert set(parts) == on_disk - {"ro-crate-metadata.json"}
    for part in parts:
        assert graph[part]["sha256"] == sha256_of(tree.root / part) == sha256_of(crate / part), part
        assert graph[part]["contentSize"] == (crate / part).stat().st_size
    assert not any(".snakemake_timestamp" in part for part in parts)
    assert "results/demo/figures/cost--accuracy.svg" in parts
    assert "reports/demo.html" in parts and f"results/demo/runs/{LORA}/run.json" in parts
    assert "results/demo/tables/summary.csv" in parts and "workflow/rules/train.smk" in parts
    assert any(part.startswith("results/demo/samples/") for part in parts)


def test_no_reference_leads_nowhere(graph):
    fields = (
        "hasPart",
        "mentions",
        "object",
        "result",
        "instrument",
        "mainEntity",
        "input",
        "output",
        "about",
    )
    for entity in graph.values():
        for field in fields:
            for target in ids(entity.get(field, [])):
                assert target in graph, (entity["@id"], field)


def test_the_run_of_the_workflow_made_the_page_from_study_and_data(graph):
    run = graph["#run"]
    assert ids(run["instrument"]) == ["Snakefile"] == ids(graph["./"]["mainEntity"])
    assert "results/demo/configs/study.json" in ids(run["object"])
    assert "resources/data/sums-test.parquet" in ids(run["object"])
    assert "reports/demo.html" in ids(run["result"])
    assert not set(ids(run["object"])) & set(ids(run["result"]))


def test_a_failed_training_run_says_why(graph):
    failed, full = graph[f"#training-{LORA}"], graph["#training-tiny--full--recommended--main--s0"]
    assert failed["actionStatus"].endswith("FailedActionStatus") and failed["error"]
    assert full["actionStatus"].endswith("CompletedActionStatus") and "error" not in full
    assert "device-seconds on two cores; commit 4f1c0de" in full["description"]
    assert set(ids(graph["./"]["mentions"])) == {"#run", failed["@id"], full["@id"]}


def test_without_a_report_there_is_no_crate(tree, monkeypatch):
    monkeypatch.chdir(tree.root)
    results = Path("results/demo")
    with pytest.raises(UserError, match=r"reports/other\.html: file not found"):
        write_crate(
            results / "configs/study.json", results, Path("resources"), Path("reports/other.html"), Path("c")
        )


def test_the_crate_is_valid(crate):
    """By the validator of `make docs`; it downloads the terms of RO-Crate."""
    path = f"{REPOSITORY / '.venv-docs' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    validator = shutil.which("rocrate-validator", path=path)
    if validator is None:
        pytest.skip("rocrate-validator is not installed: `make docs`")
    command = [validator, "-y", "validate", "-p", "workflow-run-crate", str(crate)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if "Unexpected error" in done.stdout and "urlopen" in done.stdout:
        pytest.skip("no network")
    assert done.returncode == 0, done.stdout
