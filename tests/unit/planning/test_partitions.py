"""Jobs that fit no partition of a cluster are told before any is submitted."""

from pathlib import Path

import pytest

from rlvr.errors import UserError
from rlvr.planning.costs import Needs
from rlvr.planning.partitions import Job, minutes, read_partitions, unfit

KEYS = {need: f"compute.{need}" for need in ("gpus", "memory_mb", "threads")}
KEYS["minutes"] = "compute.train_minutes"


def job(gpus: int = 0, threads: int = 1, memory_mb: int = 1000, minutes: int = 60) -> Job:
    return Job("training of lora", Needs(gpus, threads, memory_mb, minutes), KEYS)


def partitions(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "partitions.yaml"
    path.write_text(text)
    return path


TWO = """
partitions:
  cpu: {max_runtime: 2-00:00:00, max_mem_mb: 8000, max_threads: 4}
  gpu: {max_runtime: 1440, max_gpu: 2}
"""


def lines(path: Path, *jobs: Job) -> list[str]:
    return list(unfit(jobs, read_partitions(path), path))


def test_what_fits_one_partition_is_no_message(tmp_path):
    path = partitions(tmp_path, TWO)
    assert lines(path, job(minutes=2880), job(gpus=2, memory_mb=10**6, minutes=1440, threads=64)) == []


def test_a_line_for_each_job_says_what_each_partition_refuses_and_what_to_change(tmp_path):
    path = partitions(tmp_path, TWO)
    long, many = lines(path, job(gpus=1, minutes=2880), job(gpus=4))
    assert "training of lora (gpu 1, mem_mb 1000, runtime 2880, threads 1) fits no partition of" in long
    assert "cpu has max_gpu 0; gpu has max_runtime 1440" in long
    assert "set compute.train_minutes of the study lower" in long
    assert "continues in the next attempt" in long
    assert "gpu has max_gpu 2; set compute.gpus of the study lower" in many


def test_a_drafted_file_without_max_gpu_has_no_gpu(tmp_path):
    """As `generate-slurm-partition-config` writes it; the plugin would submit to the default partition."""
    path = partitions(tmp_path, "partitions:\n  all: {max_runtime: 100}\n")
    (line,) = lines(path, job(gpus=1))
    assert "all has max_gpu 0" in line
    assert "correct max_gpu there" in line


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (2880, 2880), ("48h", 2880), ("1d12h", 2160), ("2-00:00:00", 2880), ("1-12", 2160), ("90", 90),
        ("01:30:00", 90), ("30:00", 30), ("UNLIMITED", float("inf")),
    ],
)  # fmt: skip
def test_times_are_read_as_slurm_writes_them(text, value):
    assert minutes(text, "here") == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("partitions: {}\n", "no `partitions`"),
        ("partitions: {gpu: 3}\n", "partitions.gpu: give its limits"),
        ("partitions: {gpu: {max_runtime: soon}}\n", "'soon' is no time"),
        ("partitions: {gpu: {max_gpu: two}}\n", "'two' is not a number"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(tmp_path, text, message):
    with pytest.raises(UserError, match=r"partitions\.yaml, line 1.*" + message):
        read_partitions(partitions(tmp_path, text))
