"""YAML files: keys given twice, files that are none, and the lines that messages name."""

import random
import shutil
from pathlib import Path

import pytest
import yaml

from rlvr.config.claims import load_claims
from rlvr.config.documents import Place
from rlvr.config.loading import read_yaml
from rlvr.config.reference import FILES
from rlvr.config.studies import load_study
from rlvr.errors import UserError
from rlvr.planning.checks import check_plan
from rlvr.planning.notices import notices
from rlvr.planning.plan import load_plan
from tests.helpers.paths import REPOSITORY

YAML_FILES = sorted((REPOSITORY / "config").rglob("*.yaml"))


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "x.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", r"x\.yaml, line 3: a: this key is given twice, first in line 1"),
        ("a:\n  b: {c: 1, c: 2}\n", r"line 2: a\.b\.c: this key is given twice, first in line 2"),
        ("- x\n- {k: 1,\n   k: 2}\n", r"line 3: 1\.k: this key is given twice, first in line 2"),
        ('"a": 1\na: 2\n', r"line 2: a: this key is given twice"),
        ("a: {<<: {b: 1}, b: 2, b: 3}\n", r"line 1: a\.b: this key is given twice"),
    ],
)
def test_a_key_given_twice_is_refused_with_both_lines(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read_yaml(written(tmp_path, text))


def test_all_keys_given_twice_are_named_together(tmp_path):
    with pytest.raises(UserError) as error:
        read_yaml(written(tmp_path, "a: 1\na: 2\nb: 1\nb: 2\n"))
    assert str(error.value).count("given twice") == 2


@pytest.mark.parametrize(
    "text",
    [
        "base: &b {k: 1}\na: {<<: *b, k: 2}\n",  # a merge may be overridden
        "p: &p {k: 1}\nq: &q {k: 2}\na: {<<: *p, <<: *q}\n",
        "a: {k: 1}\nb: {k: 1}\nc: [{k: 1}, {k: 1}]\n",
        "1: a\n'1': b\n",
    ],
)
def test_what_only_looks_like_a_key_given_twice_is_read(tmp_path, text):
    assert read_yaml(written(tmp_path, text))[0] == yaml.safe_load(text)


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: path.stem)
def test_every_file_of_the_configuration_refuses_a_top_level_key_given_twice(path, tmp_path):
    text = path.read_text()
    first = next(key for key in yaml.safe_load(text))
    with pytest.raises(UserError, match=f"{first}: this key is given twice"):
        read_yaml(written(tmp_path, f"{text}\n{first}: 1\n"))


PROBE = """
extends: demo
title: A study that needs every file
methods: {set: paper}
evaluation: {preset: recommended}
prompt: boxed
"""


