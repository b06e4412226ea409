"""Finished samples on disk while generation runs: one JSON line each, appended batch by batch.

A killed generation continues after its last complete line. The journal is removed when the tables of the run
have been written.
"""

import contextlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from rlvr.artifacts import Sample
from rlvr.config.loading import parse
from rlvr.errors import UserError

Key = tuple[str, int]
"""Problem id and sample index."""


class Journal:
    """The finished samples of one generation.

    Args:
        path: the file, made by the first :meth:`append`.
        seeds: seed of every sample of this generation.
    """

    def __init__(self, path: Path, seeds: dict[Key, int]) -> None:
        self.path, self.seeds = path, seeds
        self.problem_ids = {problem_id for problem_id, _ in seeds}

    def read(self) -> dict[Key, Sample]:
        """Return the samples by problem and sample index; an incomplete last line (a kill) is removed.

        Raises:
            UserError: any other damage; the message names file and line.
        """
        if not self.path.exists():
            return {}
        content = self.path.read_bytes()
        complete = content.rfind(b"\n") + 1
        if complete < len(content):
            os.truncate(self.path, complete)
        samples: dict[Key, Sample] = {}
        for number, line in enumerate(content[:complete].splitlines(), start=1):
            place = f"{self.path}, line {number}"
            try:
                sample = self._sample(line, place)
                if sample.key in samples:
                    raise UserError(f"{place}: sample {sample.key} appears twice")
            except UserError as error:
                raise UserError(f"{error}\ndelete {self.path} to regenerate its samples") from None
            samples[sample.key] = sample
        return {key: sample for key, sample in samples.items() if key in self.seeds}

    def _sample(self, line: bytes, place: str) -> Sample:
        try:
            sample = parse(Sample, json.loads(line), place)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{place}: not JSON ({error})") from None
        if sample.problem_id not in self.problem_ids:
            raise UserError(f"{place}: sample {sample.key} is not part of this benchmark")
        if sample.seed != self.seeds.get(sample.key, sample.seed):  # there may have been more per problem
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
        """Delete the journal, and its folder if nothing else is in it."""
        self.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.path.parent.rmdir()
