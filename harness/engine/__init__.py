"""Containers of an engine that is on this machine, which speaks Docker's API: Docker itself, or Podman."""
