"""Runs a scenario to the moment at which the session wedges, and holds it there for whoever wants to look."""
