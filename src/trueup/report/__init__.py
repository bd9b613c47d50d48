"""The report: one offline HTML file that shows a whole study."""

from trueup.report.page import render, write_report

__all__ = ["render", "write_report"]
