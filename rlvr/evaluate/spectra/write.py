"""Measure the spectra of some runs, layer by layer, and write them as one table."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rlvr.artifacts import FailedRun, RunFolder, RunRecord, SpectrumRow, read_run, write_rows
from rlvr.config.resolved import BASE, checkpoint_name
from rlvr.evaluate.spectra.bases import Basis, singular_basis
from rlvr.evaluate.spectra.measures import (
    LEADING,
    SHARES,
    UpdateSvd,
    base_energies,
    cumulative,
    effective_rank,
    energies,
    principal_angles,
    stable_rank,
    svd_of_difference,
    svd_of_factors,
    unchanged_share,
)
from rlvr.evaluate.spectra.updates import TrainedRun, WeightUpdate

logger = logging.getLogger(__name__)

PRECISIONS = ("float32", "bfloat16", "float16")
"""In which weights are compared for having changed at all."""
TableRow = dict[str, Any]


def write_spectra(
    runs: Sequence[Path], output: Path, resources: Path, cache: Path, checkpoints: Path | None = None
) -> None:
    """Measure every weight that the runs trained and write one row per measure (`SpectrumRow`).

    Runs are read one after another, and the weights of a run one after another; kept from run to run are the
    rows, and :data:`LEADING` singular vectors of each update. The decomposition of a base weight is computed
    once and kept in ``cache``, for all runs of the model, now and later.

    A run that failed has no rows.

    Args:
        runs: folders ``results/STUDY/runs/RUN``.
        output: Parquet file to write.
        resources: folder that holds ``models/``.
        cache: folder for the decompositions of base weights.
        checkpoints: folder of the study's checkpoints; those of a run that are still there are measured too.

    Raises:
        UserError: a file of a run is missing or damaged, or its model is not the one it was trained on.
    """
    spectra = Spectra(cache)
    for folder in map(RunFolder, runs):
        record = read_run(folder.record)
        if isinstance(record, FailedRun):
            logger.warning("%s failed (%s): it has no spectrum", record.run_info.run, folder.record)
            continue
        trained = TrainedRun(record, resources / "models" / record.run_info.model)
        for step, state in _states(folder, record, checkpoints):
            spectra.measure(record, step, trained.updates(state))
            logger.info("%s: measured after step %d", record.run_info.run, step)
    write_rows(output, SpectrumRow, [*spectra.rows, *spectra.comparisons()])


def _states(folder: RunFolder, record: RunRecord, checkpoints: Path | None) -> Iterator[tuple[int, Path]]:
    """Yield the step and the file of every saved state of a run, in the order of the steps."""
    last = record.train_info.steps
    if checkpoints is not None:
        info, meta = record.run_info, record.meta_info
        hashes = {"model_sha256": meta.model_sha256, "data_sha256": meta.data_sha256}
        own = checkpoints / info.run / checkpoint_name(info.config, hashes)
        for path in sorted(own.glob("step-*/trained.safetensors")):
            step = int(path.parent.name.removeprefix("step-"))
            if step < last:
                yield step, path
    yield last, folder.trained


@dataclass
class Spectra:
    """The rows of the table so far, and what comparisons between runs need.

    Attributes:
        cache: folder for the decompositions of base weights.
        bases: models and layers whose base is in the table.
        leading: of the last state of every run, the first singular vectors of each update, by (side, layer).
    """

    cache: Path
    rows: list[TableRow] = field(default_factory=list)
    bases: set[tuple[str, str]] = field(default_factory=set)
    leading: list[tuple[RunRecord, dict[tuple[str, str], Tensor]]] = field(default_factory=list)

    def measure(self, record: RunRecord, step: int, updates: Iterator[WeightUpdate]) -> None:
        """Add the rows of one saved state of a run."""
        info = record.run_info
        vectors: dict[tuple[str, str], Tensor] = {}
        for update in updates:
            place = {"run": info.run, "step": step, "layer": update.layer or update.name}
            self.rows += _value_rows(place, _sizes(update))
            if update.layer:
                svd = _svd(update)
                basis = singular_basis(update.base, self.cache)
                self._add_base(info.model, update.layer, basis)
                self.rows += _value_rows(place, _ranks(svd))
                for measure, energy in energies(svd, basis, update.base).items():
                    self.rows += _curve_rows(place, measure, energy)
                vectors["right", update.layer] = svd.right[:, :LEADING].cpu()
                vectors["left", update.layer] = svd.left[:, :LEADING].cpu()
        if step == record.train_info.steps:
            self.leading.append((record, vectors))

    def _add_base(self, model: str, layer: str, basis: Basis) -> None:
        if (model, layer) not in self.bases:
            self.bases.add((model, layer))
            place = {"run": f"{model}--{BASE}", "step": 0, "layer": layer}
            self.rows += _curve_rows(place, "energy/base", base_energies(basis))

    def comparisons(self) -> Iterator[TableRow]:
        """Yield the rows of every pair of runs of one model and training seed, in every layer of both."""
        for (first, one), (second, other) in combinations(self.leading, 2):
            if _start(first) != _start(second):
                continue
            for side, layer in (key for key in one if key in other):
                place = {
                    "run": first.run_info.run,
                    "step": first.train_info.steps,
                    "layer": layer,
                    "other": second.run_info.run,
                }
                yield from _value_rows(place, _angles(side, one[side, layer], other[side, layer]))


def _start(record: RunRecord) -> tuple[str, int]:
    return record.run_info.model, record.run_info.train_seed


def _svd(update: WeightUpdate) -> UpdateSvd:
    if update.factors is not None:
        return svd_of_factors(*update.factors)
    return svd_of_difference(update.trained, update.base)


def _sizes(update: WeightUpdate) -> dict[str, float]:
    """Return the measures that every weight has, of any shape."""
    norm, base = float((update.trained - update.base).norm()), float(update.base.norm())
    return {
        "update/norm": norm,
        "update/relative_norm": norm / base if base else float("nan"),
        **{
            f"unchanged/{precision}": unchanged_share(update.trained, update.base, getattr(torch, precision))
            for precision in PRECISIONS
        },
    }


def _ranks(svd: UpdateSvd) -> dict[str, float]:
    return {
        "update/effective_rank": effective_rank(svd.values),
        "update/stable_rank": stable_rank(svd.values),
    }


def _angles(side: str, first: Tensor, second: Tensor) -> dict[str, float]:
    angles = principal_angles(first, second)
    if not len(angles):
        return {}
    return {
        f"overlap/{side}": float(torch.cos(torch.deg2rad(angles)).square().mean()),
        f"smallest_angle/{side}": float(angles[0]),
        f"largest_angle/{side}": float(angles[-1]),
    }


def _value_rows(place: Mapping[str, Any], values: Mapping[str, float]) -> list[TableRow]:
    return [_row(place, measure, float("nan"), value) for measure, value in values.items()]


def _curve_rows(place: Mapping[str, Any], measure: str, energy: Tensor) -> list[TableRow]:
    return [
        _row(place, measure, share, value) for share, value in zip(SHARES, cumulative(energy), strict=True)
    ]


def _row(place: Mapping[str, Any], measure: str, components: float, value: float) -> TableRow:
    return {"other": None, **place, "measure": measure, "components": components, "value": value}
