"""What jobs ask for: memory, time, threads and devices, from the plan of their study; and how often they are tried.

REQUIRED INPUTS: none
OUTPUTS: .snakemake/rlvr/needs/{study}.json, the plan as jobs read it
"""

import os
from functools import cache

from rlvr.planning import costs

# Memory and time of the jobs whose needs do not depend on the study.
LIGHT = {"mem_mb": 4000, "runtime": 30}
TABLES = {"mem_mb": 8000, "runtime": 60}
MODEL = {"mem_mb": 16000, "runtime": 120}


@cache
def costs_of(study):
    return checked(costs.Costs, plan_of(study))


@cache
def needs_of(study):
    """Return what the jobs of a study ask for: planned where the run starts, and read in its jobs."""
    written = FROZEN.parent / "needs" / f"{study}.json"
    if not workflow.is_main_process and written.exists():
        return costs.read_needs(written)
    needs = costs.needs_of_runs(costs_of(study))
    if workflow.is_main_process:
        costs.write_needs(written, needs)
    return needs


def planned(kind, need):
    """Return a function: what a job of a kind (`train`, `generate`) needs, from the plan or the study.

    A job for all trained runs of a study gets the largest of their needs.
    """

    def of(wildcards):
        study, needs = wildcards.study, needs_of(wildcards.study)
        runs = [wildcards.run] if hasattr(wildcards, "run") else trained_runs(study)
        return max(getattr(known(needs, run, f"study {study!r}")[kind], need) for run in runs)

    return of


def gpus_of(kind):
    """Return the same for GPUs, or None, which sets no resource: some clusters refuse even `gpu: 0`."""
    return lambda wildcards: planned(kind, "gpus")(wildcards) or None


def time_limit(wildcards, resources):
    """Return the option with the time limit of a job; only where the job of a cluster has one.

    Since Snakemake derives it from resources, it does not compare it: another limit is no reason to run a job again.
    """
    return ["--max-minutes", str(resources.runtime)] if workflow.remote_exec else []


RETRIES = "RLVR_RETRIES"


def attempts_left(wildcards, attempt):
    """Return how many attempts of a job may follow; only the main process knows, so jobs get it from there."""
    if workflow.is_main_process and workflow.execution_settings:
        os.environ[RETRIES] = str(workflow.execution_settings.retries)
    return max(int(os.environ.get(RETRIES, attempt)) + 1 - attempt, 0)
