"""From graded samples to the tables of a study: ``summary.csv``, ``comparisons.csv``, ``budget.csv``.

A row stands for a method: the training seeds of one (model, method, preset, setting) are taken together.
``n_samples`` is the number of samples that the number rests on; an empty cell is what cannot be known.

Metrics of ``summary.csv`` on a benchmark, for K samples a problem. A name before a slash says which samples
or problems count, where not all do, or what if:

* ``avg@K``: share of samples that are right, those cut at the token limit as they were judged;
* ``avg@K/untruncated``: the same among the samples that ended by themselves (empty where none did);
* ``avg@K/truncated_as_incorrect``: the same as ``avg@K`` if every sample cut at the token limit were wrong;
* ``avg@K/lenient``: the same as ``avg@K`` if an answer in the wrong place counted (the column ``lenient`` of
  the grades);
* ``avg@K/contaminated``, ``avg@K/uncontaminated``: the same on the problems that stand in the training data and on the
  others; only where a benchmark has problems that were seen;
* ``pass@1, 2, 4 .. K``: unbiased estimates;
* ``maj@K``: majority vote over classes of equal answers (:mod:`rlvr.analysis.stats.votes`);
* ``rerun_se``: the SE of ``avg@K`` if the same trained models answered the same problems again, itself the
  value (no row where K is 1: one sample cannot show it); ``se`` of ``avg@K`` asks about other problems;
* ``no_answer_rate``, ``verifier_failure_rate`` (no verdict, counted as wrong), ``verifier_timeout_rate`` (the
  part of it that ran out of time), ``truncation_rate`` (cut at the token limit);
* ``tokens_mean``, ``tokens_p50``, ``tokens_p95``; of right and of wrong answers ``tokens_mean/correct``,
  ``tokens_mean/incorrect``;
* ``seconds_mean``: generation time of a sample; ``generation_device_seconds``: of all samples of all training
  seeds. (The column ``device_seconds`` is the cost of the training.)

Means over benchmarks, in the column ``benchmark``; the metric is ``avg@K``, or ``avg`` where the benchmarks
differ in K:

* ``overall``: each benchmark counts the same; with several training seeds its SE is not that of independent
  benchmarks, because one training run answers them all;
* ``overall_uncontaminated``: the same without the problems that were seen in training (a benchmark of which
  every problem was seen is left out); equal to ``overall`` where none was seen;
* ``overall_sample_weighted``: each sample counts the same, so that large benchmarks outweigh small ones. It
  is what the authors' script prints (``MikaStars39/PeRL``, ``perl/eval``), for comparison with their numbers;
* ``overall`` with the metric ``rerun_se``, where no benchmark has a K of 1: as above, for the macro mean;
* ``overall`` with the metric ``iqm``, from three training seeds on: interquartile mean over training seeds x
  benchmarks, with the stratified bootstrap of Agarwal et al. 2021.

Baselines of ``comparisons.csv`` are ``base``, ``full`` and ``lora`` with the same model and setting, where
the study has them. Holm's correction covers all methods and presets that share model, setting, baseline and
benchmark. ``n_samples`` counts both sides, ``train_seeds`` is the smaller number of the two.
``probability_of_improvement`` (over seeds x benchmarks, Agarwal et al. 2021) stands in the overall rows where
both sides have three training seeds or more.

``budget.csv``: the accuracy if every answer had been cut at ``budget`` tokens (:mod:`rlvr.analysis.tables.budget`).

All files are the same bytes for the same input: every draw has a seed of its own.
"""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from rlvr.analysis.inputs.contamination import read_seen
from rlvr.analysis.inputs.groups import LABELS, Row, read_groups
from rlvr.analysis.tables.budget import budget_rows
from rlvr.analysis.tables.comparisons import comparison_rows
from rlvr.analysis.tables.summary import summary_rows
from rlvr.config.resolved import StudyManifest, read_config
from rlvr.files import write_text

IDENTITY = ["study", *LABELS]
SUMMARY_COLUMNS = [
    *[*IDENTITY, "train_seeds", "benchmark", "metric", "value", "se", "ci_low", "ci_high"],
    *["n_problems", "n_samples", "trainable_parameters", "device_seconds"],
]
COMPARISON_COLUMNS = [
    *[*IDENTITY, "baseline", "benchmark", "difference", "se", "ci_low", "ci_high"],
    *["p_value", "p_holm", "minimum_detectable", "n_problems", "n_samples", "train_seeds"],
    *["probability_of_improvement", "improvement_ci_low", "improvement_ci_high"],
]
BUDGET_COLUMNS = [
    *[*IDENTITY, "train_seeds", "benchmark", "budget", "value", "se", "ci_low", "ci_high"],
    *["n_problems", "n_samples"],
]


def aggregate(
    study_manifest: Path,
    results: Path,
    contaminated: Path | None,
    summary: Path,
    comparisons: Path,
    budget: Path,
) -> None:
    """Write the tables of a study.

    Args:
        study_manifest: ``study.json``.
        results: folder of the study, with ``samples/``, ``grades/`` and ``runs/``.
        contaminated: CSV of the benchmark problems that stand in the training data; None where nobody has
            looked, and then there is no ``overall_uncontaminated``.
        summary: CSV to write, columns ``SUMMARY_COLUMNS``, a row a method, benchmark and metric.
        comparisons: CSV to write, columns ``COMPARISON_COLUMNS``, a row a method, baseline and benchmark.
        budget: CSV to write, columns ``BUDGET_COLUMNS``, a row a method, benchmark and token budget.

    Raises:
        UserError: a file is missing, damaged or incomplete, or problem sets or verifier versions differ.
    """
    study = read_config(study_manifest, StudyManifest)
    groups = read_groups(study, results)
    seen = read_seen(contaminated, study, groups) if contaminated else None
    tables = [
        (summary, SUMMARY_COLUMNS, [row for group in groups for row in summary_rows(group, study, seen)]),
        (comparisons, COMPARISON_COLUMNS, comparison_rows(groups, study, seen)),
        (budget, BUDGET_COLUMNS, list(budget_rows(groups, study))),
    ]
    for path, columns, rows in tables:
        _write_table(path, rows, columns, study.study)


def _write_table(path: Path, rows: Iterable[Row], columns: list[str], study: str) -> None:
    """Write rows as CSV; what cannot be known (NaN) is an empty cell, floats have ten digits."""
    frame = pd.DataFrame([{"study": study, **row} for row in rows], columns=columns)
    write_text(path, frame.to_csv(index=False, float_format="%.10g", lineterminator="\n"))
