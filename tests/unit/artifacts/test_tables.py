"""Every table: written and read again, and everything that can be wrong with its file."""

import math
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import pytest

from rlvr.artifacts import (
    TABLES,
    AuditRow,
    BudgetRow,
    ComparisonRow,
    ContaminatedProblem,
    ContaminationRow,
    ForgettingRow,
    Grade,
    LeaderRow,
    LearningRow,
    RateRow,
    ReferenceScore,
    Row,
    RunRow,
    Sample,
    SpectrumRow,
    SummaryRow,
    read_columns,
    read_rows,
    write_rows,
)
from rlvr.errors import UserError
from rlvr.files import write_parquet

NAN = math.nan
VARIANT = {"study": "demo", "model": "tiny", "method": "lora", "preset": "paper", "setting": "main"}
KNOWN = {"se": 0.1, "ci_low": 0.2, "ci_high": 0.6}
UNKNOWN = {"se": NAN, "ci_low": NAN, "ci_high": NAN}
SAMPLE = {
    **{"problem_id": "sums-1", "seed": 2**62 + 1, "text": "<b>7</b>\n", "n_tokens": 3},
    **{"finish_reason": "stop", "seconds": 0.25},
}
GRADE = {"problem_id": "sums-1", "correct": True, "lenient": True, "status": "ok", "verifier_version": "1"}
SUMMARY = {
    **{
        **VARIANT,
        "train_seeds": 2,
        "planned_seeds": 3,
        "benchmark": "sums",
        "n_problems": 10,
        "n_samples": 40,
    },
    **{"trainable_parameters": 512, "device_seconds": 20.5},
}
COMPARISON = {
    **{**VARIANT, **KNOWN, "baseline": "base", "baseline_setting": "-", "difference": 0.25, "p_value": 0.01},
    **{"contrast": "methods", "baseline_preset": "-", "se_seeds": 0.1, "p_seeds": 0.03},
    **{"p_holm": 0.02, "minimum_detectable": 0.28, "n_problems": 10, "n_samples": 80, "train_seeds": 2},
    "missing_seeds": 1,
}
IMPROVEMENT = ("probability_of_improvement", "improvement_ci_low", "improvement_ci_high")
BUDGET = {**VARIANT, "train_seeds": 2, "benchmark": "sums", "budget": 64, "n_problems": 10, "n_samples": 40}
LEADER = {
    **{**VARIANT, "leader": "full", "leader_preset": "paper", "leader_setting": "main", "difference": -0.1},
    **{"p_value": 0.01, "p_corrected": 0.03, "train_seeds": 2, "missing_seeds": 0},
}
FORGETTING = {
    **{**VARIANT, "benchmark": "products", "before": 0.5, "after": 0.25, "difference": -0.25},
    **{"p_value": 0.01, "p_holm": 0.02, "n_problems": 10, "train_seeds": 2, "missing_seeds": 0},
}
LEARNING = {
    **{**VARIANT, "train_seeds": 3, "missing_seeds": 0, "planned_steps": 40},
    **{"first": 0.25, "best": 0.75, "area": 0.625, "level": 0.5},
}
STEPS = ("area_sd", "steps_to_level", "steps_earliest", "steps_latest")
RUN = "tiny--lora--recommended--main--s0"
AUDITED = {"id": "D6", "title": "Half", "paper": "32", "code": "16", "option": "`released`", "note": "-"}
SIDES = {"code_side": "lora released", "text_side": "lora paper", "model": "tiny", "benchmark": "sums"}
EFFECT = {
    **{"difference": -0.02, "ci_low": -0.05, "ci_high": 0.01, "p_value": 0.2, "p_holm": 0.4},
    **{"n_problems": 200, "train_seeds": 1},
}
SPECTRUM = {"run": RUN, "step": 40, "layer": "model.layers.0.self_attn.q_proj"}

