r"""Write the tables of `docs/performance.md` from the result files of the benchmarks.

    python benchmarks/tables.py

A table stands between `<!-- NAME -->` and `<!-- end -->`; without its result file it is left as it is.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from rlvr.files import read_json, write_text

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def machine(environment: dict[str, Any]) -> str:
    """Return a line about hardware, versions and code."""
    packages, hardware = environment["packages"], environment["hardware"]
    versions = ", ".join(f"{name} {packages[name]}" for name in ("torch", "transformers", "peft"))
    changed = " with changes" if environment["git_dirty"] else ""
    commit = (environment["git_commit"] or "unknown")[:7]
    return f"{hardware['processor']}, {hardware['cpu_count']} cores; {versions}; commit {commit}{changed}."


def training(measured: dict[str, Any]) -> str:
    """Return the table of a step beside TRL, by precision and threads."""
    names = ("step", "rollout", "update")
    rows = []
    for setting, one in measured.items():
        ours, theirs = one["rlvr"], one["trl"]
        for name in names:
            times = f"{ours[f'{name}_seconds']} s", f"{theirs[f'{name}_seconds']} s"
            rows.append([setting, name, *times, f"{one[f'{name}_speedup']} times faster"])
        rows.append([setting, "sync", f"{ours['sync_seconds']} s", "", ""])
        peaks = f"{ours['peak_gb']} GB", f"{theirs['peak_gb']} GB"
        rows.append([setting, "peak memory", *peaks, f"{one['memory_ratio']} times as much"])
        rate = ours["needed_tflop"] * 1e3 / ours["update_seconds"]
        text = f"{rate:.0f} of {ours['gemm_gflops_per_second']:.0f} GFLOP/s"
        rows.append([setting, "update over matrix products", text, "", f"{one['update_over_gemm']:.0%}"])
    return table(["setting", "", "this package", "TRL", "ratio"], rows)


def batching(measured: dict[str, Any]) -> str:
    """Return the table of static against continuous batching, in tokens a second."""
    rows = [[name, one["static"], one["continuous"]] for name, one in measured["batching"].items()]
    return table(["completions", "static", "continuous"], rows)


def live(measured: dict[str, Any]) -> str:
    """Return the table of live against merged sampling, in tokens a second."""
    rows = [[name, one["live"], one["merged"], one["live_cost"]] for name, one in measured["methods"].items()]
    return table(["method", "live", "merged", "merged / live"], rows)


def drift(measured: dict[str, Any]) -> str:
    """Return the table of noise and base drift over the steps."""
    marks = next(iter(measured.values()))
    rows = [
        [*kind.split(", "), what.replace("_", " "), *(f"{one[mark][what]:.3g}" for mark in marks)]
        for kind, one in measured.items()
        for what in ("noise", "base_drift")
    ]
    return table(["sync", "precision", "", *(f"step {mark}" for mark in marks)], rows)


def live_noise(measured: dict[str, Any]) -> str:
    """Return the table of what live serving loses, by method."""
    names = ("sync/noise_to_signal", "largest_difference", "moved", "sync/update_norm")
    rows = [[method, *(f"{one[name]:.3g}" for name in names)] for method, one in measured.items()]
    head = ["method", "noise", "largest difference of log-probabilities", "moved by", "norm of the update"]
    return table(head, rows)


def demo(measured: dict[str, Any]) -> str:
    """Return the table of the demo's jobs by stage."""
    rows = [
        [stage, one["jobs"], one["seconds"], one["cpu_seconds"]] for stage, one in measured["jobs"].items()
    ]
    return table(["stage", "jobs", "seconds", "CPU seconds"], rows)


def phases(measured: dict[str, Any]) -> str:
    """Return the table of the phases of training in the demo."""
    rows = [[run, *one.values()] for run, one in measured["training"].items()]
    return table(["run", *next(iter(measured["training"].values()))], rows)


def verifier(measured: dict[str, Any]) -> str:
    """Return the table of the verifier beside math-verify."""
    rows = [
        ["this package", round(measured["verdicts_per_second"])],
        ["math-verify", round(measured["math_verify_verdicts_per_second"])],
    ]
    return table(["", "verdicts a second"], rows)


def report(measured: dict[str, Any]) -> str:
    """Return the table of the commands that make tables and page, and of the page."""
    *commands, page = measured
    rows = [[f"`rlvr {name}`", *measured[name].values()] for name in commands]
    size = "{megabytes} MB, loaded in {load_seconds} s.".format(**measured[page])
    return table(["", "seconds", "CPU seconds", "peak GB"], rows) + f"\n\nThe page: {size}"


TABLES: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "training": ("training", training),
    "batching": ("engines", batching),
    "live": ("engines", live),
    "drift": ("drift", drift),
    "live-noise": ("live-noise", live_noise),
    "demo": ("demo", demo),
    "phases": ("demo", phases),
    "report": ("report", report),
    "verifier": ("verifier", verifier),
}
"""Name on the page -> result file, and what makes the table of it."""


def page_with_tables(page: str, results: Path) -> str:
    """Return the page with the tables of all result files that there are."""
    for name, (file, make) in TABLES.items():
        path = results / f"{file}.json"
        if path.exists():
            result = read_json(path)
            text = f"{machine(result['environment'])}\n\n{make(result['measured'])}"
            pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
            page = re.sub(pattern, lambda found, text=text: f"{found[1]}{text}\n{found[2]}", page, flags=re.S)
    return page


if __name__ == "__main__":
    write_text(PAGE, page_with_tables(PAGE.read_text(encoding="utf-8"), RESULTS))
