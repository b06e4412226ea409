"""Print the samples of one problem (`rlvr show`)."""

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.text import Text

from rlvr.artifacts import Grade, Sample, StudyFolder, read_rows
from rlvr.artifacts.placeholders import why_no_rows
from rlvr.config.known import listed, nearest, unknown_name
from rlvr.config.resolved import BenchmarkEntry, StudyManifest, read_config
from rlvr.data.problems import read_problems
from rlvr.errors import UserError
from rlvr.report.text import visible

logger = logging.getLogger(__name__)

KEYS = ["problem_id", "sample_index"]


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredSample:
    """A sample with its grade; the fields of the grade are None where it has not been graded."""

    sample_index: int
    correct: bool | None
    lenient: bool | None
    status: str | None
    extracted: str | None
    verifier_version: str | None
    finish_reason: str
    n_tokens: int
    seconds: float
    seed: int
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredProblem:
    """A problem with samples of one run; problem and gold answer are None where the data are not here."""

    study: str
    run: str
    benchmark: str
    problem_id: str
    problem: str | None
    answer: str | None
    n_correct: int | None
    n_samples: int
    samples: list[StoredSample]


def find_problem(
    run: str,
    benchmark: str,
    problem_id: str,
    *,
    sample: int | None = None,
    study: str | None = None,
    results: Path = Path("results"),
    resources: Path = Path("resources"),
) -> StoredProblem:
    """Return a problem with the samples that a run has of it.

    Args:
        run: name of the run, ``MODEL--METHOD--PRESET--SETTING--sSEED`` or ``MODEL--base``.
        benchmark: name of the benchmark in the study.
        problem_id: id of the problem.
        sample: the only sample to return; None: all.
        study: name of the study; None: the one study that has the run.
        results: folder of all results.
        resources: folder that holds ``data/``.

    Raises:
        UserError: study, run, benchmark, problem or sample is not known, the run has no samples of the
            benchmark, or a file is damaged.
    """
    folder, manifest = _find_study(results, study, run)
    benchmarks = {entry.benchmark: entry for entry in manifest.benchmarks}
    if benchmark not in benchmarks:
        raise unknown_name(str(folder.manifest), "BENCHMARK", benchmark, benchmarks)
    samples = _read_samples(folder, run, benchmark)
    mine = samples[samples["problem_id"] == problem_id].sort_values("sample_index")
    if mine.empty:
        known = list(dict.fromkeys(samples["problem_id"]))
        raise unknown_name(str(folder.samples(run, benchmark)), "PROBLEM", problem_id, known)
    indices = [int(index) for index in mine["sample_index"]]
    if sample is not None and sample not in indices:
        raise UserError(
            f"{folder.samples(run, benchmark)}: --sample: problem {problem_id!r} has no sample {sample} "
            f"(it has {indices[0]} to {indices[-1]})"
        )
    text, answer = _read_problem(resources, benchmarks[benchmark], problem_id)
    graded = mine["correct"].notna().all()
    shown = mine if sample is None else mine[mine["sample_index"] == sample]
    return StoredProblem(
        study=manifest.study,
        run=run,
        benchmark=benchmark,
        problem_id=problem_id,
        problem=text,
        answer=answer,
        n_correct=int(mine["correct"].sum()) if graded else None,
        n_samples=len(mine),
        samples=[_sample(row) for row in shown.to_dict("records")],
    )


def problem_as_json(problem: StoredProblem) -> str:
    """Return one JSON object; texts are whole, and in ASCII so that a terminal shows every character."""
    return json.dumps(asdict(problem), indent=2)


def print_problem(problem: StoredProblem, console: Console | None = None) -> None:
    """Print a problem and its samples, with control and invisible characters spelled out.

    Colours are for terminals only, and lines are left whole.
    """
    console = console or Console(highlight=False)
    console.print(_page(problem), soft_wrap=True)


def _page(problem: StoredProblem) -> Text:
    counts = f"{problem.n_samples} samples"
    if problem.n_correct is not None:
        counts = f"{problem.n_correct} of {counts} correct"
    page = Text()
    page.append(f"{problem.benchmark}, problem {_line(problem.problem_id)}, {problem.run}\n", "bold")
    page.append(f"study {problem.study}, {counts}\n")
    page.append("\nProblem\n", "bold").append(_block(problem.problem))
    page.append("\nGold answer\n", "bold").append(_block(problem.answer))
    for sample in problem.samples:
        page.append(_sample_page(sample))
    page.right_crop()  # the line end that the console adds itself
    return page


