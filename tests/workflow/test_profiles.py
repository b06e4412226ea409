"""The profiles that docs/cluster.md gives for other sites are accepted, and ask for what the page says."""

import importlib.util
import json
import re

import pytest

from tests.helpers.checkout import Checkout, make_checkout
from tests.helpers.paths import REPOSITORY

PROFILES = dict(
    re.findall(
        r"```yaml\n# profiles/(\w+)/profile\.v9\+\.yaml\n(.*?)```",
        (REPOSITORY / "docs" / "cluster.md").read_text(),
        re.DOTALL,
    )
)
PAPER = ("-n", "train", "--config", "studies=[paper-1.5b]")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout with the profiles of the page."""
    checkout = make_checkout(tmp_path_factory.mktemp("profiles") / "checkout")
    for name, text in PROFILES.items():
        folder = checkout.folder / "sites" / name
        folder.mkdir(parents=True)
        (folder / "profile.v9+.yaml").write_text(text)
    return checkout


PROBE = """
import json
from snakemake.iocontainers import InputFiles, Wildcards

run = "deepseek-r1-distill-qwen-1.5b--lora--paper--main--s42"
names = Wildcards(fromdict={"study": "paper-1.5b", "run": run})
for name in ("train_run", "generate_paper-1.5b"):
    print("PROBE", json.dumps(dict(workflow.get_rule(name).expand_resources(names, InputFiles(), 1).items())))
"""
"""Prints the resources of two jobs as executors see them."""


@pytest.mark.parametrize(
    ("site", "asked"),
    [
        ("account", {"slurm_account": "mygroup", "qos": "normal"}),
        ("gres", {"gpu": 0, "gres": "gpu:1"}),
        ("h100", {"gpu": 1, "gpu_model": "h100", "constraint": "ib"}),
        ("container", {"gpu": 1}),
        ("patient", {"gpu": 1}),
    ],
)
def test_a_second_profile_adapts_slurm_to_a_site(checkout, site, asked):
    probe = checkout.folder / "probe.smk"
    probe.write_text((checkout.folder / "Snakefile").read_text() + PROBE)
    profiles = ("--profile", "slurm", "--profile", f"sites/{site}")
    done = checkout.snakemake(*profiles, "-s", "probe.smk", "-n", "data", "--config", "studies=[paper-1.5b]")
    found = [json.loads(line) for line in re.findall("PROBE (.*)", done.stdout + done.stderr)]
    assert len(found) == 2
    for resources in found:
        assert asked.items() <= resources.items(), resources


@pytest.mark.parametrize("executor", ["htcondor", "kubernetes"])
def test_other_executors_plan_the_same_jobs(checkout, executor):
    if importlib.util.find_spec(f"snakemake_executor_plugin_{executor}") is None:
        pytest.skip(f"not installed: pip install snakemake-executor-plugin-{executor}")
    profile = checkout.folder / "sites" / executor
    if executor == "kubernetes":  # the page names S3; a folder needs no account
        store = checkout.folder / "store"
        store.mkdir()
        path = profile / "profile.v9+.yaml"
        path.write_text(path.read_text().replace("s3://bucket/rlvr", str(store)).replace(": s3\n", ": fs\n"))
    assert checkout.planned("--profile", str(profile), *PAPER[1:])["train_run"] == 14


def test_every_profile_of_the_page_is_tested():
    assert set(PROFILES) == {"account", "gres", "h100", "container", "patient", "htcondor", "kubernetes"}
