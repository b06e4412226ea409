"""Gold answers that are no answers, and golds that only look like them."""

import json

import pytest

from rlvr.data.golds import gold_finding
from rlvr.errors import UserError
from rlvr.files import read_json
from tests.helpers.problem_files import lines_of, local, prepare, write

KINDS = {
    "sentinel_answer": [
        "proof",
        "notfound",
        "None",
        "N/A",
        "n/a.",
        "nan",
        r"\text{None}",
        "$?$",
        "Not found",
        "Proof.",
        "not_found",
        "See the proof above",
    ],
    "marked_answer": [r"\boxed{3}", r"We get $\boxed{\frac12}$.", "#### 7", "3+4=7\n#### 7", r"\fbox{2}"],
    "list_answer": ['["1","2"]', '{"value": "3"}', "['1', '2']", "{'value': 3}", '["3"]', "[3]", "[]"],
    "choice_letter": ["A", "(C)", r"\text{(C)}", "B.", r"\textbf{D}", "$E$", "[F]"],
    "sentence_answer": [
        "She has 7 apples in total.",
        "The answer is 34.",
        "We add both numbers and obtain 34",
        "x=1\ny=2",
        "因为三角形的面积是六",
    ],
}
ANSWERS = [
    "34",
    "-1.5",
    "1,000",
    r"\frac{1}{2}",
    "[0, 1]",
    "[0,1)",
    r"\{1, 2\}",
    "{1, 2}",
    "[[1, 2], [3, 4]]",
    "(1, 2)",
    "x",
    "no solution",
    r"\text{no solution}",
    r"\emptyset",
    r"\text{empty}",
    "undefined",
    r"\infty",
    "Yes",
    "Evelyn",
    "DNE",
    r"\text{Monday, Tuesday and Friday}",
    "Navin and Luke",
    r"3 \text{ hours and } 5 \text{ minutes}",
    "4:40 a.m.",
    "$1$,$-1$",
    r"\begin{pmatrix} 1 \\ 2" "\n" r"\end{pmatrix}",
    "x^2 + y^2 = 1",
    "a",
    "AB",
    "3 apples",
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_recognised(kind):
    assert {
        gold: getattr(gold_finding(gold, "answer"), "kind", None) for gold in KINDS[kind]
    } == dict.fromkeys(KINDS[kind], kind)


@pytest.mark.parametrize("gold", ANSWERS)
def test_an_answer_is_no_finding(gold):
    assert gold_finding(gold, "answer") is None


def golds_file(folder, golds):
    rows = [{"problem": f"Problem {number}?", "answer": gold} for number, gold in enumerate(golds)]
    return local(write(folder, lines_of(*rows)), columns={})


@pytest.mark.parametrize(
    ("gold", "advice"),
    [
        ("She has 3+4=7.\n#### 7", "did you mean `columns.answer_form: after-hashes`?"),
        (r"So $\boxed{7}$.", "did you mean `columns.answer_form: boxed`?"),
        ('["7"]', "did you mean `columns.answer_form: any-of`"),
        (json.dumps({"value": "7"}), "name the answer in it, such as `columns.answer: answer.value`"),
        (
            "She has seven apples in total.",
            "did you mean another `columns.answer`, or `columns.answer_form: after-",
        ),
    ],
)
def test_a_data_set_whose_golds_cannot_be_matched_stops_with_the_setting_that_fits(tmp_path, gold, advice):
    entry = golds_file(tmp_path, [gold] * 15 + ["1"] * 5)
    with pytest.raises(UserError, match="nothing is prepared") as error:
        prepare(tmp_path, entry)
    assert "75 % of golds" in str(error.value) and advice in str(error.value)
    assert "(most rows have it: correct `columns`)" in str(error.value)
    assert len((tmp_path / "out.stopped.csv").read_text().splitlines()) >= 16


def test_golds_that_are_hardly_matched_stop_above_the_share_and_are_counted_below(tmp_path, caplog):
    golds = ["Both of them are right here.", "t(0,4]", *map(str, range(18))]
    entry = golds_file(tmp_path, golds)
    assert len(prepare(tmp_path, entry)) == 20
    kept = read_json(tmp_path / "out.provenance.json")["rows"]["kept_with_defects"]
    assert kept == {"sentence_answer": 1, "text_answer": 1}
    assert "kept: sentence_answer: 5 % of golds are sentences (1 of 20, all in out.kept.csv)" in caplog.text
    strict = entry.model_copy(update={"checks": entry.checks.model_copy(update={"most_unmatchable": 0.09})})
    with pytest.raises(
        UserError, match=r"(?s)hardly match 10 % of the golds.*raise checks.most_unmatchable \(0\.09\)"
    ):
        prepare(tmp_path, strict)


def test_choice_letters_are_counted_and_do_not_stop(tmp_path):
    prepare(tmp_path, golds_file(tmp_path, ["A", "(B)", "C"]))
    rows = read_json(tmp_path / "out.provenance.json")["rows"]
    assert rows["kept_with_defects"] == {"choice_letter": 3}


def test_a_stand_in_among_the_alternates_is_found(tmp_path):
    rows = [{"problem": "One?", "answer": ["1", "None"]}, {"problem": "Two?", "answer": ["2"]}]
    entry = local(write(tmp_path, lines_of(*rows)), columns={"answer_form": "any-of"})
    with pytest.raises(UserError, match=r"sentinel_answer: 50 % of golds"):
        prepare(tmp_path, entry)
