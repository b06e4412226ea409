"""A process that has imported everything and forks a real `rlvr train` for each request, to be killed.

Importing costs seconds, a training on the tiny model less. A request is a line of JSON, the reply as well:

- `arguments`: of `rlvr train`;
- `kill_after`: seconds after the fork at which the process gets `signal`; null: never;
- `signal`: its number;
- `ranks`: processes that train together; the last one gets the signal.
"""

import json
import os
import socket
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
        self,
        arguments: list[str | Path],
        kill_after: float | None = None,
        signal: int = 9,
        ranks: int = 1,
    ) -> dict[str, Any]:
        """Train in a process of its own, or several; return their `exitcodes` (of a signal: negative).

        And `exitcode`, that of the last one, `seconds`, `shown`.
        """
        request = {
            "arguments": list(map(str, arguments)),
            "kill_after": kill_after,
            "signal": signal,
            "ranks": ranks,
        }
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


def _trained(arguments: list[str], kill_after: float | None, signal: int, ranks: int) -> dict[str, Any]:
    started, port = time.monotonic(), _free_port()
    with tempfile.TemporaryFile() as shown:
        children = [_forked(arguments, rank, ranks, port, shown.fileno()) for rank in range(ranks)]
        if kill_after is not None:
            last = children[-1]
            while time.monotonic() < started + kill_after and os.waitid(os.P_PID, last, _ENDED) is None:
                time.sleep(0.002)
            os.kill(last, signal)
        exitcodes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        seconds = time.monotonic() - started
        shown.seek(0)
        return {
            "exitcode": exitcodes[-1],
            "exitcodes": exitcodes,
            "seconds": seconds,
            "shown": shown.read().decode(),
        }


def _forked(arguments: list[str], rank: int, ranks: int, port: int, shown: int) -> int:
    """Return a process that trains, with the environment that `torchrun` gives it if there are several."""
    from rlvr.cli import main

    child = os.fork()
    if child == 0:
        os.dup2(shown, 1)
        os.dup2(shown, 2)
        if ranks > 1:
            place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "MASTER_PORT": port}
            os.environ.update({name: str(value) for name, value in place.items()}, MASTER_ADDR="127.0.0.1")
        os._exit(main(["train", *arguments]))
    return child


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _import_what_is_imported_on_use(arguments: list[str]) -> None:
    """Put a run together, but do no step: torch cannot differentiate after a fork if it has before."""
    from rlvr.dapo.setup import setup

    with tempfile.TemporaryDirectory() as folder:
        setup(*(Path(arguments[place]) for place in (0, 2, 4)), Path(folder))


_ENDED = os.WEXITED | os.WNOHANG | os.WNOWAIT

if __name__ == "__main__":
    _serve()
