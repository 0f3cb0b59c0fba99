"""The API of the websockets library that the pod is built on."""

from __future__ import annotations

from typing import Literal

PodApi = Literal["sync", "asyncio"]
"""``websockets.sync``, with threads, as in the incident; or ``websockets.asyncio``, with tasks."""
