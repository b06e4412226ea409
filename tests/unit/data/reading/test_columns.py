"""Fields of rows: dotted paths, chats, JSON text, forms of answers, and messages that name what was meant."""

import json
from decimal import Decimal

import pytest

from rlvr.data.reading.fields import UnusableError, as_text, nearest
from rlvr.errors import UserError
from tests.helpers.problem_files import GOOD, OTHER, lines_of, local, prepare, write

USER = {"role": "user", "content": GOOD["problem"]}
SYSTEM = {"role": "system", "content": "Be brief."}


def prepared(folder, row, **columns):
    """Prepare a file of one row and return the row."""
    frame = prepare(folder, local(write(folder, lines_of(row)), columns=columns))
    return frame.to_dict("records")[0]


@pytest.mark.parametrize(
    ("row", "path"),
    [
        ({"reward_model": {"ground_truth": "2"}}, "reward_model.ground_truth"),
        ({"reward_model": json.dumps({"ground_truth": "2"})}, "reward_model.ground_truth"),
        ({"answer": "{'value': '2'}"}, "answer.value"),
        ({"golds": [{"value": 3}, {"value": 2}]}, "golds.1.value"),
        ({"a.b": "2", "a": {"b": "3"}}, "a.b"),
    ],
    ids=["object", "JSON text", "Python text", "list", "a column with a dot in its name"],
)
def test_a_dotted_path_leads_into_objects_lists_and_json_text(tmp_path, row, path):
    assert prepared(tmp_path, {"problem": GOOD["problem"], **row}, answer=path)["answer"] == "2"


def test_a_row_may_be_a_list_of_messages(tmp_path):
    row = [{"from": "human", "value": GOOD["problem"]}, {"from": "assistant", "ground_truth": {"value": "2"}}]
    path = write(tmp_path, json.dumps([row, row]), "orz.json")
    checks = {"duplicate_problem": "keep"}
    columns = {"problem": "0.value", "answer": "1.ground_truth.value"}
    assert list(prepare(tmp_path, local(path, columns=columns, checks=checks))["answer"]) == ["2", "2"]
    with pytest.raises(
        UserError, match=r"no column 'problem' .*The data has \['0', '0\.from', '0\.value', '1'"
    ):
        prepare(tmp_path, local(path, columns={}))


@pytest.mark.parametrize(
    "chat",
    [
        [USER],
        [SYSTEM, USER],
        [{"role": "user", "content": "Before."}, {"role": "assistant", "content": "Yes."}, USER],
        [{"from": "system", "value": "Be brief."}, {"from": "human", "value": GOOD["problem"]}],
        [{"role": "user", "content": [{"type": "text", "text": GOOD["problem"]}]}],
        json.dumps([SYSTEM, USER]),
    ],
    ids=["user", "system", "turns", "from and value", "parts", "JSON text"],
)
def test_the_problem_of_a_chat_is_its_last_user_message(tmp_path, chat):
    assert prepared(tmp_path, {"prompt": chat, "answer": "2"}, problem="prompt")["problem"] == GOOD["problem"]


def test_the_system_message_is_kept_on_request_and_a_picture_is_marked(tmp_path):
    row = {"prompt": [SYSTEM, USER], "answer": "2"}
    kept = prepared(tmp_path, row, problem="prompt", system_message="keep")
    assert kept["problem"] == "Be brief.\n\n" + GOOD["problem"]
    parts = [{"type": "image"}, {"type": "text", "text": "What is it?"}]
    row = {"prompt": [{"role": "user", "content": parts}], "answer": "2"}
    assert prepared(tmp_path, row, problem="prompt")["problem"] == "<image>What is it?"


def test_a_list_as_problem_is_never_answered_by_the_advice_to_drop_the_rows(tmp_path):
    for prompt, message in (
        (
            ["a", "b"],
            r"'prompt' is a list of 2 parts, but not of chat messages; name one part, such as prompt\.0",
        ),
        ([{"role": "assistant", "content": "Hello."}], r"has no user message, only \['assistant'\]"),
        (
            {"text": "What?"},
            r"'prompt' is an object with the keys \['text'\]; name one of them, such as prompt\.text",
        ),
    ):
        with pytest.raises(UserError, match=message) as error:
            prepared(tmp_path, {"prompt": prompt, "answer": "2"}, problem="prompt")
        assert "(most rows have it: correct `columns`)" in str(error.value)
        assert "drop" not in str(error.value)


