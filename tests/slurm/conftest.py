"""One Slurm, and one small study that has run undisturbed, for all tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.checkout import Checkout, make_checkout
from tests.helpers.quick_study import SAMPLES, write_study
from tests.slurm.cluster import Cluster, missing
from tests.slurm.workflow import Workflow


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if reason := missing():
        pytest.skip(reason)
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def undisturbed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout in which the study has run on this machine, without Slurm."""
    checkout = make_checkout(tmp_path_factory.mktemp("undisturbed") / "checkout")
    write_study(checkout.folder)
    checkout.snakemake(SAMPLES, "--cores", "2", "--config", "studies=[faults]")
    return checkout


@pytest.fixture
def workflow(cluster: Cluster, undisturbed: Checkout, tmp_path: Path) -> Iterator[Workflow]:
    """A copy of the checkout before training, in which Snakemake submits to the cluster."""
    workflow = Workflow(cluster, undisturbed.folder, tmp_path / "checkout")
    yield workflow
    workflow.close()
