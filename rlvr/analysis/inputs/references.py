"""Scored reference solutions of forgetting benchmarks, read and checked."""

from pathlib import Path

from rlvr.analysis.inputs.scores import require_same_problems
from rlvr.analysis.stats.resampling import Floats
from rlvr.artifacts import ReferenceScore, StudyFolder, read_rows
from rlvr.errors import UserError


def read_references(
    folder: StudyFolder, run: str, benchmark: str, problem_ids: list[str], grades_path: Path
) -> Floats:
    """Return the mean log-probability of a token of each reference [problems], in nats.

    Args:
        folder: of the study.
        run: name of the run.
        benchmark: name of the benchmark.
        problem_ids: the problems that were graded, sorted.
        grades_path: their grades, for messages.

    Raises:
        UserError: the file is missing or damaged, has a problem twice or without tokens, or other problems
            than the grades.
    """
    path = folder.references(run, benchmark)
    frame = read_rows(path, ReferenceScore).sort_values("problem_id", kind="stable", ignore_index=True)
    require_same_problems(problem_ids, grades_path, list(frame["problem_id"]), path)
    if len(frame) != len(problem_ids) or not (frame["n_tokens"] > 0).all():
        raise UserError(
            f"{path}: each problem must have one reference with at least one token; delete the file to "
            "rebuild it"
        )
    means: Floats = (frame["logprob"] / frame["n_tokens"]).to_numpy(dtype=float)
    return means
