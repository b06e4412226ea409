"""The report: one study as one self-contained HTML page."""

from rlvr.report.build import build_report

__all__ = ["build_report"]
