"""The worker process: compares answers with gold answers until its input closes or its parent kills it.

Started as a plain subprocess, not by `multiprocessing`: it inherits no module, open file or lock of the
parent, and the two sides exchange JSON lines, so nothing is unpickled. It imports only what the comparison
needs (a contract in pyproject.toml): its address space is limited, and it is started again after every kill.
"""

import json
import logging
import os
import resource
import signal
import sys
import warnings
from collections.abc import Mapping
from typing import TextIO

from rlvr.verify.graders.registry import GRADERS

ORPHAN_SECONDS = 2
"""Seconds after the deadline at which a worker without a parent ends."""
LEAST_ROOM = 2**22
"""Bytes that must be free for a comparison to begin."""


def main() -> None:
    """Answer each line `{"golds": [...], "answer": ...}` with `{"outcome": ...}` or `{"error": ...}`."""
    memory_bytes, deadline, name = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    replies = _private_stdout()
    for request in (signal.SIGINT, signal.SIGTERM):  # the parent finishes its step, and ends this process
        signal.signal(request, signal.SIG_IGN)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    compare = GRADERS[name].compare
    compare([r"\frac{1}{2}+\sqrt{x}"], r"\sqrt{x}+0.50")  # imports what is imported on first use
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _send(replies, {"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        # The parent kills at the deadline; if it no longer exists, the kernel ends this process.
        signal.alarm(int(deadline) + ORPHAN_SECONDS)
        try:
            bytearray(LEAST_ROOM)  # math-verify catches a MemoryError and reports the gold as unreadable
            reply = compare(request["golds"], request["answer"])
        except MemoryError:
            sys.exit("a verifier worker reached its memory limit")
        except Exception as error:
            reply = {"error": type(error).__name__}
        signal.alarm(0)
        _send(replies, reply)


def _private_stdout() -> TextIO:
    """Return the pipe to the parent, and discard what libraries print."""
    pipe = os.fdopen(os.dup(1), "w", encoding="ascii")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    return pipe


def _send(pipe: TextIO, message: Mapping[str, object]) -> None:
    pipe.write(json.dumps(message) + "\n")
    pipe.flush()


if __name__ == "__main__":
    main()
