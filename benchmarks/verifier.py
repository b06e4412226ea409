r"""Speed and robustness of the verifier.

    python benchmarks/verifier.py speed --output speed.json [--problems dapo.jsonl]
    python benchmarks/verifier.py fuzz --count 10000 --output fuzz.json

`speed` grades completions of integer problems (JSONL with `answer`, such as the DAPO mix) with the verifier
and with math-verify in a loop, as trainers do; half of the completions are correct. `fuzz` grades hostile
answers made of LaTeX fragments and random characters; it counts statuses and finds the slowest verdict.
"""

import argparse
import itertools
import json
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from common import write_results

from rlvr.verify.graders.registry import grader_version
from rlvr.verify.pool import Verifier
from rlvr.verify.verdict import Item

TEX = r"""
\frac \sqrt \boxed { } { } ( ) [ ] ^ _ ! = < > , ; . : $ \$ % \\ \ \pm \sum_{k=1}^{9} \int_0^1
\binom{4}{2} \left( \right) \{ \} \text{and} x y n e i \pi \infty 0 1 7 99 12345678901234567890 1e9
10^{10} ^{9^{9}} \cup \in \begin{pmatrix} & ° \end{pmatrix} \log \ldots \approx f(x)
__import__('os')
"""
FRAGMENTS = [
    *TEX.split(),
    " or ",
    "\x00",
    "\u202e",
    "\U0001f600",
    " ",
]
GOLDS = [r"\frac{16}{3}", "x^2+1", "(-3,5]", "1009", r"\text{east}"]


def completions(problems: Path | None, count: int) -> list[Item]:
    """Return completions with their golds; every second answer is off by a random amount."""
    rng = random.Random(0)
    golds = read_golds(problems) if problems else [str(rng.randint(-999, 9999)) for _ in range(count)]
    items = []
    for index, gold in enumerate(itertools.islice(itertools.cycle(golds), count)):
        answer = int(gold) + (rng.randint(1, 100) if index % 2 else 0)
        completion = f"First {rng.randint(0, 99)}.\n\nTherefore the answer is $\\boxed{{{answer}}}$."
        items.append(Item(completion, gold))
    return items


def read_golds(problems: Path) -> list[str]:
    """Return the answers of a JSONL file."""
    return [json.loads(line)["answer"] for line in problems.read_text(encoding="utf-8").splitlines()]


def speed(problems: Path | None, count: int) -> dict[str, Any]:
    """Time both verifiers on the same completions, in verdicts per second, and compare their verdicts."""
    from math_verify import parse, verify

    items = completions(problems, count)
    parse("$1$"), verify(parse("$1$"), parse("$1$"))
    start = time.perf_counter()
    peer = [bool(verify(parse(f"${item.gold}$"), parse(item.text))) for item in items]
    peer_seconds = time.perf_counter() - start
    with Verifier() as verifier:
        start = time.perf_counter()
        ours = [verdict.correct for verdict in verifier.verify_many(items)]
        seconds = time.perf_counter() - start
    return {
        "completions": len(items),
        "verdicts_per_second": len(items) / seconds,
        "math_verify_verdicts_per_second": len(items) / peer_seconds,
        "speedup": peer_seconds / seconds,
        "disagreements": sum(a != b for a, b in zip(ours, peer, strict=True)),
    }


def hostile_answer(rng: random.Random) -> str:
    """Return fragments of LaTeX in random order, sometimes random characters, sometimes very long."""
    if rng.random() < 0.2:
        return "".join(chr(rng.randrange(1, 0x3000)) for _ in range(rng.randrange(80)))
    if rng.random() < 0.02:
        return rng.choice(FRAGMENTS) * rng.randrange(1, 20_000)
    return "".join(rng.choice(FRAGMENTS) for _ in range(rng.randrange(1, 30)))


def fuzz(count: int, workers: int) -> dict[str, Any]:
    """Grade ``count`` hostile answers; return statuses, the slowest verdict, and the correct ones."""
    rng = random.Random(0)
    items = [Item(rf"\boxed{{{hostile_answer(rng)}}}", rng.choice(GOLDS)) for _ in range(count)]
    verdicts = []
    with Verifier(workers) as verifier:
        for start in range(0, count, 500):
            verdicts += verifier.verify_many(items[start : start + 500])
            print(f"{len(verdicts)}/{count}", file=sys.stderr)
    seconds = [verdict.seconds for verdict in verdicts]
    correct = [item.text for item, verdict in zip(items, verdicts, strict=True) if verdict.correct]
    return {
        "answers": count,
        "statuses": dict(Counter(verdict.status for verdict in verdicts)),
        "slowest_seconds": max(seconds),
        "slowest_answer": items[seconds.index(max(seconds))].text[:200],
        "correct": correct[:20],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["speed", "fuzz"])
    parser.add_argument(
        "--problems", type=Path, help="JSONL with integer answers (speed); random integers without it"
    )
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    result = (
        speed(arguments.problems, arguments.count)
        if arguments.what == "speed"
        else fuzz(arguments.count, arguments.workers)
    )
    result = {"verifier_version": grader_version("rlvr"), **result}
    write_results(arguments.output, result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