TRIAL = {"run": "r0", "train_seed": 100, "learning_rate": 3e-3, "n_problems": 5, "n_samples": 20}
ROWS: dict[type[Row], list[Row]] = {
    Sample: [Sample(**SAMPLE, sample_index=index) for index in range(2)],
    Grade: [
        Grade(**GRADE, sample_index=0, extracted="7"),
        Grade(**GRADE | {"correct": False, "status": "no_answer"}, sample_index=1, extracted=None),
    ],
    SummaryRow: [
        SummaryRow(**SUMMARY, **KNOWN, metric="avg@4", value=0.375),
        SummaryRow(**SUMMARY, **UNKNOWN, metric="avg@4/untruncated", value=NAN),
    ],
    ComparisonRow: [
        ComparisonRow(**COMPARISON, benchmark="sums", compares="runs", **dict.fromkeys(IMPROVEMENT, NAN)),
        ComparisonRow(
            **COMPARISON, benchmark="overall", compares="methods", **dict.fromkeys(IMPROVEMENT, 0.75)
        ),
    ],
    LeaderRow: [LeaderRow(**LEADER, **KNOWN), LeaderRow(**LEADER, **UNKNOWN)],
    BudgetRow: [BudgetRow(**BUDGET, **KNOWN, value=0.5), BudgetRow(**BUDGET, **UNKNOWN, value=0)],
    ReferenceScore: [ReferenceScore(problem_id="sums-1", n_tokens=3, logprob=-1.5)],
    ForgettingRow: [
        ForgettingRow(**FORGETTING, **KNOWN, measure="accuracy"),
        ForgettingRow(**FORGETTING, **UNKNOWN, measure="logprob"),
    ],
    LearningRow: [
        LearningRow(**LEARNING, reached=3, **dict.fromkeys(STEPS, 7.5)),
        LearningRow(**LEARNING, reached=0, **dict.fromkeys(STEPS, NAN)),
    ],
    RunRow: [
        RunRow(
            **VARIANT,
            run="r0",
            train_seed=0,
            status="diverged",
            steps=7,
            planned_steps=40,
            reward_last=-1,
            attempts=1,
            device_seconds=20.5,
            reason="the reward, it collapsed",
            learning_rate=3e-3,
            rate_given_by="tuned",
            rate_trials=10,
        ),
        RunRow(
            **VARIANT,
            run="base",
            train_seed=NAN,
            status="not_trained",
            steps=NAN,
            planned_steps=NAN,
            reward_last=NAN,
            attempts=NAN,
            device_seconds=NAN,
            reason=None,
            learning_rate=NAN,
            rate_given_by=None,
            rate_trials=NAN,
        ),
    ],
    RateRow: [
        RateRow(
            **VARIANT, **TRIAL, status="finished", accuracy=0.5, mean_accuracy=NAN, chosen=True, edge="lowest"
        ),
        RateRow(
            **VARIANT, **TRIAL, status="crashed", accuracy=NAN, mean_accuracy=NAN, chosen=False, edge=None
        ),
    ],
    ContaminationRow: [ContaminationRow(dataset="sums-test", problems=10, contaminated=3)],
    ContaminatedProblem: [
        ContaminatedProblem(
            dataset="sums-test", problem_id="001", train_id="nan", similarity=0.97, same_answer=same
        )
        for same in (True, False)
    ],
    AuditRow: [
        AuditRow(**AUDITED, status="measured", study="audit-mini", **SIDES, **EFFECT),
        AuditRow(**AUDITED | {"paper": None}, status="not run"),
    ],
    SpectrumRow: [
        SpectrumRow(**SPECTRUM, other=RUN, measure="overlap/right", components=NAN, value=NAN),
        SpectrumRow(**SPECTRUM, other=None, measure="energy/right", components=0.5, value=0.75),
    ],
}
PARQUET = (Sample, Grade, ReferenceScore, SpectrumRow)


def file_of(folder: Path, kind: type[Row]) -> Path:
    return folder / f"{kind.__name__}.{'parquet' if kind in PARQUET else 'csv'}"


