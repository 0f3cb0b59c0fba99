"""Servers on libraries of others, run with the Python of scripts/servers: each watches its connections as documented.

They log each end, and print "left PATH" once a session is over.
"""
