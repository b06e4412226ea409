"""How far two graders agree on the same stored samples."""

import json
import math
from pathlib import Path

from rlvr.analysis.agreement import verdict_agreement
from rlvr.errors import UserError
from rlvr.files import read_parquet

KEY = ["problem_id", "sample_index"]


def agreement_as_json(first: Path, second: Path) -> str:
    """Return JSON on two grades files of the same samples: versions, counts, agreement, Cohen's kappa.

    ``kappa`` is null where both give one and the same verdict to every sample.

    Raises:
        UserError: a file is missing or damaged, or they judge different samples.
    """
    columns = [*KEY, "correct", "verifier_version"]
    grades = {path: read_parquet(path, columns).sort_values(KEY) for path in (first, second)}
    one, other = (grades[path].reset_index(drop=True) for path in (first, second))
    if one.empty or not one[KEY].equals(other[KEY]):
        raise UserError(f"{first} and {second} do not judge the same samples; grade one samples file twice")
    found = verdict_agreement(one["correct"].to_numpy(), other["correct"].to_numpy())
    report = {
        "first": one["verifier_version"].iloc[0],
        "second": other["verifier_version"].iloc[0],
        "n_samples": found.n_samples,
        "both_correct": found.both,
        "only_first_correct": found.only_first,
        "only_second_correct": found.only_second,
        "neither_correct": found.neither,
        "agreement": found.observed,
        "kappa": None if math.isnan(found.kappa) else found.kappa,
    }
    return json.dumps(report, indent=2)
