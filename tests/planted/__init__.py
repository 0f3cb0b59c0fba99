"""Detectors that are wrong on purpose, and one that is impatient: the judge must not be taken in by any."""
