"""Bounds on a stall from one reading, compared with the stall observed from its beginning, on this kernel.

client ──near──▶ router ──far──▶ server
"""

from __future__ import annotations

import contextlib
import time

import pytest

from halfopen.netns.census import Census, RawSample
from halfopen.watch.tracks import least_stall
from tests.isolated import isolated
from tests.machine import needs_labs
from tests.netns.network import PORT, Network, connection, eventually, fill, network, stall

pytestmark = needs_labs

#: Number of doublings to wait for, and their time: 0.2 s x (2^4 - 1).
DOUBLINGS, LEAST = 4, 3.0
#: Seconds of the kernel's own clock's resolution (a jiffy at HZ=100).
TICK = 0.01


def watched(net: Network) -> list[tuple[RawSample, float]]:
    """Return sightings until the timer has doubled so often, each with the last moment at which it may have moved."""
    with net.server.entered():
        census = Census()
    found: list[tuple[RawSample, float]] = []
    looked_at = moved_after = time.monotonic()

    def doubled() -> bool:
        nonlocal looked_at, moved_after
        before, looked_at = looked_at, time.monotonic()
        (seen,) = census.poll([PORT]).samples
        if not found or seen.progress != found[-1][0].progress:
            moved_after = before
        found.append((seen, moved_after))
        info = seen.sample.info
        return info is not None and info.backoff >= DOUBLINGS

    with contextlib.closing(census):
        eventually(doubled, "the timer has doubled")
    return found


@pytest.mark.parametrize("kind", ["frozen", "dark"])
@isolated
def test_a_reading_proves_most_of_a_stall_and_never_more_than_it(kind: str) -> None:
    with network() as net, connection(net) as (_, server), contextlib.ExitStack() as faults:
        if kind == "dark":
            faults.enter_context(net.near.cut())
            fill(server)
        else:
            stall(server)
        found = watched(net)
        for seen, moved_after in found:
            assert least_stall(seen) <= seen.t - moved_after + TICK
        assert least_stall(found[-1][0]) >= LEAST


@isolated
def test_a_packet_after_a_silence_is_no_stall() -> None:
    """Its path is dark. The silence before that must not count."""
    with network() as net, connection(net) as (_, server), contextlib.closing(net.server.socket_reader()) as reader:

        def silent() -> bool:
            (sample,) = reader.connections(PORT)
            return sample.info is not None and sample.info.last_ack_recv >= 1000

        eventually(silent, "a second without a packet")
        with net.near.cut():
            sent_at = time.monotonic()
            server.send(b"x")
            for seen, _ in watched(net):
                assert least_stall(seen) <= seen.t - sent_at + TICK
