"""report.html: what became of each run, to look at: verdicts, words, and the timelines drawn."""

from halfopen.report.anchors import anchor

__all__ = ["anchor"]
