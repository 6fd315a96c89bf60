"""The report of a recording: one self-contained HTML page, a Markdown text and the plain document as JSON."""

from neuronarrator.report.write import write_report

__all__ = ["write_report"]
