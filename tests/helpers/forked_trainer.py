"""A process that has imported everything and forks a real `rlvr train` for each request, to be killed.

Importing costs seconds, a training on the tiny model less. A request is a line of JSON, the reply as well:

- `arguments`: of `rlvr train`;
- `kill_after`: seconds after the fork at which the process gets `signal`; null: never;
- `signal`: its number.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.helpers.paths import REPOSITORY


class ForkedTrainer:
    """The process, seen from a test. Use it as a context manager."""

    def __enter__(self) -> "ForkedTrainer":
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.helpers.forked_trainer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        )
        return self

    def __exit__(self, *error: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def train(
        self, arguments: list[str | Path], kill_after: float | None = None, signal: int = 9
    ) -> dict[str, Any]:
        """Train in a process of its own; return `exitcode` (of a signal: negative), `seconds`, `shown`."""
        request = {"arguments": list(map(str, arguments)), "kill_after": kill_after, "signal": signal}
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        reply: dict[str, Any] = json.loads(self.process.stdout.readline())
        return reply


def even_sum(problems: Any, completions: Any) -> list[float]:
    """A reward that about half of a random model's completions earn."""
    return [float(sum(completion.token_ids) % 2 == 0) for completion in completions]


def _serve() -> None:
    import torch

    import rlvr.dapo.setup
    import rlvr.dapo.train
    import rlvr.methods.export

    torch.set_num_threads(1)
    rlvr.dapo.setup.verified_reward = lambda *_: even_sum
    for number, line in enumerate(sys.stdin):
        request = json.loads(line)
        if number == 0:
            _import_what_is_imported_on_use(request["arguments"])
        print(json.dumps(_trained(**request)), flush=True)


def _trained(arguments: list[str], kill_after: float | None, signal: int) -> dict[str, Any]:
    from rlvr.cli import main

    started = time.monotonic()
    with tempfile.TemporaryFile() as shown:
        child = os.fork()
        if child == 0:
            os.dup2(shown.fileno(), 1)
            os.dup2(shown.fileno(), 2)
            os._exit(main(["train", *arguments]))
        if kill_after is not None:
            while time.monotonic() < started + kill_after and os.waitid(os.P_PID, child, _ENDED) is None:
                time.sleep(0.002)
            os.kill(child, signal)
        exitcode = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        seconds = time.monotonic() - started
        shown.seek(0)
        return {"exitcode": exitcode, "seconds": seconds, "shown": shown.read().decode()}


def _import_what_is_imported_on_use(arguments: list[str]) -> None:
    """Put a run together, but do no step: torch cannot differentiate after a fork if it has before."""
    from rlvr.dapo.setup import setup

    with tempfile.TemporaryDirectory() as folder:
        setup(*(Path(arguments[place]) for place in (0, 2, 4)), Path(folder))


_ENDED = os.WEXITED | os.WNOHANG | os.WNOWAIT

if __name__ == "__main__":
    _serve()
