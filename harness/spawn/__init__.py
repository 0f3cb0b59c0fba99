"""Processes of a lab, started by exec or by fork, and their output."""
