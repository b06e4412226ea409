"""How far two graders agree on the same stored samples."""

import json
import math
from pathlib import Path

from rlvr.analysis.inputs.scores import KEYS, one_version, read_rows
from rlvr.analysis.stats.agreement import verdict_agreement
from rlvr.errors import UserError


def agreement_as_json(first: Path, second: Path) -> str:
    """Return JSON on two grades files of the same samples: versions, counts, agreement, Cohen's kappa.

    ``kappa`` is null where both give one and the same verdict to every sample.

    Raises:
        UserError: a file is missing, damaged, or holds a sample twice or without a verdict, several versions
            of a verifier graded it, or the two judge different samples.
    """
    one, other = (read_rows(path, [*KEYS, "correct", "verifier_version"]) for path in (first, second))
    if list(one[KEYS].itertuples(index=False)) != list(other[KEYS].itertuples(index=False)):
        raise UserError(f"{first} and {second} do not judge the same samples; grade one samples file twice")
    found = verdict_agreement(one["correct"].to_numpy(), other["correct"].to_numpy())
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
