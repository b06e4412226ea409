"""The worker process: compares answers with golds until its input closes or its parent kills it.

Started as a plain subprocess, not by `multiprocessing`: it inherits no module of the parent (no torch), no
open file and no lock, and the two sides exchange JSON lines, so nothing is ever unpickled.
"""

import json
import logging
import os
import resource
import signal
import sys
import warnings
from collections.abc import Callable
from typing import TextIO

ORPHAN_SECONDS = 2
LEAST_ROOM = 2**22
"""Bytes that must be free for a comparison to begin."""


def main() -> None:
    """Answer each line `{"golds": [...], "answer": ...}` with `{"outcome": ...}` or `{"error": ...}`."""
    memory_bytes, deadline, grader = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    replies = _private_stdout()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    compare = comparison(grader)
    compare([r"\frac{1}{2}+\sqrt{x}"], r"\sqrt{x}+0.50")  # load what is loaded on first use
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _reply(replies, {"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        # The parent kills at the deadline. Should it be gone, the kernel ends this process, busy or not.
        signal.alarm(int(deadline) + ORPHAN_SECONDS)
        try:
            bytearray(LEAST_ROOM)  # math-verify swallows a MemoryError, and would call the gold unreadable
            answer = compare(request["golds"], request["answer"])
        except MemoryError:
            sys.exit("a verifier worker reached its memory limit")
        except Exception as error:
            answer = {"error": type(error).__name__}
        signal.alarm(0)
        _reply(replies, answer)


def comparison(grader: str) -> Callable[[list[str], str], dict[str, object]]:
    """Return how ``grader`` compares golds with an answer; the graders of others know one gold."""
    if grader == "rlvr":
        from rlvr.verify.equivalence import algebra

        return lambda golds, answer: {"outcome": algebra.compare(golds, answer).value}
    from rlvr.verify.graders import released_compare

    return lambda golds, answer: released_compare.compare(grader, golds[0], answer)


def _private_stdout() -> TextIO:
    """Return the pipe to the parent, and send what libraries print to nowhere."""
    pipe = os.fdopen(os.dup(1), "w", encoding="ascii")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    return pipe


def _reply(pipe: TextIO, message: dict[str, object]) -> None:
    pipe.write(json.dumps(message) + "\n")
    pipe.flush()


if __name__ == "__main__":
    main()
