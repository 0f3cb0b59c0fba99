"""Ends the sessions of dead clients for a server that does not do so itself, from outside, without changing it."""