def test_every_catalogue_is_read_with_that_check(tmp_path):
    shutil.copytree(REPOSITORY / "config", tmp_path / "config")
    elsewhere = ("config", "rates")  # of the latter there may be none
    names = [path.removeprefix("config/") for name, (_, path) in FILES.items() if name not in elsewhere]
    for name in names:
        path = tmp_path / "config" / name.replace("studies/NAME", "studies/demo").replace("NAME", "lora")
        text = path.read_text()
        path.write_text(text + f"{next(iter(yaml.safe_load(text)))}: null\n")
        study = tmp_path / "config" / "studies" / "probe.yaml"
        study.write_text(PROBE)
        with pytest.raises(UserError, match=rf"{path.name}, line \d+: \w+: this key is given twice"):
            load_plan("probe", tmp_path / "config")
            load_claims(tmp_path / "config")
        path.write_text(text)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: é\n".encode("utf-16"), r"x\.yaml: the file is UTF-16; save it as text in UTF-8"),
        ("a: 1\n".encode("utf-16-le"), r"binary, or text in UTF-16"),
        (bytes(range(256)), r"binary, or text in UTF-16"),
        (
            "a: 1\nb: é\n".encode("latin-1"),
            r"line 2: byte 0xe9 is not UTF-8; save the file as UTF-8",
        ),
        (b"a: 1\nb: \x07\n", r"line 2: control character '\\x07'; delete it"),
        (b"a:\n\tb: 1\n", r"line 2: not YAML: .*indent with spaces, not tabs"),
        (b"a: *nowhere\n", r"line 1: not YAML: .*an alias `\*name` needs an anchor"),
        (
            b"a: b: c\n",
            r"line 1: not YAML: .*check the indentation, and put a text .* in quotes",
        ),
        (b"a: &x [*x]\n", r"line 1: a\.0: an anchor holds itself"),
        (b"a: 2024-13-45\n", r"line 1: not YAML: '2024-13-45' is not a valid timestamp"),
        (b"a: !!int many\n", r"line 1: not YAML: 'many' is not a valid int"),
        (b"a: !!python/object:os.system {}\n", r"line 1: not YAML: could not determine a constructor"),
        (b"? [a]\n: 1\n", r"line 1: not YAML: found unhashable key"),
        (b"a: 1\n---\na: 2\n", r"line 2: not YAML: .*another document"),
        (b"[" * 3000, r"nested too deeply"),
    ],
)
def test_a_file_that_is_none_is_named_with_its_line(tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        read_yaml(written(tmp_path, content))


def test_a_folder_and_a_missing_file_are_named(tmp_path):
    with pytest.raises(UserError, match="a folder, not a file"):
        read_yaml(tmp_path)
    (tmp_path / "demo.yaml").touch()
    with pytest.raises(UserError, match=r"dmeo\.yaml: file not found; did you mean 'demo\.yaml'\?"):
        read_yaml(tmp_path / "dmeo.yaml")


def test_a_byte_order_mark_and_an_empty_file_are_read(tmp_path):
    assert read_yaml(written(tmp_path, b"\xef\xbb\xbfa: 1\n"))[0] == {"a": 1}
    assert read_yaml(written(tmp_path, b""))[0] is None


def test_a_place_is_the_nearest_part_that_a_file_gives(tmp_path):
    _, below = read_yaml(written(tmp_path, "a:\n  b:\n    - x\n    - c: 1\n"))
    (tmp_path / "above").mkdir()
    _, above = read_yaml(written(tmp_path / "above", "# own\na:\n  d: 1\n"))
    place = Place("both", (*above.layers, *below.layers))
    lines = [
        str(place.at(*keys)).removeprefix(str(tmp_path))
        for keys in (("a",), ("a", "b", 1, "c"), ("a", "b", 7), ("a", "d"), ("z",))
    ]
    assert lines == [
        "/above/x.yaml, line 2: a",
        "/x.yaml, line 4: a.b[1].c",
        "/x.yaml, line 2: a.b[7]",
        "/above/x.yaml, line 3: a.d",
        "/above/x.yaml, line 2: z",
    ]


ODD = [
    *("null", "true", "[]", "{}", "[0.9]", "-1", "0", ".inf", ".nan", "1e400", "9" * 40, "'x'", "LoRA", "~"),
    *("[[], {}]", "{a: {b: [1]}}", "2024-02-30", "*gone", "&a [*a]", "!!int x", "? x", "\ttab", '"\\ud800"'),
    *("0x" + "f" * 5000, "yes", "1:30", "é", "- - -", "%", "'", "{{}}", "{[]: 1}", "!!set {a, b}", "<<: 3"),
]
"""Values that YAML reads in surprising ways, or not at all."""


def mutated(text: str, source: random.Random) -> bytes:
    """Return the text of a study with one to three faults."""
    lines = text.splitlines()
    for _ in range(source.randint(1, 3)):
        at = source.randrange(len(lines))
        key, colon, _ = lines[at].partition(":")
        kind = source.randrange(6)
        if kind == 0 and colon:
            lines[at] = f"{key}: {source.choice(ODD)}"
        elif kind == 1:
            lines.insert(at, source.choice(lines))
        elif kind == 2:
            lines[at] = " " * source.randint(0, 5) + lines[at].strip()
        elif kind == 3:
            start = source.randrange(len(lines[at]) + 1)
            lines[at] = lines[at][:start] + source.choice([*ODD, "{", "]", ":", ",", "#"]) + lines[at][start:]
        elif kind == 4:
            del lines[at]
        else:
            words = lines[at].split(", ")
            source.shuffle(words)
            lines[at] = ", ".join(words)
    data = "\n".join(lines).encode()
    return bytes([source.randrange(256)]).join([data[:40], data[40:]]) if source.random() < 0.05 else data


def try_mutations(folder: Path, count: int, whole: bool) -> int:
    """Load mutated studies and return how many were refused; any other error than ours fails the test."""
    shutil.copytree(REPOSITORY / "config", folder / "config")
    studies = sorted((folder / "config" / "studies").glob("*.yaml"))
    texts = [path.read_text() for path in studies]
    refused = 0
    for seed in range(count):
        source = random.Random(seed)
        content = mutated(source.choice(texts), source)
        path = written(folder / "config" / "studies", content)
        try:
            if whole:
                plan = load_plan("x", folder / "config")
                check_plan(plan, folder)
                notices(plan)
            else:
                load_study(path)
        except UserError as error:
            assert str(error)
            refused += 1
        except Exception as error:
            pytest.fail(f"seed {seed}: {type(error).__name__}: {error}\n{content!r}")
    return refused


def test_no_mutation_of_a_study_is_a_traceback(tmp_path):
    assert 100 < try_mutations(tmp_path, 200, whole=False) < 200


@pytest.mark.exhaustive
def test_no_mutation_of_a_study_is_a_traceback_in_the_plan(tmp_path):
    assert try_mutations(tmp_path, 3000, whole=True) > 1000
