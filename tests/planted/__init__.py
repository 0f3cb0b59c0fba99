"""Detectors that are wrong on purpose, and an impatient one. None of them may deceive the judge."""
