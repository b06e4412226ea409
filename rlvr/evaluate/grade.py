"""Judge stored answers, by the verifier that gave the rewards or by the rules of others."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from rlvr.config.choices import Grader
from rlvr.config.resolved import GradeConfig, read_config
from rlvr.data.problems import ALTERNATES, read_problems
from rlvr.errors import UserError
from rlvr.files import read_parquet, write_parquet
from rlvr.verify.graders.registry import grader_version
from rlvr.verify.pool import Verifier
from rlvr.verify.verdict import Item, Verdict

SAMPLE_COLUMNS = ["problem_id", "sample_index", "text", "finish_reason"]


def grade(cell_path: Path, samples: Path, data: Path, output: Path, grader: Grader | None = None) -> None:
    """Write one verdict a sample.

    Args:
        cell_path: resolved grade cell.
        samples: stored answers.
        data: prepared benchmark.
        output: Parquet file.
        grader: whose rules judge; by default those that the cell names.

    Raises:
        UserError: a sample answers a problem that the benchmark does not have, is missing, or is doubled.
    """
    cell = read_config(cell_path, GradeConfig)
    drawn = read_parquet(samples, SAMPLE_COLUMNS)
    problems = read_problems(data).set_index("id")
    _check_samples(samples, drawn, data, problems.index, cell.samples_per_problem)
    gold = problems["answer"].to_dict()
    alternates = problems[ALTERNATES].to_dict() if ALTERNATES in problems else {}
    items = [
        Item(
            text=text,
            gold=gold[problem_id],
            alternates=tuple(alternates.get(problem_id, ())),
            answer_format=cell.answer_format,
            finish_reason=finish_reason,
        )
        for problem_id, text, finish_reason in zip(
            drawn["problem_id"], drawn["text"], drawn["finish_reason"], strict=True
        )
    ]
    judge = grader or cell.grader
    with Verifier(grader=judge) as verifier:
        verdicts = verifier.verify_many(items)
        lenient = look_again(verifier, items, verdicts) if judge == "rlvr" else verdicts
    grades = pd.DataFrame(
        {
            "problem_id": drawn["problem_id"],
            "sample_index": drawn["sample_index"],
            "extracted": [verdict.extracted for verdict in verdicts],
            "correct": [verdict.correct for verdict in verdicts],
            "lenient": [verdict.correct for verdict in lenient],
            "status": [verdict.status for verdict in verdicts],
            "verifier_version": grader_version(judge),
        }
    )
    write_parquet(output, grades)


def look_again(verifier: Verifier, items: list[Item], verdicts: list[Verdict]) -> list[Verdict]:
    """Return the verdicts if an answer may stand anywhere in a completion in which none was found.

    Never for rewards, and never the accuracy: it tells what an answer in the wrong place costs.
    """
    rows = [
        row
        for row, (item, verdict) in enumerate(zip(items, verdicts, strict=True))
        if verdict.status == "no_answer" and item.answer_format in ("boxed", "answer-line")
    ]
    again = verifier.verify_many([replace(items[row], answer_format="lenient") for row in rows])
    found = dict(zip(rows, again, strict=True))
    return [found.get(row, verdict) for row, verdict in enumerate(verdicts)]


def _check_samples(
    samples: Path, drawn: pd.DataFrame, data: Path, problem_ids: "pd.Index[Any]", samples_per_problem: int
) -> None:
    unknown = sorted(set(drawn["problem_id"]) - set(problem_ids))
    if unknown:
        raise UserError(f"{samples}: problem {unknown[0]!r} is not in {data}; generate the samples anew")
    doubled = drawn[drawn.duplicated(["problem_id", "sample_index"])]
    if len(doubled):
        row = doubled.iloc[0]
        raise UserError(
            f"{samples}: sample {row['sample_index']} of problem {row['problem_id']!r} stands there twice; "
            "generate the samples anew"
        )
    if len(drawn) != len(problem_ids) * samples_per_problem:
        raise UserError(
            f"{samples}: {len(drawn)} samples where {len(problem_ids)} problems x {samples_per_problem} "
            "are expected; generate the samples anew"
        )
