"""The command line: examples that work, errors that a person can read."""

import re
import shlex

import pytest

from rlvr.cli import build_parser, main

VERBS = build_parser()._subparsers._group_actions[0].choices
"""Verb -> its parser."""


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_shows_an_example_that_parses(verb, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([verb, "--help"])
    text = capsys.readouterr().out
    example = " ".join(text.partition("example:")[2].split())
    assert example.startswith(f"rlvr {verb} ")
    arguments = build_parser().parse_args(shlex.split(example)[1:])
    assert arguments.verb == verb


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan", "dmeo"], "did you mean 'demo.yaml'"),
        (["plan", "demo", "--cell", "study"], "--cell needs -o FILE"),
        (["plan", "demo", "--cell", "train/nothing", "-o", "x.json"], "is not known"),
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
    assert re.match(r"error: ", errors)
    assert message in errors
    assert "Traceback" not in errors


def test_wrong_usage_is_exit_code_2():
    with pytest.raises(SystemExit, match="2"):
        main(["trian"])


def test_a_plan_names_every_method_once_and_what_it_really_trains(capsys, monkeypatch, repository):
    monkeypatch.chdir(repository)
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["plan", "smollm2-seeds"]) == 0
    shown = capsys.readouterr().out
    assert "…" not in shown
    assert "training seeds: 0 1 2" in shown
    assert shown.count(" dora ") == 1
    assert main(["plan", "audit"]) == 0
    assert re.search(r"ia3 \(trains.*\n\s+milora\)", capsys.readouterr().out)