@pytest.fixture(params=TABLES, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> type[Row]:
    return request.param


def written(folder: Path, kind: type[Row]) -> Path:
    path = file_of(folder, kind)
    write_rows(path, kind, ROWS[kind])
    return path


def edited(folder: Path, kind: type[Row], **columns: Any) -> Path:
    """Write a table with some columns replaced, None removes one, past the checks of ``write_rows``."""
    frame = pd.DataFrame([dict(row) for row in ROWS[kind]], dtype=object)
    for name, values in columns.items():
        frame = frame.drop(columns=name) if values is None else frame.assign(**{name: values})
    path = file_of(folder, kind)
    if kind in PARQUET:
        write_parquet(path, frame.infer_objects())
    else:
        frame.to_csv(path, index=False)
    return path


def refused(path: Path, kind: type[Row], *words: str) -> None:
    with pytest.raises(UserError) as caught:
        read_rows(path, kind)
    for word in (str(path), "delete", "rebuild it", *words):
        assert word in str(caught.value)


def test_rows_survive_their_file(tmp_path: Path, kind: type[Row]) -> None:
    frame = read_rows(written(tmp_path, kind), kind)
    assert list(frame.columns) == kind.columns()
    for row, values in zip(ROWS[kind], frame.to_dict("records"), strict=True):
        assert repr(kind(**values)) == repr(row)  # NaN is not equal to itself


def test_dictionaries_and_frames_are_written_like_rows(tmp_path: Path, kind: type[Row]) -> None:
    first = written(tmp_path, kind).read_bytes()
    rows = [dict(reversed(dict(row).items())) for row in ROWS[kind]]
    for form in (rows, pd.DataFrame(rows)):
        path = file_of(tmp_path / "again", kind)
        write_rows(path, kind, form)
        assert path.read_bytes() == first


def test_a_table_without_rows_keeps_its_columns(tmp_path: Path, kind: type[Row]) -> None:
    path = file_of(tmp_path, kind)
    write_rows(path, kind, [])
    frame = read_rows(path, kind)
    assert list(frame.columns) == kind.columns() and frame.empty


def test_further_columns_are_left_out(tmp_path: Path, kind: type[Row]) -> None:
    path = edited(tmp_path, kind, more=1)
    assert list(read_rows(path, kind).columns) == kind.columns()


def test_every_column_is_required(tmp_path: Path, kind: type[Row]) -> None:
    for name in kind.columns():
        refused(edited(tmp_path, kind, **{name: None}), kind, f"column {name!r} is missing")


def test_every_column_has_its_type(tmp_path: Path, kind: type[Row]) -> None:
    for name in kind.columns():
        wrong = 1.5 if kind in PARQUET and isinstance(getattr(ROWS[kind][0], name), str) else "x"
        if kind in PARQUET or not isinstance(getattr(ROWS[kind][0], name), str):
            refused(edited(tmp_path, kind, **{name: wrong}), kind, name)


def test_only_optional_cells_may_be_empty(tmp_path: Path, kind: type[Row]) -> None:
    optional = {name for name, field in kind.model_fields.items() if type(None) in get_args(field.annotation)}
    for name in kind.columns():
        values = [getattr(row, name) for row in ROWS[kind]]
        path = edited(tmp_path, kind, **{name: pd.Series([None, *values[1:]], dtype=object)})
        if name in optional:
            assert pd.isna(read_rows(path, kind)[name].iloc[0])
        else:
            refused(path, kind, f"{name} is empty", "row 0" if kind in PARQUET else "line 2")


@pytest.mark.parametrize("kind", PARQUET, ids=lambda kind: kind.__name__)
def test_another_format_version_is_refused(
    tmp_path: Path, kind: type[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, kind)
    monkeypatch.setattr(kind, "format_version", 2)
    refused(path, kind, "format version 1", "reads 2")
    assert pd.read_parquet(written(tmp_path, kind)).attrs == {"format_version": 2}


def test_a_damaged_file_is_refused(tmp_path: Path, kind: type[Row]) -> None:
    path = written(tmp_path, kind)
    path.write_bytes(b"\xff" + path.read_bytes()[: path.stat().st_size // 2])
    refused(path, kind)
    path.write_bytes(b"")
    refused(path, kind)
    path.unlink()
    with pytest.raises(UserError, match="file not found"):
        read_rows(path, kind)


@pytest.mark.parametrize(
    ("kind", "column", "values", "words"),
    [
        (Sample, "finish_reason", ["stop", "eos"], ["row 1", "'eos'", "'stop' or 'length'"]),
        (Grade, "status", ["fine", "ok"], ["row 0", "'fine'", "'timeout'"]),
        (Grade, "correct", [1, 0], ["'correct'", "int64", "true or false"]),
        (Grade, "sample_index", [0.0, 1.0], ["'sample_index'", "float64", "a whole number"]),
        (Sample, "seconds", [True, False], ["'seconds'", "bool", "a number"]),
        (SummaryRow, "metric", ["avg@4", "avg@4/other"], ["line 3", "'avg@4/other'"]),
        (SummaryRow, "n_samples", [40, 40.5], ["line 3", "'40.5'", "a whole number"]),
        (SummaryRow, "value", [0.5, "a half"], ["line 3", "'a half'", "a number"]),
        (ContaminatedProblem, "same_answer", [True, "yes"], ["line 3", "'yes'", "true or false"]),
    ],
)
def test_a_wrong_value_is_named(
    tmp_path: Path, kind: type[Row], column: str, values: list[Any], words: list[str]
) -> None:
    refused(edited(tmp_path, kind, **{column: values}), kind, column, *words)


def test_wrong_rows_are_not_written(tmp_path: Path, kind: type[Row]) -> None:
    path = file_of(tmp_path, kind)
    rows = [dict(row) for row in ROWS[kind]]
    name = kind.columns()[0]
    for faulty in (
        [{key: value for key, value in row.items() if key != name} for row in rows],
        [row | {"more": 1} for row in rows],
        [row | {name: None} for row in rows],
        [row | {name: 1.5} for row in rows],
    ):
        with pytest.raises(ValueError, match=name if "more" not in faulty[0] else "more"):
            write_rows(path, kind, faulty)
    assert not path.exists()


def test_a_metric_that_is_not_documented_is_not_written(tmp_path: Path) -> None:
    row = dict(ROWS[SummaryRow][0]) | {"metric": "accuracy"}
    with pytest.raises(ValueError, match="accuracy"):
        SummaryRow(**row)
    with pytest.raises(ValueError, match="accuracy"):
        write_rows(tmp_path / "summary.csv", SummaryRow, [row])


def test_some_columns_are_read_and_checked_alone(tmp_path):
    path = written(tmp_path, Grade)
    table = read_columns(path, Grade, ["problem_id", "correct"])
    assert table.to_pandas().equals(read_rows(path, Grade)[["problem_id", "correct"]])
    frame = pd.read_parquet(path)
    for change, fault in (
        ({"correct": "yes"}, "column 'correct' holds .*string, not true or false"),
        ({"sample_index": 0.5}, "column 'sample_index' holds double, not a whole number"),
        ({"problem_id": None}, "column 'problem_id' has empty cells, not a text"),
    ):
        frame.assign(**change).to_parquet(path)
        assert len(read_columns(path, Grade, ["lenient"]))
        with pytest.raises(UserError, match=fault):
            read_columns(path, Grade, list(change))
    with pytest.raises(UserError, match="column 'nothing' is missing; the file has"):
        read_columns(path, Grade, ["correct", "nothing"])
    frame.attrs = {"format_version": 99}
    frame.to_parquet(path)
    with pytest.raises(UserError, match="format version 99"):
        read_columns(path, Grade, ["correct"])
