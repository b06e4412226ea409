"""Evaluate parameter-efficient methods for RLVR: `snakemake all` runs the studies of config/config.yaml.

Another study: `snakemake all --config 'studies=[smollm2]'`; one piece: `snakemake <file>`; a stage: `snakemake train`.
"""

from typing import get_args

from snakemake.utils import min_version

from rlvr.config.choices import PaperItem

min_version("9.27")


include: "workflow/rules/selection.smk"


configfile: str(CONFIG / "config.yaml")


include: "workflow/rules/common.smk"
include: "workflow/rules/needs.smk"
include: "workflow/rules/targets.smk"
include: "workflow/rules/start.smk"
include: "workflow/rules/resources.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/analyse.smk"
include: "workflow/rules/spectra.smk"
include: "workflow/rules/tune.smk"
include: "workflow/rules/report.smk"


rule all:
    """Everything of the selected studies."""
    default_target: True
    input:
        adapters(STUDIES),
        graded_samples(STUDIES),
        tables(STUDIES),
        claims(STUDIES),
        reports(STUDIES),
        complete(STUDIES, "report"),
    localrule: True


rule data:
    """Models and problems of the selected studies."""
    input:
        resources_of(STUDIES),
    localrule: True


rule train:
    """Trained and exported runs."""
    input:
        adapters(STUDIES),
        complete(STUDIES, "train"),
    localrule: True


rule evaluate:
    """Samples of every run on every benchmark, and their grades."""
    input:
        graded_samples(STUDIES),
        complete(STUDIES, "evaluate"),
    localrule: True


rule tables:
    """Tables with uncertainty."""
    input:
        tables(STUDIES),
        complete(STUDIES, "tables"),
    localrule: True


rule claims:
    """The claims of the paper, answered by the selected studies, or by all that they name."""
    input:
        claims_and_reports,
    localrule: True


rule rates:
    """The learning rates that the selected studies choose, written to config/rates/."""
    input:
        rates_of,
    localrule: True


rule report:
    """The reports."""
    input:
        reports(STUDIES),
        complete(STUDIES, "report"),
    localrule: True


rule audit:
    """What each difference between the paper and its released code changes."""
    input:
        audit_of,
    localrule: True


# The tables and figures of the paper: the studies that make them (`shows`), among those selected or at their own scale.
for item in get_args(PaperItem):

    rule:
        name:
            item
        input:
            of_paper(item),
        localrule: True
