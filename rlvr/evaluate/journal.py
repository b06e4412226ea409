"""Finished samples on disk while others are drawn: one JSON line each, appended batch by batch.

A killed generation continues after its last whole line. The journal lies outside the declared outputs, which
Snakemake deletes before every attempt, and goes away when the Parquet file is published.
"""

import contextlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from rlvr.config.loading import parse
from rlvr.config.schema import Settings
from rlvr.errors import UserError


class Sample(Settings):
    """One drawn answer; a row of the samples file."""

    problem_id: str
    sample_index: int
    seed: int
    text: str
    n_tokens: int
    finish_reason: Literal["stop", "length"]
    seconds: float

    @property
    def key(self) -> tuple[str, int]:
        """What the sample is an answer to."""
        return self.problem_id, self.sample_index


class Journal:
    """The samples drawn so far of one generation.

    Args:
        path: the file, made on the first :meth:`append`.
        seeds: (problem, sample index) -> seed of every sample that is wanted.
    """

    def __init__(self, path: Path, seeds: dict[tuple[str, int], int]) -> None:
        self.path, self.seeds = path, seeds

    def read(self) -> dict[tuple[str, int], Sample]:
        """Return the samples by problem and sample index; a last line that was torn by a kill is cut off.

        Raises:
            UserError: any other damage; the message names file and line.
        """
        if not self.path.exists():
            return {}
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self.path, whole)
        samples: dict[tuple[str, int], Sample] = {}
        for number, line in enumerate(content[:whole].splitlines(), start=1):
            place = f"{self.path}, line {number}"
            try:
                sample = self._sample(line, place)
                if sample.key in samples:
                    raise UserError(f"{place}: sample {sample.key} stands here a second time")
            except UserError as error:
                raise UserError(f"{error}\ndelete {self.path} to draw these samples anew") from None
            samples[sample.key] = sample
        return samples

    def _sample(self, line: bytes, place: str) -> Sample:
        try:
            sample = parse(Sample, json.loads(line), place)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{place}: not JSON ({error})") from None
        if sample.key not in self.seeds:
            raise UserError(f"{place}: sample {sample.key} is not one of those that are wanted")
        if sample.seed != self.seeds[sample.key]:
            raise UserError(
                f"{place}: sample {sample.key} has seed {sample.seed}, not {self.seeds[sample.key]}"
            )
        return sample

    def append(self, samples: Iterable[Sample]) -> None:
        """Add finished samples; they are on disk when this returns."""
        lines = "".join(json.dumps(sample.model_dump()) + "\n" for sample in samples)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "ab") as file:
            file.write(lines.encode("ascii"))
            file.flush()
            os.fsync(file.fileno())

    def remove(self) -> None:
        """Delete the journal, and its folder where nothing else is in it."""
        self.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.path.parent.rmdir()
