"""Tests of what a grace is measured with."""
