"""Wrong configurations stop with file, line, key, value and the nearest known key."""

import shutil
from pathlib import Path

import pytest
import yaml

from rlvr.config.loading import load_yaml, parse
from rlvr.config.reference import FILES, reference_text, schema_texts
from rlvr.config.schema import Study
from rlvr.errors import UserError
from rlvr.methods import get_method, methods
from rlvr.planning.plan import configs, fingerprints, load_plan, selection
from tests.helpers.paths import REPOSITORY


@pytest.fixture
def config(repository: Path, tmp_path: Path) -> Path:
    """A copy of the configuration that a test may break."""
    shutil.copytree(repository / "config", tmp_path / "config")
    return tmp_path / "config"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "learning_rate: 5.0e-3",
            "learning_rat: 5.0e-3",
            r"demo\.yaml, line \d+: training\.learning_rat: unknown key; did you mean 'learning_rate'\?",
        ),
        ("  steps: ", "  steps: many # ", r"training\.steps: .*integer.*'many'"),
        ("method: dora", "method: dorra", r"methods\[2\].*'dorra' is not known; did you mean 'dora'\?"),
        (
            "{method: full}",
            "{method: full, preset: papper}",
            r"methods\.0\.preset: .*'papper'.*did you mean 'paper'\?",
        ),
        ("rank: 8", "rnk: 8", r"parameters of lora: rnk: unknown key; did you mean 'rank'\?"),
        ("rank: 8", "rank: eight", r"parameters of lora: rank: .*'eight'"),
        ("models: [tiny]", "models: [tinny]", r"models: 'tinny' is not known; did you mean 'tiny'\?"),
        ("answer_format:", "answr_format:", r"answr_format: unknown key; did you mean 'answer_format'\?"),
        (
            "{method: rank1_lora}", "{method: full}",
            r"methods\[13\]: full with preset recommended is listed twice; .* add a setting",
        ),
    ],
)  # fmt: skip
def test_a_wrong_study_says_what_is_wrong(config, old, new, message):
    edit(config / "studies" / "demo.yaml", old, new)
    with pytest.raises(UserError, match=message):
        load_plan("demo", config)


@pytest.mark.parametrize(("key", "twice"), [("models", "[tiny, tiny]"), ("train_seeds", "[1, 1]")])
def test_nothing_is_run_twice_and_counted_as_two(config, key, twice):
    path = config / "studies" / "demo.yaml"
    text = path.read_text().replace("models: [tiny]\n", "")
    path.write_text(f"{text}models: [tiny]\n" if key != "models" else text)
    with path.open("a") as file:
        file.write(f"{key}: {twice}\n")
    with pytest.raises(UserError, match="is listed twice"):
        load_plan("demo", config)


def test_the_line_is_the_line_of_the_key(config):
    path = config / "studies" / "demo.yaml"
    edit(path, "group_size:", "groupsize:")
    line = next(i for i, text in enumerate(path.read_text().splitlines(), 1) if "groupsize:" in text)
    with pytest.raises(UserError, match=f"line {line}: training.groupsize"):
        load_plan("demo", config)


def test_an_unknown_study_names_the_nearest(config):
    with pytest.raises(UserError, match=r"file not found; did you mean 'demo\.yaml'\?"):
        load_plan("dmeo", config)


def test_a_setting_with_a_wrong_key_is_refused(config):
    edit(
        config / "studies" / "demo.yaml",
        "training:",
        "settings: {main: {}, grpo: {training: {algoritm: grpo}}}\ntraining:",
    )
    with pytest.raises(
        UserError, match=r"settings\.grpo\.training: algoritm: unknown key; did you mean 'algorithm'\?"
    ):
        load_plan("demo", config)


def test_wrong_selections_are_refused():
    with pytest.raises(UserError, match="study: unknown key; did you mean 'studies'"):
        selection({"study": ["demo"]})
    assert selection({"studies": ["demo"]}).studies == ["demo"]


def test_broken_yaml_names_the_file(tmp_path):
    (tmp_path / "x.yaml").write_text("a: [1")
    with pytest.raises(UserError, match=r"x\.yaml, line 1: not YAML"):
        load_yaml(tmp_path / "x.yaml", Study)


def test_union_of_sources_lists_the_keys_of_the_source_meant():
    from rlvr.config.catalogue import DataCatalogue

    data = {"datasets": {"x": {"source": "local", "pth": "y.jsonl", "path": "z.jsonl"}}}
    with pytest.raises(
        UserError,
        match=r"datasets\.x\.pth: unknown key; did you mean 'path'\? "
        r"\(known keys: checks, columns, path, rows, source, split\)",
    ):
        parse(DataCatalogue, data, "datasets.yaml")


def test_only_values_are_suggested_and_no_word_between_them():
    from rlvr.config.catalogue import Checks

    with pytest.raises(UserError, match=r"'ignore'\)$"):
        parse(Checks, {"control_characters": "ignore"}, "datasets.yaml")
    with pytest.raises(UserError, match=r"did you mean 'drop'\?"):
        parse(Checks, {"control_characters": "dropp"}, "datasets.yaml")


