"""The terminal of the workflow: `snakemake --logger rlvr`, which the profile `default` sets for every call.

Snakemake finds logger plugins by the name of their package.
"""

from snakemake_logger_plugin_rlvr.handler import LogHandler

__all__ = ["LogHandler"]
