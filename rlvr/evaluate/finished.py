"""The samples that a table of an earlier attempt already has."""

import logging
from collections.abc import Mapping
from pathlib import Path

from rlvr.artifacts import Row, Sample, read_rows
from rlvr.artifacts.reading import read_attributes
from rlvr.errors import UserError
from rlvr.evaluate.journal import Key

FINGERPRINT = "fingerprint"
"""Attribute of a table of samples: :func:`rlvr.evaluate.generate.fingerprint`."""

logger = logging.getLogger(__name__)


def is_finished(path: Path, fingerprint: str, kind: type[Row]) -> bool:
    """Tell whether a table is there, undamaged, and of the same weights, problems and parameters."""
    try:
        same = path.exists() and read_attributes(path).get(FINGERPRINT) == fingerprint
        return same and not read_rows(path, kind).empty
    except UserError as error:
        logger.warning("%s; computing it again", error)
        return False


def finished_samples(path: Path, fingerprint: str, seeds: Mapping[Key, int]) -> dict[Key, Sample]:
    """Return the samples of a table that are wanted again; none from other weights, problems or parameters.

    Args:
        path: table of samples; it may be missing or damaged, which costs only time.
        fingerprint: of the samples that are wanted.
        seeds: seed of each of them.
    """
    if not path.exists():
        return {}
    try:
        if read_attributes(path).get(FINGERPRINT) != fingerprint:
            return {}
        rows = read_rows(path, Sample).to_dict("records")
    except UserError as error:
        logger.warning("%s; sampling again", error)
        return {}
    samples = (Sample.model_validate(row) for row in rows)
    return {sample.key: sample for sample in samples if seeds.get(sample.key) == sample.seed}
