import pandas as pd
import pytest

from tests.helpers.analysis_tree import Results, fails


@pytest.mark.parametrize("kind", ["grades", "samples"])
def test_a_missing_sample_is_refused(results: Results, kind: str) -> None:
    def lose(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[(frame["problem_id"] != "sums-3") | (frame["sample_index"] != 2)]

    path = results.edit(kind, "run2", "sums", lose)
    fails(results, path, "'sums-3'", "3 samples", "4", "missing [2]")


@pytest.mark.parametrize("kind", ["grades", "samples"])
def test_two_problems_do_not_make_up_the_samples_of_one(results: Results, kind: str) -> None:
    def halve(frame: pd.DataFrame) -> pd.DataFrame:
        first, second = frame["problem_id"] == "sums-0", frame["problem_id"] == "sums-1"
        late = frame["sample_index"] >= 2
        return frame[~(first & late) & ~(second & ~late)]

    path = results.edit(kind, "run2", "sums", halve)
    fails(results, path, "'sums-0'", "2 samples", "missing [2, 3]")


def test_a_file_of_samples_without_a_column_is_refused(results: Results) -> None:
    path = results.edit("samples", "run0", "sums", lambda frame: frame.drop(columns="n_tokens"))
    fails(results, path, "'n_tokens' is missing")


@pytest.mark.parametrize("kind", ["grades", "samples"])
def test_a_duplicated_sample_is_refused(results: Results, kind: str) -> None:
    path = results.edit(kind, "run1", "products", lambda frame: pd.concat([frame, frame.iloc[[5]]]))
    problem = pd.read_parquet(path)["problem_id"].iloc[5]
    fails(results, path, repr(problem), "more than once")


def test_fewer_samples_than_in_the_study_are_refused(results: Results) -> None:
    results.samples["sums"] = 8
    fails(
        results,
        results.folder.grades("run0", "sums"),
        "'sums-0'",
        "4 samples",
        "has 8 per problem",
        "[4, 5, 6, 7]",
    )


def test_more_samples_than_in_the_study_are_refused(results: Results) -> None:
    results.samples["sums"] = 2
    fails(results, results.folder.grades("run0", "sums"), "'sums-0'", "unexpected [2, 3]")


def test_grades_of_other_problems_than_the_samples_are_refused(results: Results) -> None:
    path = results.edit("samples", "run4", "sums", lambda frame: frame[frame["problem_id"] != "sums-9"])
    fails(results, f"{path}: problem 'sums-9' is missing")


def test_a_sample_without_a_grade_is_refused(results: Results) -> None:
    def blank(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.astype({"correct": object}).assign(
            correct=lambda frame: frame["correct"].where(frame["problem_id"] != "sums-1", None)
        )

    fails(results, results.edit("grades", "run0", "sums", blank), ": correct is empty", "delete the file")


def test_an_empty_file_is_refused(results: Results) -> None:
    fails(results, results.edit("grades", "run0", "sums", lambda frame: frame.iloc[:0]), "no rows")