def _sample_page(sample: StoredSample) -> Text:
    verdict, style = _verdict(sample.correct)
    page = Text().append(f"\nSample {sample.sample_index}: ", "bold").append(verdict, f"bold {style}")
    if sample.lenient is not None and sample.lenient != sample.correct:
        page.append(f" ({_verdict(sample.lenient)[0]} with answers outside the requested format)")
    facts = {
        "status": sample.status or "none",
        "extracted answer": "none" if sample.extracted is None else _line(sample.extracted),
        "finish reason": sample.finish_reason + (" (truncated)" if sample.finish_reason == "length" else ""),
        "tokens": str(sample.n_tokens),
        "seed": str(sample.seed),
        "grader": sample.verifier_version or "none",
        "completion": "",
    }
    page.append("\n")
    for name, value in facts.items():
        page.append(f"  {name:<18}".rstrip() if not value else f"  {name:<18}", "dim").append(f"{value}\n")
    return page.append(_block(sample.text))


def _verdict(correct: bool | None) -> tuple[str, str]:
    if correct is None:
        return "not graded", "yellow"
    return ("correct", "green") if correct else ("incorrect", "red")


def _line(text: str) -> str:
    """Return untrusted text on one line."""
    return visible(text).replace("\n", "\\n")


def _block(text: str | None) -> Text:
    """Return untrusted text with a bar before each line, so that it cannot pass for ours."""
    if text is None:
        return Text("  not here: the data of the benchmark are missing\n", "italic")
    return Text("".join(f"  | {line}\n" for line in visible(text).split("\n")))


def _find_study(results: Path, study: str | None, run: str) -> tuple[StudyFolder, StudyManifest]:
    """Return the named study, or the only one that has the run."""
    folders = {path.parent.parent.name: StudyFolder(path.parent.parent) for path in _manifests(results)}
    if not folders:
        raise UserError(f"{results}: no study is here; run one first, or name the folder with --results")
    if study is not None and study not in folders:
        raise unknown_name(str(results), "--study", study, folders)
    names = list(folders) if study is None else [study]
    manifests = {name: read_config(folders[name].manifest, StudyManifest) for name in names}
    holders = [name for name in names if run in {entry.run for entry in manifests[name].runs}]
    if len(holders) > 1:
        raise UserError(
            f"{results}: the studies {', '.join(holders)} have a run {run!r}; choose with --study"
        )
    if not holders:
        known = list(dict.fromkeys(entry.run for manifest in manifests.values() for entry in manifest.runs))
        place = folders[names[0]].manifest if len(names) == 1 else results
        raise UserError(f"{place}: RUN: {run!r} is not known{nearest(run, known)} ({listed(run, known)})")
    return folders[holders[0]], manifests[holders[0]]


def _manifests(results: Path) -> list[Path]:
    return sorted(results.glob(str(StudyFolder(Path("*")).manifest)))


def _read_samples(folder: StudyFolder, run: str, benchmark: str) -> pd.DataFrame:
    """Return the samples of a run with their grades; these are missing where it has not been graded."""
    path, grades_path = folder.samples(run, benchmark), folder.grades(run, benchmark)
    if not path.exists():
        raise UserError(f"{path}: file not found: the run has no samples of {benchmark} yet")
    samples = read_rows(path, Sample)
    if samples.empty:
        reason = why_no_rows(path) or "the file has no rows; delete it to sample again"
        raise UserError(f"{path}: the run has no samples: {reason}")
    if not grades_path.exists():
        logger.warning("%s: file not found: the samples have not been graded", grades_path)
        return samples.reindex(columns=[*samples, *(name for name in Grade.columns() if name not in KEYS)])
    grades = read_rows(grades_path, Grade)
    for path_of, frame in ((path, samples), (grades_path, grades)):
        if frame.duplicated(KEYS).any():
            raise UserError(
                f"{path_of}: a sample is in the file more than once; delete the file to rebuild it"
            )
    return samples.merge(grades, on=KEYS, how="left")


def _read_problem(
    resources: Path, entry: BenchmarkEntry, problem_id: str
) -> tuple[str, str] | tuple[None, None]:
    path = resources / "data" / f"{entry.dataset}.parquet"
    if not path.exists():
        logger.warning("%s: file not found: problem and gold answer are not shown", path)
        return None, None
    problems = read_problems(path)
    found = problems[problems["id"].astype(str) == problem_id]
    if found.empty:
        logger.warning("%s: problem %r is not in the file", path, problem_id)
        return None, None
    return str(found["problem"].iloc[0]), str(found["answer"].iloc[0])


def _sample(row: dict[Any, Any]) -> StoredSample:
    values: dict[Any, Any] = {name: None if pd.isna(value) else value for name, value in row.items()}
    del values["problem_id"]
    flags = {name: None if values[name] is None else bool(values[name]) for name in ("correct", "lenient")}
    return StoredSample(**values | flags)
