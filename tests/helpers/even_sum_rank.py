"""`rlvr` with a reward that a random model earns half the time: what the launcher starts in its tests.

`KILL_RANK_AT_CALL`, such as `1 3`: rank 1 kills itself when it rewards for the third time.
"""

import os
import signal
import sys
from typing import Any

import rlvr.dapo.setup
from rlvr.cli import main
from tests.helpers.forked_trainer import even_sum


def _reward() -> Any:
    rank, call = map(int, os.environ.get("KILL_RANK_AT_CALL", "-1 -1").split())
    calls = iter(range(1, 10_000))

    def reward(problems: Any, completions: Any) -> list[float]:
        if next(calls) == call and rank == int(os.environ["RANK"]):
            os.kill(os.getpid(), signal.SIGKILL)
        return even_sum(problems, completions)

    return reward


if __name__ == "__main__":
    rlvr.dapo.setup.verified_reward = lambda *_: _reward()
    sys.exit(main())
