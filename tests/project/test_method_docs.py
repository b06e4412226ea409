"""Listing and page of methods agree with the registry; our counts are those of the released code."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from rlvr.cli import main
from rlvr.config.loading import load_yaml
from rlvr.config.presets import MethodFile
from rlvr.errors import UserError
from rlvr.methods import methods
from rlvr.methods.base.shapes import ModelShape
from rlvr.methods.citations import linked, short_citation
from rlvr.methods.listing import describe_methods
from rlvr.methods.reference import AS_CODED, LARGE, SMALL, declared_shape, our_count, reference_text


@pytest.fixture(scope="module")
def papers_models(repository) -> dict[str, ModelShape]:
    return {name: declared_shape(repository / "config", name) for name in (SMALL, LARGE)}


def test_the_page_of_methods_is_in_step_with_the_registry(repository):
    page = (repository / "docs" / "methods.md").read_text()
    assert page == reference_text(repository / "config"), "run: make schemas"


def test_every_row_of_the_page_has_as_many_cells_as_its_head(repository):
    width = None
    for line in reference_text(repository / "config").splitlines():
        cells = line.replace("\\|", "").count("|")
        width = None if not line.startswith("|") else width or cells
        assert cells == (width or cells), line


@pytest.mark.parametrize("row", AS_CODED, ids=lambda row: row.what)
def test_closed_forms_are_the_counts_of_the_released_code(row, papers_models):
    assert our_count(row, papers_models[row.model]) == row.count


def test_a_method_without_a_recommended_preset_is_named(repository, tmp_path):
    shutil.copytree(repository / "config", tmp_path / "config")
    (tmp_path / "config/methods/lora.yaml").write_text("presets:\n  paper:\n    parameters: {rank: 32}\n")
    with pytest.raises(UserError, match=r"lora\.yaml: the preset `recommended` is missing"):
        reference_text(tmp_path / "config")


def printed(capsys, *arguments: str) -> str:
    assert main(["methods", *arguments]) == 0
    return capsys.readouterr().out


def test_json_has_the_four_fields_of_the_contract(repository, capsys, monkeypatch):
    monkeypatch.chdir(repository)
    rows = json.loads(printed(capsys, "--json"))
    assert [row["name"] for row in rows] == sorted(methods())
    assert {tuple(row) for row in rows} == {("name", "category", "citation", "presets")}
    lora = next(row for row in rows if row["name"] == "lora")
    assert lora["presets"] == ["paper", "recommended", "released"]


def test_json_counts_what_each_preset_trains(repository, capsys, monkeypatch):
    monkeypatch.chdir(repository)
    rows = {row["name"]: row for row in json.loads(printed(capsys, "--json", "--model", SMALL))}
    assert rows["lora"]["trainable_parameters"] == {
        "paper": 36_929_536,
        "released": 18_464_768,
        "recommended": 36_929_536,
    }
    assert rows["lora"]["trainable_percent"]["paper"] == pytest.approx(2.078, abs=5e-4)
    assert rows["full"]["trainable_percent"]["recommended"] == 100
    assert rows["ia3"]["trains_as"]["released"] == "milora"
    assert rows["ia3"]["trainable_parameters"]["released"] == 24_772_608
    assert rows["ia3"]["trainable_parameters"]["paper"] == 852_992


def test_the_table_fits_a_terminal_of_120_columns(repository, capsys, monkeypatch):
    monkeypatch.chdir(repository)
    monkeypatch.setenv("COLUMNS", "120")
    lines = printed(capsys).splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 120
    first_words = [line.split()[0] for line in lines if line.strip()]
    assert [word for word in first_words if word in methods()] == list(
        methods()
    )  # one line each, no name cut
    ia3 = next(line for line in lines if line.split()[:1] == ["ia3"])
    assert ia3.split()[1:5] == ["Other", "852,992", "24,772,608*", "265,216"]
    assert "ia3 -> milora" in lines[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "deepseek-r1-distil-qwen-1.5b"], "is not known; did you mean 'deepseek-r1-distill"),
        (
            ["--model", "smollm2-135m-instruct", "--resources", "nowhere"],
            "run: snakemake --cores 1 nowhere/models/smollm2-135m-instruct",
        ),
    ],
)
def test_a_model_that_cannot_be_counted_is_one_message(arguments, message, repository, capsys, monkeypatch):
    monkeypatch.chdir(repository)
    assert main(["methods", *arguments]) == 1
    assert message in capsys.readouterr().err


def test_methods_are_counted_without_importing_torch_once_the_model_is_measured(repository):
    declared_shape(repository / "config", SMALL)
    code = (
        "import sys; from rlvr.cli import main; "
        f"main(['methods', '--json', '--model', {SMALL!r}]); sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=repository, check=True, capture_output=True)


def test_describe_methods_counts_nothing_without_a_model(repository):
    assert all("trainable_parameters" not in row for row in describe_methods(repository / "config"))


@pytest.mark.parametrize(
    ("citation", "short"),
    [
        ("Hu et al., LoRA: Low-Rank, Adaptation, arXiv 2106.09685", "Hu et al., arXiv 2106.09685"),
        ("Huang et al., HiRA: High-Rank, ICLR 2025, OpenReview x", "Huang et al., ICLR 2025, OpenReview x"),
        ("Qiu et al., Title, arXiv 2306.07280; as OFTv2, arXiv 2506.19847", "Qiu et al., arXiv 2306.07280"),
        ("Full-parameter fine-tuning", "Full-parameter fine-tuning"),
    ],
)
def test_a_short_citation_says_who_and_where(citation, short):
    assert short_citation(citation) == short


def test_arxiv_numbers_become_links():
    assert (
        linked("Hu et al., arXiv 2106.09685")
        == "Hu et al., [arXiv 2106.09685](https://arxiv.org/abs/2106.09685)"
    )


# --- pages written by hand -------------------------------------------------------------------------


def page(repository, name: str) -> str:
    return (repository / "docs" / name).read_text()


@pytest.mark.parametrize(
    "path", ["rlvr/methods/catalogue/oft.py", "config/methods/oft.yaml", "rlvr/methods/layers/bitfit.py"]
)
def test_the_examples_of_how_to_add_a_method_are_the_files(path, repository):
    blocks = re.findall(
        r"^```(?:python|yaml)\n(.*?)^```$", page(repository, "add-a-method.md"), re.MULTILINE | re.DOTALL
    )
    assert (repository / path).read_text() in blocks, f"docs/add-a-method.md shows another version of {path}"


def test_no_preset_is_tuned_on_a_task_of_this_project(repository):
    """A factor found on a study's own task is in that study: a preset is for real models."""
    studies = {path.stem for path in (repository / "config" / "studies").glob("*.yaml")}
    studies -= {name.removesuffix("-mini") for name in studies if name.endswith("-mini")}  # of the paper
    studies.remove("rates")  # a word of the field too
    for path in (repository / "config" / "methods").glob("*.yaml"):
        for name, preset in load_yaml(path, MethodFile).presets.items():
            assert preset.learning_rate_factor == 1 or preset.reason, (path.name, name)
            told = preset.reason.split("set `learning_rate_factor` in a study")[0]
            assert not studies & set(re.findall(r"[\w.-]+", told)), (path.name, name)
            assert "miniature" not in told, (path.name, name)
