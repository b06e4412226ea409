"""Agreement of two graders on the same stored samples."""

import json
import math
from pathlib import Path

from rlvr.analysis.inputs.scores import KEYS, one_version, read_sorted
from rlvr.analysis.stats.agreement import agreement_of
from rlvr.artifacts import Grade
from rlvr.errors import UserError


def agreement_as_json(first: Path, second: Path) -> str:
    """Return JSON on two files of grades for the same samples: versions, counts, agreement, Cohen's kappa.

    ``kappa`` is null where both graders give one and the same grade to every sample.

    Raises:
        UserError: a file is missing or damaged, has a sample more than once, or was graded by several
            versions of a grader, or the two files do not grade the same samples.
    """
    one, other = (read_sorted(path, Grade) for path in (first, second))
    if list(one[KEYS].itertuples(index=False)) != list(other[KEYS].itertuples(index=False)):
        raise UserError(f"{first} and {second} do not grade the same samples; grade one samples file twice")
    found = agreement_of(one["correct"].to_numpy(), other["correct"].to_numpy())
    report = {
        "first": one_version(first, one),
        "second": one_version(second, other),
        "n_samples": found.n_samples,
        "both_correct": found.both,
        "only_first_correct": found.only_first,
        "only_second_correct": found.only_second,
        "neither_correct": found.neither,
        "agreement": found.observed,
        "kappa": None if math.isnan(found.kappa) else found.kappa,
    }
    return json.dumps(report, indent=2)
