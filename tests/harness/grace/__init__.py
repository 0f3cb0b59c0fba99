"""Tests of ``halfopen grace``."""
