"""`RunRecord` -> one HTML file. Reads plain records only, never live objects."""

from stroma.report.compare import compare
from stroma.report.render import render, write_report

__all__ = ["compare", "render", "write_report"]
