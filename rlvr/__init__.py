"""Train, evaluate and compare parameter-efficient methods under RLVR.

The package holds every computation of the pipeline; the Snakemake workflow only calls the verbs of
:mod:`rlvr.cli`.
"""

__version__ = "0.1.0"
