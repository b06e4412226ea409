"""The command line: examples that work, errors that a user can read."""

import json
import logging
import re
import shlex
import subprocess
import sys

import pytest

from rlvr.cli import main
from tests.helpers.cli_examples import VERBS, example_of


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_every_verb_ends_with_an_example_that_parses(verb, capsys):
    assert main([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.endswith("".join(f"    {line}\n" for line in example_of(verb).splitlines()))
    commands = example_of(verb).replace("\\\n", " ").splitlines()
    calls = [arguments for arguments in map(shlex.split, commands) if arguments[:2] == ["rlvr", verb]]
    assert calls
    for arguments in calls:
        VERBS[verb].make_context(verb, arguments[2:])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan", "dmeo"], "did you mean 'demo.yaml'"),
        (["resolve", "train/nothing", "--study", "demo", "-o", "x.json"], "'train/nothing' is not known"),
        (["resolve", "models/tyni", "-o", "x.json"], "did you mean 'models/tiny'"),
        (
            ["train", "no.json", "--model", "m", "--data", "d", "--checkpoints", "c", "-o", "o"],
            "no.json: file not found",
        ),
        (["verify", "no.jsonl", "-o", "o.jsonl"], "no.jsonl"),
    ],
)
def test_an_error_is_one_message_and_exit_code_1(arguments, message, capsys, monkeypatch, repository):
    monkeypatch.chdir(repository)
    assert main(arguments) == 1
    errors = capsys.readouterr().err
    assert re.search(r"^error: ", errors, re.MULTILINE)
    assert message in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "Did you mean 'train'?"),
        (["verify", "cases.jsonl"], "Missing option '-o' / '--output'"),
        (["grade", "--grader", "rlrv"], "'rlrv' is not one of"),
        (["resolve", "study", "-o", "x.json"], "'study' belongs to a study; add --study STUDY"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments, message, capsys):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "key", "value"),
    [
        (["train/tiny--lora--recommended--main--s0", "--study", "demo"], "method", "lora"),
        (["generate/sums", "--study", "demo"], "benchmark", "sums"),
        (["grade/sums", "--study", "demo"], "grader", "rlvr"),
        (["study", "--study", "demo"], "study", "demo"),
        (["models/tiny"], "source", "tiny"),
        (["data/sums-test"], "split", "test"),
    ],
)
def test_every_kind_of_configuration_is_resolved(arguments, key, value, monkeypatch, repository, tmp_path):
    monkeypatch.chdir(repository)
    assert main(["resolve", *arguments, "-o", str(tmp_path / "resolved.json")]) == 0
    assert json.loads((tmp_path / "resolved.json").read_text())[key] == value


def test_the_log_begins_with_the_command_where_the_output_is_not_the_result(
    capsys, monkeypatch, repository, tmp_path
):
    monkeypatch.chdir(repository)
    target = tmp_path / "an entry.json"
    main(["resolve", "models/tiny", "-o", str(target)])
    shown = capsys.readouterr()
    assert shown.err == f"$ rlvr resolve models/tiny -o '{target}'\n"
    assert not shown.out
    main(["methods", "--json"])
    shown = capsys.readouterr()
    assert not shown.err
    json.loads(shown.out)


def test_messages_of_the_package_are_plain_and_warnings_say_so(capsys):
    main(["--help"])
    logger = logging.getLogger("rlvr.some.module")
    logger.debug("hidden")
    logger.info("step %d", 3)
    logger.warning("nothing to learn from")
    assert capsys.readouterr().err == "step 3\nwarning: nothing to learn from\n"


def test_a_reader_that_stops_early_causes_no_traceback(repository):
    command = [sys.executable, "-m", "rlvr.cli", "methods", "--json"]
    with subprocess.Popen(command, cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_help_loads_neither_configuration_nor_torch(repository):
    code = (
        "import sys; from rlvr.cli import main; main(['--help']); "
        "print(*sys.modules.keys() & {'pydantic', 'yaml', 'rich', 'pandas', 'torch'}, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "\n")


def test_a_plan_names_every_method_once_and_what_it_really_trains(capsys, monkeypatch, repository):
    monkeypatch.chdir(repository)
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["plan", "smollm2-gpu"]) == 0
    shown = capsys.readouterr().out
    assert "…" not in shown
    assert "training seeds: 0 1 2" in shown
    runs, costs = shown.split("Cost on")
    assert runs.count(" dora ") == costs.count(" dora ") == 1
    assert main(["plan", "audit-mini"]) == 0
    assert re.search(r"ia3 \(trains(.*\n\s+| )milora\)", capsys.readouterr().out)
