"""report.html: the result of each run for viewing: verdicts, words, and drawn timelines."""

from halfopen.report.anchors import anchor

__all__ = ["anchor"]