def shipped_studies() -> list[str]:
    return sorted(path.stem for path in (REPOSITORY / "config" / "studies").glob("*.yaml"))


@pytest.mark.parametrize("study", shipped_studies())
def test_shipped_studies_are_valid(complete_config, study):
    named = configs(load_plan(study, complete_config))
    assert any(name.startswith("train/") for name in named)


def test_every_method_has_a_file_and_every_preset_fits_it(repository):
    from rlvr.config.presets import MethodFile

    files = {path.stem for path in (repository / "config" / "methods").glob("*.yaml")}
    assert files == set(methods())
    for name in methods():
        path = repository / "config" / "methods" / f"{name}.yaml"
        for preset in load_yaml(path, MethodFile).presets.values():
            get_method(preset.trains_as or name).Parameters(**preset.parameters)


def test_editing_one_value_changes_only_the_configurations_that_hold_it(config):
    edit(config / "studies" / "demo.yaml", "rates: demo-rates\n", "")  # else no run has the study's rate
    before = fingerprints(configs(load_plan("demo", config)))

    def changed(old: str, new: str) -> set[str]:
        text = (config / "studies" / "demo.yaml").read_text()
        edit(config / "studies" / "demo.yaml", old, new)
        after = fingerprints(configs(load_plan("demo", config)))
        (config / "studies" / "demo.yaml").write_text(text)
        return {name for name in before if before[name] != after[name]}

    runs = {name for name in before if name.startswith("train/")}
    assert changed("title: The paper in miniature", "title: Another") == {"study"}
    assert changed("learning_rate: 5.0e-3", "learning_rate: 2.0e-3") == runs
    assert changed("{method: lora, parameters: {rank: 8", "{method: lora, parameters: {rank: 4") == {
        "train/tiny--lora--recommended--main--s0"
    }
    assert changed("samples_per_problem: 8", "samples_per_problem: 16") == {
        "generate/sums",
        "grade/sums",
        "study",
    }


def test_compute_is_in_no_configuration(config):
    before = fingerprints(configs(load_plan("demo", config)))
    study = config / "studies" / "demo.yaml"
    study.write_text(study.read_text().replace("compute: {", "compute: {threads: 7, "))
    assert load_plan("demo", config).study.compute.threads == 7
    assert fingerprints(configs(load_plan("demo", config))) == before


def test_schemas_are_in_step_with_the_models(repository):
    found = {
        path.name.removesuffix(".schema.json"): path.read_text()
        for path in (repository / "workflow" / "schemas").glob("*.json")
    }
    assert found == schema_texts(), "run: make schemas"


def test_reference_is_in_step_with_the_models(repository):
    assert (repository / "config" / "README.md").read_text() == reference_text(), "run: make schemas"


def test_shipped_files_fit_their_schemas(repository):
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is in the dev extra")
    import json

    extending = json.loads(schema_texts()["study-extends"])
    for name, (_, pattern) in FILES.items():
        schema = json.loads((repository / "workflow" / "schemas" / f"{name}.schema.json").read_text())
        found = list(repository.glob(pattern.replace("NAME", "*")))
        assert found or name == "rates", "the first is written where a study has chosen rates"
        for path in found:
            content = yaml.safe_load(path.read_text())
            jsonschema.validate(content, extending if "extends" in content else schema)
            named = "study-extends" if "extends" in content else name
            assert f"schemas/{named}.schema.json" in path.read_text().splitlines()[0], path


def test_every_field_is_explained():
    for model, _ in FILES.values():
        schema = model.model_json_schema()
        for title, block in [("", schema), *schema.get("$defs", {}).items()]:
            for key, value in block.get("properties", {}).items():
                assert value.get("description"), f"{title}.{key} has no docstring"


def test_a_study_that_extends_another_says_only_what_differs(repository):
    paper, released = (load_plan(name, repository / "config").study for name in ("paper-1.5b", "released"))
    assert released.training == paper.training and released.evaluation == paper.evaluation
    assert released.title != paper.title and released.methods != paper.methods


def test_blocks_of_an_extended_study_are_merged_and_lists_replaced(config):
    path = config / "studies" / "mine.yaml"
    path.write_text("extends: demo\ntitle: Mine\nmethods: [{method: full}]\ntraining: {steps: 7}\n")
    mine, demo = (load_plan(name, config).study for name in ("mine", "demo"))
    assert [choice.method for choice in mine.methods] == ["full"]
    assert mine.training == demo.training.model_copy(update={"steps": 7})


def test_a_wrong_key_in_an_extended_study_is_found_in_its_own_file(config):
    path = config / "studies" / "mine.yaml"
    path.write_text("extends: demo\ntitle: Mine\ntraining:\n  stepz: 7\n")
    with pytest.raises(UserError, match=r"mine\.yaml, line 4: training\.stepz.*did you mean 'steps'"):
        load_plan("mine", config)


def test_studies_cannot_extend_each_other_in_a_circle(config):
    for name, other in (("a", "b"), ("b", "a")):
        (config / "studies" / f"{name}.yaml").write_text(f"extends: {other}\n")
    with pytest.raises(UserError, match="a -> b -> a is circular"):
        load_plan("a", config)
