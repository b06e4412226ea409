"""The section on forgetting and learning speed: the numbers of its tables, and what is censored."""

from rlvr.artifacts import ForgettingRow, write_rows, write_train_log
from tests.helpers.analysis_tree import reward_log
from tests.helpers.report_page import Page
from tests.helpers.report_tree import build, write_tables

RUNS = {"lora": [0.2] * 5 + [0.8] * 15, "dora": [0.2] * 20}


def test_both_tables_are_shown(small):
    for method, rewards in RUNS.items():
        path = small.folder.run(f"tiny--{method}--recommended--main--s0").train_log
        write_train_log(path, reward_log(rewards))
    write_tables(small)
    labels = {"study": "demo", "model": "tiny", "method": "lora", "preset": "recommended", "setting": "main"}
    common = {
        "se": 0.1,
        "p_value": 0.01,
        "p_holm": 0.02,
        "n_problems": 40,
        "train_seeds": 1,
        "missing_seeds": 0,
    }
    numbers = {
        "accuracy": {"before": 0.5, "after": 0.25, "difference": -0.25, "ci_low": -0.3, "ci_high": -0.2},
        "logprob": {"before": -1.0, "after": -1.5, "difference": -0.5, "ci_low": -0.6, "ci_high": -0.4},
    }
    write_rows(
        small.folder.table("forgetting"),
        ForgettingRow,
        [
            ForgettingRow(**labels, benchmark="sums", measure=measure, **common, **values)
            for measure, values in numbers.items()
        ],
    )
    page = Page(build(small))
    forgetting, learning = page.table("Forgetting"), page.table("Learning speed")
    assert [row[3:] for row in forgetting] == [
        ["50.0 %", "25.0 %", "−25.0 points", "−30.0 to −20.0", "0.020"],
        ["−1.000", "−1.500", "−0.500", "−0.600 to −0.400", "0.020"],
    ]
    assert [row[4:] for row in learning] == [
        ["0.500", "8", "8 to 8"],
        ["0.500", "> 60", "0 of 1 reached it"],
    ]


def test_without_a_forgetting_benchmark_there_is_only_the_speed(small):
    page = Page(build(small))
    assert len(page.table("Learning speed")) == 2
    assert not [e for e in page.all("caption") if e["text"].startswith("Forgetting")]
