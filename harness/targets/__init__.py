"""Servers under test: the built-in pod, or any command."""
