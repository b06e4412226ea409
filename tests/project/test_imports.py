"""What each verb of the command line imports: a large part of the CPU time of a small study."""

import ast
import inspect
import subprocess
import sys
import textwrap

import pytest

from rlvr import cli
from tests.helpers.paths import REPOSITORY

CONFIGURATION = {"pydantic", "yaml"}
TABLES = CONFIGURATION | {"numpy", "pandas", "pyarrow"}
MODELS = TABLES | {"torch", "transformers", "peft", "accelerate", "jinja2", "rich", "sympy", "scipy"}
"""Torch imports sympy; transformers imports scipy where it is installed."""

NEEDED = {
    ("verify",): {"rich"},
    ("resolve",): CONFIGURATION,
    ("methods", "plan", "status"): CONFIGURATION | {"rich"},
    ("aggregate", "agreement", "audit", "check-runs", "claims", "choose-rates", "write-rates"): TABLES,
    ("contamination", "copy-floor", "grade", "prepare-data"): TABLES,
    ("crate", "report"): TABLES | {"jinja2"},
    ("show",): TABLES | {"jinja2", "rich"},
    ("export", "generate", "prepare-model", "spectra", "train", "update-norms"): MODELS,
}
"""Verbs -> the large packages that they need."""
LARGE = MODELS | {"datasets", "gguf", "math_verify", "matplotlib", "pygments", "snakemake"}

VERBS = {
    command.callback.__name__.replace("_", "-"): command.callback for command in cli.app.registered_commands
}


def imports_of(verb: str) -> str:
    """Return the import statements of a verb, as code."""
    function = ast.parse(textwrap.dedent(inspect.getsource(VERBS[verb])))
    nodes = list(ast.walk(function))
    [block] = (
        node for node in nodes if isinstance(node, ast.With) and ast.unparse(node.items[0]) == "importing()"
    )
    imports = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    others = [ast.unparse(node) for node in imports if node not in block.body]
    assert others in ([], ["from rlvr.dapo.launch import is_rank, launch"]), "of several ranks: light"
    return ast.unparse(block.body)


def test_the_table_has_every_verb():
    assert sorted(verb for verbs in NEEDED for verb in verbs) == sorted(VERBS)


@pytest.mark.parametrize("verbs", NEEDED, ids=" ".join)
def test_a_verb_imports_only_the_large_packages_that_it_needs(verbs):
    packages = "{name.partition('.')[0] for name in sys.modules}"
    lines = ["import sys, rlvr.cli", *map(imports_of, verbs), f"print(*{packages})"]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert LARGE.intersection(done.stdout.split()) <= NEEDED[verbs]


def test_the_collector_runs_after_imports_and_leaves_out_what_they_made():
    code = (
        "import gc; from rlvr.cli import importing\n"
        "with importing():\n"
        "    print(gc.isenabled())\n"
        "    import rlvr.config.schema\n"
        "print(gc.isenabled(), gc.get_freeze_count() > 10_000)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True", "True"]