@pytest.mark.parametrize(
    ("answer", "form", "expected", "alternates"),
    [
        (34, "bare", "34", None),
        (34.0, "bare", "34", None),
        (0.5, "bare", "0.5", None),
        ("She has 3+4=<<3+4=7>>7.\n#### 7", "after-hashes", "7", None),
        (["2", "2.0"], "any-of", "2", ["2.0"]),
        ('["2", "\\\\frac{4}{2}"]', "any-of", "2", ["\\frac{4}{2}"]),
        (["1", "-1"], "all-of", "1, -1", None),
        ('["2"]', "list", "2", None),
        (r"So $\boxed{1}$, and then $\boxed{\frac{4}{2}}$.", "boxed", r"\frac{4}{2}", None),
        (r"\fbox{2}", "boxed", "2", None),
    ],
)
def test_answers_are_read_in_the_configured_form(tmp_path, answer, form, expected, alternates):
    row = prepared(tmp_path, {"problem": GOOD["problem"], "answer": answer}, answer_form=form)
    assert row["answer"] == expected
    assert (list(row["alternates"]) if "alternates" in row else None) == alternates


@pytest.mark.parametrize(
    ("answer", "form", "reason"),
    [
        (None, "bare", "'answer' is missing"),
        (True, "bare", "'answer' is a bool"),
        ("\ud800", "bare", "lone surrogate"),
        ("7", "after-hashes", "has no #### before"),
        ([], "any-of", "a list without answers"),
        (["2", " "], "all-of", "a blank answer"),
        (["2", None], "any-of", r"'answer\.1' is missing"),
        ("2", "any-of", "'answer' is '2', not a list"),
        (
            ["1", "2"],
            "list",
            "set `columns.answer_form: any-of` if each is correct, `all-of` if all are required",
        ),
        (["1", "2"], "bare", "'answer' is a list of 2; set `columns.answer_form: any-of`"),
        ([{"value": "2"}], "bare", r"is a list of 1 objects; name a field of one, such as answer\.0\.KEY"),
        (
            {"value": "2"},
            "bare",
            r"an object with the keys \['value'\]; name one of them, such as answer\.value",
        ),
        ("It is 2.", "boxed", r"'answer' has no \\boxed with an answer"),
        (r"It is \boxed{2", "boxed", r"'answer' has no \\boxed with an answer"),
    ],
)
def test_an_answer_in_another_form_says_which_form_it_has(tmp_path, answer, form, reason):
    message = rf"missing_field: 100 % of rows \(1 of 1\).*\n    line 1 \(id 'mine-1'\): .*{reason}"
    with pytest.raises(UserError, match=message):
        prepared(tmp_path, {"problem": GOOD["problem"], "answer": answer}, answer_form=form)


@pytest.mark.parametrize("number", ["2.50", "0.0000001", "123456789012345678901234567890.5", "9" * 38])
def test_a_decimal_keeps_its_digits(number):
    assert as_text(Decimal(number), "answer") == number
    assert as_text(Decimal(f"{number[:5]}E+3"), "answer") == f"{Decimal(number[:5]) * 1000:.0f}"


def test_bytes_that_are_no_text_are_named():
    with pytest.raises(UnusableError, match="'answer' is bytes, but not UTF-8 text"):
        as_text(b"\xff", "answer")


def test_instructions_are_removed_and_must_be_there(tmp_path, caplog):
    rows = [{**GOOD, "problem": f"Solve it.\n\n{GOOD['problem']}\n\nAnswer: last."}, OTHER]
    path = write(tmp_path, lines_of(*rows))
    columns = {"instructions": ["Solve it.", "Answer: last."]}
    frame = prepare(tmp_path, local(path, columns=columns))
    assert list(frame["problem"]) == [GOOD["problem"], OTHER["problem"]]
    assert "only 1 of 2 problems contain 'Solve it.' (key `columns.instructions`)" in caplog.text
    with pytest.raises(
        UserError, match=r"no problem contains 'Prove it\.' \(key `columns\.instructions`\); the first"
    ):
        prepare(tmp_path, local(path, columns={"instructions": ["Prove it."]}))


@pytest.mark.parametrize(
    ("name", "key", "columns", "expected"),
    [
        ("problem", "problem", ["id", "Problem", "answer"], "Problem"),
        ("problem", "problem", ["problem_idx", "question", "answer"], "question"),
        ("questoin", "problem", ["id", "question"], "question"),
        ("answer", "answer", ["prompt", "reward_model.ground_truth"], "reward_model.ground_truth"),
        ("answer", "answer", ["question", "solution", "final_answer"], "final_answer"),
        ("id", "id", ["problem", "answer", "unique_id"], "unique_id"),
        ("answer", "answer", ["x", "y"], None),
    ],
)
def test_the_nearest_column_is_found_by_spelling_or_by_what_public_data_call_it(name, key, columns, expected):
    assert nearest(name, key, columns) == expected
