"""`RunRecord` -> one HTML file. Reads plain records only, never live objects."""

from stroma.report.render import render, write_report

__all__ = ["render", "write_report"]
