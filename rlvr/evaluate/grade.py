"""Grade stored samples, with the verifier that gave the rewards or with another project's grader."""

import logging
from dataclasses import replace
from pathlib import Path

import pandas as pd

from rlvr.artifacts import Grade, Sample, read_rows, write_rows
from rlvr.artifacts.placeholders import why_no_rows, write_no_rows
from rlvr.config.choices import Grader
from rlvr.config.resolved import GradeConfig, read_config
from rlvr.data.problems import ALTERNATES, RULE, optional_column, read_problems
from rlvr.errors import UserError
from rlvr.verify.graders.registry import grader_version
from rlvr.verify.pool import Verifier
from rlvr.verify.verdict import Item, Verdict

logger = logging.getLogger(__name__)


def grade(
    config_path: Path, samples_path: Path, data: Path, output: Path, grader: Grader | None = None
) -> None:
    """Write one grade per sample; of a failed run there are none.

    Args:
        config_path: resolved configuration (`GradeConfig`).
        samples_path: Parquet file (:class:`rlvr.artifacts.Sample`).
        data: prepared benchmark.
        output: Parquet file (:class:`rlvr.artifacts.Grade`).
        grader: replaces the grader that the configuration names.

    Raises:
        UserError: a sample is of a problem that the benchmark does not have, is missing, or appears twice.
    """
    config = read_config(config_path, GradeConfig)
    samples = read_rows(samples_path, Sample)
    if samples.empty and (reason := why_no_rows(samples_path)):
        logger.warning("nothing to grade: %s", reason)
        return write_no_rows(output, Grade, reason)
    problems = read_problems(data).set_index("id")
    _check_complete(samples_path, samples, data, list(problems.index), config.samples_per_problem)
    items = _items(samples, problems, config)
    grader = grader or config.grader
    with Verifier(grader=grader) as verifier:
        verdicts = verifier.verify_many(items)
        lenient = lenient_verdicts(verifier, items, verdicts) if grader == "rlvr" else verdicts
    version = grader_version(grader)
    rows = (
        {
            "problem_id": problem_id,
            "sample_index": sample_index,
            "extracted": verdict.extracted,
            "correct": verdict.correct,
            "lenient": leniently.correct,
            "status": verdict.status,
            "verifier_version": version,
        }
        for problem_id, sample_index, verdict, leniently in zip(
            samples["problem_id"], samples["sample_index"], verdicts, lenient, strict=True
        )
    )
    write_rows(output, Grade, rows)


def lenient_verdicts(verifier: Verifier, items: list[Item], verdicts: list[Verdict]) -> list[Verdict]:
    """Return the verdicts with answers outside the requested format accepted where there is none inside it.

    Neither a reward nor the accuracy: it measures what a wrong format costs.
    """
    rows = [
        row
        for row, (item, verdict) in enumerate(zip(items, verdicts, strict=True))
        if verdict.status == "no_answer" and item.answer_format in ("boxed", "answer-line", "answer-tag")
    ]
    second = verifier.verify_many([replace(items[row], answer_format="lenient") for row in rows])
    found = dict(zip(rows, second, strict=True))
    return [found.get(row, verdict) for row, verdict in enumerate(verdicts)]


def _items(samples: pd.DataFrame, problems: pd.DataFrame, config: GradeConfig) -> list[Item]:
    """Pair every sample with its problem and the gold answer."""
    gold, text_of = problems["answer"].to_dict(), problems["problem"].to_dict()
    alternates, rules = (
        dict(zip(problems.index, optional_column(problems, name), strict=True)) for name in (ALTERNATES, RULE)
    )
    columns = (samples[name] for name in ("problem_id", "text", "finish_reason"))
    return [
        Item(
            text=text,
            gold=gold[problem_id],
            alternates=tuple(alternates[problem_id]),
            answer_format=config.answer_format,
            finish_reason=finish_reason,
            problem=text_of[problem_id],
            rule=rules[problem_id],
        )
        for problem_id, text, finish_reason in zip(*columns, strict=True)
    ]


def _check_complete(
    path: Path, samples: pd.DataFrame, data: Path, problem_ids: list[str], samples_per_problem: int
) -> None:
    """Check that the samples are k per problem of the benchmark, each once."""
    unknown = sorted(set(samples["problem_id"]) - set(problem_ids))
    if unknown:
        raise UserError(f"{path}: problem {unknown[0]!r} is not in {data}; regenerate the samples")
    repeated = samples[samples.duplicated(["problem_id", "sample_index"])]
    if len(repeated):
        row = repeated.iloc[0]
        raise UserError(
            f"{path}: sample {row['sample_index']} of problem {row['problem_id']!r} appears twice; "
            "regenerate the samples"
        )
    if len(samples) != len(problem_ids) * samples_per_problem:
        raise UserError(
            f"{path}: {len(samples)} samples instead of {samples_per_problem} for each of "
            f"{len(problem_ids)} problems; regenerate the samples"
        )
