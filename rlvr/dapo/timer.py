"""Wall time of the phases of a step."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

PHASES = ("rollout", "reward", "update", "sync", "step")


class Timer:
    """Measures phases: ``with timer("reward"): ...``; a phase that is entered again adds up."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PHASES, 0.0)

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Add the wall time of the block to ``phase``."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[phase] += time.perf_counter() - started

    def metrics(self) -> dict[str, float]:
        """Return the columns ``time/PHASE_seconds`` of the training log."""
        return {f"time/{phase}_seconds": seconds for phase, seconds in self.seconds.items()}
