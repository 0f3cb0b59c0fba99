"""A reading of many sockets agrees with samples of each, however it is taken."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterator

import pytest

from halfopen.netns import census, tcp_info
from halfopen.netns.census import Census, CensusResult
from halfopen.netns.host import Host
from halfopen.netns.lab import Lab
from halfopen.netns.sockets import Address
from tests.isolated import isolated
from tests.machine import needs_labs
from tests.netns.network import PORT, address_of, connection, listen, loopback, network, stall

pytestmark = needs_labs


@contextlib.contextmanager
def censored(host: Host) -> Iterator[Census]:
    with host.entered():
        made = Census()
    with contextlib.closing(made):
        yield made


@contextlib.contextmanager
def pairs(host: Host, count: int) -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Open connections of a host to itself. Yield pairs of the client's end and the server's."""
    with contextlib.ExitStack() as stack, listen(host, "127.0.0.1") as listener:
        made = []
        for _ in range(count):
            client = stack.enter_context(host.connect(("127.0.0.1", PORT), timeout=20))
            server = stack.enter_context(listener.accept()[0])
            server.setblocking(False)
            made.append((client, server))
        yield made


@pytest.mark.parametrize("few", [0, 200], ids=["one dump", "lookups"])
@isolated
def test_those_with_bytes_queued_are_found_among_all(few: int) -> None:
    with pytest.MonkeyPatch.context() as patch, Lab() as lab:
        patch.setattr(census, "_FEW", few)
        host = lab.host("host")
        with pairs(host, 5) as made, censored(host) as counting:
            assert counting.poll([PORT]) == CensusResult({"ESTABLISHED": 5}, [])
            for _, server in made[:2]:
                stall(server)
            for _ in range(2):  # the first reading chooses how the second is taken
                taken = counting.poll([PORT])
                assert taken.states == {"ESTABLISHED": 5}
                assert {seen.sample.remote for seen in taken.samples} == {address_of(pair[0]) for pair in made[:2]}


@isolated
def test_a_sighting_is_what_a_sample_is() -> None:
    with network() as net, connection(net) as (_, server), censored(net.server) as counting:
        stall(server)
        (seen,) = counting.poll([PORT]).samples
        with contextlib.closing(net.server.socket_reader()) as reader:
            (sample,) = reader.connections(PORT)
        assert seen.sample.remote == sample.remote
        assert (seen.outq, seen.state, seen.inode) == (sample.outq, "ESTABLISHED", sample.inode)
        info = tcp_info.parse(seen.info)
        assert seen.progress == (info.bytes_acked, info.delivered)
        assert seen.sample.info is not None
        assert seen.timer in (census.RETRANSMIT, census.PROBE)
        assert seen.expires > 0


@pytest.mark.parametrize(("at", "to"), [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("::", "127.0.0.1")])
@isolated
def test_a_whole_look_has_all_with_everything(at: str, to: str) -> None:
    with Lab() as lab:
        host = lab.host("host")
        with loopback(host, at, to) as (client, server), censored(host) as counting:
            (seen,) = counting.poll([PORT], whole=True).samples
            assert seen.sample.local == address_of(server)
            assert seen.sample.remote == address_of(client)
            assert seen.sample.info is not None
            assert len(counting.poll([0], whole=True).samples) == 2


@isolated
def test_only_the_sockets_asked_for_count() -> None:
    with Lab() as lab:
        host = lab.host("host")
        with pairs(host, 3) as made, censored(host) as counting:
            stall(made[0][1])
            wanted = {os.fstat(made[0][1].fileno()).st_ino}
            taken = counting.poll([PORT], wanted)
            assert (taken.states, len(taken.samples)) == ({"ESTABLISHED": 1}, 1)
            assert counting.poll([PORT + 1]).states == {}


@isolated
def test_who_listens_is_told_by_port_and_socket() -> None:
    with Lab() as lab:
        host = lab.host("host")
        with listen(host) as listener, censored(host) as counting:
            (found,) = counting.listeners()
            assert found.local.port == PORT
            assert found.inode == os.fstat(listener.fileno()).st_ino


@isolated
def test_a_stalled_session_of_a_listener_for_both_families_is_found_by_a_lookup() -> None:
    """The server's end is IPv6, with mapped IPv4 addresses."""
    with Lab() as lab:
        host = lab.host("host")
        with loopback(host, "::", "127.0.0.1") as (client, server), censored(host) as counting:
            server.setblocking(False)
            stall(server)
            (seen,) = counting.poll([PORT]).samples
            assert (seen.sample.remote, seen.body[0]) == (address_of(client), socket.AF_INET6)
            assert seen.outq > 0


@isolated
def test_sockets_are_read_again_while_they_are_there() -> None:
    with Lab() as lab:
        host = lab.host("host")
        with pairs(host, 2) as made, censored(host) as counting:
            seen = counting.poll([PORT], whole=True).samples
            assert {sample.local for sample in seen} == {Address("127.0.0.1", PORT)}
            gone = made[0]
            made[1][1].send(b"more")
            again = counting.reread(seen)
            assert {sample.key for sample in again} == {sample.key for sample in seen}
            for end in gone:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.close()
            (left,) = counting.reread(seen)
            assert left.sample.remote == address_of(made[1][0])
