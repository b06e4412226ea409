"""Whether the jobs of a study fit the partitions of a cluster, told before any is submitted.

The file is that of Snakemake's Slurm plugin (`partitions.yaml` of the profile). The plugin only warns where
no partition fits, and submits to the default one.
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlvr.config.loading import read_yaml
from rlvr.config.resolved import BASE
from rlvr.errors import UserError
from rlvr.planning.costs import Costs, Needs

LIMITS = {"gpus": "max_gpu", "memory_mb": "max_mem_mb", "minutes": "max_runtime", "threads": "max_threads"}
"""What a job needs -> the limit of a partition."""
NAMES = {"gpus": "gpu", "memory_mb": "mem_mb", "minutes": "runtime", "threads": "threads"}
"""What a job needs -> the resource of the workflow."""


@dataclass(frozen=True)
class Job:
    """Jobs of one kind with the same needs."""

    what: str
    """In words, such as `training of LoRA`."""
    needs: Needs
    keys: dict[str, str]
    """What it needs -> key of the study that sets it."""


def read_partitions(path: Path) -> dict[str, dict[str, float]]:
    """Return the limits of each partition: infinite where none is given, but 0 for GPUs.

    Raises:
        UserError: the file is missing or wrong.
    """
    content, place = read_yaml(path)
    partitions = content.get("partitions") if isinstance(content, dict) else None
    if not isinstance(partitions, dict) or not partitions:
        raise UserError(f"{place}: no `partitions`; give at least one with its limits")
    found = {}
    for name, limits in partitions.items():
        if not isinstance(limits, dict):
            raise UserError(f"{place.at('partitions', str(name))}: give its limits, such as max_runtime")
        found[str(name)] = {
            limit: _number(limits.get(limit), limit, f"{place.at('partitions', str(name), limit)}")
            for limit in LIMITS.values()
        }
    return found


def _number(value: Any, limit: str, where: str) -> float:
    if value is None:
        return 0.0 if limit == "max_gpu" else math.inf
    if limit == "max_runtime":
        return minutes(value, where)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"{where}: {value!r} is not a number")
    return float(value)


def minutes(value: Any, where: str) -> float:
    """Return a limit in minutes: a number, `48h`, `2d`, or Slurm's `D-HH:MM:SS`.

    Raises:
        UserError: it is none of these; ``where`` names it.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    text = str(value).strip()
    if text.lower() in ("unlimited", "infinite"):
        return math.inf
    if re.fullmatch(r"(\d+(\.\d+)?\s*[dhms]\s*)+", text):
        each = {"d": 1440.0, "h": 60.0, "m": 1.0, "s": 1 / 60}
        return sum(float(number) * each[unit] for number, unit in re.findall(r"([\d.]+)\s*([dhms])", text))
    if re.fullmatch(r"\d+-\d+(:\d+){0,2}|\d+(:\d+){0,2}", text):
        days, _, rest = text.rpartition("-")
        units = [float(part) for part in rest.split(":")]
        if days:
            hours, mins, seconds = [*units, 0.0, 0.0][:3]
        elif len(units) == 3:
            hours, mins, seconds = units
        else:
            hours, (mins, seconds) = 0.0, [*units, 0.0][:2]
        return 1440 * float(days or 0) + 60 * hours + mins + seconds / 60
    raise UserError(f"{where}: {value!r} is no time; give minutes, `48h` or `2-00:00:00`")


def check_partitions(costs: Costs, path: Path) -> None:
    """Check that every job of a study fits a partition.

    Raises:
        UserError: some do not, a line for each; or the file is missing or wrong.
    """
    if lines := list(unfit(study_jobs(costs), read_partitions(path), path)):
        raise UserError("\n".join(lines))


def study_jobs(costs: Costs) -> list[Job]:
    """Return the jobs of a study that its plan has the needs of, those with the same needs together."""
    named: dict[tuple[str, Needs], list[str]] = {}
    for cost in costs.runs.values():
        if cost.method != BASE:
            named.setdefault(("training", cost.train), []).append(cost.method)
        named.setdefault(("generation", cost.generate), []).append(cost.method)
    keys = {need: f"compute.{need}" for need in ("gpus", "memory_mb", "threads")}
    limits = {"training": "compute.train_minutes", "generation": "compute.generate_minutes"}
    return [
        Job(
            f"{kind} of {', '.join(dict.fromkeys(methods))}",
            needs,
            keys | {"minutes": limits[kind]},
        )
        for (kind, needs), methods in named.items()
    ]


def unfit(jobs: Iterable[Job], partitions: dict[str, dict[str, float]], path: Path) -> Iterator[str]:
    """Yield a line for each job that no partition takes: what it needs, why each refuses, and the way out."""
    for job in jobs:
        refusals = {name: _exceeded(job.needs, limits) for name, limits in partitions.items()}
        if not all(refusals.values()):
            continue
        asked = ", ".join(f"{NAMES[need]} {getattr(job.needs, need)}" for need in LIMITS)
        reasons = "; ".join(
            f"{name} has "
            + ", ".join(f"{LIMITS[need]} {partitions[name][LIMITS[need]]:g}" for need in exceeded)
            for name, exceeded in refusals.items()
        )
        nearest = min(refusals.values(), key=lambda exceeded: ("gpus" in exceeded, len(exceeded)))
        yield f"{job.what} ({asked}) fits no partition of {path}: {reasons}; {_way_out(job, nearest)}"


def _exceeded(needs: Needs, limits: dict[str, float]) -> list[str]:
    return [need for need, limit in LIMITS.items() if getattr(needs, need) > limits[limit]]


def _way_out(job: Job, exceeded: list[str]) -> str:
    ways = [f"set {job.keys[need]} of the study lower" for need in exceeded]
    limits = " and ".join(LIMITS[need] for need in exceeded)
    if "minutes" in exceeded:
        ways.append("a longer job continues in the next attempt, as often as `retries` says")
    return ", ".join([*ways, f'or correct {limits} there (`sinfo -o "%P %l %m %c %G"`)'])
