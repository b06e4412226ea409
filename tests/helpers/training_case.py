"""A training run of a test, started several times under several names."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TrainingCase:
    """A run and where it is written; each name has a folder and a state of its own."""

    folder: Path
    model: Path
    data: Path

    def command(self, config: Path, name: str) -> list[str | Path]:
        """Return the arguments of `rlvr train`."""
        places = ["--checkpoints", self.folder / f"state-{name}", "-o", self.folder / name]
        return [config, "--model", self.model, "--data", self.data, *places]

    def steps_saved(self, name: str) -> int:
        """Return the steps in the newest checkpoint."""
        found = sorted((self.folder / f"state-{name}").glob("*/step-*"))
        return int(found[-1].name.removeprefix("step-")) if found else 0
